//! What can be set about the traffic side of the gateway.

use std::time::Duration;

/// Where a store's traffic is found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// Under a host name of its own, compared without case and port.
    Host(Box<str>),
    /// Under a path prefix: `/shop`, or `/` for an only store. Never ends in `/` otherwise.
    Prefix(Box<str>),
}

/// The most one credential owner may ask of the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PerPrincipal {
    /// Calls under way at one time.
    pub concurrent: u32,
    /// Calls started in a second; as many may come at once.
    pub per_second: u32,
}

impl Default for PerPrincipal {
    fn default() -> Self {
        Self { concurrent: 200, per_second: 2000 }
    }
}

/// The `[gateway.limits]` of the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The longest head of a request, in bytes; at least 8192.
    pub header_bytes: usize,
    /// The longest single record, in bytes.
    pub record_bytes: usize,
    /// The longest file that is taken, in bytes.
    pub file_bytes: u64,
    /// All buffers together, in bytes; over it calls wait or get 503.
    pub buffer_bytes: usize,
    /// How long a connection may be without a call.
    pub idle: Duration,
    /// How long a TLS handshake and the head of a request may take, and how long a connection may
    /// be without a call as long as nobody has shown who they are on it.
    pub head: Duration,
    /// How long a client may take no bytes of its answer.
    pub client_write: Duration,
    /// Per credential owner.
    pub per_principal: PerPrincipal,
    /// Connections at one time; what the system has descriptors for without.
    pub connections: Option<usize>,
    /// Of these from one address; half without.
    pub connections_per_peer: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            record_bytes: 1024 * 1024,
            file_bytes: 1024 * 1024 * 1024,
            buffer_bytes: 256 * 1024 * 1024,
            idle: Duration::from_secs(60),
            head: Duration::from_secs(10),
            client_write: Duration::from_secs(30),
            per_principal: PerPrincipal::default(),
            connections: None,
            connections_per_peer: None,
        }
    }
}

//! What is configured about one HTTP store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::net::ClientIdentity;
use crate::protocol::http::Authority;
use crate::protocol::http::Expansion;
use crate::types::StoreId;

/// One HTTP store: where it is and how patient to be with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamConfig {
    /// The store's name.
    pub store: StoreId,
    /// Where it answers; each call goes to the least loaded healthy one.
    pub urls: Vec<StoreUrl>,
    /// The PEM file of the authorities believed for `https`; the system's when there is none.
    pub ca: Option<PathBuf>,
    /// The certificate Privet shows the store.
    pub identity: Option<ClientIdentity>,
    /// The bearer token Privet shows the store. The callers' own never go there.
    pub bearer: Option<Bearer>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How to ask whether an address is well; without it only failures of calls tell.
    pub health: Option<HealthCheck>,
    /// What is bounded.
    pub limits: Limits,
}

impl UpstreamConfig {
    /// A store at `urls` with the default of everything else.
    pub fn new(store: StoreId, urls: Vec<StoreUrl>) -> Self {
        Self {
            store,
            urls,
            ca: None,
            identity: None,
            bearer: None,
            timeouts: Timeouts::default(),
            health: None,
            limits: Limits::default(),
        }
    }
}

/// Where the bearer token for a store comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Bearer {
    /// A file that holds it, read again as it changes.
    File(PathBuf),
    /// A token service.
    OAuth(OAuth),
}

/// A token service that is asked by OAuth 2.0 client credentials (RFC 6749 §4.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OAuth {
    /// Where tokens are given: `https`, or `http` on this machine.
    pub token_url: Uri,
    /// The gateway's name there.
    pub client_id: String,
    /// The file of its secret; only its owner may read it.
    pub client_secret_file: PathBuf,
    /// What the token is asked for.
    pub scope: Option<String>,
    /// The PEM file of the authorities the service is believed by; the system's without.
    pub ca: Option<PathBuf>,
}

/// How long to wait for a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From sending a request to the head of its answer.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            first_byte: Duration::from_secs(10),
            idle: Duration::from_secs(30),
        }
    }
}

/// How to ask whether an address is well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// The path of a GET that answers below 400.
    pub path: String,
    /// How often.
    pub every: Duration,
}

/// What is bounded about the connections to one store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Idle connections kept, by worker and address.
    pub idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_for: Duration,
    /// Calls at once to one address, over all workers.
    pub calls: usize,
    /// The largest answer head, in bytes.
    pub head_bytes: usize,
    /// How far a coded body may expand.
    pub expansion: Expansion,
    /// Whether the store is offered content codings. Off by default: on a fast network decoding
    /// costs more than it saves.
    pub compression: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_connections: 64,
            idle_for: Duration::from_secs(55),
            calls: 1024,
            head_bytes: 32 * 1024,
            expansion: Expansion::default(),
            compression: false,
        }
    }
}

/// `http://host:port` or `https://host:port`, with nothing after it.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct StoreUrl {
    tls: bool,
    authority: Authority,
}

impl StoreUrl {
    /// Reads the URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(UrlError::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(UrlError::Path);
        }
        let authority = Authority::parse(authority).map_err(|_| UrlError::Host)?;
        Ok(Self { tls, authority })
    }

    /// Whether TLS is spoken.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Host and port as written.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The port, the scheme's own when none is named.
    pub fn port(&self) -> u16 {
        self.authority.port().unwrap_or(if self.tls { 443 } else { 80 })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority.as_str())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a store's URL is refused. Quotes nothing of it: the URL may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// A user name or password.
    #[error("the URL holds credentials; use `auth = {{ bearer_file = … }}`")]
    Credentials,
    /// The host or port.
    #[error("the URL's host or port is not valid")]
    Host,
    /// A path, query or fragment.
    #[error("the URL has a path; routes carry the whole path")]
    Path,
    /// Neither `http://` nor `https://`.
    #[error("the URL starts with neither `http://` nor `https://`")]
    Scheme,
}

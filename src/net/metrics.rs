//! What is counted about sockets.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters about connections. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct NetMetrics {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open now.
    pub open: Gauge,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: Counter,
    /// Times a listener stopped accepting because the connection limit was reached.
    pub limit_reached: Counter,
}

impl NetMetrics {
    /// Makes the counters visible under `privet_net_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("privet_net");
        registry.register("accepted", "Connections accepted", self.accepted.clone());
        registry.register("open", "Connections open now", self.open.clone());
        registry.register(
            "handshakes_failed",
            "TLS handshakes that failed or took too long",
            self.handshakes_failed.clone(),
        );
        registry.register(
            "limit_reached",
            "Times a listener waited because the connection limit was reached",
            self.limit_reached.clone(),
        );
    }
}

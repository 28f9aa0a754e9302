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
    /// Connections closed at once because there was no place for them.
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
            "Connections closed at once because a limit was reached",
            self.limit_reached.clone(),
        );
    }
}

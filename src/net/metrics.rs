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
    /// Certificate reloads that worked.
    pub certificate_reloads: Counter,
    /// Certificate reloads that kept the old certificate.
    pub certificate_reload_failures: Counter,
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
        registry.register(
            "certificate_reloads",
            "Certificate reloads that worked",
            self.certificate_reloads.clone(),
        );
        registry.register(
            "certificate_reload_failures",
            "Certificate reloads that kept the old certificate",
            self.certificate_reload_failures.clone(),
        );
    }
}

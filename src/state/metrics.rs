//! Counters of an engine.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of an engine. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct StateMetrics {
    /// Transactions that became durable.
    pub commits: Counter,
    /// Transactions refused because an expectation did not hold.
    pub conflicts: Counter,
    /// Times the disk was made to sync; several commits share one.
    pub syncs: Counter,
    /// Failures of the engine; after one it takes no more writes.
    pub failures: Counter,
}

impl StateMetrics {
    /// Adds the counters to `registry`; the caller gives the prefix that tells engines apart.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("commits", "Durable transactions", self.commits.clone());
        registry.register("conflicts", "Transactions refused", self.conflicts.clone());
        registry.register("syncs", "Disk syncs", self.syncs.clone());
        registry.register("failures", "Failures of the engine", self.failures.clone());
    }
}

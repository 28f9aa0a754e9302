//! Counters of keys.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::state::StateMetrics;

/// Counters of keys. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct KeysMetrics {
    /// The number of the epoch in force.
    pub epoch: Gauge,
    /// Epochs that were replaced by the next.
    pub rolls: Counter,
    /// Attempts at that which failed.
    pub roll_failures: Counter,
    /// People erased, of all times.
    pub tombstones: Gauge,
    /// Seconds until the oldest erasure that is not yet beyond recall must be; negative once that
    /// is late, and the whole bound while there is none.
    pub shred_due: Gauge,
    /// Keys that were made for records whose person was not known, and died that way.
    pub pending_died: Counter,
    /// 1 while the keys are locked.
    pub locked: Gauge,
    /// Times that the provider of the root key did not answer as it should.
    pub unconfirmed: Counter,
    /// The engine of subject keys, through all epochs.
    pub engine: StateMetrics,
}

impl KeysMetrics {
    /// Adds the counters to `registry`; the caller gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        self.engine.register(registry);
        registry.register("epoch", "Number of the epoch in force", self.epoch.clone());
        registry.register("rolls", "Epochs replaced by the next", self.rolls.clone());
        registry.register("roll_failures", "Failed rolls", self.roll_failures.clone());
        registry.register("tombstones_total", "People erased", self.tombstones.clone());
        registry.register(
            "shred_due_seconds",
            "Until the oldest erasure must be beyond recall",
            self.shred_due.clone(),
        );
        registry.register("locked", "Whether the keys are locked", self.locked.clone());
        registry.register(
            "unconfirmed",
            "Times that the root key's provider did not answer as it should",
            self.unconfirmed.clone(),
        );
        registry.register("pending_died", "Keys that no record claimed", self.pending_died.clone());
    }
}

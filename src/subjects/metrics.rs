//! Counters of cards.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of cards. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct SubjectsMetrics {
    /// Cards made for people seen for the first time.
    pub created: Counter,
    /// Cards read from the state because they were not in memory.
    pub loaded: Counter,
    /// People with a key but no card: their status is lost, so their records stay closed.
    pub orphaned: Counter,
    /// Changes of status, consent or opt-out.
    pub changed: Counter,
    /// Versions of consent records.
    pub consents_recorded: Counter,
    /// Consent records and events that were refused.
    pub consents_refused: Counter,
    /// Consent records whose versions do not follow from each other: somebody changed or removed
    /// one. Each is an alert.
    pub consents_broken: Counter,
}

impl SubjectsMetrics {
    /// Adds the counters to `registry`; the caller gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("cards_created", "People seen for the first time", self.created.clone());
        registry.register("cards_loaded", "Cards read from the state", self.loaded.clone());
        registry.register("cards_orphaned", "People whose card is lost", self.orphaned.clone());
        registry.register("cards_changed", "Changes of cards", self.changed.clone());
        let recorded = self.consents_recorded.clone();
        registry.register("consents_recorded", "Versions of consent records", recorded);
        let refused = self.consents_refused.clone();
        registry.register("consents_refused", "Consent that was not recorded", refused);
        let broken = self.consents_broken.clone();
        registry.register("consents_broken", "Consent records tampered with", broken);
    }
}

//! What is counted about credentials.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters about credentials. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct AuthnMetrics {
    /// Tokens whose signature was verified.
    pub verified: Counter,
    /// Tokens found in the cache.
    pub cached: Counter,
    /// Credentials refused, by reason.
    pub refused: Family<Refused, Counter>,
    /// Key sets read.
    pub key_sets_read: Counter,
    /// Key sets that could not be read or used; the last good one stays.
    pub key_set_failures: Counter,
}

/// The label of [`AuthnMetrics::refused`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct Refused {
    /// Why, from a closed list.
    pub reason: &'static str,
}

impl AuthnMetrics {
    /// Makes the counters visible under `privet_authn_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("privet_authn");
        registry.register("verified", "Tokens whose signature was verified", self.verified.clone());
        registry.register("cached", "Tokens found in the cache", self.cached.clone());
        registry.register("refused", "Credentials refused, by reason", self.refused.clone());
        registry.register("key_sets_read", "Key sets read", self.key_sets_read.clone());
        registry.register(
            "key_set_failures",
            "Key sets that could not be read or used",
            self.key_set_failures.clone(),
        );
    }
}

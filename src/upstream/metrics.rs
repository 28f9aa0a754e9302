//! What is counted about stores.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::types::StoreId;

type Labels = Vec<(String, String)>;

/// Counters about all stores. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct UpstreamMetrics {
    requests: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    connections: Family<Labels, Counter>,
    ejections: Family<Labels, Counter>,
    body_bytes: Family<Labels, Counter>,
}

impl UpstreamMetrics {
    /// Makes the counters visible under `privet_store_…`, labelled by store.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("privet_store");
        let mut add = |name: &str, help: &str, family: &Family<Labels, Counter>| {
            registry.register(name, help, family.clone());
        };
        add("requests", "Calls sent to the store", &self.requests);
        add("failures", "Calls that failed, their retry included", &self.failures);
        add("retries", "Reads sent a second time", &self.retries);
        add("connections", "Connections opened", &self.connections);
        add("ejections", "Times an address was set aside after failures", &self.ejections);
        add("body_bytes", "Bytes of answer bodies, as sent", &self.body_bytes);
    }

    /// The counters of one store, looked up once.
    pub(super) fn of(&self, store: &StoreId) -> StoreMetrics {
        let labels = vec![("store".to_owned(), store.to_string())];
        let counter = |family: &Family<Labels, Counter>| family.get_or_create(&labels).clone();
        StoreMetrics {
            requests: counter(&self.requests),
            failures: counter(&self.failures),
            retries: counter(&self.retries),
            connections: counter(&self.connections),
            ejections: counter(&self.ejections),
            body_bytes: counter(&self.body_bytes),
        }
    }
}

/// The counters of one store.
#[derive(Debug)]
pub(super) struct StoreMetrics {
    pub(super) requests: Counter,
    pub(super) failures: Counter,
    pub(super) retries: Counter,
    pub(super) connections: Counter,
    pub(super) ejections: Counter,
    pub(super) body_bytes: Counter,
}

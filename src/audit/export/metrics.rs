//! What exports count, by name.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(String, String)>;

/// Counters of all exports. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct ExportMetrics {
    entries: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    lag_entries: Family<Labels, Gauge<i64, AtomicI64>>,
    lag_seconds: Family<Labels, Gauge<i64, AtomicI64>>,
}

impl ExportMetrics {
    /// Makes them visible under `privet_audit_export_…`, labelled by export.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("privet_audit_export");
        to.register("entries", "Entries the receiver has taken", self.entries.clone());
        to.register("failures", "Batches the receiver did not take", self.failures.clone());
        let help = "Published entries the receiver has not taken";
        to.register("lag_entries", help, self.lag_entries.clone());
        let help = "Age of the oldest entry the receiver has not taken; 0 when there is none";
        to.register("lag_seconds", help, self.lag_seconds.clone());
    }

    /// Those of one export.
    pub(super) fn of(&self, name: &str) -> OneExport {
        let labels = vec![("export".to_owned(), name.to_owned())];
        OneExport {
            entries: self.entries.get_or_create(&labels).clone(),
            failures: self.failures.get_or_create(&labels).clone(),
            lag_entries: self.lag_entries.get_or_create(&labels).clone(),
            lag_seconds: self.lag_seconds.get_or_create(&labels).clone(),
        }
    }
}

/// The counters of one export.
#[derive(Debug)]
pub(super) struct OneExport {
    pub(super) entries: Counter,
    pub(super) failures: Counter,
    pub(super) lag_entries: Gauge<i64, AtomicI64>,
    pub(super) lag_seconds: Gauge<i64, AtomicI64>,
}

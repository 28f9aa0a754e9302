//! What the traffic side counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is counted about calls. Labels are words of the policy and the product, never the
/// caller's.
#[derive(Clone, Debug)]
pub struct ProxyMetrics {
    pub(crate) requests: Family<CallLabels, Counter<u64, AtomicU64>>,
    pub(crate) overhead: Histogram,
    pub(crate) upstream: Histogram,
    pub(crate) under_way: Gauge,
    pub(crate) records: Family<RecordLabels, Counter<u64, AtomicU64>>,
    pub(crate) fields: Family<FieldLabels, Counter<u64, AtomicU64>>,
    pub(crate) bytes: Counter<u64, AtomicU64>,
    pub(crate) alerts: Counter<u64, AtomicU64>,
}

/// One kind of call.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct CallLabels {
    /// The store, or nothing when none was found.
    pub(crate) store: String,
    /// The purpose, once decided.
    pub(crate) purpose: String,
    /// `permit`, or why not.
    pub(crate) decision: &'static str,
    /// How it ended.
    pub(crate) outcome: &'static str,
}

/// What happened to records.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct RecordLabels {
    /// `released` or `left_out`.
    pub(crate) verdict: &'static str,
}

/// How fields of released records were shown, by the plan.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct FieldLabels {
    /// The kind of view.
    pub(crate) view: &'static str,
}

impl ProxyMetrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            overhead: Histogram::new(OVERHEAD_S),
            upstream: Histogram::new(UPSTREAM_S),
            under_way: Gauge::default(),
            records: Family::default(),
            fields: Family::default(),
            bytes: Counter::default(),
            alerts: Counter::default(),
        }
    }

    /// Makes them visible.
    pub fn register(&self, registry: &mut Registry) {
        let part = registry.sub_registry_with_prefix("privet");
        part.register("requests", "Calls, by how they were decided", self.requests.clone());
        part.register(
            "overhead_seconds",
            "Time a call took in the gateway, without the store's",
            self.overhead.clone(),
        );
        part.register("upstream_seconds", "Time calls waited for the store", self.upstream.clone());
        part.register("calls_under_way", "Calls under way", self.under_way.clone());
        part.register("records", "Records, by verdict", self.records.clone());
        part.register(
            "fields",
            "Fields of released records, by the view of the plan",
            self.fields.clone(),
        );
        part.register("released_bytes", "Bytes of answers", self.bytes.clone());
        part.register("bulk_alerts", "Bulk limits passed", self.alerts.clone());
    }
}

const OVERHEAD_S: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0];
const UPSTREAM_S: [f64; 12] =
    [0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

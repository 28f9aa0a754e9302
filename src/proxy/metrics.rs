//! What the traffic side counts.

use std::fmt;
use std::fmt::Debug;
use std::fmt::Display;
use std::fmt::Write;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::EncodeLabelValue;
use prometheus_client::encoding::LabelValueEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::policy::PolicySet;
use crate::policy::View;
use crate::transform::Unopened;
use crate::types::PurposeId;
use crate::types::StoreId;

/// What is counted about calls. Labels are words of the policy and the product, never the
/// caller's.
#[derive(Clone, Debug)]
pub struct ProxyMetrics {
    pub(crate) requests: Family<CallLabels, Counter<u64, AtomicU64>>,
    pub(crate) overhead: Histogram,
    pub(crate) upstream: Histogram,
    pub(crate) under_way: Gauge,
    records: Family<RecordLabels, Counter<u64, AtomicU64>>,
    /// Of `records`: looked up once.
    pub(crate) released: Counter<u64, AtomicU64>,
    pub(crate) left_out: Counter<u64, AtomicU64>,
    fields: Family<FieldLabels, Counter<u64, AtomicU64>>,
    /// Of `fields`, by the rank of the view: looked up once.
    pub(crate) by_view: [Counter<u64, AtomicU64>; View::RANKS],
    pub(crate) bytes: Counter<u64, AtomicU64>,
    pub(crate) alerts: Counter<u64, AtomicU64>,
    /// Until when the policy is only observed, in seconds since 1970.
    observed_until: Family<SetLabels, Gauge>,
    pub(crate) observed: Family<ObservedLabels, Counter<u64, AtomicU64>>,
    unopened: Family<UnopenedLabels, Counter<u64, AtomicU64>>,
    /// Values in clear in fields that are being sealed.
    pub(crate) plaintext: Counter<u64, AtomicU64>,
}

/// One kind of call.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct CallLabels {
    /// The store, or nothing when none was found.
    pub(crate) store: Word<StoreId>,
    /// The purpose, once decided.
    pub(crate) purpose: Word<PurposeId>,
    /// What it asked to do with records, or nothing when no route was found.
    pub(crate) action: &'static str,
    /// `permit`, or why not.
    pub(crate) decision: &'static str,
    /// How it ended.
    pub(crate) outcome: &'static str,
}

/// An identifier as a label; nothing when there is none.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Word<T>(pub(crate) Option<T>);

impl<T: Display + Debug> EncodeLabelValue for Word<T> {
    fn encode(&self, to: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.as_ref().map_or(Ok(()), |id| write!(to, "{id}"))
    }
}

/// A data set.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct SetLabels {
    /// Its name.
    pub(crate) data_set: String,
}

/// What enforcing the policy would have done with a call.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct ObservedLabels {
    /// The data set.
    pub(crate) data_set: String,
    /// `same`, `change` or `refuse`.
    pub(crate) would: &'static str,
}

/// What happened to records.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct RecordLabels {
    /// `released` or `left_out`.
    pub(crate) verdict: &'static str,
}

/// Why sealed values were not opened.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct UnopenedLabels {
    /// The word of the reason.
    pub(crate) reason: &'static str,
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
        let records: Family<RecordLabels, Counter<u64, AtomicU64>> = Family::default();
        let verdict = |verdict| records.get_or_create(&RecordLabels { verdict }).clone();
        let fields: Family<FieldLabels, Counter<u64, AtomicU64>> = Family::default();
        let unopened: Family<UnopenedLabels, Counter<u64, AtomicU64>> = Family::default();
        for why in Unopened::ALL {
            // Each is there before the first happens, so that it can be watched.
            drop(unopened.get_or_create(&UnopenedLabels { reason: why.as_str() }));
        }
        let by_view = VIEWS.map(|view| fields.get_or_create(&FieldLabels { view }).clone());
        Self {
            requests: Family::default(),
            overhead: Histogram::new(OVERHEAD_S),
            upstream: Histogram::new(UPSTREAM_S),
            under_way: Gauge::default(),
            released: verdict("released"),
            left_out: verdict("left_out"),
            records,
            fields,
            by_view,
            bytes: Counter::default(),
            alerts: Counter::default(),
            observed_until: Family::default(),
            observed: Family::default(),
            unopened,
            plaintext: Counter::default(),
        }
    }

    /// How many sealed values were left out for this reason.
    pub(crate) fn unopened(&self, why: Unopened) -> Counter<u64, AtomicU64> {
        self.unopened.get_or_create(&UnopenedLabels { reason: why.as_str() }).clone()
    }

    /// Tells until when a policy is only observed, by data set.
    pub(crate) fn observe(&self, policy: &PolicySet) {
        self.observed_until.clear();
        for set in policy.sets() {
            if let Some(observe) = &set.observe {
                let data_set = set.id.as_str().to_owned();
                let until = i64::try_from(observe.until.unix_s()).unwrap_or(i64::MAX);
                self.observed_until.get_or_create(&SetLabels { data_set }).set(until);
            }
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
        part.register(
            "unopened_values",
            "Sealed values that did not open and were left out, by reason",
            self.unopened.clone(),
        );
        part.register(
            "plaintext_in_sealed_field",
            "Values in clear in fields that are being sealed, shown as their views say",
            self.plaintext.clone(),
        );
        part.register(
            "observed_until_timestamp_seconds",
            "Until when the policy is only observed in a data set; what lies behind is over",
            self.observed_until.clone(),
        );
        part.register(
            "observed_calls",
            "Calls that the policy was only observed for, by what it would have done",
            self.observed.clone(),
        );
        part.register("bulk_alerts", "Bulk limits passed", self.alerts.clone());
    }
}

/// The words of the views, by rank.
const VIEWS: [&str; View::RANKS] = [
    View::Show.word(),
    "generalize",
    "mask",
    View::TOKEN.word(),
    View::Ciphertext.word(),
    View::Drop.word(),
];
const OVERHEAD_S: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0];
const UPSTREAM_S: [f64; 12] =
    [0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

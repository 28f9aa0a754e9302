//! What the log counts.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::Registry;

/// Counters of the log. Reading them never waits for the log.
#[derive(Debug)]
pub struct AuditMetrics {
    /// Entries recorded.
    pub appended: Counter<u64, AtomicU64>,
    /// Bytes of entries recorded.
    pub bytes: Counter<u64, AtomicU64>,
    /// Times the log could not be written.
    pub failures: Counter<u64, AtomicU64>,
    /// Entries lost: made without waiting while the log could not be written for too long.
    pub dropped: Counter<u64, AtomicU64>,
    /// Seconds from handing in a group of entries to having it recorded.
    pub commit_seconds: Histogram,
    /// Entries that wait for the disk.
    pub waiting: Gauge<i64, AtomicI64>,
    /// Entries in the log.
    pub size: Gauge<i64, AtomicI64>,
    /// Entries under the last published checkpoint.
    pub checkpoint_size: Gauge<i64, AtomicI64>,
    /// Entries that have an index.
    pub indexed: Gauge<i64, AtomicI64>,
    /// Times the index could not be made.
    pub index_failures: Counter<u64, AtomicU64>,
    /// When the last checkpoint was published, in seconds since the Unix epoch.
    pub checkpoint_time: Gauge<i64, AtomicI64>,
    /// 1 when entries are accepted, else 0.
    pub writable: Gauge<i64, AtomicI64>,
    witness_size: Family<Labels, Gauge<i64, AtomicI64>>,
    witness_signatures: Family<Labels, Counter<u64, AtomicU64>>,
    witness_failures: Family<Labels, Counter<u64, AtomicU64>>,
}

/// By the witness's name.
type Labels = Vec<(String, String)>;

/// What is counted about one witness.
#[derive(Clone, Debug)]
pub struct WitnessMetrics {
    /// Entries of the last checkpoint it signed.
    pub size: Gauge<i64, AtomicI64>,
    /// Checkpoints it signed.
    pub signatures: Counter<u64, AtomicU64>,
    /// Times it was asked and did not sign.
    pub failures: Counter<u64, AtomicU64>,
}

impl AuditMetrics {
    /// All at zero.
    pub fn new() -> Self {
        Self {
            appended: Counter::default(),
            bytes: Counter::default(),
            failures: Counter::default(),
            dropped: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            waiting: Gauge::default(),
            size: Gauge::default(),
            checkpoint_size: Gauge::default(),
            checkpoint_time: Gauge::default(),
            indexed: Gauge::default(),
            index_failures: Counter::default(),
            writable: Gauge::default(),
            witness_size: Family::default(),
            witness_signatures: Family::default(),
            witness_failures: Family::default(),
        }
    }

    /// The counters of one witness.
    pub fn witness(&self, name: &str) -> WitnessMetrics {
        let labels = vec![("witness".to_owned(), name.to_owned())];
        WitnessMetrics {
            size: self.witness_size.get_or_create(&labels).clone(),
            signatures: self.witness_signatures.get_or_create(&labels).clone(),
            failures: self.witness_failures.get_or_create(&labels).clone(),
        }
    }

    /// Makes them visible under `privet_audit_…`.
    pub fn register(&self, registry: &mut Registry) {
        let to = registry.sub_registry_with_prefix("privet_audit");
        to.register("entries", "Audit entries recorded", self.appended.clone());
        to.register("entry_bytes", "Bytes of audit entries recorded", self.bytes.clone());
        to.register("failures", "Times the audit log could not be written", self.failures.clone());
        to.register("dropped", "Audit entries lost while unwritable", self.dropped.clone());
        let help = "Seconds to record a group of audit entries";
        to.register("commit_seconds", help, self.commit_seconds.clone());
        to.register("waiting", "Audit entries that wait for the disk", self.waiting.clone());
        to.register("size", "Entries in the audit log", self.size.clone());
        let help = "Entries under the last published checkpoint";
        to.register("checkpoint_size", help, self.checkpoint_size.clone());
        let help = "Unix time of the last published checkpoint";
        to.register("checkpoint_timestamp_seconds", help, self.checkpoint_time.clone());
        to.register("indexed", "Audit entries that have an index", self.indexed.clone());
        let help = "Times the index of the audit log could not be made";
        to.register("index_failures", help, self.index_failures.clone());
        to.register("writable", "Whether audit entries are accepted", self.writable.clone());
        let help = "Entries under the last checkpoint that the witness signed";
        to.register("witness_size", help, self.witness_size.clone());
        let help = "Checkpoints that the witness signed";
        to.register("witness_signatures", help, self.witness_signatures.clone());
        let help = "Times the witness was asked and did not sign";
        to.register("witness_failures", help, self.witness_failures.clone());
    }
}

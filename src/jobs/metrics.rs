//! Counters of jobs.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of jobs. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct JobsMetrics {
    /// Jobs that were requested.
    pub requested: Counter,
    /// Jobs that were done.
    pub done: Counter,
    /// Jobs that failed.
    pub failed: Counter,
    /// Jobs that were cancelled, or that nobody approved in time.
    pub cancelled: Counter,
    /// Steps that succeeded.
    pub steps: Counter,
    /// Steps that failed and are tried again.
    pub retries: Counter,
    /// Jobs taken over from a process that no longer renewed its lease.
    pub taken_over: Counter,
    /// Jobs under way in this process.
    pub running: Gauge,
    /// Jobs that wait for an approval.
    pub waiting: Gauge,
    /// Rows that cannot be understood.
    pub damaged: Gauge,
}

impl JobsMetrics {
    /// Adds the counters to `registry`; the caller gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("requested", "Jobs requested", self.requested.clone());
        registry.register("done", "Jobs done", self.done.clone());
        registry.register("failed", "Jobs that failed", self.failed.clone());
        registry.register("cancelled", "Jobs cancelled or not approved", self.cancelled.clone());
        registry.register("steps", "Steps that succeeded", self.steps.clone());
        registry.register("retries", "Steps to be tried again", self.retries.clone());
        registry.register("taken_over", "Jobs taken over", self.taken_over.clone());
        registry.register("running", "Jobs under way here", self.running.clone());
        registry.register("waiting", "Jobs that wait for an approval", self.waiting.clone());
        registry.register("damaged", "Jobs whose row is damaged", self.damaged.clone());
    }
}

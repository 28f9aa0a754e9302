//! Counters of approvals and broken glass.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of approvals and broken glass. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ApprovalMetrics {
    /// Requests that wait for an approval.
    pub waiting: Gauge,
    /// What is in force, of both kinds.
    pub in_force: Gauge,
    /// How often somebody broke glass since the start.
    pub broken: Counter,
    /// Broken glass that is still to be reviewed, the overdue included.
    pub reviews_due: Gauge,
    /// Broken glass that should have been reviewed.
    pub reviews_overdue: Gauge,
}

impl ApprovalMetrics {
    /// Adds the counters to `registry`; the caller gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("waiting", "Requests that wait for an approval", self.waiting.clone());
        registry.register("in_force", "Approvals and broken glass in force", self.in_force.clone());
        registry.register("break_glass", "How often glass was broken", self.broken.clone());
        let help = "Broken glass that nobody has reviewed";
        registry.register("reviews_due", help, self.reviews_due.clone());
        let help = "Broken glass that should have been reviewed by now";
        registry.register("reviews_overdue", help, self.reviews_overdue.clone());
    }
}

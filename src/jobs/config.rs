//! How jobs are kept and run.

/// How jobs are kept and run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JobsConfig {
    /// Whether the engine of the state lets no second process in. Leases found at start are then
    /// those of a process that is gone, and nothing is waited for.
    pub alone: bool,
    /// How many jobs run at once in this process.
    pub at_once: usize,
    /// How many finished jobs are kept; the oldest go first.
    pub kept: usize,
    /// How long finished jobs are kept.
    pub kept_ms: u64,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { alone: false, at_once: 4, kept: 500, kept_ms: 90 * 24 * 3_600_000 }
    }
}

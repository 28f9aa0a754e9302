//! Approvals and broken glass: who may use which grant for a while, and who looks at it afterwards.
//!
//! Every row stands in the state; what is in force is also in memory, where the data path reads it
//! without waiting. Whoever changes a row writes the entry in the log first.

mod book;
mod metrics;
mod row;
#[cfg(test)]
mod tests;

pub use self::book::{Approvals, Asked, People, Settling};
pub use self::metrics::ApprovalMetrics;
pub use self::row::{Approval, ApprovalError, ApprovalState, Finding, Review, ReviewState};

/// How old the second factor of somebody who approves, reviews or breaks glass may be, in seconds.
pub const FRESH_MFA_S: u64 = 15 * 60;

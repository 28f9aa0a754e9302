//! Durable tasks: long work that survives a kill, that one process at a time does, that people
//! approve, watch and stop.
//!
//! # How a kind of job is made
//! A kind is a word and a [`Work`], which the shell puts into [`Kinds`] before it makes [`Jobs`].
//! `Work` has two duties: to say whether a request with these arguments needs a second person's
//! approval, and to do one step.
//!
//! ```text
//! Work::step(At { job, cursor }) -> Step::More { cursor, progress, … } | Step::Done { … }
//!                                 | StepError::Again(why) | StepError::Fatal(why)
//! ```
//!
//! - The cursor of a step is on disk before the next step starts; a killed process goes on at the
//!   last one. The step that was under way is done again: **a step does no harm when repeated**.
//!   That holds for the last one too.
//! - A step takes about a second, and at most a few; cancelling and stopping wait for its end or
//!   cut it at an `await`. Each step costs one sync of the disk.
//! - Where the work cannot be cut into steps, [`At::live`] says how far it is meanwhile.
//! - `Again` is tried anew after 1, 2, 4 … 300 s, [`MAX_FAILURES`] times in a row; `Fatal` and a
//!   panic in the last attempt end the job. A reason is a word of the product: `&'static str`, so
//!   that no value gets into it.
//! - What a job found is its [`summary`](Job::summary) (one small JSON object, replaced by each
//!   step that gives one) and its report (JSON rows, appended; [`MAX_REPORT_ROWS`], then counted).
//!   Both are on disk in the same transaction as the cursor: no row is lost or doubled.
//! - Arguments, cursor, summary and report stand in the state and are shown to operators: no raw
//!   ids, no values, no keys.
//!
//! # How a job comes about
//! ```text
//! let ticket = jobs.prepare(Wish { kind, args, lane, by })?;   // checked, nothing written
//! /* the entry in the audit log */
//! let job = jobs.create(ticket).await?;                        // durable
//! ```
//! `approve` and `cancel` go the same way: a ticket, the entry, the change. A ticket is good for
//! the very version of the very job it was made for. Of jobs with the same kind and `lane` only
//! one is unfinished at a time.
//!
//! ```text
//! waiting_approval ─approve─▶ queued ─▶ running ─▶ done
//!        └───────┬───────────────┴─────────┴────▶ cancelled | failed
//! ```
//!
//! # Who runs it
//! A [`Worker`] takes jobs by a lease in the row itself. Whoever holds it renews it every
//! [`RENEW_MS`]; another worker that sees a row unchanged for [`LEASE_MS`] on its own clock takes
//! over. No wall clock is compared between processes, so one that is wrong or goes backwards
//! hands out no second lease. Every write names the version it replaces.

mod config;
mod error;
mod held;
mod job;
mod machine;
mod metrics;
mod queue;
mod rows;
mod work;
mod worker;

#[cfg(test)]
mod tests;

pub use self::config::JobsConfig;
pub use self::error::JobsError;
pub use self::job::{Job, JobId, JobState, Lease, Progress, same_person};
pub use self::machine::{APPROVAL_MS, MAX_FAILURES};
pub use self::metrics::JobsMetrics;
pub use self::queue::{Approval, Cancellation, Jobs, Listed, Prepared, ReportRow, Wish};
pub use self::work::{
    At, Check, Kinds, Ledger, Live, MAX_REPORT_ROWS, Moment, Noted, Step, StepError, StepFuture,
    Unrecorded, Work,
};
pub use self::worker::{LEASE_MS, RENEW_MS, Worker};

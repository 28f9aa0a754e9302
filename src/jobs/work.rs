//! What the shell supplies: the work of each kind, and the log its beginning and end are noted in.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::Value;

use super::job::Job;
use super::job::Progress;
use super::queue::Jobs;

/// What a step is about.
#[derive(Clone, Debug)]
pub struct At {
    /// The job as it stood before the step.
    pub job: Arc<Job>,
    /// Where the step before ended; `None` for the first.
    pub cursor: Option<Arc<str>>,
    /// For a step that takes long: how far it is meanwhile.
    pub live: Live,
}

/// Tells how far a step is while it is under way. What is told is shown, not gone on from.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Option<Progress>>>);

impl Live {
    /// The job is this far. Costs nothing; it is written down every few seconds.
    pub fn tell(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// What was told since the last time.
    pub(super) fn news(&self) -> Option<Progress> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        told.filter(|progress| progress.total.is_none_or(|total| progress.done <= total))
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// There is more to do.
    More {
        /// Where to go on: at most [`MAX_CURSOR`] bytes of JSON.
        cursor: String,
        /// How far the job is now.
        progress: Progress,
        /// What was found so far, in the place of what was said before; `None` leaves that.
        summary: Option<Value>,
        /// Rows to append to the report, each at most [`MAX_ROW`] bytes of JSON.
        report: Vec<Value>,
    },
    /// All is done.
    Done {
        /// How far the job is now.
        progress: Progress,
        /// As in [`Step::More`].
        summary: Option<Value>,
        /// As in [`Step::More`].
        report: Vec<Value>,
    },
}

/// A step did not succeed. Reasons are words of the product.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The same step may succeed later.
    #[error("{0}")]
    Again(&'static str),
    /// It never will.
    #[error("{0}")]
    Fatal(&'static str),
}

/// A step under way.
pub type StepFuture = Pin<Box<dyn Future<Output = Result<Step, StepError>> + Send>>;

/// Whether a job may be approved now; else what is missing.
pub type Check = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

/// The work of one kind.
pub trait Work: Send + Sync + fmt::Debug {
    /// Whether a job with these arguments needs a second person's approval. Asked when it is
    /// requested and again before it runs.
    fn needs_approval(&self, args: &Value) -> bool;

    /// What must be so before a job is approved, such as a dry run of the same.
    fn before_approval(self: Arc<Self>, _jobs: Jobs, _job: Job) -> Check {
        Box::pin(async { Ok(()) })
    }

    /// Does one step. It may be dropped at any `await`, and is then done again.
    fn step(self: Arc<Self>, at: At) -> StepFuture;
}

/// Every kind of job this release has.
#[derive(Clone, Debug, Default)]
pub struct Kinds(BTreeMap<&'static str, Arc<dyn Work>>);

impl Kinds {
    /// Adds a kind.
    #[must_use]
    pub fn with(mut self, kind: &'static str, work: Arc<dyn Work>) -> Self {
        self.0.insert(kind, work);
        self
    }

    /// The work of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Work>> {
        self.0.get(kind)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// A moment in the life of a job that is noted before it takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Its first step is about to begin.
    Started,
    /// All of it is done.
    Done,
    /// It will not be tried again.
    Failed,
    /// It ends because an operator asked for it, or because nobody approved it in time.
    Cancelled,
}

/// The note could not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unrecorded;

/// A note under way.
pub type Noted = Pin<Box<dyn Future<Output = Result<(), Unrecorded>> + Send>>;

/// Where the life of jobs is noted. What cannot be noted does not happen.
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Makes the note durable.
    fn note(&self, moment: Moment, job: &Job) -> Noted;
}

/// The longest cursor, in bytes of JSON.
pub(super) const MAX_CURSOR: usize = 512;
/// The longest arguments, in bytes of JSON.
pub(super) const MAX_ARGS: usize = 1_024;
/// The longest summary, in bytes of JSON.
pub(super) const MAX_SUMMARY: usize = 1_024;
/// The longest row of a report, in bytes of JSON; the state takes little more.
pub(super) const MAX_ROW: usize = 5_000;
/// The most rows of a report.
pub const MAX_REPORT_ROWS: u32 = 256;

//! Asking for jobs, approving, cancelling, and looking at them.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::clock::Entropy;
use crate::clock::EntropyError;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateStore;

use super::config::JobsConfig;
use super::error::JobsError;
use super::job::Job;
use super::job::JobId;
use super::job::JobState;
use super::job::Progress;
use super::job::VERSION;
use super::metrics::JobsMetrics;
use super::rows::Rows;
use super::work::Kinds;
use super::work::MAX_ARGS;

/// All jobs of an installation. Clones share them.
#[derive(Clone, Debug)]
pub struct Jobs(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) rows: Rows,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) kinds: Kinds,
    pub(super) config: JobsConfig,
    pub(super) metrics: JobsMetrics,
    /// There may be something to run.
    pub(super) wake: Notify,
    entropy: Arc<dyn Entropy>,
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The kind, as it stands in [`Kinds`].
    pub kind: &'static str,
    /// What to do, in words of the kind: a small JSON object without values, raw ids or keys.
    pub args: Value,
    /// Of jobs with the same kind and lane only one is unfinished; `None` for as many as wished.
    pub lane: Option<String>,
    /// The operator's name.
    pub by: Arc<str>,
}

/// A job that may be made. Nothing is written yet.
#[derive(Debug)]
pub struct Prepared {
    job: Job,
    lane: Expect,
}

/// A job that may be approved, as it would be. Nothing is written yet.
#[derive(Debug)]
pub struct Approval(Change);

/// A job that may be cancelled, as it would be. Nothing is written yet.
#[derive(Debug)]
pub struct Cancellation(Change);

#[derive(Debug)]
struct Change {
    version: Rev,
    job: Job,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Listed {
    /// A job.
    Job(Box<Job>),
    /// A row that cannot be understood, by the name it stands under. Nothing is done with it.
    Damaged(String),
}

/// A row of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    /// Its number, from 0.
    pub row: u32,
    /// What it says.
    pub value: Value,
}

impl Prepared {
    /// The job as it would be, for the log.
    pub const fn job(&self) -> &Job {
        &self.job
    }
}

impl Approval {
    /// The job as it would be, for the log.
    pub const fn job(&self) -> &Job {
        &self.0.job
    }
}

impl Cancellation {
    /// The job as it would be, for the log.
    pub const fn job(&self) -> &Job {
        &self.0.job
    }
}

impl Jobs {
    /// The jobs in `state`. `kinds` are those this process can run.
    pub fn new(
        state: Engine,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        kinds: Kinds,
        config: JobsConfig,
    ) -> Self {
        let (metrics, wake) = (JobsMetrics::default(), Notify::new());
        let rows = Rows(state);
        Self(Arc::new(Inner { rows, clock, kinds, config, metrics, wake, entropy }))
    }

    /// Bytes for the name of a worker.
    pub(super) fn random(&self) -> Result<[u8; 8], EntropyError> {
        let mut random = [0; 8];
        self.0.entropy.fill(&mut random)?;
        Ok(random)
    }

    /// Their counters.
    pub fn metrics(&self) -> &JobsMetrics {
        &self.0.metrics
    }

    /// Whether this release has work of that kind. A job of another stays as it is.
    pub fn knows(&self, kind: &str) -> bool {
        self.0.kinds.get(kind).is_some()
    }

    /// Checks a wish and puts the job together.
    pub async fn prepare(&self, wish: Wish) -> Result<Prepared, JobsError> {
        let work = self.0.kinds.get(wish.kind).ok_or(JobsError::UnknownKind)?;
        if wish.args.to_string().len() > MAX_ARGS {
            return Err(JobsError::TooLong("list of arguments"));
        }
        if wish.lane.as_ref().is_some_and(|lane| lane.len() > MAX_LANE) {
            return Err(JobsError::TooLong("lane"));
        }
        let needs_approval = work.needs_approval(&wish.args);
        let now = self.0.clock.now();
        let state = if needs_approval { JobState::WaitingApproval } else { JobState::Queued };
        let job = Job {
            v: VERSION,
            id: JobId::fresh(now, self.0.entropy.as_ref())?,
            kind: wish.kind.into(),
            lane: wish.lane.map(Arc::from),
            args: wish.args,
            state,
            needs_approval,
            requested_by: wish.by,
            requested_at: now,
            approved_by: None,
            approved_at: None,
            cancelled_by: None,
            started_at: None,
            finished_at: None,
            worked_ms: 0,
            progress: Progress::default(),
            cursor: None,
            failures: 0,
            not_before: None,
            reason: None,
            lease: None,
            turns: 0,
            summary: None,
            report_rows: 0,
            report_lost: 0,
        };
        let lane = self.0.rows.lane(&job).await?;
        let open = |row: &Result<(Job, Rev), String>| match row {
            Ok((job, _)) => !job.state.is_finished(),
            Err(_) => true,
        };
        if self.0.rows.all().await?.iter().filter(|row| open(row)).count() >= MAX_OPEN {
            return Err(JobsError::TooMany);
        }
        Ok(Prepared { job, lane })
    }

    /// Makes the job.
    pub async fn create(&self, prepared: Prepared) -> Result<Job, JobsError> {
        let Prepared { job, lane } = prepared;
        self.0.rows.insert(&job, lane).await?;
        self.0.metrics.requested.inc();
        self.0.wake.notify_one();
        Ok(job)
    }

    /// Whether `by` may approve job `id`. The requester may not, nor anybody after a day.
    pub async fn may_approve(&self, id: &JobId, by: &Arc<str>) -> Result<Approval, JobsError> {
        let (job, version) = self.0.rows.read(id).await?;
        let work = self.0.kinds.get(&job.kind).ok_or(JobsError::UnknownKind)?;
        let approved = job.approved(by, self.0.clock.now())?;
        let ready = Arc::clone(work).before_approval(self.clone(), job);
        ready.await.map_err(JobsError::NotReady)?;
        Ok(Approval(Change { version, job: approved }))
    }

    /// Approves it, unless it changed since.
    pub async fn approve(&self, approval: Approval) -> Result<Job, JobsError> {
        self.change(approval.0).await
    }

    /// Whether `by` may cancel job `id`. Kinds this release does not have can be cancelled too.
    pub async fn may_cancel(&self, id: &JobId, by: &Arc<str>) -> Result<Cancellation, JobsError> {
        let (job, version) = self.0.rows.read(id).await?;
        let job = job.cancelled(by, self.0.clock.now())?;
        Ok(Cancellation(Change { version, job }))
    }

    /// Cancels it, unless it changed since. A job that runs ends after its step.
    pub async fn cancel(&self, cancellation: Cancellation) -> Result<Job, JobsError> {
        let job = self.change(cancellation.0).await?;
        if job.state == JobState::Cancelled {
            self.0.metrics.cancelled.inc();
        }
        Ok(job)
    }

    async fn change(&self, change: Change) -> Result<Job, JobsError> {
        let done = self.0.rows.replace(change.version, change.job, Vec::new()).await?;
        self.0.wake.notify_one();
        Ok(done.0)
    }

    /// All jobs, the newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, JobsError> {
        let rows = self.0.rows.all().await?.into_iter().rev();
        let listed = rows.map(|row| match row {
            Ok((job, _)) => Listed::Job(Box::new(job)),
            Err(name) => Listed::Damaged(name),
        });
        Ok(listed.collect())
    }

    /// One job.
    pub async fn get(&self, id: &JobId) -> Result<Job, JobsError> {
        Ok(self.0.rows.read(id).await?.0)
    }

    /// Rows of the report of a job from number `from` on, at most 64 at a time.
    pub async fn report(&self, id: &JobId, from: u32) -> Result<Vec<ReportRow>, JobsError> {
        let (job, _) = self.0.rows.read(id).await?;
        let (prefix, mut rows) = (Job::report_prefix(id), Vec::new());
        let after = from.checked_sub(1).map(|row| Job::report_key(id, row));
        let page = self.0.rows.0.scan(&prefix, after.as_deref(), REPORT_PAGE).await?;
        for item in page.items {
            let number = item.key.strip_prefix(prefix.as_slice());
            let number = number.and_then(|n| std::str::from_utf8(n).ok()?.parse::<u32>().ok());
            let value = serde_json::from_slice(&item.value.value).ok();
            let (row, value) = number.zip(value).ok_or(JobsError::Damaged)?;
            // Rows of a step whose transaction did not happen do not exist; this is a guard.
            if row < job.report_rows {
                rows.push(ReportRow { row, value });
            }
        }
        Ok(rows)
    }
}

/// The longest lane, in bytes.
const MAX_LANE: usize = 128;
/// The most jobs that are not finished, damaged rows included.
const MAX_OPEN: usize = 100;
/// Rows of a report at a time.
const REPORT_PAGE: usize = 64;

//! One job in the hands of a worker, as long as its lease holds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::state::Rev;
use crate::types::told;

use super::error::JobsError;
use super::job::Job;
use super::job::JobState;
use super::machine::BY_OPERATOR;
use super::queue::Jobs;
use super::work::At;
use super::work::Ledger;
use super::work::Live;
use super::work::Moment;
use super::work::Step;
use super::work::StepError;
use super::work::Work;
use super::worker::LEASE_MS;
use super::worker::RENEW_MS;

/// A job, its version, and what is needed to go on with it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) jobs: Jobs,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) work: Arc<dyn Work>,
    pub(super) job: Job,
    pub(super) version: Rev,
    /// When the last write that holds the lease was begun, in milliseconds of uptime.
    pub(super) held_ms: u64,
}

/// The lease went to somebody else, or could not be kept.
#[derive(Debug)]
struct Lost;

/// How a step ended.
enum Ended {
    Step(Result<Step, StepError>, u64),
    /// The process stops.
    Stopped,
}

impl Held {
    /// Works until the job ends, pauses, is lost, or the process stops.
    pub(super) async fn work(mut self, stop: watch::Receiver<bool>) {
        let id = self.job.id.clone();
        if let Err(Lost) = self.go_on(stop).await {
            tracing::warn!(job = %id, "a job was lost to another worker, or its lease could not be kept");
        }
    }

    async fn go_on(&mut self, mut stop: watch::Receiver<bool>) -> Result<(), Lost> {
        if self.work.needs_approval(&self.job.args) && self.job.approved_by.is_none() {
            return self.end(JobState::Failed, Some(LACKS_APPROVAL)).await;
        }
        if self.job.started_at.is_none() {
            if self.ledger.note(Moment::Started, &self.job).await.is_err() {
                return self.pause().await;
            }
            let now = self.jobs.0.clock.now();
            self.write(|job| Job { started_at: Some(now), ..job.clone() }, &[]).await?;
        }
        loop {
            if self.job.cancelled_by.is_some() {
                return self.end(JobState::Cancelled, Some(BY_OPERATOR)).await;
            }
            let (outcome, took_ms) = match self.step(&mut stop).await? {
                Ended::Stopped => return self.write(Job::released, &[]).await,
                Ended::Step(outcome, took_ms) => (outcome, took_ms),
            };
            let now = self.jobs.0.clock.now();
            let done =
                outcome.and_then(|step| self.job.stepped(step.clone(), took_ms, now).map(|_| step));
            match done {
                Ok(step) if matches!(step, Step::Done { .. }) => {
                    return self.finish(step, took_ms).await;
                }
                Ok(step) => self.advance(step, took_ms).await?,
                Err(error) => return self.stumble(error).await,
            }
        }
    }

    /// Runs one step as a task of its own, so that a panic in it ends nothing else, and keeps the
    /// lease meanwhile.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Ended, Lost> {
        let begun_ms = self.jobs.0.clock.uptime_ms();
        let live = Live::default();
        let (job, cursor) = (Arc::new(self.job.clone()), self.job.cursor.clone());
        let at = At { job, cursor, live: live.clone() };
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&self.work).step(at));
        loop {
            tokio::select! {
                biased;
                done = task.join_next() => {
                    let outcome = match done {
                        Some(Ok(outcome)) => outcome,
                        _ => Err(StepError::Again(BROKE_DOWN)),
                    };
                    let took_ms = self.jobs.0.clock.uptime_ms().saturating_sub(begun_ms);
                    return Ok(Ended::Step(outcome, took_ms));
                }
                () = told_to_stop(stop) => {
                    task.shutdown().await;
                    return Ok(Ended::Stopped);
                }
                () = tokio::time::sleep(Duration::from_millis(NEWS_MS)) => {
                    if self.keep(&live).await.is_err() {
                        // Nothing of the step may still happen when this one lets go.
                        task.shutdown().await;
                        return Err(Lost);
                    }
                }
            }
        }
    }

    /// Renews the lease when that is due, or when there is progress to show.
    async fn keep(&mut self, live: &Live) -> Result<(), Lost> {
        let held_ms = self.jobs.0.clock.uptime_ms().saturating_sub(self.held_ms);
        let news = live.news();
        if news.is_none() && held_ms < RENEW_MS {
            return Ok(());
        }
        let next = |job: &Job| Job { progress: news.unwrap_or(job.progress), ..job.renewed() };
        self.write(next, &[]).await
    }

    async fn advance(&mut self, step: Step, took_ms: u64) -> Result<(), Lost> {
        self.commit_step(step, took_ms).await?;
        self.jobs.0.metrics.steps.inc();
        Ok(())
    }

    async fn finish(&mut self, step: Step, took_ms: u64) -> Result<(), Lost> {
        if self.ledger.note(Moment::Done, &self.job).await.is_err() {
            return self.pause().await;
        }
        self.advance(step, took_ms).await?;
        self.jobs.0.metrics.done.inc();
        tracing::info!(job = %self.job.id, kind = &*self.job.kind, "job done");
        Ok(())
    }

    async fn commit_step(&mut self, step: Step, took_ms: u64) -> Result<(), Lost> {
        let now = self.jobs.0.clock.now();
        let (Step::More { report, .. } | Step::Done { report, .. }) = &step;
        let report = report.clone();
        // It was seen to fit; if it did not now, the job would stay as it is.
        let next = |job: &Job| {
            let stepped = job.stepped(step.clone(), took_ms, now);
            stepped.map_or_else(|_| job.clone(), |(job, _)| job)
        };
        self.write(next, &report).await
    }

    async fn stumble(&mut self, error: StepError) -> Result<(), Lost> {
        let now = self.jobs.0.clock.now();
        let next = self.job.stumbled(error, now);
        let (id, kind) = (self.job.id.clone(), Arc::clone(&self.job.kind));
        if next.state == JobState::Failed {
            tracing::error!(job = %id, kind = &*kind, reason = %error, "job failed");
            return self.end(JobState::Failed, Some(why(error))).await;
        }
        tracing::warn!(job = %id, kind = &*kind, reason = %error, "a step is tried again later");
        self.jobs.0.metrics.retries.inc();
        self.write(|job| job.stumbled(error, now), &[]).await
    }

    async fn end(&mut self, state: JobState, reason: Option<&'static str>) -> Result<(), Lost> {
        let (moment, counter) = match state {
            JobState::Cancelled => (Moment::Cancelled, &self.jobs.0.metrics.cancelled),
            _ => (Moment::Failed, &self.jobs.0.metrics.failed),
        };
        let counter = counter.clone();
        if self.ledger.note(moment, &self.job).await.is_err() {
            return self.pause().await;
        }
        let now = self.jobs.0.clock.now();
        self.write(|job| job.clone().ended(state, reason, now), &[]).await?;
        counter.inc();
        Ok(())
    }

    /// Lets go for a moment, because the log cannot be written.
    async fn pause(&mut self) -> Result<(), Lost> {
        let at = self.jobs.0.clock.now().plus_ms(PAUSE_MS);
        let reason: Arc<str> = UNRECORDED.into();
        let next = |job: &Job| {
            let (not_before, reason) = (Some(at), Some(Arc::clone(&reason)));
            Job { not_before, reason, ..job.released() }
        };
        self.write(next, &[]).await
    }

    /// Writes what becomes of the job. Somebody may have asked for its end in the meantime, which
    /// is kept; whoever holds another lease has won.
    async fn write(&mut self, next: impl Fn(&Job) -> Job, report: &[Value]) -> Result<(), Lost> {
        let lease = self.job.lease.clone().map(|lease| (lease.owner, lease.turn));
        loop {
            let begun_ms = self.jobs.0.clock.uptime_ms();
            let left_ms = (self.held_ms + LEASE_MS).saturating_sub(begun_ms);
            if left_ms == 0 {
                return Err(Lost);
            }
            let left = Duration::from_millis(left_ms);
            let wanted = next(&self.job);
            let rows = self.jobs.0.rows.clone();
            let writing = rows.replace(self.version, wanted.clone(), report.to_vec());
            match tokio::time::timeout(left, writing).await {
                Ok(Ok((job, version))) => {
                    (self.job, self.version, self.held_ms) = (job, version, begun_ms);
                    return Ok(());
                }
                Ok(Err(JobsError::Contended)) => {}
                Ok(Err(error @ (JobsError::TooLong(_) | JobsError::Damaged))) => {
                    tracing::error!(job = %self.job.id, error = told(&error), "a job cannot be written");
                    return Err(Lost);
                }
                // Whether it happened is not known.
                _ => tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await,
            }
            let Ok((stored, version)) = self.jobs.0.rows.read(&self.job.id).await else {
                tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
                continue;
            };
            if is_same(&stored, &wanted) {
                (self.job, self.version, self.held_ms) = (stored, version, begun_ms);
                return Ok(());
            }
            let holder = stored.lease.clone().map(|lease| (lease.owner, lease.turn));
            if holder != lease || lease.is_none() {
                return Err(Lost);
            }
            (self.job, self.version) = (stored, version);
        }
    }
}

/// Whether `stored` is what was to be written, apart from what others may add to it and from the
/// count of rows, which is made when they are written.
fn is_same(stored: &Job, wanted: &Job) -> bool {
    let mut wanted = wanted.clone();
    wanted.cancelled_by.clone_from(&stored.cancelled_by);
    wanted.report_rows = stored.report_rows;
    wanted.report_lost = stored.report_lost;
    *stored == wanted
}

/// Waits for the word, or for the end of the worker that would give it.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

const fn why(error: StepError) -> &'static str {
    match error {
        StepError::Again(why) | StepError::Fatal(why) => why,
    }
}

/// How often progress in the middle of a step is looked for.
const NEWS_MS: u64 = 2_000;
const BROKE_DOWN: &str = "the step broke down";
const LACKS_APPROVAL: &str = "this release wants an approval that the job does not have";
const UNRECORDED: &str = "the audit log cannot be written";
/// How long a job rests that the log had no place for.
const PAUSE_MS: u64 = 10_000;
/// How long after a failure the state is asked again.
const AGAIN_MS: u64 = 200;

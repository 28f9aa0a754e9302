//! What may become of a job: pure functions of the job and the time.

use std::sync::Arc;

use serde_json::Value;

use crate::types::Timestamp;

use super::error::JobsError;
use super::job::Job;
use super::job::JobState;
use super::job::Lease;
use super::job::same_person;
use super::work::MAX_CURSOR;
use super::work::MAX_SUMMARY;
use super::work::Step;
use super::work::StepError;

/// How long a request waits for its approval, and an approved job for its start.
pub const APPROVAL_MS: u64 = 24 * 3_600_000;
/// How often a step fails in a row before the job does.
pub const MAX_FAILURES: u32 = 10;
/// The longest pause before a step is tried again.
const MAX_PAUSE_MS: u64 = 300_000;
/// How far a clock may be set back before that is taken for what it is.
const SET_BACK_MS: u64 = 5 * 60_000;

/// Whether a job that nobody holds may be worked on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Now.
    Now,
    /// Not yet, or not any more.
    No,
    /// It is to end, for this reason.
    Ends(&'static str),
}

impl Job {
    /// The job as `by` approves it.
    pub(super) fn approved(&self, by: &Arc<str>, now: Timestamp) -> Result<Self, JobsError> {
        if self.state.is_finished() {
            return Err(JobsError::Finished);
        }
        if self.state != JobState::WaitingApproval {
            return Err(JobsError::NotWaiting);
        }
        if same_person(by, &self.requested_by) {
            return Err(JobsError::Own);
        }
        // A clock that was set back would make an old request young again.
        if self.requested_at.ms_since(now) > SET_BACK_MS {
            return Err(JobsError::Clock);
        }
        if self.is_stale(now) {
            return Err(JobsError::Expired);
        }
        let (approved_by, approved_at) = (Some(Arc::clone(by)), Some(now));
        Ok(Self { state: JobState::Queued, approved_by, approved_at, ..self.clone() })
    }

    /// The job as `by` cancels it. One that runs ends after the step that is under way.
    pub(super) fn cancelled(&self, by: &Arc<str>, now: Timestamp) -> Result<Self, JobsError> {
        if self.state.is_finished() {
            return Err(JobsError::Finished);
        }
        let asked = Self { cancelled_by: Some(Arc::clone(by)), ..self.clone() };
        match self.state {
            JobState::Running => Ok(asked),
            _ => Ok(asked.ended(JobState::Cancelled, Some(BY_OPERATOR), now)),
        }
    }

    /// Whether its approval, given or not, has expired.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        let waits = |since: Timestamp| now.ms_since(since) >= APPROVAL_MS;
        match self.state {
            JobState::WaitingApproval => waits(self.requested_at),
            JobState::Queued => self.approved_at.is_some_and(waits),
            _ => false,
        }
    }

    /// Whether a worker may take it, when no other holds it.
    pub(super) fn due(&self, now: Timestamp) -> Due {
        if self.is_stale(now) {
            return Due::Ends(UNAPPROVED);
        }
        match self.state {
            JobState::Running if self.cancelled_by.is_some() => Due::Ends(BY_OPERATOR),
            JobState::Queued | JobState::Running if self.is_rested(now) => Due::Now,
            _ => Due::No,
        }
    }

    /// Whether the pause after a failure is over. One that is longer than any pause was begun by
    /// a clock that was ahead.
    fn is_rested(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|at| {
            let left = at.ms_since(now);
            left == 0 || left > MAX_PAUSE_MS
        })
    }

    /// The job in the hands of `owner`.
    pub(super) fn taken(&self, owner: &Arc<str>) -> Self {
        let turns = self.turns + 1;
        let lease = Lease { owner: Arc::clone(owner), turn: turns, renewed: 0 };
        Self { state: JobState::Running, lease: Some(lease), turns, ..self.clone() }
    }

    /// The job with its lease renewed.
    pub(super) fn renewed(&self) -> Self {
        let mut job = self.clone();
        if let Some(lease) = &mut job.lease {
            lease.renewed += 1;
        }
        job
    }

    /// The job without a holder.
    pub(super) fn released(&self) -> Self {
        Self { lease: None, ..self.clone() }
    }

    /// The job after a step, and the rows for its report.
    pub(super) fn stepped(
        &self,
        step: Step,
        took_ms: u64,
        now: Timestamp,
    ) -> Result<(Self, Vec<Value>), StepError> {
        let (cursor, progress, summary, report) = match step {
            Step::More { cursor, progress, summary, report } => {
                (Some(cursor), progress, summary, report)
            }
            Step::Done { progress, summary, report } => (None, progress, summary, report),
        };
        // As it is written: quotes and the like take more.
        let written = |cursor: &String| Value::from(cursor.as_str()).to_string().len();
        if cursor.as_ref().is_some_and(|cursor| written(cursor) > MAX_CURSOR) {
            return Err(StepError::Fatal("the job's cursor is too long"));
        }
        if summary.as_ref().is_some_and(|summary| summary.to_string().len() > MAX_SUMMARY) {
            return Err(StepError::Fatal("the job's summary is too long"));
        }
        if progress.total.is_some_and(|total| progress.done > total) {
            return Err(StepError::Fatal("the job did more than there was"));
        }
        let mut job = Self {
            progress,
            summary: summary.or_else(|| self.summary.clone()),
            worked_ms: self.worked_ms.saturating_add(took_ms),
            failures: 0,
            not_before: None,
            reason: None,
            ..self.clone()
        };
        job = match cursor {
            Some(cursor) => Self { cursor: Some(cursor.into()), ..job },
            None => job.ended(JobState::Done, None, now),
        };
        Ok((job, report))
    }

    /// The job after a step that failed: to be tried again after a pause, or over.
    pub(super) fn stumbled(&self, error: StepError, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let (StepError::Again(why) | StepError::Fatal(why)) = error;
        let job = Self { failures, ..self.clone() };
        if matches!(error, StepError::Fatal(_)) || failures >= MAX_FAILURES {
            return job.ended(JobState::Failed, Some(why), now);
        }
        let pause_ms = (1_000_u64 << failures.saturating_sub(1).min(16)).min(MAX_PAUSE_MS);
        let not_before = Some(now.plus_ms(pause_ms));
        Self { not_before, reason: Some(why.into()), lease: None, ..job }
    }

    /// The job at its end.
    pub(super) fn ended(
        self,
        state: JobState,
        reason: Option<&'static str>,
        now: Timestamp,
    ) -> Self {
        let reason = reason.map(Arc::from);
        Self { state, reason, finished_at: Some(now), lease: None, not_before: None, ..self }
    }
}

/// Why a job ended that an operator stopped.
pub(super) const BY_OPERATOR: &str = "an operator cancelled it";
/// Why a job ended that nobody approved.
pub(super) const UNAPPROVED: &str = "its approval expired after 24 hours";

//! Jobs in the state engine: reading, and writing with the version that is replaced.

use serde_json::Value;

use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateStore;
use crate::state::Tx;

use super::error::JobsError;
use super::job::Job;
use super::job::JobId;
use super::job::PREFIX;
use super::work::MAX_REPORT_ROWS;
use super::work::MAX_ROW;

/// The rows of all jobs.
#[derive(Clone, Debug)]
pub(super) struct Rows(pub(super) Engine);

/// A row of the list: a job and its version, or the name of a row that cannot be understood.
pub(super) type Row = Result<(Job, Rev), String>;

impl Rows {
    pub(super) async fn read(&self, id: &JobId) -> Result<(Job, Rev), JobsError> {
        let found = self.0.get(&Job::key(id)).await?.ok_or(JobsError::NotFound)?;
        Ok((Job::from_bytes(id, &found.value)?, found.version))
    }

    /// All jobs, the oldest first.
    pub(super) async fn all(&self) -> Result<Vec<Row>, JobsError> {
        let (mut rows, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.0.scan(PREFIX, after.as_deref(), PAGE).await?;
            after = page.items.last().map(|item| item.key.clone());
            for item in page.items {
                let name = item.key.strip_prefix(PREFIX).unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                let job = JobId::parse(&name).ok_or(JobsError::Damaged);
                let job = job.and_then(|id| Job::from_bytes(&id, &item.value.value));
                rows.push(job.map(|job| (job, item.value.version)).map_err(|_| name));
            }
            if !page.more {
                return Ok(rows);
            }
        }
    }

    /// Replaces the row of a job by what became of it, and appends to its report.
    pub(super) async fn replace(
        &self,
        version: Rev,
        mut job: Job,
        report: Vec<Value>,
    ) -> Result<(Job, Rev), JobsError> {
        let mut tx = Tx::new();
        for row in report {
            let bytes = row.to_string().into_bytes();
            if job.report_rows >= MAX_REPORT_ROWS || bytes.len() > MAX_ROW {
                job.report_lost += 1;
                continue;
            }
            tx.put(&Job::report_key(&job.id, job.report_rows), bytes, Expect::Any);
            job.report_rows += 1;
        }
        tx.put(&Job::key(&job.id), job.to_bytes()?, Expect::Version(version));
        if let Some(lane) = job.lane_key().filter(|_| job.state.is_finished()) {
            tx.delete(&lane, Expect::Any);
        }
        let version = self.0.commit(tx).await?;
        Ok((job, version))
    }

    /// Who is in the lane of `job`, and what a row of its own must find there.
    pub(super) async fn lane(&self, job: &Job) -> Result<Expect, JobsError> {
        let Some(key) = job.lane_key() else { return Ok(Expect::Absent) };
        let Some(found) = self.0.get(&key).await? else { return Ok(Expect::Absent) };
        let id = std::str::from_utf8(&found.value).ok().and_then(JobId::parse);
        let id = id.ok_or(JobsError::Damaged)?;
        match self.read(&id).await {
            Ok((job, _)) if !job.state.is_finished() => Err(JobsError::Busy(id)),
            Ok(_) | Err(JobsError::NotFound) => Ok(Expect::Version(found.version)),
            // A job that cannot be read may be under way.
            Err(JobsError::Damaged) => Err(JobsError::Busy(id)),
            Err(error) => Err(error),
        }
    }

    /// Writes the first row of a job.
    pub(super) async fn insert(&self, job: &Job, lane: Expect) -> Result<(), JobsError> {
        let mut tx = Tx::new();
        tx.put(&Job::key(&job.id), job.to_bytes()?, Expect::Absent);
        if let Some(key) = job.lane_key() {
            tx.put(&key, job.id.as_str().as_bytes().to_vec(), lane);
        }
        self.0.commit(tx).await?;
        Ok(())
    }

    /// Removes a job with its report.
    pub(super) async fn remove(&self, job: &Job, version: Rev) -> Result<(), JobsError> {
        let mut tx = Tx::new();
        tx.delete(&Job::key(&job.id), Expect::Version(version));
        for row in 0..job.report_rows.min(MAX_REPORT_ROWS) {
            tx.delete(&Job::report_key(&job.id, row), Expect::Any);
        }
        self.0.commit(tx).await?;
        Ok(())
    }
}

/// Rows of one scan.
const PAGE: usize = 256;

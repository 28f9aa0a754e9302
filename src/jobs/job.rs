//! A job as it is stored.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Entropy;
use crate::clock::EntropyError;
use crate::state::MAX_VALUE_BYTES;
use crate::types::Timestamp;

use super::error::JobsError;

/// The id of a job: 20 hexadecimal digits, in the order in which jobs were requested.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

impl JobId {
    /// A new id: 12 digits of the time in milliseconds, 8 that are random.
    pub(super) fn fresh(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut random = [0; 4];
        entropy.fill(&mut random)?;
        let random = u32::from_be_bytes(random);
        let ms = now.unix_ms() & 0xffff_ffff_ffff;
        Ok(Self(format!("{ms:012x}{random:08x}").into()))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 20 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the id of a job")
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// A second person must approve it.
    WaitingApproval,
    /// It waits for a worker.
    Queued,
    /// It is under way, or waits to try a step again.
    Running,
    /// All of it is done.
    Done,
    /// It ended with a reason.
    Failed,
    /// An operator stopped it, or nobody approved it in time.
    Cancelled,
}

impl JobState {
    /// The word operators read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WaitingApproval => "waiting_approval",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How far a job is. Rate and remaining time are computed by whoever reads it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// What is done, in the units of the kind: records, keys.
    pub done: u64,
    /// Out of how many, when that is known.
    pub total: Option<u64>,
}

/// Who works on a job.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The worker; another one after every start of a process.
    pub owner: Arc<str>,
    /// How often the job was taken; a lease that was lost is not mistaken for a later one.
    pub turn: u64,
    /// How often it was renewed, so that every renewal is a change.
    pub renewed: u64,
}

/// A job as it is stored. Only [`Jobs`](super::Jobs) and [`Worker`](super::Worker) write one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The version of this form.
    pub(super) v: u16,
    /// Its id.
    pub id: JobId,
    /// What kind of work it is.
    pub kind: Arc<str>,
    /// Of jobs with the same kind and lane only one is unfinished.
    pub lane: Option<Arc<str>>,
    /// What was asked for, in words of the kind.
    pub args: Value,
    /// Where it stands.
    pub state: JobState,
    /// Whether somebody else than the requester must approve it.
    pub needs_approval: bool,
    /// The operator who asked for it.
    pub requested_by: Arc<str>,
    /// When.
    #[serde(with = "ms")]
    pub requested_at: Timestamp,
    /// The operator who approved it.
    pub approved_by: Option<Arc<str>>,
    /// When.
    #[serde(with = "maybe_ms")]
    pub approved_at: Option<Timestamp>,
    /// The operator who asked for its end.
    pub cancelled_by: Option<Arc<str>>,
    /// When its first step began.
    #[serde(with = "maybe_ms")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "maybe_ms")]
    pub finished_at: Option<Timestamp>,
    /// How long its steps took, together, in milliseconds.
    pub worked_ms: u64,
    /// How far it is.
    pub progress: Progress,
    /// Where the next step goes on; `None` before the first.
    pub cursor: Option<Arc<str>>,
    /// Failures in a row.
    pub failures: u32,
    /// When the step that failed is tried again.
    #[serde(with = "maybe_ms")]
    pub not_before: Option<Timestamp>,
    /// Why it failed or was cancelled, or why its last step did; a word of the product.
    pub reason: Option<Arc<str>>,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// How often it was taken by a worker.
    pub turns: u64,
    /// What it found, in short.
    pub summary: Option<Value>,
    /// How many rows its report has.
    pub report_rows: u32,
    /// How many more rows there would be.
    pub report_lost: u64,
}

impl Job {
    /// The key of its row.
    pub(super) fn key(id: &JobId) -> Vec<u8> {
        [PREFIX, id.as_str().as_bytes()].concat()
    }

    /// The key of a row of its report.
    pub(super) fn report_key(id: &JobId, row: u32) -> Vec<u8> {
        let mut key = Self::report_prefix(id);
        key.extend_from_slice(format!("{row:06}").as_bytes());
        key
    }

    /// What all keys of its report start with.
    pub(super) fn report_prefix(id: &JobId) -> Vec<u8> {
        [REPORT, id.as_str().as_bytes(), b"/"].concat()
    }

    /// The key that keeps a second job out of its lane.
    pub(super) fn lane_key(&self) -> Option<Vec<u8>> {
        let lane = self.lane.as_ref()?;
        Some([LANE, self.kind.as_bytes(), b"/", lane.as_bytes()].concat())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, JobsError> {
        let bytes = serde_json::to_vec(self).map_err(|_| JobsError::Damaged)?;
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(JobsError::TooLong("row"));
        }
        Ok(bytes)
    }

    /// Reads the row of job `id`. What does not fit together is refused, not guessed at.
    pub(super) fn from_bytes(id: &JobId, bytes: &[u8]) -> Result<Self, JobsError> {
        let job: Self = serde_json::from_slice(bytes).map_err(|_| JobsError::Damaged)?;
        if job.v != VERSION || job.id != *id || !job.is_sound() {
            return Err(JobsError::Damaged);
        }
        Ok(job)
    }

    /// Whether the parts of the row fit each other.
    fn is_sound(&self) -> bool {
        let approved = match (&self.approved_by, self.approved_at) {
            (Some(by), Some(_)) => !same_person(by, &self.requested_by),
            (None, None) => true,
            _ => false,
        };
        let allowed = match self.state {
            JobState::WaitingApproval => self.needs_approval && self.approved_by.is_none(),
            JobState::Queued | JobState::Running | JobState::Done => {
                !self.needs_approval || self.approved_by.is_some()
            }
            JobState::Failed | JobState::Cancelled => true,
        };
        let leased = self.lease.is_none() || self.state == JobState::Running;
        approved
            && allowed
            && leased
            && self.finished_at.is_some() == self.state.is_finished()
            && (self.progress.total.is_none_or(|total| self.progress.done <= total))
    }
}

/// Whether two names of operators are one person's. Letters of either case count as the same:
/// a second name that differs in nothing else is no second person.
pub fn same_person(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Where jobs stand in the state.
pub(super) const PREFIX: &[u8] = b"job/";
/// Where their reports stand.
const REPORT: &[u8] = b"job-report/";
/// Where it stands which lanes are taken.
const LANE: &[u8] = b"job-lane/";
/// The version of the form of a row.
pub(super) const VERSION: u16 = 1;

/// `#[serde(with = "ms")]`: milliseconds since the epoch.
mod ms {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    use crate::types::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.unix_ms())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp::from_unix_ms)
    }
}

/// `#[serde(with = "maybe_ms")]`.
mod maybe_ms {
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serialize;
    use serde::Serializer;

    use crate::types::Timestamp;

    #[expect(clippy::ref_option, reason = "serde hands in a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::unix_ms).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Timestamp::from_unix_ms))
    }
}

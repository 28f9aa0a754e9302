//! What an operator asks for, checked against the policy in force.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::catalog::DataSet;
use crate::catalog::SealMode;
use crate::jobs::Job;
use crate::jobs::JobState;
use crate::jobs::Jobs;
use crate::jobs::Listed;
use crate::policy::PolicySet;
use crate::transform::Move;
use crate::types::DataSetId;

use super::KIND;
use super::error::BackfillError;
use super::place::Place;

/// What an operator asks for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The data set, such as `shop.customers`.
    pub set: String,
    /// Which way: `encrypt`, `decrypt`, `reseal` or `reindex`.
    #[serde(rename = "move", default)]
    pub way: Option<String>,
    /// Whether nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// The most records written in a second.
    #[serde(default)]
    pub per_second: Option<u32>,
    /// `PARAMETER=FIELD`: the list goes on after the last record's value of the field, which is
    /// sent in the parameter.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// What a job is to do, as it stands in its arguments.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The data set.
    pub set: String,
    /// Which way, as [`Move::as_str`] has it.
    #[serde(rename = "move")]
    pub way: String,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// The most records written in a second.
    pub per_second: Option<u32>,
    /// As in [`Request`].
    pub cursor: Option<String>,
    /// The hash of the policy in force when it was asked for, in hexadecimal digits.
    pub policy: String,
    /// How many records the dry run saw.
    pub expected: Option<u64>,
}

impl Order {
    /// Checks a request against the policy in force, and against what was done before.
    ///
    /// # Errors
    /// When it cannot be done as asked.
    pub async fn of(
        request: Request,
        policy: &PolicySet,
        jobs: &Jobs,
    ) -> Result<Self, BackfillError> {
        let way = request.way.as_deref().map_or(Some(Move::Encrypt), Move::parse);
        let (Some(way), Some(set)) = (way, find(policy, &request.set)) else {
            return Err(BackfillError::UnknownSet);
        };
        check(set, way)?;
        Place::of(set, request.cursor.as_deref())?;
        if request.per_second.is_some_and(|rate| !(1..=MOST_PER_SECOND).contains(&rate)) {
            return Err(BackfillError::Rate);
        }
        let mut order = Self {
            set: request.set,
            way: way.as_str().to_owned(),
            dry_run: request.dry_run,
            per_second: request.per_second,
            cursor: request.cursor,
            policy: hex(&policy.hash()),
            expected: None,
        };
        let tried = order.tried(jobs).await?;
        if !order.dry_run && tried.is_none() {
            return Err(BackfillError::NoDryRun);
        }
        order.expected = tried.map(|job| job.progress.done);
        Ok(order)
    }

    /// As the arguments of a job, and the lane it runs in.
    pub fn into_job(self) -> (Value, Option<String>) {
        let lane = self.set.clone();
        // Words and numbers can always be written.
        (serde_json::to_value(self).unwrap_or_default(), Some(lane))
    }

    /// Reads the arguments of a job.
    pub(super) fn read(args: &Value) -> Option<Self> {
        serde_json::from_value(args.clone()).ok()
    }

    pub(super) fn way(&self) -> Option<Move> {
        Move::parse(&self.way)
    }

    pub(super) fn set_id(&self) -> Option<DataSetId> {
        DataSetId::parse(&self.set).ok()
    }

    /// The last dry run of the same under the same policy.
    pub(super) async fn tried(&self, jobs: &Jobs) -> Result<Option<Job>, BackfillError> {
        let listed = jobs.list().await.map_err(BackfillError::Jobs)?;
        let same = |job: &Job| {
            let is_it = *job.kind == *KIND && job.state == JobState::Done;
            let tried = if is_it { Self::read(&job.args) } else { None };
            tried.is_some_and(|tried| {
                tried.dry_run
                    && (tried.set.as_str(), tried.way.as_str(), tried.policy.as_str())
                        == (self.set.as_str(), self.way.as_str(), self.policy.as_str())
            })
        };
        Ok(listed.into_iter().find_map(|listed| match listed {
            Listed::Job(job) if same(&job) => Some(*job),
            _ => None,
        }))
    }
}

fn find<'a>(policy: &'a PolicySet, name: &str) -> Option<&'a Arc<DataSet>> {
    policy.sets().iter().find(|set| set.id.as_str() == name)
}

/// Whether there is anything in a data set that moves that way.
fn check(set: &DataSet, way: Move) -> Result<(), BackfillError> {
    let mut sealed = set.fields.iter().filter_map(|field| field.at_rest.as_ref()).peekable();
    if sealed.peek().is_none() {
        return Err(BackfillError::NothingSealed(set.id.clone()));
    }
    let moves_plain = matches!(way, Move::Encrypt | Move::Decrypt);
    if moves_plain && !sealed.any(|sealing| sealing.mode == SealMode::Migrating) {
        return Err(BackfillError::NotMigrating(set.id.clone()));
    }
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// More are not asked for: a rate is for sparing a store.
const MOST_PER_SECOND: u32 = 10_000;

//! Retention of the audit log: removing old entries, with a second operator's approval.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Log;
use crate::jobs::At;
use crate::jobs::Check;
use crate::jobs::Job;
use crate::jobs::Jobs;
use crate::jobs::Progress;
use crate::jobs::Step;
use crate::jobs::StepError;
use crate::jobs::StepFuture;
use crate::jobs::Work;
use crate::protocol::http::ProblemKind;
use crate::subjects::Cards;
use crate::types::Timestamp;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::routes::Admin;

/// The kind of job that removes old entries of the audit log.
pub const AUDIT_PRUNE: &str = "audit_prune";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    before_index: Option<u64>,
    before_ms: Option<u64>,
}

/// Asks for entries before a time or an index to be removed. What is approved is an index: whole
/// bundles below it go, and nothing else.
pub(super) async fn request(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let help = "the body is JSON with one of `before_index` and `before_ms`";
    let wrong = || Refused::new(ProblemKind::BadRequest, help);
    let wish: Wish = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let before = match (wish.before_index, wish.before_ms) {
        (Some(index), None) => Before::Index(index),
        (None, Some(ms)) => Before::Time(Timestamp::from_unix_ms(ms)),
        _ => return Err(wrong()),
    };
    let log = admin.log.clone();
    let found = tokio::task::spawn_blocking(move || before.prunable(&log)).await;
    let (minimum, now) = found
        .ok()
        .flatten()
        .ok_or_else(|| Refused::new(ProblemKind::Unavailable, "the audit log cannot be read"))?;
    if minimum <= now {
        return Err(Refused::new(ProblemKind::Conflict, NOTHING));
    }
    let args = json!({ "minimum": minimum });
    admin.request_job(&operator, AUDIT_PRUNE, args, Some("audit".to_owned())).await
}

/// Up to where somebody wants the log to be pruned.
#[derive(Clone, Copy)]
enum Before {
    Index(u64),
    Time(Timestamp),
}

impl Before {
    /// The minimum that this comes to, and the one in force. Blocks on the disk.
    fn prunable(self, log: &Log) -> Option<(u64, u64)> {
        let index = match self {
            Self::Index(index) => Some(index),
            Self::Time(time) => {
                log.before(time).map_err(|e| tracing::error!(error = told(&e), UNREADABLE)).ok()
            }
        };
        let minimum = log.prunable(index?);
        let minimum = minimum.map_err(|e| tracing::error!(error = told(&e), UNREADABLE)).ok()?;
        Some((minimum, log.minimum()))
    }
}

/// Removes old entries, after an entry says so.
#[derive(Debug)]
pub struct PruneAudit {
    log: Log,
    cards: Cards,
}

impl PruneAudit {
    /// Work on a log; nothing is removed while `cards` has somebody under a legal hold, or
    /// keeps a log key for legal claims.
    pub const fn new(log: Log, cards: Cards) -> Self {
        Self { log, cards }
    }

    async fn require_no_hold(&self) -> Result<(), StepError> {
        let unread = |error| {
            tracing::error!(error = told(&error), "cards cannot be read");
            StepError::Again("the cards cannot be read")
        };
        if self.cards.anybody_held().await.map_err(unread)? {
            return Err(StepError::Fatal(HELD));
        }
        match self.cards.keeps_log_keys().await.map_err(unread)? {
            true => Err(StepError::Fatal(KEPT)),
            false => Ok(()),
        }
    }

    /// One step; it notices when it was done already.
    async fn prune(&self, at: &At) -> Result<Step, StepError> {
        let wanted = at.job.args.get("minimum").and_then(Value::as_u64);
        let wanted = wanted.ok_or(StepError::Fatal("the job does not say up to where"))?;
        let log = self.log.clone();
        let found = tokio::task::spawn_blocking(move || Before::Index(wanted).prunable(&log)).await;
        let (most, now) = found.ok().flatten().ok_or(StepError::Again(UNREADABLE))?;
        let failed = |error| {
            tracing::error!(error = told(&error), "the audit log was not pruned");
            StepError::Again("the audit log could not be written")
        };
        if now >= wanted {
            // The step before may have got no further than the minimum.
            self.log.finish_pruning().await.map_err(failed)?;
        } else {
            self.require_no_hold().await?;
            if most < wanted {
                return Err(StepError::Fatal(NOTHING));
            }
            let mut entry = Log::prune_entry(wanted);
            entry.facts.insert("job".into(), at.job.id.as_str().into());
            let record = self.log.record(entry).await.map_err(failed)?;
            self.log.prune(wanted, &record).await.map_err(failed)?;
        }
        let progress = Progress { done: wanted, total: Some(wanted) };
        let summary = Some(json!({ "minimum": wanted }));
        Ok(Step::Done { progress, summary, report: Vec::new() })
    }
}

impl Work for PruneAudit {
    fn needs_approval(&self, _: &Value) -> bool {
        true
    }

    fn before_approval(self: Arc<Self>, _: Jobs, _: Job) -> Check {
        Box::pin(async move {
            self.require_no_hold().await.map_err(|error| match error {
                StepError::Again(why) | StepError::Fatal(why) => why,
            })
        })
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(async move { self.prune(&at).await })
    }
}

const NOTHING: &str = "there is nothing to remove: whole bundles of 256 entries go, once they are \
                       older and the journal holds them no more";
const HELD: &str = "somebody is under a legal hold: nothing is removed from the audit log";
const KEPT: &str = "the log key of somebody who was erased is kept for legal claims: nothing is \
                    removed from the audit log until its time is over";
const UNREADABLE: &str = "the audit log cannot be read";

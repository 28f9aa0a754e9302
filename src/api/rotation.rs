//! Replacing keys: the root key, the epoch that wraps everybody's, and one person's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use crate::crypto::KdfCost;
use crate::jobs::At;
use crate::jobs::Progress;
use crate::jobs::Step;
use crate::jobs::StepError;
use crate::jobs::StepFuture;
use crate::jobs::Wish;
use crate::jobs::Work;
use crate::keys::KeyRing;
use crate::protocol::http::ProblemKind;
use crate::subjects::Cards;
use crate::types::DomainId;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::routes::Admin;

/// The kind of job that replaces the epoch in force by the next and destroys it.
pub const ROTATE_EPOCH: &str = "rotate_epoch";
/// The kind of job that replaces the root key by the next.
pub const ROTATE_ROOT: &str = "rotate_root";
/// The kind of job that makes a person's next key.
pub const ROTATE_SUBJECT: &str = "rotate_subject_key";

/// Asks for the epoch to be replaced. Another operator approves.
pub(super) async fn epoch(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Admin)?;
    let args = json!({ "from": admin.keys.epoch() });
    admin.request_job(&operator, ROTATE_EPOCH, args, Some("epoch".to_owned())).await
}

/// Asks for the root key to be replaced. Another operator approves.
pub(super) async fn root(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Admin)?;
    admin.request_job(&operator, ROTATE_ROOT, json!({}), Some("root".to_owned())).await
}

/// Asks for a person's next key. An officer does that alone: nothing is destroyed by it.
pub(super) async fn subject(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let (domain, id, card) = admin.known_person(&body).await?;
    if card.status.contains(SubjectStatus::Erased) {
        return Err(Refused::new(ProblemKind::Conflict, ERASED));
    }
    let token = card.token.to_string();
    admin.rotation.expect(&token, domain, id);
    let wish = Wish {
        kind: ROTATE_SUBJECT,
        args: json!({ "subject": token.as_str() }),
        lane: Some(token),
        by: Arc::clone(&operator.name),
    };
    admin.request_job_about(&operator, wish, Some(card.token)).await
}

/// Replaces the epoch. One long step, which notices when it was done already.
#[derive(Debug)]
pub struct RotateEpoch {
    keys: KeyRing,
}

impl RotateEpoch {
    /// Work on `keys`.
    pub const fn new(keys: KeyRing) -> Self {
        Self { keys }
    }

    async fn next(&self, at: At) -> Result<Step, StepError> {
        let number = self.keys.epoch();
        let Some(cursor) = at.cursor.as_deref() else {
            // What is replaced stands on disk before it is: a step that is done again after a
            // kill knows whether it was the kill or the switch that came first.
            let cursor = number.to_string();
            let progress = Progress::default();
            return Ok(Step::More { cursor, progress, summary: None, report: Vec::new() });
        };
        let from: u32 = cursor.parse().map_err(|_| StepError::Fatal(CURSOR))?;
        // After a failure the old epoch may be in force no more and not yet destroyed either.
        if number > from && at.job.failures == 0 {
            let summary = Some(json!({ "epoch": number }));
            return Ok(Step::Done { progress: at.job.progress, summary, report: Vec::new() });
        }
        let live = at.live.clone();
        let rolled = self.keys.roll(move |copied| {
            live.tell(Progress { done: copied, total: None });
        });
        let rolled = rolled.await.map_err(|error| {
            tracing::error!(error = told(&error), "the epoch was not replaced");
            StepError::Again(NOT_ROLLED)
        })?;
        let progress = Progress { done: rolled.copied, total: Some(rolled.copied) };
        let summary = json!({
            "epoch": rolled.epoch,
            "copied": rolled.copied,
            "erased_beyond_recall": rolled.covered,
        });
        Ok(Step::Done { progress, summary: Some(summary), report: Vec::new() })
    }
}

impl Work for RotateEpoch {
    fn needs_approval(&self, _: &Value) -> bool {
        true
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(async move { self.next(at).await })
    }
}

/// Replaces the root key. One step, which goes on where an earlier one was killed.
#[derive(Debug)]
pub struct RotateRoot {
    keys: KeyRing,
}

impl RotateRoot {
    /// Work on `keys`.
    pub const fn new(keys: KeyRing) -> Self {
        Self { keys }
    }

    async fn next(&self, at: At) -> Result<Step, StepError> {
        let again = |error| {
            tracing::error!(error = told(&error), "the root key was not replaced");
            StepError::Again(NOT_RENEWED)
        };
        let Some(cursor) = at.cursor.as_deref() else {
            // Which one is replaced stands on disk before it is: done again after a kill, the
            // step knows that one from the next.
            let cursor = json!(self.keys.root_name().map_err(again)?).to_string();
            let progress = Progress::default();
            return Ok(Step::More { cursor, progress, summary: None, report: Vec::new() });
        };
        let from: String =
            serde_json::from_str(cursor).map_err(|_| StepError::Fatal(ROOT_CURSOR))?;
        let renewed = self.keys.renew_root(&from, KdfCost::DEFAULT).await.map_err(again)?;
        let slots = u64::from(renewed.slots);
        let mut summary = json!({ "from": from, "to": renewed.name, "slots": slots });
        if let (Some(left), Some(summary)) = (renewed.left_to_do, summary.as_object_mut()) {
            summary.insert("left_to_do".into(), left.into());
        }
        let progress = Progress { done: slots, total: Some(slots) };
        Ok(Step::Done { progress, summary: Some(summary), report: Vec::new() })
    }
}

impl Work for RotateRoot {
    fn needs_approval(&self, _: &Value) -> bool {
        true
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(async move { self.next(at).await })
    }
}

/// Makes people's next keys. Who is meant stands in memory alone: no id of a person is in a row.
pub struct RotateSubject {
    cards: Cards,
    /// By the token that stands in the job.
    expected: Mutex<HashMap<String, (DomainId, SubjectId)>>,
}

impl RotateSubject {
    /// Work on the keys of `cards`.
    pub fn new(cards: Cards) -> Self {
        Self { cards, expected: Mutex::default() }
    }

    /// A job that names this token is about this person.
    fn expect(&self, token: &str, domain: DomainId, id: SubjectId) {
        let mut expected = self.expected();
        if expected.len() >= MOST_EXPECTED {
            // Left over from jobs that were cancelled; one that still waits says what to do.
            expected.clear();
        }
        expected.insert(token.to_owned(), (domain, id));
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<String, (DomainId, SubjectId)>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn rotate(&self, at: At) -> Result<Step, StepError> {
        let token = at.job.args.get("subject").and_then(Value::as_str).unwrap_or_default();
        let person = self.expected().get(token).cloned();
        let Some((domain, id)) = person else { return Err(StepError::Fatal(FORGOTTEN)) };
        let rotated = self.cards.rotate_key(&domain, id.expose()).await;
        let rotated = rotated.map_err(|error| {
            tracing::error!(error = told(&error), "a person's key was not replaced");
            StepError::Again(NOT_ROTATED)
        })?;
        self.expected().remove(token);
        if !rotated {
            return Err(StepError::Fatal(NO_KEY));
        }
        let progress = Progress { done: 1, total: Some(1) };
        Ok(Step::Done { progress, summary: None, report: Vec::new() })
    }
}

impl Work for RotateSubject {
    fn needs_approval(&self, _: &Value) -> bool {
        false
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(async move { self.rotate(at).await })
    }
}

impl fmt::Debug for RotateSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotateSubject(..)")
    }
}

const ROOT_CURSOR: &str = "the job's cursor names no root key";
const CURSOR: &str = "the job's cursor names no epoch";
const ERASED: &str = "the person was erased: there is no key left to replace";
const FORGOTTEN: &str =
    "the gateway was started anew before the key was replaced, and keeps no ids; ask again";
const NO_KEY: &str = "the person has no key";
const NOT_RENEWED: &str = "the root key could not be replaced; the gateway's log says why";
const NOT_ROLLED: &str = "the epoch could not be replaced; the gateway's log says why";
const NOT_ROTATED: &str = "the person's key could not be replaced; the gateway's log says why";
/// The most people that are expected; there are fewer unfinished jobs.
const MOST_EXPECTED: usize = 256;

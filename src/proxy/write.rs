//! One write, stage by stage. Nothing is sent to the store before what is there was judged and the
//! intent is on disk.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::FieldViews;
use crate::audit::IntentReceipt;
use crate::audit::Shown;
use crate::catalog::FieldIx;
use crate::catalog::Method;
use crate::catalog::Route;
use crate::policy::Permit;
use crate::protocol::http::RequestHead;
use crate::protocol::http::SentType;
use crate::protocol::http::Target;
use crate::transform::Shape;
use crate::types::Capacities;
use crate::upstream::StoreResponse;
use crate::upstream::StoreWrite;
use crate::upstream::WriteError;
use crate::upstream::WrittenBody;

use super::answer::Outgoing;
use super::budget::Share;
use super::call;
use super::call::Asked;
use super::call::Inbound;
use super::caller::Caller;
use super::error::CallError;
use super::observe;
use super::observe_write;
use super::opening;
use super::plan;
use super::plan::Question;
use super::trail::Trail;
use super::upload;
use super::write_answer;
use super::write_body;
use super::write_change;
use super::write_create;
use super::write_error::WriteFault;
use super::write_judge::Permits;
use super::write_judge::Ruling;
use super::write_link::Promised;

/// A write that policy permits, before anything is known of the record.
pub(crate) struct Case {
    pub(crate) question: Question,
    /// To write.
    pub(crate) permit: Permit,
    /// To be shown what is there and what came of it, when policy gives one.
    pub(crate) read: Option<Permit>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) generation: u64,
    pub(crate) target: Target,
    pub(crate) share: Share,
    /// Keys that the answer gives to somebody.
    pub(crate) promised: Option<Promised>,
}

/// What is sent to the store, and what of it goes into the log.
pub(crate) struct Change<'a> {
    /// The body, with its media type.
    pub(crate) body: Option<WrittenBody>,
    /// How long a body is that is still to come, as far as that is known.
    pub(crate) length: Option<u64>,
    /// The version that must still be there.
    pub(crate) if_match: Option<http::HeaderValue>,
    /// The fields that are set.
    pub(crate) fields: &'a [FieldIx],
    /// How many records are written.
    pub(crate) records: usize,
}

/// Whether a method writes.
pub(crate) fn is_write(method: &http::Method) -> bool {
    Method::parse(method.as_str()).is_some_and(|method| method != Method::Get)
}

/// The stages, in order.
///
/// # Errors
/// When nothing was written, or nobody knows.
pub(crate) async fn serve(
    inbound: &Inbound,
    (head, body): (&RequestHead, Incoming),
    caller: Caller,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let asked = call::asked(inbound, head, (caller, false), trail)?;
    if observe::holds(inbound, &asked) {
        return Box::pin(observe_write::serve(inbound, asked, body, trail)).await;
    }
    let mut case = decide(inbound, asked, trail)?;
    let route = Arc::clone(&case.question.routed.route);
    if route.opaque.is_some() {
        return Box::pin(upload::serve(inbound, case, body, trail)).await;
    }
    let place = (&*route, &mut case.share);
    let sent = take(inbound, place, body).await?;
    match (route.method, sent) {
        (Method::Post, Some((media, text))) => {
            Box::pin(write_create::serve(inbound, case, (media, text), trail)).await
        }
        (_, sent) => Box::pin(write_change::serve(inbound, case, sent, trail)).await,
    }
}

/// Asks the policy for the write, and for the read that answers it.
fn decide(
    inbound: &Inbound,
    Asked { snapshot, question, target }: Asked,
    trail: &mut Trail,
) -> Result<Case, CallError> {
    let permit = question.ask(&snapshot, inbound.worker.shared().clock.now())?;
    plan::describe(&permit, &mut trail.facts);
    if question.routed.route.opaque.is_none() {
        opening::may_write(&inbound.worker.shared().keys, &permit)?;
    }
    let share = call::room(inbound, &question, &permit)?;
    let read = question.ask_read(&snapshot, &permit, inbound.worker.shared().clock.now());
    let shape = snapshot.shape(permit.set_id()).cloned().ok_or(CallError::Route)?;
    let generation = snapshot.generation;
    Ok(Case { question, permit, read, shape, generation, target, share, promised: None })
}

/// Reads the body, once its head says what is read here.
pub(crate) async fn take(
    inbound: &Inbound,
    (route, share): (&Route, &mut Share),
    body: Incoming,
) -> Result<Option<(SentType, Bytes)>, CallError> {
    let headers = &inbound.head.headers;
    conditions(headers)?;
    let wanted = route.method != Method::Delete;
    let presence = CallError::Write(WriteFault::BodyPresence { wanted });
    if wanted == body.is_end_stream() {
        return Err(presence);
    }
    if !wanted {
        return Ok(None);
    }
    let media = write_body::media(headers, route)?;
    let limits = inbound.worker.shared().limits();
    let most = write_body::most(route, limits.record_bytes);
    let patience = limits.client_write;
    let text = write_body::read(body, (most, patience), share).await?;
    if text.is_empty() { Err(presence) } else { Ok(Some((media, text))) }
}

/// Refuses what would be ignored otherwise: who sends a condition relies on it.
///
/// # Errors
/// When there is such a condition.
pub(crate) fn conditions(headers: &HeaderMap) -> Result<(), CallError> {
    let unserved = [header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE, header::CONTENT_RANGE];
    if unserved.iter().any(|name| headers.contains_key(name)) {
        return Err(CallError::Write(WriteFault::Condition));
    }
    Ok(())
}

impl Case {
    /// The permits.
    pub(crate) fn permits(&self) -> Permits<'_> {
        Permits { write: &self.permit, read: self.read.as_ref() }
    }

    /// Asks policy and credentials again: the body and the store may have taken their time.
    ///
    /// # Errors
    /// When the call may not go on as it began.
    pub(crate) fn ask_again(&mut self, inbound: &Inbound) -> Result<(), CallError> {
        let shared = inbound.worker.shared();
        self.question.caller.still_valid(shared)?;
        let snapshot = shared.snapshot();
        let now = shared.clock.now();
        let permit = if snapshot.generation == self.generation {
            self.question.ask(&snapshot, now)?
        } else {
            self.question.ask_again(&snapshot, &self.permit, now)?
        };
        self.read = self.question.ask_read(&snapshot, &permit, now);
        self.permit = permit;
        self.shape = snapshot.shape(self.permit.set_id()).cloned().ok_or(CallError::Route)?;
        self.generation = snapshot.generation;
        Ok(())
    }

    /// Makes the intent durable.
    ///
    /// # Errors
    /// When the log cannot be written: then nothing is.
    pub(crate) async fn record(
        &self,
        inbound: &Inbound,
        (change, rulings): (&Change<'_>, &[Ruling]),
        trail: &Trail,
    ) -> Result<IntentReceipt, CallError> {
        let mut entry = Entry::clone(&trail.facts);
        entry.records = u32::try_from(change.records).ok();
        let length = change.body.as_ref().and_then(|body| u64::try_from(body.bytes.len()).ok());
        entry.bytes = length.or(change.length);
        entry.fields = self.set_fields(change.fields);
        let mut people: Vec<_> = rulings.iter().flat_map(|it| it.people.iter().copied()).collect();
        people.sort_unstable();
        people.dedup_by_key(|(token, _)| *token);
        entry.subjects = people.iter().map(|(token, _)| *token).collect();
        entry.consent_versions = people.iter().map(|(_, version)| *version).collect();
        let acted = rulings.iter().fold(Capacities::NONE, |acted, it| acted.or(it.acted));
        plan::represented(acted, &mut entry);
        inbound.worker.shared().log.intent(entry).await.map_err(CallError::Audit)
    }

    /// What kinds of data are set, in clear.
    fn set_fields(&self, fields: &[FieldIx]) -> FieldViews {
        let mut kinds: Vec<FieldView> = Vec::new();
        for field in fields.iter().filter_map(|ix| self.permit.set().get(*ix)) {
            let category = field.category.clone();
            let kind = FieldView { category, level: field.level, view: Shown::Show };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.into()
    }

    /// Sends the change.
    pub(crate) async fn send(
        &self,
        inbound: &Inbound,
        (change, intent): (Change<'_>, IntentReceipt),
        trail: &mut Trail,
    ) -> Result<Result<StoreResponse, WriteError>, CallError> {
        let routed = &self.question.routed;
        let write = StoreWrite {
            method: inbound.head.method.clone(),
            target: self.target.clone(),
            headers: call::store_headers(inbound, trail),
            body: change.body,
            if_match: change.if_match,
        };
        let upstream = inbound.worker.upstream(routed.store).ok_or(CallError::Route)?;
        let asked = Instant::now();
        let answer = upstream.alter(&self.permit, intent, &write).await;
        trail.waited += asked.elapsed();
        Ok(answer)
    }

    /// The end of a write: what the client is told of it.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub(crate) async fn finish(
        self,
        inbound: &Inbound,
        answer: Result<StoreResponse, WriteError>,
        trail: &mut Trail,
    ) -> Result<Outgoing, CallError> {
        write_answer::of(inbound, self, answer, trail).await
    }
}

//! What a client is told of a write. It is a read: judged, recorded, released like one.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use crate::catalog::DataSet;
use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Route;
use crate::policy::Permit;
use crate::protocol::http::answer_headers;
use crate::upstream::Fate;
use crate::upstream::StoreResponse;
use crate::upstream::WriteError;

use super::answer;
use super::answer::Content;
use super::answer::Outgoing;
use super::call;
use super::call::Decided;
use super::call::Inbound;
use super::error::CallError;
use super::feed::Feed;
use super::links::Links;
use super::plan;
use super::sets::Batches;
use super::told::Told;
use super::trail::Trail;
use super::write::Case;
use super::write_error::WriteFault;
use super::write_link;

/// Turns what became of a write into the client's answer.
///
/// # Errors
/// When it was not done, or nobody knows.
pub(crate) async fn of(
    inbound: &Inbound,
    mut case: Case,
    answer: Result<StoreResponse, WriteError>,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let response = match answer {
        Ok(response) => response,
        Err(WriteError { cause, fate: Fate::NotSent }) => return Err(CallError::Upstream(cause)),
        Err(WriteError { fate: Fate::Done(status), .. }) => {
            trail.facts.reason = Some("write_unread".into());
            return Ok(bare(status, trail));
        }
        Err(WriteError { fate: Fate::Refused(status), .. }) => return Err(refused(status)),
        Err(error) => return Err(CallError::Write(WriteFault::Unknown(error))),
    };
    let status = response.status;
    if !status.is_success() {
        answer::discard(response.body);
        return Err(refused(status));
    }
    // Whatever happens from here on, the write was done, also to a client that is gone.
    trail.status = status;
    trail.facts.reason = Some("written".into());
    let mut told = Told::from(response);
    if let Some(promised) = case.promised.take() {
        // Nothing is answered of a record whose key is nobody's.
        write_link::link(inbound, &case, (&promised, &mut told), trail).await?;
    }
    if !tells(&case, status) {
        let location = file_location(inbound, &case, &told.headers);
        told.body.discard();
        let mut outgoing = bare(status, trail);
        outgoing.headers.extend(location.map(|location| (header::LOCATION, location)));
        return Ok(outgoing);
    }
    match Box::pin(shown(inbound, case, told, trail)).await {
        Ok(outgoing) => Ok(outgoing),
        Err(error) => {
            trail.facts.reason = Some(error.reason().into());
            Ok(bare(status, trail))
        }
    }
}

/// The answer of a change that changes nothing: what a read gives.
///
/// # Errors
/// As a read.
pub(crate) async fn unchanged(
    inbound: &Inbound,
    mut case: Case,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    trail.facts.reason = Some("unchanged".into());
    let Some(read) = case.read.take() else { return Ok(bare(StatusCode::NO_CONTENT, trail)) };
    let routed = &mut case.question.routed;
    let same = |route: &&Arc<Route>| {
        route.method == Method::Get && route.template == routed.route.template
    };
    routed.route = routed.set.routes.iter().find(same).cloned().ok_or(CallError::PolicyChanged)?;
    // What leaves is recorded as the read it is, and the call as the write that was asked for.
    let facts = trail.facts.clone();
    let decided = decided(inbound, case, read, trail);
    let outgoing = match call::fetch(inbound, &decided, trail).await {
        Ok(response) => Box::pin(answer::of(inbound, decided, response, trail)).await,
        Err(error) => Err(error),
    };
    trail.facts = facts;
    outgoing
}

/// Whether there is anything to tell, to somebody who may be told.
fn tells(case: &Case, status: StatusCode) -> bool {
    let has_body = matches!(status, StatusCode::OK | StatusCode::CREATED);
    has_body && case.read.is_some() && case.question.routed.route.records.is_some()
}

/// Where a new file is on the gateway, when the caller said everything in the path.
fn file_location(inbound: &Inbound, case: &Case, store: &HeaderMap) -> Option<HeaderValue> {
    let routed = &case.question.routed;
    routed.route.opaque.as_ref()?;
    let location = store.get(header::LOCATION)?.to_str().ok()?;
    Links::of(routed, &case.target).location(inbound.worker.shared(), location)
}

/// The answer of a store that refused, in a kind that says nothing of its words.
fn refused(status: StatusCode) -> CallError {
    match status.as_u16() {
        409 | 412 => CallError::Write(WriteFault::Conflict),
        300..=399 | 500..=599 => CallError::Write(WriteFault::UnknownStatus(status)),
        404 | 410 => CallError::NotFound,
        _ => CallError::Status(status),
    }
}

/// The answer of a write of which nothing is told but that it was done.
fn bare(status: StatusCode, trail: &mut Trail) -> Outgoing {
    let status = match status {
        StatusCode::CREATED | StatusCode::ACCEPTED => status,
        _ => StatusCode::NO_CONTENT,
    };
    trail.status = status;
    Outgoing { status, headers: HeaderMap::with_capacity(8), content: Content::Nothing }
}

/// The same call as a read, of which entries speak from here on.
fn decided(inbound: &Inbound, case: Case, read: Permit, trail: &mut Trail) -> Decided {
    let Case { mut question, shape, generation, target, share, .. } = case;
    question.purpose = Some(read.purpose().as_str().into());
    question.is_read = true;
    let facts = inbound.worker.shared().snapshot().plan_facts(&read);
    trail.plan = Some(facts.header.clone());
    plan::describe(&read, &mut trail.facts);
    trail.facts.fields = facts.fields.clone();
    Decided { question, permit: read, facts, shape, generation, target, share, known: None }
}

/// The records of the store's answer, as the caller may see them.
async fn shown(
    inbound: &Inbound,
    mut case: Case,
    response: Told,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let read = case.read.take().ok_or(CallError::NotFound)?;
    let status = response.status;
    // Entries of the release speak of a read; the one of the outcome of the write.
    let facts = trail.facts.clone();
    let decided = decided(inbound, case, read, trail);
    let links = Links::new(&decided);
    let (route, set) = (decided.question.routed.route.clone(), decided.permit.set().clone());
    let is_single = decided.is_single();
    let format = answer::format(response.media, is_single);
    let records = format.and_then(|(format, content_type)| {
        let records = answer::read(inbound, decided, (format, response.body), trail)?;
        Ok((records, content_type))
    });
    trail.facts = facts;
    let (mut records, content_type) = records?;
    let last = records.read().await;
    trail.waited += std::mem::take(&mut records.waited);
    let first = records.judge(last?).await?;
    if first.records == 0 {
        trail.tally.left_out = first.left_out;
        return Ok(bare(status, trail));
    }
    let mut headers = HeaderMap::with_capacity(12);
    headers.extend(trail.plan.clone().map(|plan| (PRIVET_FIELDS, plan)));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(answer_headers(&response.headers, first.last && first.as_stored));
    let location = response.headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
    let location = location.map(str::to_owned);
    let content = answer::collect(Feed::new(Batches::One(records), first), trail).await?;
    if let (Content::Whole(bytes, _), Some(location)) = (&content, location) {
        let shared = inbound.worker.shared();
        let id = created_id(&route, &set, bytes);
        let location = id.and_then(|id| links.created(shared, &location, &id));
        headers.extend(location.map(|location| (header::LOCATION, location)));
    }
    Ok(Outgoing { status, headers, content })
}

/// The id that the store gave the one new record, where the client reads it in the answer.
pub(super) fn created_id(route: &Route, set: &DataSet, told: &[u8]) -> Option<String> {
    let selector = route.records.as_ref().filter(|it| it.records == Records::One)?;
    let field = set.get(route.created_id?)?;
    let mut value = &serde_json::from_slice::<serde_json::Value>(told).ok()?;
    let names = field.path.as_str().split('.');
    for name in selector.steps.iter().map(AsRef::as_ref).chain(names) {
        value = value.get(name)?;
    }
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

const PRIVET_FIELDS: http::HeaderName = http::HeaderName::from_static("privet-fields");

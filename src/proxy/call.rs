//! One call, stage by stage: who calls, where to, what is decided, what the store says.

use std::sync::Arc;

use arc_swap::Guard;
use http::HeaderMap;
use http::Method;
use http::Request;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::audit::AuditError;
use crate::catalog::Records as Arrangement;
use crate::catalog::Route;
use crate::policy::Pass;
use crate::policy::Permit;
use crate::protocol::http::Accept;
use crate::protocol::http::HeadError;
use crate::protocol::http::RequestHead;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;
use crate::protocol::http::TraceParent;
use crate::protocol::http::check_request;
use crate::protocol::http::privacy_control;
use crate::transform::Shape;
use crate::upstream::StoreRequest;
use crate::upstream::StoreResponse;

use super::answer;
use super::answer::Outgoing;
use super::body::AnswerBody;
use super::body::Answered;
use super::budget::Share;
use super::caller::Caller;
use super::connection::Activity;
use super::connection::Peer;
use super::error::CallError;
use super::file;
use super::file::Known;
use super::gpc;
use super::observe;
use super::opening;
use super::plan;
use super::plan::PlanFacts;
use super::plan::Question;
use super::respond;
use super::route;
use super::seek;
use super::sets;
use super::shared::Snapshot;
use super::trail::Trail;
use super::worker::Worker;
use super::write;

/// How often a call is decided anew because the policy changed under it.
const CHANGES: u32 = 3;

/// What a call is served with.
pub(crate) struct Inbound {
    pub(crate) worker: Arc<Worker>,
    pub(crate) peer: Peer,
    pub(crate) head: Parts,
}

/// A call that policy permits, before the store is asked.
pub(crate) struct Decided {
    pub(crate) question: Question,
    pub(crate) permit: Permit,
    pub(crate) facts: Arc<PlanFacts>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) generation: u64,
    pub(crate) target: Target,
    pub(crate) share: Share,
    /// What is known of the record that a file belongs to.
    pub(crate) known: Option<Known>,
}

/// Answers one request. Every way out writes down how the call ended, also being dropped.
pub(crate) async fn answer(
    worker: Arc<Worker>,
    peer: Peer,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> Answered {
    let under_way = activity.begin();
    let shared = Arc::clone(worker.shared());
    if let Some(statement) = gpc::statement(&shared, &request) {
        return Ok(statement);
    }
    let (head, body) = request.into_parts();
    let id = shared.request_id(shared.clock.now());
    let parent = TraceParent::of(&head.headers);
    let mut trail = Trail::begin(shared, (id, parent), method_word(&head.method));
    let inbound = Inbound { worker, peer, head };
    let answer = if write::is_write(&inbound.head.method) {
        // Goes on to its end when the client goes away: what a store was asked to do is known.
        let task = async move {
            let outgoing = Box::pin(serve(&inbound, body, &mut trail)).await;
            (end(&inbound, outgoing, trail, activity), under_way)
        };
        tokio::spawn(task).await.ok()
    } else {
        let outgoing = Box::pin(serve(&inbound, body, &mut trail)).await;
        Some((end(&inbound, outgoing, trail, activity), under_way))
    };
    let Some((answer, under_way)) = answer else { return Ok(respond::broken()) };
    Ok(answer.map(|body| body.keeping(under_way)))
}

fn end(
    inbound: &Inbound,
    outgoing: Result<Outgoing, CallError>,
    trail: Box<Trail>,
    activity: Arc<Activity>,
) -> http::Response<AnswerBody> {
    if trail.admission.is_some() {
        activity.know();
    }
    respond::finish(&inbound.head, outgoing, trail, activity)
}

/// The stages, in order.
async fn serve(
    inbound: &Inbound,
    body: Incoming,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let head = check_request(&inbound.head).map_err(CallError::Head)?;
    if !body.is_end_stream() && matches!(head.method, Method::GET | Method::HEAD) {
        return Err(CallError::Head(HeadError::BodyNotAllowed));
    }
    let shared = inbound.worker.shared();
    let caller = Caller::identify(shared, &inbound.peer, &inbound.head.headers).await?;
    caller.describe(shared, &mut trail.facts);
    trail.acr = caller.acr(shared);
    let owner = &caller.principal.identity.owner;
    let uptime_ms = shared.clock.uptime_ms();
    trail.admission = Some(shared.admissions.admit(owner, uptime_ms).map_err(CallError::Busy)?);
    gpc::keep(shared, &caller, (&inbound.head.headers, &trail.facts)).await?;
    if write::is_write(&head.method) {
        return Box::pin(write::serve(inbound, (&head, body), caller, trail)).await;
    }
    let mut again = CHANGES;
    loop {
        match Box::pin(attempt(inbound, &head, caller.clone(), trail)).await {
            // Nothing has left, so the call may be decided as if it had come a moment later.
            Err(CallError::PolicyChanged) if again > 0 && trail.tally.is_nothing() => again -= 1,
            answer => return answer,
        }
    }
}

/// The stages from the decision on.
async fn attempt(
    inbound: &Inbound,
    head: &RequestHead,
    caller: Caller,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let asked = asked(inbound, head, (caller, true), trail)?;
    if observe::holds(inbound, &asked) {
        return Box::pin(observe::read(inbound, asked, trail)).await;
    }
    let Asked { snapshot, question, target } = asked;
    let permit = question.ask(&snapshot, inbound.worker.shared().clock.now())?;
    let permitted = Permitted { snapshot, question, permit, target };
    let mut decided = decide(inbound, permitted, trail)?;
    if decided.is_file() {
        decided.known = Some(Box::pin(file::known(inbound, &mut decided, trail)).await?);
    }
    let response = fetch(inbound, &decided, trail).await?;
    Box::pin(answer::of(inbound, decided, response, trail)).await
}

/// What a permitted read needs before the store is asked.
fn decide(
    inbound: &Inbound,
    Permitted { snapshot, mut question, permit, target }: Permitted,
    trail: &mut Trail,
) -> Result<Decided, CallError> {
    let facts = match &question.routed.route.opaque {
        Some(opaque) => {
            file::may_show(&permit, opaque)?;
            Arc::new(PlanFacts::of_file(&permit, opaque.field))
        }
        None => snapshot.plan_facts(&permit),
    };
    plan::describe(&permit, &mut trail.facts);
    trail.facts.fields = facts.fields.clone();
    if question.routed.route.opaque.is_none() {
        let keys = &inbound.worker.shared().keys;
        opening::may_open(keys, &permit)?;
        sets::may_open(inbound.worker.shared(), (&question, &permit), &snapshot)?;
        let routed = &question.routed;
        question.routed.sought = seek::sought(keys, (&routed.set, &routed.route), &target)?;
    }
    let share = room(inbound, &question, &permit)?;
    let shape = snapshot.shape(permit.set_id()).cloned().ok_or(CallError::Route)?;
    let generation = snapshot.generation;
    Ok(Decided { question, permit, facts, shape, generation, target, share, known: None })
}

/// A call that policy permits, and the snapshot that said so.
pub(crate) struct Permitted {
    pub(crate) snapshot: Guard<Arc<Snapshot>>,
    pub(crate) question: Question,
    pub(crate) permit: Permit,
    pub(crate) target: Target,
}

/// A call with its route, before the policy is asked, and the snapshot that has the route.
pub(crate) struct Asked {
    pub(crate) snapshot: Guard<Arc<Snapshot>>,
    pub(crate) question: Question,
    pub(crate) target: Target,
}

/// Finds the route. `is_read`: whatever the method, the call is judged as one that reads.
///
/// # Errors
/// When no route leads there, or nothing the client accepts can be answered.
pub(crate) fn asked(
    inbound: &Inbound,
    head: &RequestHead,
    (caller, is_read): (Caller, bool),
    trail: &mut Trail,
) -> Result<Asked, CallError> {
    let shared = inbound.worker.shared();
    let headers = &inbound.head.headers;
    let (store, target) = route::store(shared, head)?;
    trail.facts.store = shared.stores.get(store).map(|mount| mount.id().clone());
    let snapshot = shared.snapshot();
    let routed = route::route(&snapshot, store, &target, &head.method)?;
    (trail.facts.observed, trail.sums) = (None, None);
    trail.facts.route = Some(routed.route.template.as_str().into());
    trail.facts.data_set = Some(routed.set.id.clone());
    trail.facts.action = Some(routed.route.method.action());
    if routed.route.opaque.is_none() && accepted(&routed.route, headers).is_nothing() {
        return Err(CallError::NotAcceptable);
    }
    let (purpose, gpc) = (plan::purpose(headers)?, privacy_control(headers));
    let question = Question { caller, routed, purpose, gpc, is_read };
    Ok(Asked { snapshot, question, target })
}

/// Takes the room a permitted call starts with.
///
/// # Errors
/// When too many people were shown to the caller, nothing can be recorded, or there is no room.
pub(crate) fn room(
    inbound: &Inbound,
    question: &Question,
    permit: &Permit,
) -> Result<Share, CallError> {
    may_show_more(inbound, question, permit)?;
    place(inbound, question)
}

/// Whether the caller may be shown anybody else.
///
/// # Errors
/// When too many people were.
pub(crate) fn may_show_more(
    inbound: &Inbound,
    question: &Question,
    permit: &Permit,
) -> Result<(), CallError> {
    let shared = inbound.worker.shared();
    for owner in question.caller.owners() {
        if let Some(rule) = shared.bulk.denied(owner, permit.bulk(), shared.clock.uptime_ms()) {
            return Err(CallError::Bulk { rule });
        }
    }
    Ok(())
}

/// Takes the room a call starts with, whoever it is shown to.
///
/// # Errors
/// When nothing can be recorded, or there is no room.
pub(crate) fn place(inbound: &Inbound, question: &Question) -> Result<Share, CallError> {
    let shared = inbound.worker.shared();
    if !shared.log.writable() {
        return Err(CallError::Audit(AuditError::Closed));
    }
    let owner = &question.caller.principal.identity.owner;
    shared.budget.begin(owner).map_err(CallError::NoRoom)
}

/// Asks the store.
pub(crate) async fn fetch(
    inbound: &Inbound,
    decided: &Decided,
    trail: &mut Trail,
) -> Result<StoreResponse, CallError> {
    let headers = store_headers(inbound, trail);
    let headers = if decided.is_file() {
        headers.for_file()
    } else {
        headers.accepting(accepted(&decided.question.routed.route, &inbound.head.headers))
    };
    let whom = (decided.question.routed.store, &decided.permit);
    let target = seek::target(&decided.target, &decided.question.routed.sought);
    ask(inbound, whom, (target, headers), trail).await
}

/// What a route's records can be answered with, of what the client accepts.
pub(crate) fn accepted(route: &Route, client: &HeaderMap) -> Accept {
    let accept = Accept::of(client);
    match &route.records {
        Some(selector) if selector.records == Arrangement::One => accept.of_one_record(),
        _ => accept,
    }
}

/// The headers of a question to the store.
pub(crate) fn store_headers(inbound: &Inbound, trail: &Trail) -> StoreHeaders {
    StoreHeaders::new(&inbound.head.headers, &trail.id, &trail.trace)
}

/// Reads something of the store, and counts the wait.
pub(crate) async fn ask(
    inbound: &Inbound,
    (store, permit): (usize, &impl Pass),
    (target, headers): (Target, StoreHeaders),
    trail: &mut Trail,
) -> Result<StoreResponse, CallError> {
    let request = StoreRequest { method: Method::GET, target, headers };
    let upstream = inbound.worker.upstream(store).ok_or(CallError::Route)?;
    let asked = Instant::now();
    let response = upstream.fetch(permit, &request).await;
    trail.waited += asked.elapsed();
    response.map_err(CallError::Upstream)
}

impl Decided {
    /// Whether the route's answer is one record, whose absence is a 404.
    pub(crate) fn is_single(&self) -> bool {
        let records = self.question.routed.route.records.as_ref();
        self.is_file() || records.is_some_and(|selector| selector.records == Arrangement::One)
    }

    /// Whether the route leads to a file.
    pub(crate) fn is_file(&self) -> bool {
        self.question.routed.route.opaque.is_some()
    }
}

/// Whether the client asked for the head alone.
pub(crate) fn is_head(head: &Parts) -> bool {
    head.method == Method::HEAD
}

/// Whether the client holds what `etag` names already.
pub(crate) fn already_has(client: &HeaderMap, etag: Option<&http::HeaderValue>) -> bool {
    let Some(etag) = etag.and_then(|etag| etag.to_str().ok()) else { return false };
    let bare = |tag: &'_ str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = bare(etag);
    let tags = client.get_all(http::header::IF_NONE_MATCH).iter();
    tags.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| bare(tag) == wanted)
}

/// The method as the access log writes it: a word of the product, never the caller's.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Statuses that mean that records follow.
pub(crate) const fn carries_records(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION)
}

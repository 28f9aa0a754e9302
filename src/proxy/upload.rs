//! Files that are written or removed: judged as one field of the record they belong to, which is
//! read first, and passed on as they come.

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::audit::IntentReceipt;
use crate::catalog::FieldIx;
use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::protocol::http::answer_headers;
use crate::protocol::http::is_plain;
use crate::protocol::http::upload_type;
use crate::transform::Batch;
use crate::transform::EditError;
use crate::transform::Flat;
use crate::transform::Format;
use crate::upstream::StoreResponse;
use crate::upstream::StoreWrite;
use crate::upstream::WriteError;

use super::answer;
use super::answer::Outgoing;
use super::call;
use super::call::Inbound;
use super::error::CallError;
use super::file;
use super::trail::Trail;
use super::upload_body::Pump;
use super::write;
use super::write::Case;
use super::write::Change;
use super::write_body;
use super::write_change;
use super::write_error::WriteFault;
use super::write_judge::Ruling;

/// The room that the pieces of a file need while they pass.
const IN_FLIGHT: usize = 128 * 1024;

/// A file from a client: what it is said to be, and its bytes.
type Sent = (HeaderValue, Incoming);

/// What a file belongs to, as far as it is known, and what it is in there.
pub(crate) struct Target {
    record: Batch,
    field: FieldIx,
}

/// The stages of an upload or of a removal, in order.
///
/// # Errors
/// When nothing was written, or nobody knows.
pub(crate) async fn serve(
    inbound: &Inbound,
    mut case: Case,
    body: Incoming,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let sent = examine(inbound, &case, body)?;
    let target = target(inbound, &mut case, trail).await?;
    let ruling = target.judge(inbound, &case).await?;
    let if_match = version(inbound, (&case, &ruling, target.field), trail).await?;
    let is_conditional = if_match.is_some();
    let length = sent.as_ref().and_then(|(_, body)| body.size_hint().exact());
    let fields = if sent.is_some() { &[target.field][..] } else { &[] };
    let change = Change { body: None, length, if_match, fields, records: 1 };
    case.share.cover(IN_FLIGHT).await.map_err(CallError::NoRoom)?;
    let people = std::slice::from_ref(&ruling);
    let intent = case.record(inbound, (&change, people), trail).await?;
    case.ask_again(inbound)?;
    if target.judge(inbound, &case).await? != ruling {
        return Err(CallError::Write(WriteFault::Changing));
    }
    let answer = match sent {
        None => case.send(inbound, (change, intent), trail).await?,
        Some(sent) => {
            let receipt = (intent, change.if_match);
            Box::pin(upload(inbound, (&mut case, &target), receipt, sent, trail)).await?
        }
    };
    match answer {
        Ok(late) if is_conditional && late.status == StatusCode::PRECONDITION_FAILED => {
            answer::discard(late.body);
            Err(CallError::Write(WriteFault::Precondition))
        }
        answer => case.finish(inbound, answer, trail).await,
    }
}

/// Checks what the head says of the file, before any of it is read.
fn examine(inbound: &Inbound, case: &Case, body: Incoming) -> Result<Option<Sent>, CallError> {
    let fault = |fault| Err(CallError::Write(fault));
    let headers = &inbound.head.headers;
    write::conditions(headers)?;
    let wanted = case.question.routed.route.method != Method::Delete;
    if wanted == body.is_end_stream() {
        return fault(WriteFault::BodyPresence { wanted });
    }
    if !wanted {
        return Ok(None);
    }
    let Some(media) = upload_type(headers).filter(|_| is_plain(headers)) else {
        return fault(WriteFault::Media { accepted: "the file with one well-formed type" });
    };
    if body.size_hint().lower() > inbound.worker.shared().limits().file_bytes {
        return fault(WriteFault::TooLong);
    }
    Ok(Some((media, body)))
}

/// Reads the record that the file belongs to; where the route names none, the path says what is
/// known of it.
async fn target(
    inbound: &Inbound,
    case: &mut Case,
    trail: &mut Trail,
) -> Result<Target, CallError> {
    let opaque = case.question.routed.route.opaque.clone().ok_or(CallError::Route)?;
    let field = opaque.field;
    let Some(owner) = &opaque.of else { return Ok(Target { record: path(case)?, field }) };
    let Case { question, permit, shape, share, .. } = case;
    let whom = (&question.routed, &*permit, &*shape);
    let record = file::read_owner(inbound, whom, (owner, share), trail).await;
    // Who may write some files at most must not learn from a fault of a record that it is there.
    let may_be_hidden = !permit.covers_every_record();
    let hide = |error: CallError| if may_be_hidden { error.hidden() } else { error };
    Ok(Target { record: record.map_err(hide)?, field })
}

/// The variables of the path, as a record that says nothing else.
fn path(case: &Case) -> Result<Batch, CallError> {
    let routed = &case.question.routed;
    let member = |field: FieldIx| {
        let name = routed.set.get(field)?.path.as_str().to_owned();
        Some((name, routed.variable(field)?.to_owned()))
    };
    let flat = Flat::form(routed.route.variables().filter_map(member).collect(), &case.shape);
    let selector = Selector { steps: Vec::new(), records: Records::One, around: Vec::new() };
    let text = flat.to_json(None);
    let limits = (text.len(), true);
    write_body::records(Format::Json, text.into(), (&selector, &case.shape), limits)
        .map_err(CallError::Write)
}

impl Target {
    /// Judges whether the file may be written.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) async fn judge(&self, inbound: &Inbound, case: &Case) -> Result<Ruling, CallError> {
        let ruling = write_change::rule(inbound, case, &self.record).await?;
        let writable = write_change::allowed(&ruling)?;
        let is_set = case.question.routed.route.method != Method::Delete;
        if is_set && !writable.get(self.field.index()).copied().unwrap_or(false) {
            let field = case.permit.set().get(self.field).ok_or(CallError::Route)?;
            let error = EditError::NotWritable { field: field.path.clone() };
            return Err(CallError::Write(WriteFault::Edit(error)));
        }
        Ok(ruling)
    }
}

/// The version that is written over: the one that the client names, when it is there and the
/// client can have been given it.
async fn version(
    inbound: &Inbound,
    (case, ruling, field): (&Case, &Ruling, FieldIx),
    trail: &mut Trail,
) -> Result<Option<HeaderValue>, CallError> {
    let headers = &inbound.head.headers;
    let route = &case.question.routed.route;
    match (route.method, headers.contains_key(header::IF_MATCH)) {
        (Method::Post, false) => return Ok(None),
        (Method::Post, true) => return Err(CallError::Write(WriteFault::Condition)),
        (_, false) if route.unsafe_writes => return Ok(None),
        (_, false) => return Err(CallError::Write(WriteFault::Unconditional)),
        (_, true) => {}
    }
    let view = ruling.views.as_ref().and_then(|views| views.get(field.index()));
    let failed = CallError::Write(WriteFault::Precondition);
    let Some(read) = case.read.as_ref().filter(|_| view.is_some_and(|it| it.is_raw())) else {
        return Err(failed);
    };
    let question = (case.target.clone(), call::store_headers(inbound, trail).for_file());
    let whom = (case.question.routed.store, read);
    let stored = call::ask(inbound, whom, question, trail).await?;
    answer::discard(stored.body);
    let is_there = call::carries_records(stored.status);
    let given = answer_headers(&stored.headers, true).remove(header::ETAG);
    given.filter(|tag| is_there && names(headers, tag)).map(Some).ok_or(failed)
}

/// Whether `If-Match` names a strong tag.
fn names(client: &HeaderMap, given: &HeaderValue) -> bool {
    let Some(given) = given.to_str().ok().filter(|tag| tag.starts_with('"')) else { return false };
    let lines = client.get_all(header::IF_MATCH).iter();
    let mut tags = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    tags.any(|tag| matches!(tag.trim(), "*") || tag.trim() == given)
}

/// Sends the file, piece by piece.
async fn upload(
    inbound: &Inbound,
    (case, target): (&mut Case, &Target),
    (intent, if_match): (IntentReceipt, Option<HeaderValue>),
    (media, body): Sent,
    trail: &mut Trail,
) -> Result<Result<StoreResponse, WriteError>, CallError> {
    let write = StoreWrite {
        method: inbound.head.method.clone(),
        target: case.target.clone(),
        headers: call::store_headers(inbound, trail),
        body: None,
        if_match,
    };
    let upstream = inbound.worker.upstream(case.question.routed.store).ok_or(CallError::Route)?;
    let (pipe, piped) = upstream.pipe(body.size_hint().exact());
    let upload = match upstream.upload(&case.permit, intent, write, (media, piped)) {
        Ok(upload) => upload,
        Err(error) => return Ok(Err(error)),
    };
    let asked = Instant::now();
    let pump = Pump::new(inbound, (case, target), body).run(pipe);
    let sent = Box::pin(upload.send(pump)).await;
    trail.waited += asked.elapsed();
    trail.is_cut = sent.is_err();
    sent
}

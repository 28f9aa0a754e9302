//! From a store's answer to what the client gets.

use std::sync::Arc;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use crate::policy::Permit;
use crate::protocol::http::Accept;
use crate::protocol::http::MediaType;
use crate::protocol::http::answer_headers;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Reader;
use crate::transform::Writer;
use crate::upstream::StoreBody;
use crate::upstream::StoreResponse;

use super::budget::Share;
use super::call;
use super::call::Decided;
use super::call::Inbound;
use super::error::CallError;
use super::feed::Feed;
use super::file;
use super::file::OpenFile;
use super::links::Links;
use super::records::Records;
use super::records::Source;
use super::sets::Batches;
use super::sets::Sets;
use super::told::ToldBody;
use super::trail::Trail;

/// Answers up to this length are sent at once, with their length.
const WHOLE: usize = 64 * 1024;
/// The deepest JSON that is read.
pub(super) const DEPTH: usize = 128;
/// As much of a body nobody wants is read, so that its connection can be used again.
const DISCARD: usize = 64 * 1024;

/// How many fields the plan shows in which form.
pub(crate) const PRIVET_FIELDS: HeaderName = HeaderName::from_static("privet-fields");

/// What the client gets.
pub(crate) struct Outgoing {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// The body of what the client gets.
pub(crate) enum Content {
    Nothing,
    /// A file that may leave, and the room its pieces take.
    File(Box<OpenFile>, Share),
    /// What was released so far, and where more comes from.
    Stream {
        released: Bytes,
        feed: Box<Feed>,
    },
    /// All of it, and the room it takes.
    Whole(Bytes, Option<Share>),
}

/// Turns a store's answer into the client's.
///
/// # Errors
/// When nothing of it may leave.
pub(crate) async fn of(
    inbound: &Inbound,
    decided: Decided,
    response: StoreResponse,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    // Who may see one record at most, and it may not be this one, must not learn from a fault of
    // it that it is there.
    let may_be_hidden = decided.is_single() && !decided.permit.covers_every_record();
    let outgoing = Box::pin(open(inbound, decided, response, trail)).await;
    outgoing.map_err(|error| if may_be_hidden { error.hidden() } else { error })
}

async fn open(
    inbound: &Inbound,
    decided: Decided,
    response: StoreResponse,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(PRIVET_FIELDS, decided.facts.header.clone());
    trail.plan = Some(decided.facts.header.clone());
    let has_records = decided.question.routed.route.records.is_some();
    match response.status {
        status if call::carries_records(status) && has_records => {
            Box::pin(records(inbound, (decided, headers), response, trail)).await
        }
        status if call::carries_records(status) && decided.is_file() => {
            file::open(inbound, (decided, headers), response, trail).await
        }
        status if status.is_success() => {
            discard(response.body);
            Ok(Outgoing { status: StatusCode::NO_CONTENT, headers, content: Content::Nothing })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            absent(response.body).await;
            Err(CallError::NotFound)
        }
        status if status.is_redirection() => {
            let location = response.headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
            let shared = inbound.worker.shared();
            let location = location.and_then(|it| Links::new(&decided).location(shared, it));
            discard(response.body);
            let location = location.ok_or(CallError::Status(status))?;
            headers.insert(header::LOCATION, location);
            Ok(Outgoing { status, headers, content: Content::Nothing })
        }
        status => {
            discard(response.body);
            Err(CallError::Status(status))
        }
    }
}

/// Reads, judges and releases records until the answer is whole or too long to wait for.
async fn records(
    inbound: &Inbound,
    (decided, mut headers): (Decided, HeaderMap),
    response: StoreResponse,
    trail: &mut Trail,
) -> Result<Outgoing, CallError> {
    let is_single = decided.is_single();
    let is_sought = !decided.question.routed.sought.is_empty();
    if !is_single && (is_sought || decided.permit.may_leave_out()) {
        // Known before any record is, so that it tells of none.
        headers.insert("privet-page", HeaderValue::from_static("may-be-short"));
    }
    let (format, content_type) = format(response.media, is_single)?;
    if !Accept::of(&inbound.head.headers).takes(response.media) {
        return Err(CallError::NotAcceptable);
    }
    let store_headers = response.headers;
    let mut records = if decided.question.routed.route.beside.is_empty() {
        Batches::One(read(inbound, decided, (format, response.body.into()), trail)?)
    } else {
        let sets = sets(inbound, decided, (format, response.body), trail)?;
        headers.insert(PRIVET_FIELDS, sets.header());
        trail.plan = headers.get(PRIVET_FIELDS).cloned();
        if sets.permits().any(Permit::may_leave_out) {
            headers.insert("privet-page", HeaderValue::from_static("may-be-short"));
        }
        Batches::Several(Box::new(sets))
    };
    let last = records.read().await;
    trail.waited += records.take_waited();
    let first = records.judge(last?).await?;
    let (shown, left_out) = first.counts();
    if is_single && shown == 0 {
        // Not there and not visible look the same.
        trail.tally.left_out = left_out;
        return Err(CallError::NotFound);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What names a version of the whole answer tells of every field and record in it.
    headers.extend(answer_headers(&store_headers, first.last && first.as_stored));
    let is_known = call::already_has(&inbound.head.headers, headers.get(header::ETAG));
    if is_known || call::is_head(&inbound.head) {
        // That records are there, and unchanged, is told about people too.
        trail.tally = Feed::announce(records, first).await?;
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        return Ok(Outgoing { status, headers, content: Content::Nothing });
    }
    let status = StatusCode::OK;
    let content = collect(Feed::new(records, first), trail).await?;
    Ok(Outgoing { status, headers, content })
}

/// Releases batches until all are out, or more than is sent at once, or the store is silent: what
/// was recorded as released then leaves and waits for nothing.
pub(super) async fn collect(mut feed: Feed, trail: &mut Trail) -> Result<Content, CallError> {
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        let released = feed.next().await;
        trail.tally = feed.tally();
        trail.waited += feed.take_waited();
        let Some(bytes) = released? else { break };
        if whole.is_empty() {
            whole = bytes;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&whole);
            }
            more.extend_from_slice(&bytes);
        }
        let length = whole.len().max(more.len());
        if (length > WHOLE && !feed.is_done()) || (length > 0 && feed.is_waiting()) {
            let released = if more.is_empty() { whole } else { more.freeze() };
            return Ok(Content::Stream { released, feed: Box::new(feed) });
        }
    }
    let whole = if more.is_empty() { whole } else { more.freeze() };
    Ok(Content::Whole(whole, feed.into_share()))
}

pub(super) fn read(
    inbound: &Inbound,
    decided: Decided,
    (format, body): (Format, ToldBody),
    trail: &Trail,
) -> Result<Box<Records>, CallError> {
    let links = Links::new(&decided);
    let Decided { question, permit, facts, shape, generation, share, .. } = decided;
    let shared = inbound.worker.shared();
    let record_bytes = shared.limits().record_bytes;
    let selector = question.routed.route.records.as_ref().ok_or(CallError::Route)?;
    let limits = Limits { record_bytes, depth: DEPTH };
    let table = shared.snapshot().table(permit.set_id(), &shape);
    let mut reader = Reader::new(format, selector, Arc::clone(&shape), limits);
    if let Some(table) = &table {
        reader.watch(table.watch());
    }
    let source = Source {
        reader,
        table,
        writer: Writer::new(format, selector, shape),
        body,
        links,
        share,
        generation,
        plan: facts,
    };
    let records = Records::new(Arc::clone(shared), question, permit, &trail.facts, source);
    Ok(Box::new(records))
}

/// The records of several data sets, which only JSON can hold.
fn sets(
    inbound: &Inbound,
    decided: Decided,
    (format, body): (Format, StoreBody),
    trail: &Trail,
) -> Result<Sets, CallError> {
    if format != Format::Json {
        return Err(CallError::Media);
    }
    let shared = inbound.worker.shared();
    let limits = Limits { record_bytes: shared.limits().record_bytes, depth: DEPTH };
    Sets::new(shared, decided, (body, limits), &trail.facts)
}

/// How the records of a media type are read. One record is never a line or row among others.
pub(super) fn format(
    media: MediaType,
    is_single: bool,
) -> Result<(Format, &'static str), CallError> {
    let format = match media {
        MediaType::Csv if !is_single => Format::Csv,
        MediaType::Json => Format::Json,
        MediaType::Ndjson if !is_single => Format::Ndjson,
        MediaType::Csv | MediaType::Form | MediaType::Ndjson | MediaType::Other => {
            return Err(CallError::Media);
        }
    };
    media.header().map(|header| (format, header)).ok_or(CallError::Media)
}

/// Reads what a store says of something that is not there: like a record, so that one that is not
/// shown takes no longer.
pub(super) async fn absent(body: StoreBody) {
    body.discard(DISCARD).await;
}

/// Reads a body nobody wants in the background, so that nobody waits for it.
pub(super) fn discard(body: StoreBody) {
    drop(tokio::spawn(body.discard(DISCARD)));
}

//! What a client sends: read within bounds, and cut into records.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Route;
use crate::catalog::Selector;
use crate::protocol::http::SentType;
use crate::protocol::http::is_plain;
use crate::protocol::http::sent_type;
use crate::transform::Batch;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Progress;
use crate::transform::Reader;
use crate::transform::Shape;
use crate::transform::TransformError;

use super::answer::DEPTH;
use super::budget::Share;
use super::error::CallError;
use super::write_error::WriteFault;

/// The most records that one call creates: as many as one entry of the log names.
const RECORDS: usize = 256;
/// A batch may be as long as this many of the longest records.
const LONG: usize = 8;
/// A body comes at least this fast, in bytes a second: one byte just before each patience ends
/// would hold a place for hours.
const RATE: u64 = 1024;

/// How the records of a body follow one another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    /// An array, or one record.
    Json,
    /// One record a line.
    Lines,
}

/// Checks what a body claims to be, before any of it is read.
///
/// # Errors
/// When it is of a type or coding that this route does not read.
pub(crate) fn media(headers: &HeaderMap, route: &Route) -> Result<SentType, CallError> {
    let selector = route.records.as_ref();
    let lines = selector.is_some_and(|it| it.records == Records::Each && it.steps.is_empty());
    let accepted = match route.method {
        Method::Patch => "`application/json` or `application/merge-patch+json`",
        Method::Post if lines => "`application/json` or `application/x-ndjson`",
        _ => "`application/json`",
    };
    let refused = || CallError::Write(WriteFault::Media { accepted });
    let media = sent_type(headers).map_err(|_| refused())?;
    let is_known = match media {
        SentType::Json => true,
        SentType::MergePatch => route.method == Method::Patch,
        SentType::Ndjson => route.method == Method::Post && lines,
        SentType::Form | SentType::Other => false,
    };
    if is_known && is_plain(headers) { Ok(media) } else { Err(refused()) }
}

/// Reads a body to its end.
///
/// # Errors
/// When it is too long or too slow, breaks off, or there is no room for it.
pub(crate) async fn read(
    mut body: Incoming,
    (most, patience): (usize, Duration),
    share: &mut Share,
) -> Result<Bytes, CallError> {
    let fault = |fault| Err(CallError::Write(fault));
    let stated = body.size_hint().lower();
    if usize::try_from(stated).is_ok_and(|stated| stated > most) {
        return fault(WriteFault::TooLong);
    }
    let start = Instant::now();
    let mut read = BytesMut::new();
    loop {
        let owed = u64::try_from(read.len()).unwrap_or(u64::MAX) / RATE;
        let slowest = start + patience + Duration::from_secs(owed);
        let deadline = slowest.min(Instant::now() + patience);
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return fault(WriteFault::Slow),
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Err(_))) => return fault(WriteFault::BrokenOff),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers could carry anything.
        let Ok(data) = frame.into_data() else { return fault(WriteFault::BrokenOff) };
        if read.len().saturating_add(data.len()) > most {
            return fault(WriteFault::TooLong);
        }
        read.extend_from_slice(&data);
        share.cover(read.len().saturating_mul(COPIES)).await.map_err(CallError::NoRoom)?;
    }
}

/// A body is held as it came, in records, and as it goes to the store.
const COPIES: usize = 3;

/// The longest body of a route.
pub(crate) fn most(route: &Route, record_bytes: usize) -> usize {
    let each = route.records.as_ref().is_some_and(|it| it.records == Records::Each);
    if each { record_bytes.saturating_mul(LONG) } else { record_bytes }
}

/// Cuts a body into records, which are strict JSON from here on whatever came.
///
/// # Errors
/// When it is not what its type and the route's `records` say.
pub(crate) fn parse(
    media: SentType,
    body: Bytes,
    (selector, shape): (&Selector, &Arc<Shape>),
    record_bytes: usize,
) -> Result<(Batch, Written), CallError> {
    let (format, written) = match media {
        SentType::Ndjson => (Format::Ndjson, Written::Lines),
        _ => (Format::Json, Written::Json),
    };
    let batch = records(format, body, (selector, shape), (record_bytes, false))
        .map_err(CallError::Write)?;
    if batch.is_empty() {
        return Err(CallError::Write(WriteFault::Body(TransformError::NoRecords)));
    }
    if batch.len() > RECORDS {
        return Err(CallError::Write(WriteFault::TooMany));
    }
    Ok((batch, written))
}

/// Reads all records of a text that is at hand; `may_skip`: whether anything may stand around them.
pub(crate) fn records(
    format: Format,
    text: Bytes,
    (selector, shape): (&Selector, &Arc<Shape>),
    (record_bytes, may_skip): (usize, bool),
) -> Result<Batch, WriteFault> {
    let limits = Limits { record_bytes, depth: DEPTH };
    let mut reader = Reader::new(format, selector, Arc::clone(shape), limits);
    let mut batch = Batch::new(RECORDS + 1, usize::MAX);
    reader.push(text);
    reader.end_of_input();
    match reader.read(&mut batch) {
        Ok(Progress::BatchFull) if batch.len() > RECORDS => Err(WriteFault::TooMany),
        Ok(Progress::End) if reader.has_skipped() && !may_skip => Err(WriteFault::Unlisted),
        Ok(_) => Ok(batch),
        Err(TransformError::TooLong { .. }) => Err(WriteFault::TooLong),
        Err(error) => Err(WriteFault::Body(error)),
    }
}

/// Puts records where the store looks for them.
pub(crate) fn wrap(selector: &Selector, written: Written, records: &[Vec<u8>]) -> Bytes {
    let mut out = Vec::with_capacity(records.iter().map(|it| it.len() + 1).sum::<usize>() + 64);
    if written == Written::Lines {
        for record in records {
            out.extend_from_slice(record);
            out.push(b'\n');
        }
        return out.into();
    }
    for step in &selector.steps {
        out.push(b'{');
        // A name is text, which can always be written.
        out.extend(serde_json::to_vec(step).unwrap_or_default());
        out.push(b':');
    }
    let (open, close): (&[u8], &[u8]) =
        if selector.records == Records::Each { (b"[", b"]") } else { (b"", b"") };
    out.extend_from_slice(open);
    out.extend(records.join(&b','));
    out.extend_from_slice(close);
    out.extend(std::iter::repeat_n(b'}', selector.steps.len()));
    out.into()
}

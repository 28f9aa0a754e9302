//! What a client sends: read within bounds, and cut into records.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::catalog::Method;
use crate::catalog::Records;
use crate::catalog::Route;
use crate::catalog::Selector;
use crate::protocol::http::SentType;
use crate::protocol::http::is_plain;
use crate::protocol::http::parse_form;
use crate::protocol::http::sent_type;
use crate::transform::Batch;
use crate::transform::Flat;
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
/// A batch of more than one record is no longer than this: what is held of it fits in a large share
/// of the buffers.
const BATCH: usize = 2 * 1024 * 1024;
/// A body comes at least this fast, in bytes a second: one byte just before each patience ends
/// would hold a place for hours.
pub(super) const RATE: u64 = 1024;

/// How the records of a body follow one another.
#[derive(Debug)]
pub(crate) enum Written {
    /// CSV, or a form.
    Flat(Flat),
    /// An array, or one record.
    Json,
    /// One record a line.
    Lines,
}

impl Written {
    /// What the store is told that a body of records is.
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Flat(flat) if flat.is_form() => "application/x-www-form-urlencoded",
            Self::Flat(_) => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// Checks what a body claims to be, before any of it is read.
///
/// # Errors
/// When it is of a type or coding that this route does not read.
pub(crate) fn media(headers: &HeaderMap, route: &Route) -> Result<SentType, CallError> {
    let selector = route.records.as_ref();
    let bare = |records| selector.is_some_and(|it| it.records == records && it.steps.is_empty());
    let lines = route.method == Method::Post && bare(Records::Each);
    let form = route.method != Method::Delete && bare(Records::One);
    let accepted = match route.method {
        Method::Patch if form => {
            "`application/json`, `application/merge-patch+json` or \
             `application/x-www-form-urlencoded`"
        }
        Method::Patch => "`application/json` or `application/merge-patch+json`",
        _ if lines => "`application/json`, `application/x-ndjson` or `text/csv`",
        _ if form => "`application/json` or `application/x-www-form-urlencoded`",
        _ => "`application/json`",
    };
    let refused = || CallError::Write(WriteFault::Media { accepted });
    let media = sent_type(headers).map_err(|_| refused())?;
    let is_known = match media {
        SentType::Json => true,
        SentType::MergePatch => route.method == Method::Patch,
        SentType::Csv | SentType::Ndjson => lines,
        SentType::Form => form,
        SentType::Other => false,
    };
    if is_known && is_plain(headers) { Ok(media) } else { Err(refused()) }
}

/// Reads a body to its end.
///
/// # Errors
/// When it is too long or too slow, breaks off, or there is no room for it.
pub(crate) async fn read(
    mut body: impl Body<Data = Bytes> + Unpin,
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
    let longest = record_bytes.saturating_mul(LONG).min(BATCH);
    if each { longest.max(record_bytes) } else { record_bytes }
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
    let (format, body, written) = match media {
        SentType::Csv | SentType::Form => {
            let flat = flat(media, body, shape, record_bytes).map_err(CallError::Write)?;
            (Format::Ndjson, flat.to_json(None).into(), Written::Flat(flat))
        }
        SentType::Ndjson => (Format::Ndjson, body, Written::Lines),
        _ => (Format::Json, body, Written::Json),
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

/// Reads a body that is flat.
fn flat(
    media: SentType,
    body: Bytes,
    shape: &Arc<Shape>,
    record_bytes: usize,
) -> Result<Flat, WriteFault> {
    if media == SentType::Form {
        return Ok(Flat::form(parse_form(&body).map_err(WriteFault::Form)?, shape));
    }
    let limits = Limits { record_bytes, depth: DEPTH };
    match Flat::csv(body, shape, limits, RECORDS) {
        Ok(flat) if flat.len() > RECORDS => Err(WriteFault::TooMany),
        Ok(flat) => Ok(flat),
        Err(TransformError::TooLong { .. }) => Err(WriteFault::TooLong),
        Err(error) => Err(WriteFault::Csv(error)),
    }
}

/// What was sent, in the kinds of value that are stored, where all that was sent is text.
///
/// # Errors
/// When it is too long in that form.
pub(crate) fn typed(
    written: &Written,
    stored: &Batch,
    (selector, shape): (&Selector, &Arc<Shape>),
    record_bytes: usize,
) -> Result<Option<Batch>, CallError> {
    let Written::Flat(flat) = written else { return Ok(None) };
    let text = flat.to_json(Some(stored)).into();
    let batch = records(Format::Ndjson, text, (selector, shape), (record_bytes, false));
    batch.map(Some).map_err(CallError::Write)
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
///
/// # Errors
/// When the format cannot say what is in them.
pub(crate) fn wrap(
    selector: &Selector,
    written: &Written,
    records: &[Vec<u8>],
) -> Result<Bytes, CallError> {
    if let Written::Flat(flat) = written {
        let text = flat.write(records.iter().map(Vec::as_slice));
        return text.map(Bytes::from).ok_or(CallError::Write(WriteFault::Flat));
    }
    let mut out = Vec::with_capacity(records.iter().map(|it| it.len() + 1).sum::<usize>() + 64);
    if matches!(written, Written::Lines) {
        for record in records {
            out.extend_from_slice(record);
            out.push(b'\n');
        }
        return Ok(out.into());
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
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::budget::Budget;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::Context;
    use std::task::Poll;
    use std::task::ready;
    use tokio::time::Interval;

    /// A client that sends so many pieces of so many bytes, one each time the clock ticks.
    struct Drip {
        ticks: Interval,
        pieces: usize,
        bytes: usize,
    }

    impl Body for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.ticks.poll_tick(cx));
            let Some(left) = self.pieces.checked_sub(1) else { return Poll::Ready(None) };
            self.pieces = left;
            Poll::Ready(Some(Ok(Frame::data(vec![b' '; self.bytes].into()))))
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    /// What comes of a client that sends `pieces` of `bytes`, one every `seconds`; and when.
    async fn come(
        pieces: usize,
        bytes: usize,
        seconds: u64,
    ) -> (Result<usize, CallError>, Duration) {
        let budget = Budget::new(64 << 20, 1 << 20);
        let mut share = budget.begin(&"a".into()).unwrap();
        let ticks = tokio::time::interval(Duration::from_secs(seconds));
        let start = Instant::now();
        let body = Drip { ticks, pieces, bytes };
        let read = read(body, (1 << 20, PATIENCE), &mut share).await;
        (read.map(|bytes| bytes.len()), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_a_byte_just_in_time_is_cut() {
        for (bytes, most) in [(1, 11), (100, 12), (5000, 25)] {
            let (read, took) = come(10_000, bytes, 9).await;
            let is_slow = matches!(read, Err(CallError::Write(WriteFault::Slow)));
            assert!(is_slow, "{bytes}: {read:?}");
            assert!(took < Duration::from_secs(most), "{bytes}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_steady_is_not_cut_however_long_it_takes() {
        let (read, took) = come(200, 2048, 1).await;
        assert_eq!(read.unwrap(), 200 * 2048);
        assert_eq!(took, Duration::from_secs(200));
    }
}

//! The second look at the head of a store's answer.

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::Version;
use http::header;
use http::response::Parts;

use crate::protocol::http::Coding;
use crate::protocol::http::MediaType;
use crate::protocol::http::content_coding;
use crate::protocol::http::content_type;

use super::AnswerFault;
use super::StoreBody;

/// A store's answer: its head as the store wrote it, its body as a stream.
///
/// Nothing of it has been decided on yet: headers pass through
/// [`answer_headers`](crate::protocol::http::answer_headers), the body through the views. The
/// store's reason phrase is gone.
#[derive(Debug)]
pub struct StoreResponse {
    /// The status; never 1xx or 206.
    pub status: StatusCode,
    /// The store's own headers.
    pub headers: HeaderMap,
    /// What the body is.
    pub media: MediaType,
    /// The body, without content coding.
    pub body: StoreBody,
}

/// What the head says about the body.
#[derive(Debug)]
pub(super) struct BodyFacts {
    pub(super) media: MediaType,
    pub(super) coding: Coding,
}

/// Checks an answer's head. The media type is read leniently for answers whose body is replaced
/// anyway (below 200, from 300 on): theirs is [`MediaType::Other`] when it is malformed.
pub(super) fn check(head: &Parts) -> Result<BodyFacts, AnswerFault> {
    if head.status.is_informational() {
        return Err(AnswerFault::Upgrade);
    }
    if head.status == StatusCode::PARTIAL_CONTENT
        || head.headers.contains_key(header::CONTENT_RANGE)
    {
        return Err(AnswerFault::Partial);
    }
    let delimited = is_delimited(head)?;
    let released = head.status.is_success();
    let media = match content_type(&head.headers) {
        Ok(media) => media,
        Err(_) if !released => MediaType::Other,
        Err(fault) => return Err(fault.into()),
    };
    let coding = match content_coding(&head.headers) {
        Ok(coding) => coding,
        Err(_) if !released => Coding::Identity,
        Err(fault) => return Err(fault.into()),
    };
    // A cut JSON text is seen to be cut; lines and rows are not.
    if !delimited && matches!(media, MediaType::Csv | MediaType::Ndjson) {
        return Err(AnswerFault::Endless);
    }
    Ok(BodyFacts { media, coding })
}

/// Whether the end of the body is marked, by exactly one of length and chunks.
fn is_delimited(head: &Parts) -> Result<bool, AnswerFault> {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    let chunked = |v: &HeaderValue| v.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let digits = |v: &HeaderValue| !v.is_empty() && v.as_bytes().iter().all(u8::is_ascii_digit);
    let repeated = lengths.next().is_some() || codings.next().is_some();
    let valid = match (length, coding) {
        (Some(_), Some(_)) => false,
        (Some(length), None) => digits(length),
        (None, Some(coding)) => chunked(coding) && head.version == Version::HTTP_11,
        (None, None) => true,
    };
    if repeated || !valid {
        return Err(AnswerFault::Framing);
    }
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(length.is_some() || coding.is_some() || bodiless)
}

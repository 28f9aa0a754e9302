//! The second look at a request head, after the HTTP library's.

use std::borrow::Cow;

use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;

use crate::types::ClientError;
use crate::types::ErrorKind;

use super::Authority;
use super::Target;
use super::TargetError;

/// The most header lines of a request.
const MAX_HEADERS: usize = 100;

/// A request head that can be read in one way only.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method, one of those Privet knows.
    pub method: Method,
    /// Path and query in normal form.
    pub target: Target,
    /// Whom the request is meant for.
    pub authority: Authority,
    /// How the body is framed.
    pub body: BodyFraming,
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyFraming {
    /// HTTP/1.1 chunks.
    Chunked,
    /// A stated number of bytes, above zero.
    Length(u64),
    /// Neither header: no body in HTTP/1.1. In HTTP/2 a body may still follow, so there the
    /// caller also asks the body whether it is at its end.
    Nothing,
}

/// Checks a request head: framing, host, method, target, header names.
pub fn check_request(parts: &Parts) -> Result<RequestHead, HeadError> {
    check_method(&parts.method)?;
    check_names(&parts.headers)?;
    check_hop_by_hop(&parts.headers)?;
    let body = body_framing(&parts.headers, parts.version)?;
    let reading = matches!(parts.method, Method::GET | Method::HEAD);
    if reading && body != BodyFraming::Nothing {
        return Err(HeadError::BodyNotAllowed);
    }
    let authority = authority(parts)?;
    let target = match parts.uri.path_and_query() {
        Some(text) => Target::parse(text.as_str(), &authority)?,
        None => return Err(TargetError::Form.into()),
    };
    Ok(RequestHead { method: parts.method.clone(), target, authority, body })
}

/// Why a request head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadError {
    /// A GET or HEAD with a body.
    #[error("a GET or HEAD request has a body")]
    BodyNotAllowed,
    /// `Connection` names a header field, which other proxies would strip.
    #[error("`Connection` names a header field")]
    ConnectionOption,
    /// `Content-Length` is not one plain number.
    #[error("`Content-Length` is not one number")]
    ContentLength,
    /// `Expect`, whatever it expects.
    #[error("`Expect` is not served")]
    Expectation,
    /// `Host` is not `host` or `host:port`, or contradicts the target.
    #[error("`Host` is not valid")]
    HostInvalid,
    /// No `Host`.
    #[error("`Host` is missing")]
    HostMissing,
    /// More than one `Host`.
    #[error("`Host` is given twice")]
    HostRepeated,
    /// CONNECT, TRACE, or a method nobody knows.
    #[error("the method is not served")]
    Method,
    /// An empty header name, or one with `_`, which some servers read as `-`.
    #[error("a header name is empty or holds `_`")]
    Name,
    /// A target that cannot be read in one way.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Over 100 header lines.
    #[error("there are too many header lines")]
    TooManyHeaders,
    /// `Trailer`.
    #[error("trailers are not served")]
    Trailers,
    /// `Transfer-Encoding` other than one `chunked`, in HTTP/1.0, or beside `Content-Length`.
    #[error("`Transfer-Encoding` is not one `chunked` alone")]
    TransferEncoding,
    /// `Upgrade`.
    #[error("`Upgrade` is not served")]
    Upgrade,
}

impl HeadError {
    /// The status that says it best.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Method => StatusCode::NOT_IMPLEMENTED,
            Self::Target(TargetError::TooLong) => StatusCode::URI_TOO_LONG,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether what follows on the connection can no longer be trusted to be a request.
    pub const fn closes_connection(self) -> bool {
        !matches!(self, Self::Target(_) | Self::Name | Self::Method)
    }
}

impl ClientError for HeadError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

fn check_method(method: &Method) -> Result<(), HeadError> {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => Ok(()),
        _ => Err(HeadError::Method),
    }
}

fn check_names(headers: &HeaderMap) -> Result<(), HeadError> {
    if headers.len() > MAX_HEADERS {
        return Err(HeadError::TooManyHeaders);
    }
    let odd = |name: &str| name.is_empty() || name.contains('_');
    if headers.keys().any(|name| odd(name.as_str())) {
        return Err(HeadError::Name);
    }
    Ok(())
}

fn check_hop_by_hop(headers: &HeaderMap) -> Result<(), HeadError> {
    if headers.contains_key(header::EXPECT) {
        return Err(HeadError::Expectation);
    }
    if headers.contains_key(header::UPGRADE) {
        return Err(HeadError::Upgrade);
    }
    if headers.contains_key(header::TRAILER) {
        return Err(HeadError::Trailers);
    }
    let known = |option: &str| {
        let option = option.trim();
        ["", "close", "keep-alive", "te"].iter().any(|k| option.eq_ignore_ascii_case(k))
    };
    let all_known = headers
        .get_all(header::CONNECTION)
        .iter()
        .all(|value| value.to_str().is_ok_and(|text| text.split(',').all(known)));
    if all_known { Ok(()) } else { Err(HeadError::ConnectionOption) }
}

fn body_framing(headers: &HeaderMap, version: Version) -> Result<BodyFraming, HeadError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(HeadError::ContentLength);
    }
    if let Some(coding) = codings.next() {
        let alone = codings.next().is_none() && length.is_none();
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        return if alone && chunked && version == Version::HTTP_11 {
            Ok(BodyFraming::Chunked)
        } else {
            Err(HeadError::TransferEncoding)
        };
    }
    match length.map(|value| plain_number(value.as_bytes())) {
        None | Some(Some(0)) => Ok(BodyFraming::Nothing),
        Some(Some(bytes)) => Ok(BodyFraming::Length(bytes)),
        Some(None) => Err(HeadError::ContentLength),
    }
}

/// Digits only: no sign, space, comma or `0x`, which parsers disagree about.
fn plain_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn authority(parts: &Parts) -> Result<Authority, HeadError> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(value), None) => {
            Some(Authority::parse(value.to_str().map_err(|_| HeadError::HostInvalid)?)?)
        }
        (None, _) => None,
        (Some(_), Some(_)) => return Err(HeadError::HostRepeated),
    };
    // Absolute-form in HTTP/1.1, `:authority` in HTTP/2.
    let named = parts.uri.authority().map(|a| Authority::parse(a.as_str())).transpose()?;
    match (host, named) {
        (Some(host), Some(named)) if host != named => Err(TargetError::OtherAuthority.into()),
        (Some(host), _) => Ok(host),
        (None, Some(named)) if parts.version == Version::HTTP_2 => Ok(named),
        (None, _) => Err(HeadError::HostMissing),
    }
}

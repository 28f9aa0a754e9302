//! What a body is, by its `Content-Type`.

use std::borrow::Cow;

use http::HeaderMap;
use http::header;

use crate::types::ClientError;
use crate::types::ErrorKind;

/// The kinds of body Privet tells apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaType {
    /// `text/csv` with a header row.
    Csv,
    /// `application/x-www-form-urlencoded`: what a client may send, and no store may answer.
    Form,
    /// `application/json` or `application/*+json`.
    Json,
    /// One JSON text a line.
    Ndjson,
    /// Anything else: never released on a data route.
    Other,
}

impl MediaType {
    /// The `Content-Type` stated for it, or `None` for [`Other`](Self::Other).
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::Csv => Some("text/csv; charset=utf-8; header=present"),
            Self::Form => Some("application/x-www-form-urlencoded"),
            Self::Json => Some("application/json"),
            Self::Ndjson => Some("application/x-ndjson"),
            Self::Other => None,
        }
    }
}

/// Reads the one `Content-Type` of a message; a message without one is [`MediaType::Other`].
pub fn content_type(headers: &HeaderMap) -> Result<MediaType, MediaError> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(MediaType::Other) };
    if values.next().is_some() {
        return Err(MediaError::Repeated);
    }
    parse(value.to_str().map_err(|_| MediaError::Syntax)?)
}

/// Why a `Content-Type` is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MediaError {
    /// A charset other than UTF-8.
    #[error("the body's charset is not UTF-8")]
    Charset,
    /// CSV that says it has no header row, without which nobody knows what its columns hold.
    #[error("the body is CSV without a header row")]
    Header,
    /// More than one `Content-Type`, or a parameter given twice.
    #[error("`Content-Type` says it twice")]
    Repeated,
    /// Not `type/subtype` with well-formed parameters.
    #[error("`Content-Type` is not well-formed")]
    Syntax,
}

impl ClientError for MediaError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

fn parse(text: &str) -> Result<MediaType, MediaError> {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').ok_or(MediaError::Syntax)?;
    if !is_token(kind) || !is_token(subtype) {
        return Err(MediaError::Syntax);
    }
    let media = match (kind, subtype) {
        ("application", "json") => MediaType::Json,
        ("application", "x-ndjson" | "ndjson" | "jsonl") => MediaType::Ndjson,
        ("application", "x-www-form-urlencoded") => MediaType::Form,
        ("text", "csv") => MediaType::Csv,
        ("application", other) if other.len() > 5 && other.ends_with("+json") => MediaType::Json,
        _ => return Ok(MediaType::Other),
    };
    check_parameters(parts)?;
    Ok(media)
}

fn check_parameters<'a>(parts: impl Iterator<Item = &'a str>) -> Result<(), MediaError> {
    let mut seen: Vec<String> = Vec::new();
    for part in parts {
        let (name, value) = part.trim().split_once('=').ok_or(MediaError::Syntax)?;
        let name = name.to_ascii_lowercase();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or(MediaError::Syntax)?,
            None => value,
        };
        if !is_token(&name) || !is_token(value) {
            return Err(MediaError::Syntax);
        }
        if name == "charset" && !value.eq_ignore_ascii_case("utf-8") {
            return Err(MediaError::Charset);
        }
        if name == "header" && value.eq_ignore_ascii_case("absent") {
            return Err(MediaError::Header);
        }
        if seen.contains(&name) {
            return Err(MediaError::Repeated);
        }
        seen.push(name);
    }
    Ok(())
}

/// RFC 9110 `token`.
pub(super) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

//! What a client's body is. Stricter than for answers: only exactly known types are read.

use http::HeaderMap;
use http::header;

use super::MediaError;
use super::content_type;

/// The kinds of body a client may send to a data route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SentType {
    /// `text/csv` with a header row.
    Csv,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
    /// `application/merge-patch+json` (RFC 7396).
    MergePatch,
    /// One JSON text a line.
    Ndjson,
    /// Anything else, also JSON of a more special kind, which means something more special.
    Other,
}

/// Reads the one `Content-Type` of a request; a request without one is [`SentType::Other`].
///
/// # Errors
/// When it is malformed, repeated, or of another charset than UTF-8.
pub fn sent_type(headers: &HeaderMap) -> Result<SentType, MediaError> {
    content_type(headers)?;
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).unwrap_or_default();
    Ok(match essence.trim().to_ascii_lowercase().as_str() {
        "application/json" => SentType::Json,
        "application/merge-patch+json" => SentType::MergePatch,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => SentType::Ndjson,
        "application/x-www-form-urlencoded" => SentType::Form,
        "text/csv" => SentType::Csv,
        _ => SentType::Other,
    })
}

/// Whether a body comes as it is: no `Content-Encoding`, or one that says so.
pub fn is_plain(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    values.all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

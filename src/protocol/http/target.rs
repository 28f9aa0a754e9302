//! Request targets, normalised once: what was matched is what is sent.

use std::borrow::Cow;

use crate::types::ClientError;
use crate::types::ErrorKind;

use super::Authority;
use super::encoding;

/// The longest target read, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// The most path segments.
const MAX_SEGMENTS: usize = 64;
/// The most query parameters.
const MAX_PARAMETERS: usize = 64;

/// A path and its query parameters in their only normal form.
///
/// INVARIANT: `path` starts with `/`, has no empty or dot segment, and decodes to nothing that
/// a server may read as structure. Parsing [`path_and_query`](Self::path_and_query) gives the
/// same target.
///
/// `Debug` shows nothing: paths and queries may hold identifiers.
#[derive(Clone, Eq, PartialEq)]
pub struct Target {
    path: String,
    query: Vec<(String, String)>,
}

impl Target {
    /// Reads the target of a request line: origin-form, or absolute-form for the very
    /// authority the request names in `Host`.
    pub fn parse(raw: &str, authority: &Authority) -> Result<Self, TargetError> {
        if raw.len() > MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        if raw.starts_with('/') {
            return Self::parse_origin(raw);
        }
        let rest = strip_scheme(raw).ok_or(TargetError::Form)?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (named, origin) = rest.split_at_checked(at).ok_or(TargetError::Form)?;
        let named = Authority::parse(named).map_err(|_| TargetError::OtherAuthority)?;
        if named != *authority {
            return Err(TargetError::OtherAuthority);
        }
        Self::parse_origin(origin)
    }

    /// Reads an origin-form target (`/path?query`).
    pub fn parse_origin(raw: &str) -> Result<Self, TargetError> {
        if raw.len() > MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
        let target = Self { path: normalise(path)?, query: parse_query(query)? };
        // One byte becomes four at most (`]` becomes `%5D=`), so short targets need no measuring.
        if raw.len() > MAX_BYTES / 4 && target.path_and_query().len() > MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        Ok(target)
    }

    /// The path of these segments, which are not encoded yet.
    pub fn of_segments<'a>(segments: impl Iterator<Item = &'a str>) -> Result<Self, TargetError> {
        let mut raw = String::new();
        for segment in segments {
            raw.push('/');
            encoding::push_component(segment, &mut raw);
        }
        Self::parse_origin(if raw.is_empty() { "/" } else { &raw })
    }

    /// The normalised path, still percent-encoded where it must be. Starts with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The decoded segments of the path; none for `/`.
    pub fn segments(&self) -> impl Iterator<Item = String> {
        self.path.split('/').filter(|s| !s.is_empty()).map(encoding::decode_segment)
    }

    /// The query parameters, decoded, in the order they came. No name comes twice.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The value of one query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// This target without the leading segments of `prefix` (`/shop`, or `/` for none), or
    /// `None` when it lies elsewhere. The prefix must be normalised.
    pub fn below(&self, prefix: &str) -> Option<Self> {
        let rest = self.path.strip_prefix(prefix.trim_end_matches('/'))?;
        let path = match rest.chars().next() {
            None => "/".to_owned(),
            Some('/') => rest.to_owned(),
            Some(_) => return None,
        };
        Some(Self { path, query: self.query.clone() })
    }

    /// This path with other parameters, for a query the gateway rewrote.
    #[must_use]
    pub fn with_query(&self, query: Vec<(String, String)>) -> Self {
        Self { path: self.path.clone(), query }
    }

    /// The one way to write this target on the wire.
    pub fn path_and_query(&self) -> String {
        let mut out = String::with_capacity(self.path.len() + 16 * self.query.len());
        out.push_str(&self.path);
        for (i, (name, value)) in self.query.iter().enumerate() {
            out.push(if i == 0 { '?' } else { '&' });
            encoding::push_component(name, &mut out);
            out.push('=');
            encoding::push_component(value, &mut out);
        }
        out
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(..)")
    }
}

/// Parses `raw` as an origin-form target and checks what every accepted target promises.
/// The entry point of fuzzing; `false` means a promise is broken.
pub fn fuzz_target(raw: &str) -> bool {
    let Ok(target) = Target::parse_origin(raw) else { return true };
    let again = Target::parse_origin(&target.path_and_query());
    let plain = target
        .segments()
        .all(|s| !s.contains(['/', '\\', ';', '\0']) && !s.trim_matches([' ', '.']).is_empty());
    again.as_ref() == Ok(&target) && plain && target.path().is_ascii()
}

/// Why a request target is refused. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// `\` or `%5C`: a separator to some servers.
    #[error("the path holds a backslash")]
    Backslash,
    /// A character that must be percent-encoded.
    #[error("the target holds a character that must be percent-encoded")]
    BadCharacter,
    /// `%` without two hexadecimal digits.
    #[error("the target holds a `%` that is not followed by two hexadecimal digits")]
    BadEscape,
    /// A control character, plain or encoded.
    #[error("the target holds a control character")]
    ControlCharacter,
    /// `.` or `..`, plain or encoded.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// `%25xx`: a second decoding would change it.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// One query parameter named twice.
    #[error("a query parameter is given twice")]
    DuplicateParameter,
    /// `&&`, a leading or trailing `&`, or a parameter without a name.
    #[error("the query holds an empty parameter")]
    EmptyParameter,
    /// `//`, or a slash at the end.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `%2F`.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// Neither origin-form nor absolute-form.
    #[error("the target is neither a path nor a URL of this host")]
    Form,
    /// `#`.
    #[error("the target holds a fragment")]
    Fragment,
    /// A character that folds to ASCII punctuation.
    #[error("the path holds a character that looks like punctuation")]
    LookAlike,
    /// Bytes that are not UTF-8 (overlong forms and surrogates among them).
    #[error("the target is not UTF-8")]
    NotUtf8,
    /// Absolute-form for a host other than the one in `Host`.
    #[error("the target names another host than `Host`")]
    OtherAuthority,
    /// `;`, plain or encoded, in the path, or plain in the query.
    #[error("the target holds `;` parameters")]
    Parameters,
    /// Bytes beyond ASCII that are not percent-encoded.
    #[error("the target holds bytes that must be percent-encoded")]
    RawNonAscii,
    /// Over 8 KiB.
    #[error("the target is longer than 8 KiB")]
    TooLong,
    /// More than 64 segments or 64 parameters.
    #[error("the target has too many parts")]
    TooManyParts,
}

impl ClientError for TargetError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

fn strip_scheme(raw: &str) -> Option<&str> {
    let (scheme, rest) = raw.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known.then_some(rest)
}

fn normalise(raw: &str) -> Result<String, TargetError> {
    if raw == "/" {
        return Ok("/".to_owned());
    }
    let rest = raw.strip_prefix('/').ok_or(TargetError::Form)?;
    let mut path = String::with_capacity(raw.len());
    for (i, segment) in rest.split('/').enumerate() {
        if i == MAX_SEGMENTS {
            return Err(TargetError::TooManyParts);
        }
        path.push('/');
        encoding::push_segment(segment, &mut path)?;
    }
    Ok(path)
}

fn parse_query(raw: &str) -> Result<Vec<(String, String)>, TargetError> {
    let mut query: Vec<(String, String)> = Vec::new();
    if raw.is_empty() {
        return Ok(query);
    }
    for pair in raw.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = encoding::decode_query(name)?;
        if name.is_empty() {
            return Err(TargetError::EmptyParameter);
        }
        if query.iter().any(|(known, _)| *known == name) {
            return Err(TargetError::DuplicateParameter);
        }
        if query.len() == MAX_PARAMETERS {
            return Err(TargetError::TooManyParts);
        }
        query.push((name, encoding::decode_query(value)?));
    }
    Ok(query)
}

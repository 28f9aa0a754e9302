//! Ids that tie one call together across systems.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use crate::types::Timestamp;

/// A W3C trace context (version 00).
///
/// `tracestate` is dropped, as the recommendation allows: it carries other systems' text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceParent {
    /// Reads the one `traceparent` of a request; a malformed or repeated one counts as none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let first = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(first.to_str().ok()?)
    }

    /// Reads `00-<trace id>-<parent id>-<flags>`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || parts.next().is_some() {
            return None;
        }
        let (trace, span) = (hex::<16>(trace)?, hex::<8>(span)?);
        let [flags] = hex::<1>(flags)?;
        let valid = trace != [0; 16] && span != [0; 8];
        valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The start of a new trace, of which nothing is recorded. An id of zeros, which means "none",
    /// becomes ones.
    pub fn root(trace: [u8; 16], span: [u8; 8]) -> Self {
        let trace = if trace == [0; 16] { [1; 16] } else { trace };
        Self { trace, span: never_zero(span), sampled: false }
    }

    /// The context of a call made within this one.
    #[must_use]
    pub fn child(self, span: [u8; 8]) -> Self {
        Self { span: never_zero(span), ..self }
    }

    /// The same, recorded or not.
    #[must_use]
    pub const fn recorded(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    /// The context as it stands in a header.
    pub fn written(&self) -> [u8; 55] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let mut put = |from: usize, bytes: &[u8]| {
            let places = text.get_mut(from..).unwrap_or_default().chunks_exact_mut(2);
            for (place, byte) in places.zip(bytes) {
                place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
        };
        put(3, &self.trace);
        put(36, &self.span);
        put(53, &[u8::from(self.sampled)]);
        text
    }

    /// The id of the whole trace.
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of this part of the trace.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// Whether this part of the trace is recorded.
    pub const fn sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.written()).unwrap_or_default())
    }
}

/// The id of one request: a UUID of version 7. Privet's own, never the client's.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id of a request at `now`, made unique by `random`.
    pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
        let id = uuid::Builder::from_unix_timestamp_millis(now.unix_ms(), random).into_uuid();
        Self((&*id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())).into())
    }

    /// The id as text that is shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn never_zero(span: [u8; 8]) -> [u8; 8] {
    if u64::from_be_bytes(span) == 0 { [1; 8] } else { span }
}

/// Lower-case hexadecimal of exactly `N` bytes.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *slot = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

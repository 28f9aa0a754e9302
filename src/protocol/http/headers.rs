//! Which headers may cross, each way. Everything not named here stays behind.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use super::RequestId;
use super::TraceParent;

/// The header that carries Privet's id of a request, to the store and to the client.
const REQUEST_ID: HeaderName = HeaderName::from_static("privet-request-id");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest `Accept-Language` passed on.
const MAX_LANGUAGES: usize = 128;

/// What a client accepts, of what a data route can carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accept {
    /// JSON or NDJSON, whichever the store has.
    Any,
    /// JSON alone.
    Json,
    /// NDJSON alone.
    Ndjson,
    /// Neither: nothing could be answered.
    Nothing,
}

impl Accept {
    /// Reads the `Accept` lines of a request; none means anything goes.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
        if lines.peek().is_none() {
            return Self::Any;
        }
        let (mut json, mut ndjson) = (false, false);
        for range in lines.filter_map(|v| v.to_str().ok()).flat_map(|t| t.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            if parts.any(refused) {
                continue;
            }
            match name.as_str() {
                "*/*" | "application/*" => (json, ndjson) = (true, true),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                    ndjson = true;
                }
                "application/json" => json = true,
                _ if name.starts_with("application/") && name.ends_with("+json") => json = true,
                _ => {}
            }
        }
        match (json, ndjson) {
            (true, true) => Self::Any,
            (true, false) => Self::Json,
            (false, true) => Self::Ndjson,
            (false, false) => Self::Nothing,
        }
    }

    /// The `Accept` sent to the store.
    pub const fn for_store(self) -> HeaderValue {
        match self {
            Self::Ndjson => HeaderValue::from_static("application/x-ndjson"),
            Self::Any => HeaderValue::from_static("application/json, application/x-ndjson;q=0.9"),
            Self::Json | Self::Nothing => HeaderValue::from_static("application/json"),
        }
    }
}

/// The headers of a call to a store.
///
/// INVARIANT: made from an allow-list, so no credential, cookie or claimed identity of the
/// caller is ever among them.
#[derive(Clone, Debug)]
pub struct StoreHeaders(HeaderMap);

impl StoreHeaders {
    /// Builds them from what the client sent and what the gateway decided.
    pub fn new(client: &HeaderMap, id: &RequestId, trace: &TraceParent) -> Self {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::ACCEPT, Accept::of(client).for_store());
        if let Some(languages) = single(client, &header::ACCEPT_LANGUAGE).filter(is_language_list) {
            headers.insert(header::ACCEPT_LANGUAGE, languages.clone());
        }
        if privacy_control(client) {
            headers.insert(SEC_GPC, HeaderValue::from_static("1"));
        }
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
        if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static("privet"));
        Self(headers)
    }

    /// Those that ask for a file: of any type, and without content coding, so that it passes as
    /// it is.
    #[must_use]
    pub fn for_file(mut self) -> Self {
        self.0.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        self.0.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self
    }

    /// The headers themselves.
    pub const fn as_map(&self) -> &HeaderMap {
        &self.0
    }

    /// The headers, to be sent.
    pub fn into_map(self) -> HeaderMap {
        self.0
    }
}

/// Whether the client sent exactly one `Sec-GPC: 1`.
pub fn privacy_control(client: &HeaderMap) -> bool {
    single(client, &SEC_GPC).is_some_and(|value| value.as_bytes() == b"1")
}

/// The headers of a store's answer that may reach the client.
///
/// `whole` says that the plan shows every field: only then may validators pass, since an `ETag`
/// or `Last-Modified` tells of fields the caller is not shown. Content type, length and coding
/// are the gateway's own to state.
pub fn answer_headers(store: &HeaderMap, whole: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let mut pass = |name: HeaderName, valid: fn(&HeaderValue) -> bool| {
        if let Some(value) = single(store, &name).filter(|value| valid(value)) {
            headers.insert(name, value.clone());
        }
    };
    pass(header::CONTENT_LANGUAGE, is_language);
    pass(header::RETRY_AFTER, is_seconds);
    if whole {
        pass(header::ETAG, is_etag);
        pass(header::LAST_MODIFIED, is_date);
    }
    headers
}

/// The value of a header given once; a repeated one counts as none.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn refused(parameter: &str) -> bool {
    let weight = parameter.split_once('=').filter(|(name, _)| name.trim() == "q");
    weight.is_some_and(|(_, q)| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
}

fn is_language_list(value: &&HeaderValue) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-,;=.* ".contains(b);
    value.len() <= MAX_LANGUAGES && value.as_bytes().iter().all(allowed)
}

/// One language tag of at most three short subtags: too narrow to carry anything else.
fn is_language(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split('-');
    let primary = parts
        .next()
        .is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    let rest: Vec<&str> = parts.collect();
    let short =
        |p: &&str| (2..=4).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    primary && rest.len() <= 2 && rest.iter().all(short)
}

fn is_seconds(value: &HeaderValue) -> bool {
    (1..=6).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_digit)
}

fn is_etag(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let strong = bytes.strip_prefix(b"W/").unwrap_or(bytes);
    let inner = strong.strip_prefix(b"\"").and_then(|b| b.strip_suffix(b"\""));
    inner.is_some_and(|i| i.len() <= 128 && i.iter().all(|b| b.is_ascii_graphic() && *b != b'"'))
}

/// The fixed form of an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn is_date(value: &HeaderValue) -> bool {
    const FORM: &[u8] = b"Aaa, 00 Aaa 0000 00:00:00 GMT";
    let bytes = value.as_bytes();
    bytes.len() == FORM.len()
        && bytes.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'A' | b'a' => byte.is_ascii_alphabetic(),
            _ => byte == form,
        })
}

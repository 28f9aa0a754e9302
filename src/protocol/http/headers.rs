//! Which headers may cross, each way. Everything not named here stays behind.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use super::MediaType;
use super::RequestId;
use super::TraceParent;

/// The header that carries Privet's id of a request, to the store and to the client.
const REQUEST_ID: HeaderName = HeaderName::from_static("privet-request-id");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest `Accept-Language` passed on.
const MAX_LANGUAGES: usize = 128;

/// What a client accepts, of what a data route can carry, and how much it wants each: in
/// thousandths, 0 where it does not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Accept {
    json: u16,
    ndjson: u16,
    csv: u16,
}

impl Accept {
    /// Reads the `Accept` lines of a request; none means anything goes.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
        if lines.peek().is_none() {
            return Self::default().or(Self::ANY);
        }
        let (mut named, mut any) = (Self::default(), Self::default());
        let mut refused = Self::default();
        for range in lines.filter_map(|v| v.to_str().ok()).flat_map(|t| t.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(weight).unwrap_or(1000);
            let kinds = match name.as_str() {
                "*/*" => Self::ANY,
                "application/*" => Self { csv: 0, ..Self::ANY },
                "text/*" => Self { json: 0, ndjson: 0, ..Self::ANY },
                other => Self::named(other),
            };
            match (name.ends_with("/*"), weight) {
                (true, weight) => any = any.or(kinds.times(weight)),
                (false, 0) => refused = refused.or(kinds),
                (false, weight) => named = named.or(kinds.times(weight)),
            }
        }
        named.or(any).without(refused)
    }

    /// What a media type names.
    fn named(media: &str) -> Self {
        let none = Self::default();
        match media {
            "application/json" => Self { json: 1000, ..none },
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Self { ndjson: 1000, ..none }
            }
            "text/csv" => Self { csv: 1000, ..none },
            _ if media.starts_with("application/") && media.ends_with("+json") => {
                Self { json: 1000, ..none }
            }
            _ => none,
        }
    }

    /// Whether there is nothing that could be answered.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether an answer of this type is accepted.
    pub const fn takes(self, media: MediaType) -> bool {
        match media {
            MediaType::Csv => self.csv > 0,
            // Lines of JSON are given to who accepts JSON: so they were before there was CSV.
            MediaType::Json | MediaType::Ndjson => self.json > 0 || self.ndjson > 0,
            MediaType::Form | MediaType::Other => false,
        }
    }

    /// The same when one record is asked for, which is neither a line nor a row among others.
    #[must_use]
    pub const fn of_one_record(self) -> Self {
        Self { csv: 0, ..self }
    }

    /// The `Accept` sent to the store.
    pub fn for_store(self) -> HeaderValue {
        let kinds = [
            ("application/json", self.json),
            ("application/x-ndjson", self.ndjson),
            ("text/csv", self.csv),
        ];
        let most = self.json.max(self.ndjson).max(self.csv);
        let mut text = String::with_capacity(64);
        for (name, weight) in kinds.into_iter().filter(|(_, weight)| *weight > 0) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(name);
            if weight < most {
                let digits = format!("{weight:03}");
                text.push_str(";q=0.");
                text.push_str(digits.trim_end_matches('0'));
            }
        }
        let fallback = HeaderValue::from_static("application/json");
        if text.is_empty() { fallback } else { HeaderValue::try_from(text).unwrap_or(fallback) }
    }

    /// Each kind as this says, or as `other` does where this says nothing.
    fn or(self, other: Self) -> Self {
        let of = |own: u16, other: u16| if own > 0 { own } else { other };
        Self {
            json: of(self.json, other.json),
            ndjson: of(self.ndjson, other.ndjson),
            csv: of(self.csv, other.csv),
        }
    }

    fn without(self, other: Self) -> Self {
        let of = |own: u16, other: u16| if other > 0 { 0 } else { own };
        Self {
            json: of(self.json, other.json),
            ndjson: of(self.ndjson, other.ndjson),
            csv: of(self.csv, other.csv),
        }
    }

    fn times(self, weight: u16) -> Self {
        // Never more than 1000 each, so that the product fits.
        let of = |own: u16| match u32::from(own) * u32::from(weight) {
            0 => 0,
            product => u16::try_from(product / 1000).unwrap_or(1000).max(1),
        };
        Self { json: of(self.json), ndjson: of(self.ndjson), csv: of(self.csv) }
    }

    /// When anything goes: JSON first, as it can be checked best.
    const ANY: Self = Self { json: 1000, ndjson: 900, csv: 800 };
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
        if let Ok(value) = HeaderValue::from_bytes(&trace.written()) {
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

    /// The same for what the call can be answered with.
    #[must_use]
    pub fn accepting(mut self, accept: Accept) -> Self {
        self.0.insert(header::ACCEPT, accept.for_store());
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

/// Whether the client sent `Sec-GPC: 1` (Global Privacy Control, § 3.2): of the values of all its
/// lines, which a list of one line equals (RFC 9110 § 5.3), one is exactly `1`. Nothing else means
/// it, nor takes it back.
pub fn privacy_control(client: &HeaderMap) -> bool {
    let lines = client.get_all(&SEC_GPC).iter();
    let mut values = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    values.any(|value| value.trim_ascii() == b"1")
}

/// The headers of a store's answer that may reach the client.
///
/// `whole` says that the plan shows every field: only then may validators pass, since an `ETag`
/// or `Last-Modified` tells of fields the caller is not shown. Content type, length and coding
/// are the gateway's own to state.
pub fn answer_headers(store: &HeaderMap, whole: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
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

/// The weight that a parameter states, in thousandths. What is no weight counts as none stated.
fn weight(parameter: &str) -> Option<u16> {
    let (name, q) = parameter.split_once('=')?;
    let q = name.trim().eq_ignore_ascii_case("q").then(|| q.trim())?;
    let fraction = match q.split_once('.') {
        Some(("0", fraction)) => fraction,
        _ if q == "0" => "",
        _ => return None,
    };
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.try_fold(0_u16, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'))
    })
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

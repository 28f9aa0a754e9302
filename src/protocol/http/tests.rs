//! Tables of attacks and of well-formed messages, and properties over generated ones.

use std::collections::BTreeSet;

use bytes::Bytes;
use compression_codecs::BrotliEncoder;
use compression_codecs::EncodeV2;
use compression_codecs::GzipEncoder;
use compression_codecs::ZlibEncoder;
use compression_codecs::ZstdEncoder;
use compression_codecs::core::util::PartialBuffer;
use compression_codecs::core::util::WriteBuffer;
use core::net::IpAddr;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Version;
use http::request::Parts;
use proptest::prelude::*;

use super::*;
use crate::types::Timestamp;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn host(text: &str) -> Authority {
    Authority::parse(text).unwrap()
}

// ---- targets

#[test]
fn well_formed_targets_pass_unchanged() {
    for raw in [
        "/",
        "/customers",
        "/customers/1",
        "/customers/6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "/a.b/c-d_e~f",
        "/files/v1.2..3",
        "/customers/zo%C3%AB",
        "/customers/%E5%BC%A0%E4%BC%9F",
        "/customers/a@b.example",
        "/customers/a%40b.example",
        "/ratio/100%25",
        "/x/a:b,c=d!e$f'g(h)*i+j&k",
        "/customers?limit=10&offset=20",
        "/customers?email=a%40b.example",
        "/customers?name=%E5%BC%A0%20%E4%BC%9F",
    ] {
        let target = Target::parse_origin(raw).unwrap_or_else(|e| panic!("{raw}: {e}"));
        assert_eq!(target.path_and_query(), raw);
    }
}

#[test]
fn spellings_of_one_target_become_one() {
    for (raw, normal) in [
        ("/%61dmin/secrets", "/admin/secrets"),
        ("/customers/%7euser", "/customers/~user"),
        ("/customers/zo%c3%ab", "/customers/zo%C3%AB"),
        ("/customers?", "/customers"),
        ("/customers?a=x+y", "/customers?a=x%20y"),
        ("/customers?a=x%2By", "/customers?a=x%2By"),
        ("/customers?a=@/?", "/customers?a=%40%2F%3F"),
        ("/customers?flag", "/customers?flag="),
        ("/customers?filter[name]=1", "/customers?filter%5Bname%5D=1"),
    ] {
        assert_eq!(Target::parse_origin(raw).unwrap().path_and_query(), normal, "{raw}");
    }
}

#[test]
fn attacks_on_the_path_are_refused() {
    use TargetError as E;
    for (raw, error) in [
        ("/customers/../admin/secrets", E::DotSegment),
        ("/customers/./1", E::DotSegment),
        ("/customers/1/%2e%2e/%2e%2e/admin/secrets", E::DotSegment),
        ("/customers/.%2E/admin", E::DotSegment),
        ("/customers/...", E::DotSegment),
        ("/customers/..%20/admin", E::DotSegment),
        ("/customers/..;/admin/secrets", E::Parameters),
        ("/customers;role=dpo/1", E::Parameters),
        ("/customers/1%3bx", E::Parameters),
        ("//admin/secrets", E::EmptySegment),
        ("/customers//1", E::EmptySegment),
        ("/customers/", E::EmptySegment),
        ("/customers%2F1", E::EncodedSlash),
        ("/customers/%2e%2e%2fadmin", E::EncodedSlash),
        ("/customers\\..\\admin", E::Backslash),
        ("/customers/%5c..%5cadmin", E::Backslash),
        ("/customers/1%00.json", E::ControlCharacter),
        ("/customers/1%0d%0aHost:%20x", E::ControlCharacter),
        ("/customers/%C2%85", E::ControlCharacter),
        ("/admin/\tsecrets", E::ControlCharacter),
        ("/customers/%252e%252e/admin", E::DoubleEncoding),
        ("/customers/%252fadmin", E::DoubleEncoding),
        ("/customers/%25%32%65", E::DoubleEncoding),
        ("/customers/%c0%ae%c0%ae/admin", E::NotUtf8),
        ("/customers/%c0%af", E::NotUtf8),
        ("/customers/%ed%a0%80", E::NotUtf8),
        ("/customers/%ff", E::NotUtf8),
        ("/customers/%EF%BC%8E%EF%BC%8E/admin", E::LookAlike),
        ("/customers/a%EF%BC%8Fb", E::LookAlike),
        ("/customers/%E2%80%A5", E::LookAlike),
        ("/customers/1#fragment", E::Fragment),
        ("/customers/1?a=1#fragment", E::Fragment),
        ("/customers/zoë", E::RawNonAscii),
        ("/customers/%", E::BadEscape),
        ("/customers/%4", E::BadEscape),
        ("/customers/%zz", E::BadEscape),
        ("/customers/%u002e", E::BadEscape),
        ("/customers/a b", E::BadCharacter),
        ("/customers/<script>", E::BadCharacter),
        ("/customers/{id}", E::BadCharacter),
        ("", E::Form),
        ("*", E::Form),
        ("customers", E::Form),
        ("\\admin\\secrets", E::Form),
        ("?a=1", E::Form),
    ] {
        assert_eq!(Target::parse_origin(raw), Err(error), "{raw}");
    }
    let long = format!("/{}", "a".repeat(9000));
    assert_eq!(Target::parse_origin(&long), Err(E::TooLong));
    assert_eq!(Target::parse_origin(&"/a".repeat(65)), Err(E::TooManyParts));
}

#[test]
fn ambiguous_queries_are_refused() {
    use TargetError as E;
    for (raw, error) in [
        ("/c?id=1&id=2", E::DuplicateParameter),
        ("/c?id=1&%69d=2", E::DuplicateParameter),
        ("/c?a=1;b=2", E::Parameters),
        ("/c?a=1&&b=2", E::EmptyParameter),
        ("/c?&a=1", E::EmptyParameter),
        ("/c?a=1&", E::EmptyParameter),
        ("/c?=1", E::EmptyParameter),
        ("/c?a=%00", E::ControlCharacter),
        ("/c?a=%0d%0a", E::ControlCharacter),
        ("/c?a=%ff", E::NotUtf8),
        ("/c?a=é", E::RawNonAscii),
        ("/c?a=%2", E::BadEscape),
        ("/c?a=\"x\"", E::BadCharacter),
    ] {
        assert_eq!(Target::parse_origin(raw), Err(error), "{raw}");
    }
    let many: Vec<String> = (0..65).map(|i| format!("p{i}=1")).collect();
    let raw = format!("/c?{}", many.join("&"));
    assert_eq!(Target::parse_origin(&raw), Err(E::TooManyParts));
}

#[test]
fn absolute_form_is_read_only_for_the_host_itself() {
    let own = host("shop.example:7410");
    let same = Target::parse("HTTP://Shop.Example:7410/customers?a=1", &own).unwrap();
    assert_eq!(same.path_and_query(), "/customers?a=1");
    for raw in [
        "http://127.0.0.1/customers",
        "http://shop.example/customers",
        "http://user@shop.example:7410/customers",
        "http://shop.example:7410@evil.example/customers",
    ] {
        assert_eq!(Target::parse(raw, &own), Err(TargetError::OtherAuthority), "{raw}");
    }
    for raw in ["*", "shop.example:7410", "ftp://shop.example:7410/x", "http://shop.example:7410"] {
        assert_eq!(Target::parse(raw, &own), Err(TargetError::Form), "{raw}");
    }
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let target = Target::parse_origin("/shop/customers/1?a=1").unwrap();
    assert_eq!(target.below("/shop").unwrap().path_and_query(), "/customers/1?a=1");
    assert_eq!(target.below("/").unwrap(), target);
    assert_eq!(target.below("/sho"), None);
    assert_eq!(target.below("/other"), None);
    assert_eq!(Target::parse_origin("/shop").unwrap().below("/shop").unwrap().path(), "/");
}

#[test]
fn a_target_shows_nothing_of_itself_in_logs() {
    let target = Target::parse_origin("/customers/a%40b.example?email=c").unwrap();
    assert_eq!(format!("{target:?}"), "Target(..)");
}

/// Decodes everything that looks like an escape, as a careless server does.
fn careless(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|p| u8::from_str_radix(p, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn raw_target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-z0-9]{1,3}",
        2 => Just("/".to_owned()),
        1 => "%[0-9a-fA-F]{2}",
        1 => prop::sample::select(vec![
            ".", "..", "%2e", "%2F", "%5c", "%25", "%252e", ";", "\\", "?", "&", "=", "+", "#",
            "%00", "%c0%ae", "%EF%BC%8F", "%E5%BC%A0", "@", "%40", " ", "é", "*", "http://a",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|p| format!("/{}", p.concat()))
}

proptest! {
    #[test]
    fn what_is_accepted_is_normal_and_plain(raw in raw_target()) {
        prop_assert!(fuzz_target(&raw), "{raw}");
    }

    #[test]
    fn any_text_is_accepted_or_refused_without_a_fault(raw in "\\PC{0,40}") {
        prop_assert!(fuzz_target(&raw), "{raw}");
    }

    #[test]
    fn nothing_accepted_turns_into_structure_when_decoded_again(raw in raw_target()) {
        if let Ok(target) = Target::parse_origin(&raw) {
            let once = careless(target.path());
            for text in [once.clone(), careless(&once)] {
                let segments: Vec<&str> = text.split('/').skip(1).collect();
                prop_assert!(!text.contains(['\\', '\0', ';', '\r', '\n']), "{raw}: {text}");
                let dotted = segments.iter().any(|s| *s == "." || *s == "..");
                prop_assert!(!dotted, "{raw}: {text}");
                prop_assert_eq!(segments.len(), target.path().split('/').skip(1).count());
            }
        }
    }

    #[test]
    fn plain_names_survive(names in prop::collection::vec("[a-zA-Z0-9 @:,张伟ë-]{0,6}[a-z]", 1..5)) {
        let mut raw = String::new();
        for name in &names {
            raw.push('/');
            for byte in name.bytes() {
                raw.push_str(&format!("%{byte:02x}"));
            }
        }
        let target = Target::parse_origin(&raw).unwrap();
        prop_assert_eq!(target.segments().collect::<Vec<_>>(), names);
    }

    #[test]
    fn query_values_survive(values in prop::collection::vec("[^\\p{Cc}]{0,8}", 0..5)) {
        let query: Vec<(String, String)> =
            values.into_iter().enumerate().map(|(i, v)| (format!("p{i}"), v)).collect();
        let target = Target::parse_origin("/c").unwrap().with_query(query.clone());
        let again = Target::parse_origin(&target.path_and_query()).unwrap();
        prop_assert_eq!(again.query(), &query[..]);
    }
}

// ---- heads

fn head(method: &str, uri: &str, lines: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let mut parts = request.into_parts().0;
    parts.headers = headers(lines);
    parts
}

#[test]
fn plain_requests_pass() {
    let parts = head(
        "GET",
        "/customers/1?a=1",
        &[
            ("host", "Shop.Example:7410"),
            ("connection", "keep-alive"),
            ("content-length", "0"),
            ("user-agent", "curl/8"),
            ("range", "bytes=0-1"),
        ],
    );
    let read = check_request(&parts).unwrap();
    assert_eq!(read.authority.as_str(), "shop.example:7410");
    assert_eq!(read.target.path_and_query(), "/customers/1?a=1");
    assert_eq!(read.body, BodyFraming::Nothing);

    let post = head("POST", "/customers", &[("host", "a"), ("content-length", "12")]);
    assert_eq!(check_request(&post).unwrap().body, BodyFraming::Length(12));
    let post = head("POST", "/customers", &[("host", "a"), ("transfer-encoding", "Chunked")]);
    assert_eq!(check_request(&post).unwrap().body, BodyFraming::Chunked);

    let mut two = head("GET", "https://a.example/customers", &[]);
    two.version = Version::HTTP_2;
    assert_eq!(check_request(&two).unwrap().authority.as_str(), "a.example");
}

#[test]
fn ambiguous_or_unserved_requests_are_refused() {
    use HeadError as E;
    type Lines = &'static [(&'static str, &'static str)];
    let cases: &[(&str, Lines, E)] = &[
        ("POST", &[("content-length", "5"), ("transfer-encoding", "chunked")], E::TransferEncoding),
        ("POST", &[("transfer-encoding", "identity, chunked")], E::TransferEncoding),
        ("POST", &[("transfer-encoding", "gzip")], E::TransferEncoding),
        (
            "POST",
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            E::TransferEncoding,
        ),
        ("POST", &[("content-length", "5"), ("content-length", "5")], E::ContentLength),
        ("POST", &[("content-length", "5, 5")], E::ContentLength),
        ("POST", &[("content-length", "+5")], E::ContentLength),
        ("POST", &[("content-length", "0x5")], E::ContentLength),
        ("POST", &[("content-length", "99999999999999999999")], E::ContentLength),
        ("GET", &[("content-length", "40")], E::BodyNotAllowed),
        ("HEAD", &[("transfer-encoding", "chunked")], E::BodyNotAllowed),
        ("POST", &[("expect", "100-continue")], E::Expectation),
        ("GET", &[("upgrade", "websocket"), ("connection", "upgrade")], E::Upgrade),
        ("GET", &[("trailer", "x-a")], E::Trailers),
        ("GET", &[("connection", "close, X-Privet-Role, Authorization")], E::ConnectionOption),
        ("GET", &[("x_privet_role", "dpo")], E::Name),
        ("GET", &[("host", "b")], E::HostRepeated),
        ("TRACE", &[], E::Method),
        ("CONNECT", &[], E::Method),
        ("get", &[], E::Method),
        ("QUERY", &[], E::Method),
    ];
    for (method, lines, error) in cases {
        let mut all = vec![("host", "a")];
        all.extend_from_slice(lines);
        let found = check_request(&head(method, "/customers/1", &all)).err();
        assert_eq!(found, Some(*error), "{method} {lines:?}");
    }
    let mut old = head("POST", "/c", &[("host", "a"), ("transfer-encoding", "chunked")]);
    old.version = Version::HTTP_10;
    assert_eq!(check_request(&old).err(), Some(E::TransferEncoding));
}

#[test]
fn the_host_is_one_and_valid() {
    use HeadError as E;
    for (lines, error) in [
        (vec![], E::HostMissing),
        (vec![("host", "")], E::HostInvalid),
        (vec![("host", "a b")], E::HostInvalid),
        (vec![("host", "a/b")], E::HostInvalid),
        (vec![("host", "user@a")], E::HostInvalid),
        (vec![("host", "a:99999")], E::HostInvalid),
        (vec![("host", "a:")], E::HostInvalid),
        (vec![("host", "[::1")], E::HostInvalid),
        (vec![("host", "[nonsense]")], E::HostInvalid),
    ] {
        assert_eq!(check_request(&head("GET", "/", &lines)).err(), Some(error), "{lines:?}");
    }
    assert_eq!(host("[::1]:7410").host(), "[::1]");
    assert_eq!(host("[::1]:7410").port(), Some(7410));
    let other = head("GET", "http://b/customers", &[("host", "a")]);
    assert_eq!(check_request(&other).err(), Some(TargetError::OtherAuthority.into()));
}

#[test]
fn refusals_of_framing_close_the_connection() {
    assert!(HeadError::TransferEncoding.closes_connection());
    assert!(HeadError::BodyNotAllowed.closes_connection());
    assert!(!HeadError::Target(TargetError::DotSegment).closes_connection());
    assert_eq!(HeadError::Target(TargetError::TooLong).status(), 414);
    assert_eq!(HeadError::Method.status(), 501);
}

// ---- headers

fn ids() -> (RequestId, TraceParent) {
    let id = RequestId::new(Timestamp::from_unix_ms(1_795_251_661_007), &[7; 10]);
    (id, TraceParent::root([3; 16], [4; 8]))
}

#[test]
fn a_store_is_told_only_what_is_on_the_list() {
    let (id, trace) = ids();
    let client = headers(&[
        ("accept", "text/html, application/json;q=0.9"),
        ("accept-language", "de-CH, en;q=0.5"),
        ("authorization", "Bearer secret"),
        ("cookie", "session=1"),
        ("proxy-authorization", "Basic x"),
        ("x-role", "dpo"),
        ("x-privet-role", "dpo"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-original-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "for=10.0.0.1"),
        ("privet-purpose", "marketing"),
        ("privet-on-behalf-of", "token"),
        ("privet-request-id", "mine"),
        ("if-none-match", "\"a\""),
        ("range", "bytes=0-1"),
        ("tracestate", "a=b"),
        ("sec-gpc", "1"),
        ("host", "a"),
        ("te", "trailers"),
    ]);
    let sent = StoreHeaders::new(&client, &id, &trace);
    let names: BTreeSet<&str> = sent.as_map().keys().map(HeaderName::as_str).collect();
    let expected = BTreeSet::from([
        "accept",
        "accept-language",
        "privet-request-id",
        "sec-gpc",
        "traceparent",
        "user-agent",
    ]);
    assert_eq!(names, expected);
    assert_eq!(sent.as_map()["accept"], "application/json");
    assert_eq!(sent.as_map()["privet-request-id"], id.as_str());
    assert_eq!(sent.as_map()["traceparent"], trace.to_string().as_str());
}

#[test]
fn odd_values_of_listed_headers_stay_behind() {
    let (id, trace) = ids();
    for lines in [
        vec![("accept-language", "en<script>")],
        vec![("accept-language", "en"), ("accept-language", "de")],
        vec![("sec-gpc", "0")],
        vec![("sec-gpc", "1"), ("sec-gpc", "1")],
    ] {
        let sent = StoreHeaders::new(&headers(&lines), &id, &trace);
        assert!(!sent.as_map().contains_key("accept-language"), "{lines:?}");
        assert!(!sent.as_map().contains_key("sec-gpc"), "{lines:?}");
    }
}

#[test]
fn accept_is_narrowed_to_what_can_be_carried() {
    for (lines, sent) in [
        (vec![], "application/json, application/x-ndjson;q=0.9, text/csv;q=0.8"),
        (vec!["*/*"], "application/json, application/x-ndjson;q=0.9, text/csv;q=0.8"),
        (vec!["application/json"], "application/json"),
        (vec!["application/hal+json; q=0.8"], "application/json"),
        (vec!["application/x-ndjson"], "application/x-ndjson"),
        (vec!["text/html", "application/*;q=0.1"], "application/json, application/x-ndjson;q=0.09"),
        (vec!["text/csv, image/*"], "text/csv"),
        (vec!["TEXT/CSV;Q=1, application/json;q=0.5"], "application/json;q=0.5, text/csv"),
        (vec!["text/*;q=0.25"], "text/csv"),
        (vec!["text/csv;q=0, */*"], "application/json, application/x-ndjson;q=0.9"),
        (vec!["text/csv;q=x;header=present"], "text/csv"),
        (vec!["*/*;q=0.001"], "application/json, application/x-ndjson, text/csv"),
    ] {
        let lines: Vec<_> = lines.into_iter().map(|line| ("accept", line)).collect();
        let accept = Accept::of(&headers(&lines));
        assert_eq!(
            (accept.for_store(), accept.is_nothing()),
            (HeaderValue::from_static(sent), false),
            "{lines:?}"
        );
    }
    for nothing in
        ["application/json;q=0", "application/json;q=0.000, text/html", "", "image/*", "*/*;q=0"]
    {
        assert!(Accept::of(&headers(&[("accept", nothing)])).is_nothing(), "{nothing}");
    }
    let csv = Accept::of(&headers(&[("accept", "text/csv")]));
    assert!(
        csv.takes(MediaType::Csv)
            && !csv.takes(MediaType::Json)
            && csv.of_one_record().is_nothing()
    );
    let json = Accept::of(&headers(&[("accept", "application/json")]));
    assert!(
        json.takes(MediaType::Ndjson)
            && !json.takes(MediaType::Csv)
            && !json.takes(MediaType::Form)
    );
}

#[test]
fn a_client_is_told_only_what_is_on_the_list() {
    let store = headers(&[
        ("content-type", "application/json"),
        ("content-language", "zh-Hans-CN"),
        ("content-length", "3"),
        ("etag", "W/\"abc\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "30"),
        ("set-cookie", "a=b"),
        ("server", "store/1"),
        ("x-user-email", "a@b.example"),
        ("location", "/customers/2"),
        ("cache-control", "public"),
        ("access-control-allow-origin", "*"),
    ]);
    let names = |whole| -> BTreeSet<String> {
        answer_headers(&store, whole).keys().map(|n| n.as_str().to_owned()).collect()
    };
    assert_eq!(names(false), ["content-language", "retry-after"].map(str::to_owned).into());
    let whole = ["content-language", "etag", "last-modified", "retry-after"];
    assert_eq!(names(true), whole.map(str::to_owned).into());
}

#[test]
fn listed_answer_headers_cannot_carry_text() {
    for (name, value) in [
        ("content-language", "en, a@b.example"),
        ("content-language", "en-secretsecret"),
        ("content-language", "a@b"),
        ("retry-after", "a@b.example"),
        ("retry-after", "99999999999"),
        ("etag", "a@b.example"),
        ("last-modified", "Sun, 06 Nov 1994 a@b.exam GMT"),
    ] {
        assert!(answer_headers(&headers(&[(name, value)]), true).is_empty(), "{name}: {value}");
    }
}

// ---- media types and codings

#[test]
fn media_types_are_read_strictly() {
    use MediaType as M;
    for (value, read) in [
        ("application/json", Ok(M::Json)),
        ("Application/JSON; Charset=\"UTF-8\"", Ok(M::Json)),
        ("application/problem+json", Ok(M::Json)),
        ("application/x-ndjson", Ok(M::Ndjson)),
        ("application/jsonl;charset=utf-8", Ok(M::Ndjson)),
        ("text/json", Ok(M::Other)),
        ("text/event-stream", Ok(M::Other)),
        ("application/javascript", Ok(M::Other)),
        ("application/octet-stream", Ok(M::Other)),
        ("multipart/mixed; boundary=x", Ok(M::Other)),
        ("application/+json", Ok(M::Other)),
        ("application/json; charset=utf-16", Err(MediaError::Charset)),
        ("application/json; charset=utf-7", Err(MediaError::Charset)),
        ("application/json; charset=utf-8; charset=utf-16", Err(MediaError::Charset)),
        ("application/json; charset=utf-8; charset=utf-8", Err(MediaError::Repeated)),
        ("application/json, text/plain", Err(MediaError::Syntax)),
        ("application/json;", Err(MediaError::Syntax)),
        ("application/json; charset", Err(MediaError::Syntax)),
        ("application/json; charset=\"utf-8", Err(MediaError::Syntax)),
        ("json", Err(MediaError::Syntax)),
        ("", Err(MediaError::Syntax)),
    ] {
        assert_eq!(content_type(&headers(&[("content-type", value)])), read, "{value}");
    }
    assert_eq!(content_type(&HeaderMap::new()), Ok(M::Other));
    let twice = headers(&[("content-type", "application/json"), ("content-type", "text/html")]);
    assert_eq!(content_type(&twice), Err(MediaError::Repeated));
}

#[test]
fn one_known_coding_is_read() {
    for (lines, coding) in [
        (vec![], Ok(Coding::Identity)),
        (vec!["identity"], Ok(Coding::Identity)),
        (vec!["GZIP"], Ok(Coding::Gzip)),
        (vec!["br"], Ok(Coding::Brotli)),
        (vec!["zstd"], Ok(Coding::Zstd)),
        (vec!["deflate"], Ok(Coding::Deflate)),
        (vec!["gzip, gzip"], Err(CodingError::Several)),
        (vec!["gzip", "gzip"], Err(CodingError::Several)),
        (vec!["aws-chunked"], Err(CodingError::Unknown)),
        (vec![""], Err(CodingError::Unknown)),
    ] {
        let lines: Vec<_> = lines.iter().map(|v| ("content-encoding", *v)).collect();
        assert_eq!(content_coding(&headers(&lines)), coding, "{lines:?}");
    }
}

const CODINGS: [Coding; 4] = [Coding::Brotli, Coding::Deflate, Coding::Gzip, Coding::Zstd];

/// `data` in `coding`.
fn encode(coding: Coding, data: &[u8]) -> Vec<u8> {
    let mut codec: Box<dyn EncodeV2> = match coding {
        Coding::Brotli => Box::new(BrotliEncoder::new(
            compression_codecs::brotli::params::EncoderParams::default(),
        )),
        Coding::Deflate => {
            Box::new(ZlibEncoder::new(compression_codecs::core::Level::Default.into()))
        }
        Coding::Gzip => Box::new(GzipEncoder::new(compression_codecs::core::Level::Default.into())),
        Coding::Zstd => Box::new(ZstdEncoder::new(3)),
        Coding::Identity => return data.to_vec(),
    };
    let mut out = vec![0; data.len() + 64 * 1024];
    let mut input = PartialBuffer::new(data);
    let mut output = WriteBuffer::new_initialized(&mut out);
    while !input.unwritten().is_empty() {
        codec.encode(&mut input, &mut output).unwrap();
    }
    while !codec.finish(&mut output).unwrap() {}
    let length = output.written_len();
    out.truncate(length);
    out
}

/// Decodes `coded`, cut into pieces of `cut` bytes; also gives the longest piece handed out.
fn decode(
    coding: Coding,
    limits: Expansion,
    coded: &[u8],
    cut: usize,
) -> Result<(Vec<u8>, usize), CodingError> {
    let mut decoder = Decoder::new(coding, limits).unwrap();
    let (mut out, mut longest) = (Vec::new(), 0);
    for piece in coded.chunks(cut) {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            let decoded = decoder.decode(&mut input)?;
            longest = longest.max(decoded.len());
            out.extend_from_slice(&decoded);
            if decoded.is_empty() {
                break;
            }
        }
        assert!(input.is_empty(), "{coding:?} left input behind");
    }
    decoder.finish()?;
    Ok((out, longest))
}

fn json_lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{{\"id\":{i},\"v\":{}}}\n", i * 7919).into_bytes()).collect()
}

#[test]
fn every_coding_is_undone_in_bounded_pieces() {
    for coding in CODINGS {
        for data in [b"{}".to_vec(), json_lines(20_000)] {
            let coded = encode(coding, &data);
            for cut in [1, 7, 4096, usize::MAX] {
                let (out, longest) = decode(coding, Expansion::default(), &coded, cut).unwrap();
                assert_eq!(out, data, "{coding:?}, cut {cut}");
                assert!(longest <= 32 * 1024);
            }
        }
    }
}

#[test]
fn a_coded_body_cut_anywhere_is_an_error() {
    for coding in CODINGS {
        let coded = encode(coding, &json_lines(50));
        for end in 0..coded.len() {
            let result = decode(coding, Expansion::default(), &coded[..end], 64);
            assert_eq!(result, Err(CodingError::Truncated), "{coding:?} cut at {end}");
        }
    }
}

#[test]
fn bytes_after_the_coded_body_are_an_error() {
    for coding in CODINGS {
        let one = encode(coding, b"{\"id\":1}");
        for (what, tail) in [("a second member", one.clone()), ("one byte", b"x".to_vec())] {
            let both = [one.clone(), tail].concat();
            for cut in [one.len(), 1, usize::MAX] {
                let result = decode(coding, Expansion::default(), &both, cut);
                assert_eq!(result, Err(CodingError::Trailing), "{coding:?}: {what}");
            }
        }
    }
}

#[test]
fn bombs_are_stopped_soon() {
    for coding in CODINGS {
        let coded = encode(coding, &vec![b' '; 64 << 20]);
        let mut decoder = Decoder::new(coding, Expansion::default()).unwrap();
        let (mut input, mut given) = (Bytes::from(coded), 0);
        let error = loop {
            match decoder.decode(&mut input) {
                Ok(piece) if piece.is_empty() => panic!("{coding:?} was decoded to its end"),
                Ok(piece) => given += piece.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error, CodingError::Expansion, "{coding:?}");
        assert!(given <= 16 << 20, "{coding:?}: {given} bytes before it was stopped");
    }
}

#[test]
fn a_body_may_not_outgrow_the_absolute_cap() {
    let limits = Expansion { total_bytes: 1000, ..Expansion::default() };
    let coded = encode(Coding::Gzip, &[b'x'; 1001]);
    assert_eq!(decode(Coding::Gzip, limits, &coded, 64), Err(CodingError::Expansion));
    let coded = encode(Coding::Gzip, &[b'x'; 1000]);
    assert!(decode(Coding::Gzip, limits, &coded, 64).is_ok());
}

#[test]
fn a_plain_body_that_claims_a_coding_is_an_error() {
    for coding in CODINGS {
        let result = decode(coding, Expansion::default(), b"{\"id\": 1, \"city\": \"x\"}", 64);
        assert!(result.is_err(), "{coding:?}");
    }
}

#[test]
fn a_brotli_window_beyond_the_standard_is_refused() {
    let result = decode(Coding::Brotli, Expansion::default(), &[0x11, 0x1E, 0x03], 64);
    assert_eq!(result, Err(CodingError::Corrupt));
}

proptest! {
    #[test]
    fn decoding_does_not_depend_on_cuts(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        coding in prop::sample::select(CODINGS.to_vec()),
        cut in 1usize..500,
    ) {
        let coded = encode(coding, &data);
        let out = decode(coding, Expansion::default(), &coded, cut).map(|(out, _)| out);
        prop_assert_eq!(out, Ok(data));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        coded in prop::collection::vec(any::<u8>(), 0..300),
        coding in prop::sample::select(CODINGS.to_vec()),
        cut in 1usize..64,
    ) {
        if let Ok((_, longest)) = decode(coding, Expansion::default(), &coded, cut) {
            prop_assert!(longest <= 32 * 1024);
        }
    }
}

// ---- problems, ids, addresses, links

#[test]
fn a_problem_is_written_as_rfc_9457_says() {
    let problem = Problem::new(ProblemKind::Denied, Language::En)
        .with_detail("the purpose `marketing` is not granted")
        .with_rule(Some("b1946ac9".into()), Some("support-contact".into()))
        .with_decision("0199-1")
        .with_missing(vec!["ticket"]);
    assert_eq!(problem.status(), 403);
    assert_eq!(
        String::from_utf8(problem.to_json()).unwrap(),
        "{\"type\":\"urn:privet:problem:denied\",\"title\":\"Policy does not allow this\",\
         \"status\":403,\"detail\":\"the purpose `marketing` is not granted\",\
         \"policy\":\"b1946ac9\",\"rule\":\"support-contact\",\"decision_id\":\"0199-1\",\
         \"missing\":[\"ticket\"]}"
    );
    let short = Problem::new(ProblemKind::NotFound, Language::ZhCn).to_json();
    assert_eq!(
        String::from_utf8(short).unwrap(),
        "{\"type\":\"urn:privet:problem:not-found\",\"title\":\"未找到\",\"status\":404}"
    );
}

#[test]
fn the_language_is_the_first_one_known() {
    for (value, language) in [
        ("zh-CN,zh;q=0.9,en;q=0.8", Language::ZhCn),
        ("fr, zh-Hans", Language::ZhCn),
        ("en-GB, zh", Language::En),
        ("fr", Language::En),
    ] {
        assert_eq!(Language::of(&headers(&[("accept-language", value)])), language, "{value}");
    }
}

#[test]
fn trace_contexts_are_read_strictly_and_continued() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parent = TraceParent::parse(text).unwrap();
    assert_eq!(parent.to_string(), text);
    let child = parent.child([1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(child.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0102030405060708-01");
    assert!(!TraceParent::root([0; 16], [0; 8]).to_string().contains("0000000000000000"));
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
    assert_eq!(TraceParent::of(&headers(&[("traceparent", text), ("traceparent", text)])), None);
}

#[test]
fn request_ids_are_uuids_that_sort_by_time() {
    let id = |ms| RequestId::new(Timestamp::from_unix_ms(ms), &[0xFF; 10]);
    assert_eq!(id(0).as_str(), "00000000-0000-7fff-bfff-ffffffffffff");
    assert!(id(1000).as_str() < id(1001).as_str());
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_client_is_the_last_hop_that_is_not_trusted() {
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "::1", "fd00::/8"].iter().map(|t| t.parse().unwrap()).collect();
    let xff = |value| vec![("x-forwarded-for", value)];
    for (peer, lines, client) in [
        ("10.0.0.1", xff("203.0.113.7"), "203.0.113.7"),
        ("10.0.0.1", xff("198.51.100.1, 203.0.113.7, 10.0.0.2"), "203.0.113.7"),
        ("203.0.113.9", xff("198.51.100.1"), "203.0.113.9"),
        ("10.0.0.1", xff("198.51.100.1, unknown"), "10.0.0.1"),
        ("10.0.0.1", xff("203.0.113.7:4711"), "203.0.113.7"),
        ("::ffff:10.0.0.1", xff("203.0.113.7"), "203.0.113.7"),
        ("fd00::1", vec![("forwarded", "for=\"[2001:db8::1]:99\";proto=https")], "2001:db8::1"),
        ("10.0.0.1", vec![("forwarded", "proto=https")], "10.0.0.1"),
        ("10.0.0.1", vec![("forwarded", "for=203.0.113.7;for=198.51.100.1")], "10.0.0.1"),
        (
            "10.0.0.1",
            vec![("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.7")],
            "10.0.0.1",
        ),
        ("10.0.0.1", vec![], "10.0.0.1"),
    ] {
        assert_eq!(client_address(ip(peer), &trusted, &headers(&lines)), ip(client), "{lines:?}");
    }
}

#[test]
fn networks_are_read_strictly() {
    for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "example.com"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains(ip("203.0.113.7")));
    assert!(!all.contains(ip("2001:db8::1")));
    assert!("::/0".parse::<Network>().unwrap().contains(ip("2001:db8::1")));
}

#[test]
fn locations_lead_to_routes_or_nowhere() {
    let own = [host("127.0.0.1:7001")];
    let route =
        |t: &Target| t.path().starts_with("/customers").then(|| format!("/shop{}", t.path()));
    for (value, location) in [
        ("/customers/2", Some("/shop/customers/2")),
        ("http://127.0.0.1:7001/customers/2", Some("/shop/customers/2")),
        ("http://other.example/customers/2", None),
        ("//other.example/customers/2", None),
        ("/admin/secrets", None),
        ("/customers/../admin", None),
        ("customers/2", None),
        ("javascript:alert(1)", None),
    ] {
        assert_eq!(reroute_location(value, &own, route).as_deref(), location, "{value}");
    }
}

#[test]
fn links_keep_their_target_and_relation_only() {
    let route = |t: &Target| {
        t.path().starts_with("/customers").then(|| format!("/shop{}", t.path_and_query()))
    };
    let value = "</customers?offset=10,20>; rel=\"next\"; title=\"secret\", </admin>; rel=last, \
                 </customers>; rel=\"secret\", </customers?offset=0>; REL=first";
    assert_eq!(
        reroute_link(value, &[], route).as_deref(),
        Some(
            "</shop/customers?offset=10%2C20>; rel=\"next\", </shop/customers?offset=0>; rel=\"first\""
        )
    );
    assert_eq!(reroute_link("nonsense", &[], route), None);
}

#[test]
fn a_form_has_one_meaning_or_none() {
    let read = |text: &str| {
        let members = parse_form(text.as_bytes())?;
        Ok(members.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
    };
    assert_eq!(
        read("a=1&address.city=S%C3%A3o+Paulo&b="),
        Ok(vec!["a=1".to_owned(), "address.city=S\u{e3}o Paulo".to_owned(), "b=".to_owned(),])
    );
    assert_eq!(
        read("a=%26%3d%2B%25&b=x%0D%0Ay"),
        Ok(vec!["a=&=+%".to_owned(), "b=x\r\ny".to_owned()])
    );
    for (text, error) in [
        ("", FormError::Member),
        ("a", FormError::Member),
        ("=1", FormError::Member),
        ("a=1&", FormError::Member),
        ("&a=1", FormError::Member),
        ("a=1&&b=2", FormError::Member),
        ("a=1&a=2", FormError::Repeated),
        ("a=1&%61=2", FormError::Repeated),
        ("a=%", FormError::Escape),
        ("a=%4", FormError::Escape),
        ("a=%zz", FormError::Escape),
        ("a=%ff", FormError::NotUtf8),
        ("a=%C0%80", FormError::NotUtf8),
        ("a=%00", FormError::Control),
        ("a=%1b", FormError::Control),
        ("a=1;b=2", FormError::Unencoded),
        ("a=x y", FormError::Unencoded),
        ("a=\u{e9}", FormError::Unencoded),
        ("a=1#b", FormError::Unencoded),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    assert_eq!(parse_form(b"a=\xff"), Err(FormError::Unencoded));
    let many: Vec<String> = (0..5000).map(|n| format!("a{n}=1")).collect();
    assert_eq!(parse_form(many.join("&").as_bytes()), Err(FormError::TooMany));
}

proptest::proptest! {
    #[test]
    fn a_form_is_written_as_others_read_it(members in proptest::collection::btree_map("[^\\p{Cc}]{1,5}", "[^\\p{Cc}]{0,9}|a\r\nb\t", 1..6)) {
        let written = write_form(members.iter().map(|(name, value)| (&**name, &**value)));
        let read = parse_form(written.as_bytes()).unwrap();
        let theirs: Vec<(String, String)> =
            form_urlencoded::parse(written.as_bytes()).into_owned().collect();
        proptest::prop_assert_eq!(&read, &theirs);
        proptest::prop_assert_eq!(read, members.into_iter().collect::<Vec<_>>());
    }
}

//! Heads of requests and answers: framing, hosts, and the headers that pass each way.

use std::collections::BTreeSet;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Version;
use http::request::Parts;

use super::headers;
use super::host;
use super::ids;
use crate::protocol::http::*;

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

/// Forms of the header, a line for each: its lines parted by `;`, then what it means.
const GPC: &str = r#"
1,yes
1;1,yes
0;1,yes
1;0,yes
"1,1",yes
"1, 1",yes
"0, 1",yes
01,no
1.0,no
true,no
"""1""",no
?1,no
on,no
0,no
11,no
"1;x",no
,no
１,no
"#;

#[test]
fn a_privacy_signal_is_exactly_one() {
    for line in GPC.lines().filter(|line| !line.is_empty()) {
        let (value, meant) = line.rsplit_once(',').unwrap();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        // What is quoted here is one line as it stands.
        let lines: Vec<String> = match quoted {
            Some(one) => vec![one.replace("\"\"", "\"")],
            None => value.split(';').map(str::to_owned).collect(),
        };
        let mut client = HeaderMap::new();
        for line in &lines {
            let name: HeaderName = "sEc-GpC".parse().unwrap();
            client.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        assert_eq!(privacy_control(&client), meant == "yes", "{line}");
        let (id, trace) = ids();
        let sent = StoreHeaders::new(&client, &id, &trace);
        let expected = (meant == "yes").then_some("1");
        let passed = sent.as_map().get("sec-gpc").map(|value| value.to_str().unwrap());
        assert_eq!(passed, expected, "{line}");
    }
    assert!(!privacy_control(&HeaderMap::new()));
}

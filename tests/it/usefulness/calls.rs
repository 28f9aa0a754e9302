//! The ways a client may ask.

use super::exchange::Client;
use super::exchange::Exchange;
use super::exchange::shown;
use super::exchange::stored;

/// Ids, as they stand in the path, and as the store must see them.
const IDS: &[(&str, &str, &str)] = &[
    ("an id of letters and digits", "abcXYZ019", "abcXYZ019"),
    ("an id of one character", "0", "0"),
    ("an id with every unreserved mark", "a-b.c_d~e", "a-b.c_d~e"),
    ("an id with every allowed delimiter", "!$&'()*+,=:@", "!$&'()*+,=:@"),
    (
        "an id that is a UUID",
        "3f2b8c1e-0d4a-4c7e-9b1a-2f6d5e4c3b2a",
        "3f2b8c1e-0d4a-4c7e-9b1a-2f6d5e4c3b2a",
    ),
    ("an id that is an address", "ana@mail.example", "ana@mail.example"),
    ("an id that begins with a dot", ".hidden", ".hidden"),
    ("an id with dots inside", "a..b", "a..b"),
    ("an id with letters encoded for no reason", "%61%62%63", "abc"),
    ("an id with an encoded space", "a%20b", "a%20b"),
    ("an id with hexadecimal digits in small letters", "a%c3%a9", "a%C3%A9"),
    ("an id in Chinese", "%E6%9D%8E", "%E6%9D%8E"),
    ("an id with an emoji", "%F0%9F%98%80", "%F0%9F%98%80"),
    ("an id with encoded marks", "a%3Ab%40c%2Bd", "a%3Ab%40c%2Bd"),
    ("an id with an encoded question mark and hash", "a%3Fb%23c", "a%3Fb%23c"),
    ("an id with an encoded percent sign", "100%25", "100%25"),
    ("an id with quotes and brackets", "%22%5B%7B%3C", "%22%5B%7B%3C"),
    ("an id with a combining character", "cafe%CC%81", "cafe%CC%81"),
];

/// Targets of lists, and as the store must see them.
const QUERIES: &[(&str, &str, &str)] = &[
    ("a listed parameter", "/things?limit=10", "/things?limit=10"),
    ("two listed parameters", "/things?limit=10&offset=20", "/things?limit=10&offset=20"),
    ("a parameter without a value", "/things?limit", "/things?limit="),
    ("a parameter with an empty value", "/things?limit=", "/things?limit="),
    ("a parameter with brackets", "/things?filter[name]=a", "/things?filter%5Bname%5D=a"),
    (
        "a parameter with encoded brackets",
        "/things?filter%5bname%5d=a",
        "/things?filter%5Bname%5D=a",
    ),
    ("a plus for a space", "/things?limit=a+b", "/things?limit=a%20b"),
    ("an encoded plus", "/things?limit=a%2Bb", "/things?limit=a%2Bb"),
    ("marks in a value", "/things?limit=a/b?c:d@e", "/things?limit=a%2Fb%3Fc%3Ad%40e"),
    ("an equals sign in a value", "/things?limit=a=b", "/things?limit=a%3Db"),
    ("an encoded ampersand", "/things?limit=a%26b", "/things?limit=a%26b"),
    ("Chinese in a value", "/things?limit=%E6%9D%8E", "/things?limit=%E6%9D%8E"),
    ("finding by a clear field", "/things?tag=x", "/things?tag=x"),
    (
        "finding by a clear field, with a limit",
        "/things?limit=1&tag=a%20b",
        "/things?limit=1&tag=a%20b",
    ),
    ("a question mark and no query", "/things?", "/things"),
];

/// The exchanges.
pub(super) fn exchanges() -> Vec<Exchange> {
    [ids(), queries(), clients(), heads(), headers()].concat()
}

fn value() -> (String, String) {
    (stored("1.0"), shown("1.0"))
}

fn ids() -> Vec<Exchange> {
    let (stored, shown) = value();
    let mut all = Vec::new();
    for (name, sent, seen) in IDS {
        let exchange = Exchange::at(*name, &format!("/things/{sent}"), &stored, &shown);
        all.push(exchange.asked(&format!("/things/{seen}")));
    }
    let long = format!("/things/{}", "a".repeat(2000));
    all.push(Exchange::at("an id of two thousand bytes", &long, &stored, &shown));
    all.push(Exchange::at("two variables in a path", "/shelves/s%201/things/t-1", &stored, &shown));
    let person = r#"{"id":"p-1","value":"Ana","email":"ana@mail.example","unlisted":"CANARY"}"#;
    let shown = r#"{"id":"p-1","value":"Ana","email":"a***@mail.example"}"#;
    all.push(Exchange::at("a record about a person", "/people/p-1", person, shown));
    all.push(Exchange::at(
        "a list about a person",
        "/people",
        &format!("[{person}]"),
        &format!("[{shown}]"),
    ));
    all
}

fn queries() -> Vec<Exchange> {
    let (stored, shown) = value();
    let (stored, shown) = (format!("[{stored}]"), format!("[{shown}]"));
    let list = |(name, sent, seen): &(&str, &str, &str)| {
        Exchange::at(*name, sent, &stored, &shown).asked(seen)
    };
    QUERIES.iter().map(list).collect()
}

fn clients() -> Vec<Exchange> {
    let (stored, shown) = value();
    let one = |name: &str, client| Exchange::record(name, &stored, &shown).by(client);
    let many: Vec<String> = vec![stored.clone(); 2000];
    let arrive: Vec<String> = vec![shown.clone(); 2000];
    let (many, arrive) = (format!("[{}]", many.join(",")), format!("[{}]", arrive.join(",")));
    let list = |name: &str, client| Exchange::at(name, "/things", &many, &arrive).by(client);
    vec![
        one("an HTTP/1.0 client", Client::Http10),
        list("a long list for an HTTP/1.0 client", Client::Http10),
        one("a request that comes byte by byte", Client::Http1Slow),
        one("three calls sent at once on one connection", Client::Pipeline(3)),
        one("thirty calls sent at once on one connection", Client::Pipeline(30)),
        list("two long lists sent at once on one connection", Client::Pipeline(2)),
        one("one HTTP/2 call", Client::Http2(1)),
        one("fifty HTTP/2 calls at once", Client::Http2(50)),
        list("a long list over HTTP/2", Client::Http2(1)),
        list("four long lists over HTTP/2 at once", Client::Http2(4)),
    ]
}

fn heads() -> Vec<Exchange> {
    let (stored, shown) = value();
    let list = format!("[{}]", vec![stored.clone(); 700].join(","));
    vec![
        Exchange::record("HEAD of a record", &stored, &shown).head(),
        Exchange::at("HEAD of a list over several batches", "/things", &list, "").head(),
        Exchange::record("HEAD of a record over HTTP/2", &stored, &shown)
            .head()
            .by(Client::Http2(1)),
        Exchange::at("HEAD of a list found by a clear field", "/things?tag=x", "[]", "").head(),
    ]
}

fn headers() -> Vec<Exchange> {
    let (stored, shown) = value();
    [
        ("the purpose in a header", "Privet-Purpose: care\r\n"),
        ("JSON wanted", "Accept: application/json\r\n"),
        ("anything wanted", "Accept: */*\r\n"),
        ("several media types wanted", "Accept: text/html, application/json;q=0.9, */*;q=0.1\r\n"),
        ("JSON of a vendor wanted", "Accept: application/vnd.api+json\r\n"),
        ("compression wanted", "Accept-Encoding: gzip, br, zstd\r\n"),
        ("a language wanted", "Accept-Language: zh-CN, en;q=0.5\r\n"),
        ("a range wanted", "Range: bytes=0-5\r\n"),
        ("a version known", "If-None-Match: \"abc\"\r\n"),
        ("a trace", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"),
        ("a privacy signal", "Sec-GPC: 1\r\n"),
        ("cookies and an unknown header", "Cookie: a=b; c=d\r\nX-Anything: 1\r\n"),
        ("an empty body that is stated", "Content-Length: 0\r\n"),
        ("header names in capitals", "ACCEPT: application/json\r\nUSER-AGENT: a\r\n"),
        ("no white space after the colon", "Accept:application/json\r\nPrivet-Purpose:care\r\n"),
    ]
    .into_iter()
    .map(|(name, lines)| Exchange::record(name, &stored, &shown).with(lines))
    .collect()
}

//! The ways a store may put its answer on the wire.

use crate::harness::brotli;
use crate::harness::gzip;
use crate::harness::zlib;
use crate::harness::zstd;

use super::exchange::Exchange;
use super::exchange::answer;
use super::exchange::chunked;
use super::exchange::shown;
use super::exchange::stored;

const JSON: &str = "Content-Type: application/json";
const LINES: &str = "Content-Type: application/x-ndjson";
/// A value with characters of every width and escapes, so that cuts fall into all of them.
const VALUE: &str = r#""é€😀 \ud83d\ude00\n\"\u00e9""#;

/// The exchanges.
pub(super) fn exchanges() -> Vec<Exchange> {
    [lengths(), chunks(), codings(), media(), lines()].concat()
}

fn record(name: &str, answer: Vec<u8>) -> Exchange {
    Exchange::value(name, VALUE).framed(answer)
}

/// Content-Length, and no length at all.
fn lengths() -> Vec<Exchange> {
    let body = stored(VALUE).into_bytes();
    let length = format!("Content-Length: {}", body.len());
    let padded = format!("content-LENGTH:\t {} \t", body.len());
    let old = |lines: &[&str]| {
        let text = String::from_utf8(answer(lines, &body)).unwrap();
        text.replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes()
    };
    let odd_reason = |reason: &str| {
        let text = String::from_utf8(answer(&[JSON, &length], &body)).unwrap();
        text.replacen("200 OK", reason, 1).into_bytes()
    };
    let interim = |status: &str| {
        let interim = format!("HTTP/1.1 {status}\r\n\r\n").into_bytes();
        [interim, answer(&[JSON, &length], &body)].concat()
    };
    let plain = || record("", answer(&[JSON, &length], &body));
    let mut in_bytes = plain().in_pieces(1);
    in_bytes.name = "an answer that comes byte by byte".into();
    let mut in_sevens = plain().in_pieces(7);
    in_sevens.name = "an answer that comes in pieces of seven bytes".into();
    vec![
        in_bytes,
        in_sevens,
        record("a length with white space around it", answer(&[JSON, &padded], &body)),
        record(
            "names of headers in capitals",
            answer(&["CONTENT-TYPE: application/json", &length], &body),
        ),
        record("an answer without a reason phrase", odd_reason("200 ")),
        record(
            "an answer with a long reason phrase",
            odd_reason("200 All is well, as far as can be said"),
        ),
        record("status 203", odd_reason("203 Non-Authoritative Information")),
        record("early hints before the answer", interim("103 Early Hints")),
        record("an interim answer before the answer", interim("100 Continue")),
        record(
            "an answer that ends with its connection",
            answer(&[JSON, "Connection: close"], &body),
        )
        .closing(),
        record("an answer that ends with its connection, byte by byte", answer(&[JSON], &body))
            .closing()
            .in_pieces(1),
        record("an HTTP/1.0 store that states the length", old(&[JSON, &length])).closing(),
        record("an HTTP/1.0 store that closes", old(&[JSON])).closing(),
        record(
            "an HTTP/1.0 store that keeps the connection",
            old(&[JSON, &length, "Connection: keep-alive"]),
        ),
        record(
            "a store that closes though it states the length",
            answer(&[JSON, &length, "Connection: close"], &body),
        )
        .closing(),
        record("fifty headers nobody asked for", {
            let more: Vec<String> = (0..50).map(|n| format!("X-{n}: {n}")).collect();
            let mut lines: Vec<&str> = more.iter().map(String::as_str).collect();
            lines.extend([JSON, &length]);
            answer(&lines, &body)
        }),
    ]
}

/// Chunks of every kind.
fn chunks() -> Vec<Exchange> {
    let body = stored(VALUE).into_bytes();
    let mut all = Vec::new();
    for size in [1, 2, 3, 5, 16, 64, 1000] {
        let name = format!("chunks of {size} bytes");
        all.push(record(&name, chunked(&[], &body, &[size])));
    }
    all.push(record("uneven chunks", chunked(&[], &body, &[1, 17, 2, 40, 3])));
    all.push(record("chunks that come byte by byte", chunked(&[], &body, &[3])).in_pieces(1));
    let by_hand = |name: &str, content: String| {
        record(name, answer(&[JSON, "Transfer-Encoding: chunked"], content.as_bytes()))
    };
    let text = stored(VALUE);
    let size = text.len();
    all.push(by_hand(
        "chunk sizes with capitals and leading zeroes",
        format!("00{size:X}\r\n{text}\r\n000\r\n\r\n"),
    ));
    all.push(by_hand("a chunk extension", format!("{size:x};name=value\r\n{text}\r\n0\r\n\r\n")));
    all.push(by_hand(
        "a quoted chunk extension, and one on the last chunk",
        format!("{size:x};a=\"b c\";d\r\n{text}\r\n0;last\r\n\r\n"),
    ));
    let cased = answer(
        &[JSON, "transfer-encoding: Chunked"],
        format!("{size:x}\r\n{text}\r\n0\r\n\r\n").as_bytes(),
    );
    all.push(record("the word chunked in capitals", cased));
    let list = format!("[{}]", vec![text.as_str(); 700].join(","));
    let arrives = format!("[{}]", vec![shown(VALUE); 700].join(","));
    for (name, sizes) in [
        ("a list over several batches in chunks of 13 bytes", &[13][..]),
        ("a list over several batches in chunks of 65,537 bytes", &[65_537]),
        ("a list over several batches in one chunk", &[usize::MAX]),
        ("a list over several batches in chunks of 1 and 30,000 bytes", &[1, 30_000]),
    ] {
        let framed = chunked(&[], list.as_bytes(), sizes);
        all.push(Exchange::at(name, "/things", "", &arrives).framed(framed));
    }
    all
}

/// Every content coding.
fn codings() -> Vec<Exchange> {
    let text = stored(VALUE).into_bytes();
    let list = format!("[{}]", vec![stored(VALUE); 600].join(","));
    let arrives = format!("[{}]", vec![shown(VALUE); 600].join(","));
    let mut all = Vec::new();
    for (word, code) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("x-gzip", gzip),
        ("br", brotli),
        ("zstd", zstd),
        ("deflate", zlib),
        ("identity", <[u8]>::to_vec),
        ("GZip", gzip),
    ] {
        let coding = format!("Content-Encoding: {word}");
        let coded = code(&text);
        let length = format!("Content-Length: {}", coded.len());
        all.push(record(&format!("a record in {word}"), answer(&[JSON, &coding, &length], &coded)));
        let name = format!("a record in {word}, in chunks of one byte");
        all.push(record(&name, chunked(&[JSON, &coding], &coded, &[1])));
        let name = format!("a list of 600 in {word}");
        let framed = chunked(&[JSON, &coding], &code(list.as_bytes()), &[700]);
        all.push(Exchange::at(name, "/things", "", &arrives).framed(framed));
    }
    all
}

/// The names of JSON.
fn media() -> Vec<Exchange> {
    let body = stored(VALUE).into_bytes();
    let length = format!("Content-Length: {}", body.len());
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "APPLICATION/JSON",
        "application/vnd.api+json",
        "application/hal+json; profile=a",
        "application/ld+json",
    ]
    .into_iter()
    .map(|media| {
        let line = format!("Content-Type: {media}");
        record(&format!("a record as {media}"), answer(&[&line, &length], &body))
    })
    .collect()
}

/// One record a line.
fn lines() -> Vec<Exchange> {
    let two = |between: &str, end: &str| {
        let body = format!("{}{between}{}{end}", stored("1"), stored(VALUE)).into_bytes();
        let length = format!("Content-Length: {}", body.len());
        answer(&[LINES, &length], &body)
    };
    let arrives = format!("{}\n{}\n", shown("1"), shown(VALUE));
    let lines =
        |name: &str, answer: Vec<u8>| Exchange::at(name, "/things", "", &arrives).framed(answer);
    let both = format!("{}\n{}\n", stored("1"), stored(VALUE));
    let many: String = (0..700).map(|n| stored(&n.to_string()) + "\n").collect();
    let many_arrive: String = (0..700).map(|n| shown(&n.to_string()) + "\n").collect();
    let text = |answer: Vec<u8>, media: &str| {
        String::from_utf8(answer).unwrap().replacen("application/x-ndjson", media, 1).into_bytes()
    };
    vec![
        lines("lines with a final line end", two("\n", "\n")),
        lines("lines without a final line end", two("\n", "")),
        lines("lines that end in CR LF", two("\r\n", "\r\n")),
        lines("empty lines between lines", two("\n\n\n", "\n\n")),
        lines("lines with white space at both ends", two(" \t\n  ", "  \n")),
        lines("lines in chunks of one byte", chunked(&[LINES], both.as_bytes(), &[1])),
        lines(
            "lines in gzip",
            chunked(&[LINES, "Content-Encoding: gzip"], &gzip(both.as_bytes()), &[9]),
        ),
        lines("lines as application/jsonl", text(two("\n", ""), "application/jsonl")),
        lines(
            "lines as application/ndjson",
            text(two("\n", ""), "application/ndjson; charset=utf-8"),
        ),
        Exchange::at("no line at all", "/things", "", "")
            .framed(answer(&[LINES, "Content-Length: 0"], b"")),
        Exchange::at("seven hundred lines", "/things", "", &many_arrive).framed(chunked(
            &[LINES],
            many.as_bytes(),
            &[4096],
        )),
    ]
}

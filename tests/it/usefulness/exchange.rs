//! One well-formed exchange: what is asked, what the store answers, what must arrive.

use crate::harness::json;

/// One exchange, and its name in words.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) method: &'static str,
    pub(super) target: String,
    /// Header lines beside `Host` and the credential, each with its line end.
    pub(super) headers: String,
    /// The target the store must see.
    pub(super) asked: String,
    /// The store's answer, in the pieces it is sent in.
    pub(super) answer: Vec<Vec<u8>>,
    /// Whether the store then closes.
    pub(super) closes: bool,
    /// The status that must arrive.
    pub(super) status: u16,
    /// The body that must arrive, byte for byte.
    pub(super) body: String,
}

/// How the client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Client {
    /// One call on a connection.
    Http1,
    /// HTTP/1.0.
    Http10,
    /// The request comes byte by byte.
    Http1Slow,
    /// As many calls on one connection, sent at once.
    Pipeline(usize),
    /// As many calls on one HTTP/2 connection, at once.
    Http2(usize),
}

impl Exchange {
    /// A single record, asked for as `/things/t-1`, that must arrive as `body`.
    pub(super) fn record(name: impl Into<String>, stored: &str, body: &str) -> Self {
        Self::at(name, "/things/t-1", stored, body)
    }

    /// A GET of `target` that the store answers with `stored`.
    pub(super) fn at(name: impl Into<String>, target: &str, stored: &str, body: &str) -> Self {
        Self {
            name: name.into(),
            client: Client::Http1,
            method: "GET",
            target: target.to_owned(),
            headers: String::new(),
            asked: target.to_owned(),
            answer: vec![json(200, stored)],
            closes: false,
            status: 200,
            body: body.to_owned(),
        }
    }

    /// A record whose clear field is `value`, beside a masked and an unlisted one.
    pub(super) fn value(name: impl Into<String>, value: &str) -> Self {
        Self::record(name, &stored(value), &shown(value))
    }

    /// The same, seen by the store with another target.
    pub(super) fn asked(self, asked: &str) -> Self {
        Self { asked: asked.to_owned(), ..self }
    }

    /// The same from another client.
    pub(super) fn by(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// The same with more header lines.
    pub(super) fn with(self, headers: &str) -> Self {
        Self { headers: headers.to_owned(), ..self }
    }

    /// The same as HEAD.
    pub(super) fn head(self) -> Self {
        Self { method: "HEAD", body: String::new(), ..self }
    }

    /// The same with an answer in the store's own framing.
    pub(super) fn framed(self, answer: Vec<u8>) -> Self {
        Self { answer: vec![answer], ..self }
    }

    /// The same with the answer sent in pieces of `size` bytes.
    pub(super) fn in_pieces(self, size: usize) -> Self {
        let answer = self.answer.concat().chunks(size).map(<[u8]>::to_vec).collect();
        Self { answer, ..self }
    }

    /// The same when the store closes after its answer.
    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }
}

/// A record as the store has it.
pub(super) fn stored(value: &str) -> String {
    format!(
        r#"{{"id":"t-1","unlisted":"CANARY","value":{value},"email":"canary@mail.example","more":{{"value":"CANARY"}}}}"#
    )
}

/// What of it arrives.
pub(super) fn shown(value: &str) -> String {
    format!(r#"{{"id":"t-1","value":{value},"email":"c***@mail.example"}}"#)
}

/// An answer whose head ends in these lines, followed by `body` as it is.
pub(super) fn answer(lines: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = String::from("HTTP/1.1 200 OK\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// An answer in chunks of the lengths that `sizes` gives, over and over.
pub(super) fn chunked(more: &[&str], body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut rest = body;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        content.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        content.extend_from_slice(piece);
        content.extend_from_slice(b"\r\n");
        rest = after;
    }
    content.extend_from_slice(b"0\r\n\r\n");
    let mut lines = vec!["Content-Type: application/json"];
    if !more.is_empty() {
        lines = more.to_vec();
    }
    lines.push("Transfer-Encoding: chunked");
    answer(&lines, &content)
}

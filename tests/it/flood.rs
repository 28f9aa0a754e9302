//! HTTP/2 peers that ask for more than they should: what the gateway bears, and where it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use privet::proxy::Limits;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;

const POLICY: &str = r#"
privet: policy/v1
name: flood
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show }
"#;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Error codes of RFC 9113 §7.
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// What a client says first.
fn hello() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// A string of HPACK, without Huffman.
fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if value.len() < 127 {
        out.push(u8::try_from(value.len()).unwrap());
    } else {
        out.push(127);
        let mut rest = value.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    [out, value.as_bytes().to_vec()].concat()
}

/// The head of a GET: indexed `:method` and `:scheme`, the rest literal with indexed names.
fn head(token: &str) -> Vec<u8> {
    let path = [vec![0x04], text("/shop/customers/c-1")].concat();
    let authority = [vec![0x01], text("gateway.test")].concat();
    let authorization = [vec![0x0f, 0x08], text(&format!("Bearer {token}"))].concat();
    [vec![0x82, 0x86], path, authority, authorization].concat()
}

/// One frame as it came.
#[derive(Debug)]
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY or RST_STREAM.
    fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

async fn next(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind: head[3], payload })
}

/// Every frame until the gateway closes, or until `last`.
async fn frames(stream: &mut TcpStream, last: impl Fn(&Frame) -> bool) -> Vec<Frame> {
    let read = async {
        let mut all = Vec::new();
        while let Some(frame) = next(stream).await {
            let is_last = last(&frame);
            all.push(frame);
            if is_last {
                break;
            }
        }
        all
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("it ends")
}

/// Whether the gateway said that it is too much.
fn is_calmed(frames: &[Frame]) -> bool {
    frames.iter().any(|it| it.kind == GOAWAY && it.code() == ENHANCE_YOUR_CALM)
}

async fn fine(gateway: &Gateway, token: &str) {
    let reply = get(gateway.address, "/shop/customers/c-1", token, "").await;
    assert_eq!(reply.status, 200, "another caller is served: {}", reply.raw_text());
}

#[tokio::test]
async fn streams_that_are_reset_as_fast_as_they_are_opened_end_the_connection() {
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = gateway.token(&["support"], &["care"]);
    let mut flood = hello();
    for stream in (1..2000).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head(&token)));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    // It may close before it has read everything.
    drop(stream.write_all(&flood).await);
    let said = frames(&mut stream, |it| it.kind == GOAWAY).await;
    assert!(is_calmed(&said) || said.is_empty(), "{said:?}");
    assert!(store.asked().len() < 200, "{} of 1000 calls", store.asked().len());
    fine(&gateway, &token).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = gateway.token(&["support"], &["care"]);
    // Empty ones cost the sender nothing; large ones fill the gateway.
    for piece in [&[][..], &[0; 16_000]] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(&hello()).await.unwrap();
        stream.write_all(&frame(HEADERS, END_STREAM, 1, &head(&token))).await.unwrap();
        let more = frame(CONTINUATION, 0, 1, piece);
        let mut sent = 0;
        let flood = async {
            while sent < 64 << 20 && stream.write_all(&more).await.is_ok() {
                sent += more.len();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), flood).await.expect("it ends");
        assert!(sent < 64 << 20, "the connection took everything");
    }
    assert!(store.asked().is_empty());
    fine(&gateway, &token).await;
}

#[tokio::test]
async fn who_asks_for_answers_and_reads_none_is_cut() {
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let client_write = Duration::from_millis(300);
    let limits = Limits { client_write, ..Limits::default() };
    let gateway = Gateway::start(Setup { limits, ..Setup::new(POLICY, &store) });
    let token = gateway.token(&["support"], &["care"]);
    for question in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(&hello()).await.unwrap();
        let many = question.repeat(5000);
        let mut sent = 0_usize;
        let flood = async {
            // Each answer takes room until it is read; nobody reads here.
            while stream.write_all(&many).await.is_ok() {
                sent += many.len();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), flood).await.expect("it is cut");
        assert!(sent < 256 << 20, "{sent} bytes");
    }
    fine(&gateway, &token).await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_served() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let store = FakeStore::start(move |_| {
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, r#"{"id":"c-1"}"#))]
    })
    .await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = gateway.token(&["support"], &["care"]);
    let mut flood = hello();
    for stream in (1..300).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head(&token)));
    }
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&flood).await.unwrap();
    while store.asked().len() < 128 {
        tokio::task::yield_now().await;
    }
    let mut refused = 0;
    while refused < 150 - 128 {
        let frame = next(&mut stream).await.expect("the connection stays");
        if frame.kind == RST_STREAM {
            assert_eq!(frame.code(), REFUSED_STREAM);
            refused += 1;
        }
    }
    assert_eq!(store.asked().len(), 128);
    for _ in 0..128 {
        go.notify_one();
        while next(&mut stream).await.expect("an answer comes").kind != DATA {}
    }
}

//! Files on their way to the store: judged, recorded, and streamed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::body::Frame;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::watch;

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::proxy::Limits;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::a_hold;
use crate::harness::exchange;
use crate::harness::json;
use crate::harness::person;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
name: uploads
purposes:
  care: { basis: contract }
roles:
  clerk: { claim: roles, has: clerk }
  reader: { claim: roles, has: reader }
  blind: { claim: roles, has: blind }
  lead: { claim: roles, has: lead }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers/{id}/photo", records: opaque, field: photo, of: "GET /customers/{id}" }
      - { on: "PUT /customers/{id}/photo", records: opaque, field: photo, of: "GET /customers/{id}" }
      - { on: "DELETE /customers/{id}/photo", records: opaque, field: photo, of: "GET /customers/{id}" }
      - { on: "POST /customers/{id}/photos", records: opaque, field: photo, of: "GET /customers/{id}" }
      - { on: "POST /avatars/{id}", records: opaque, field: photo }
      - { on: "GET /free/{id}", records: opaque, field: photo }
      - { on: "PUT /free/{id}", records: opaque, field: photo, unsafe_writes: accepted }
      - { on: "DELETE /free/{id}", records: opaque, field: photo, unsafe_writes: accepted }
    fields:
      id: { category: user.unique_id }
      team: { category: system.operations, level: general }
      country: { category: user.contact.address.country, level: general }
      photo: { category: user.biometric }
grants:
  - id: clerks
    roles: [clerk]
    purposes: [care]
    data: [shop.customers]
    can: [read, create, update, delete]
    fields: { id: show, photo: show }
    writes: [photo]
  - id: readers
    roles: [reader]
    purposes: [care]
    data: [shop.customers]
    can: [read, create, update]
    fields: { id: show, photo: show }
    writes: [team]
  - id: blind
    roles: [blind]
    purposes: [care]
    data: [shop.customers]
    can: [create, update]
    find_by: [id]
    writes: [photo]
  - id: leads
    roles: [lead]
    purposes: [care]
    data: [shop.customers]
    can: [create]
    rows: { team: caller.team }
    find_by: [id]
    writes: [photo]
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
"#;

const PHOTOS: &str = "POST /shop/customers/c-1/photos";
const PHOTO: &str = "PUT /shop/customers/c-1/photo";
const FREE: &str = "PUT /shop/free/c-1";
const MIB: usize = 1024 * 1024;

/// What a store got of uploads.
#[derive(Clone, Debug, Default)]
struct Got {
    /// The request lines and headers of everything.
    heads: Vec<String>,
    /// The bytes of the last body, with its chunks.
    body: Vec<u8>,
    /// Whether the last body came to its end.
    is_whole: bool,
    /// Whether a connection ended in the middle of a body.
    is_cut: bool,
}

impl Got {
    fn writes(&self) -> usize {
        self.heads.iter().filter(|head| !head.starts_with("GET")).count()
    }

    fn header(&self, name: &str) -> Option<String> {
        let head = self.heads.iter().rfind(|head| !head.starts_with("GET"))?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }
}

/// A store of one customer with a photo that takes files as slowly as it is told to.
struct Intake {
    address: SocketAddr,
    got: watch::Receiver<Got>,
    /// Whether it reads on.
    takes: watch::Sender<bool>,
}

impl Intake {
    async fn start() -> Self {
        Self::answering("HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nmore").await
    }

    async fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, got) = watch::channel(Got::default());
        let (takes, open) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, told.clone(), open.clone(), answer));
            }
        });
        Self { address, got, takes }
    }

    fn gateway(&self) -> Gateway {
        Gateway::start(Setup::at(POLICY, self.address))
    }

    fn got(&self) -> Got {
        self.got.borrow().clone()
    }

    /// Waits until something holds of what it got.
    async fn until(&self, holds: impl FnMut(&Got) -> bool) -> Got {
        self.got.clone().wait_for(holds).await.unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    told: watch::Sender<Got>,
    mut takes: watch::Receiver<bool>,
    answer: &'static str,
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        let line = head.lines().next().unwrap().to_owned();
        told.send_modify(|got| got.heads.push(head.clone()));
        let mut reply = answer.as_bytes().to_vec();
        if line.starts_with("GET /customers/c-1 ") {
            let record = r#"{"id":"c-1","team":"red","country":"GB","photo":"x"}"#;
            reply = json(200, record);
        } else if line.starts_with("GET ") {
            reply = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\nold".to_vec();
        } else if !head.to_ascii_lowercase().contains("content-length: 0")
            && !line.starts_with("DELETE")
            && !take(&mut stream, (&head, &mut buffer), &told, &mut takes).await
        {
            told.send_modify(|got| got.is_cut = true);
            return;
        }
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

/// Takes a body; says whether it came to its end.
async fn take(
    stream: &mut TcpStream,
    (head, buffer): (&str, &mut Vec<u8>),
    told: &watch::Sender<Got>,
    takes: &mut watch::Receiver<bool>,
) -> bool {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: Option<usize> = length.map(|text| text.parse().unwrap());
    let mut piece = vec![0; 64 * 1024];
    told.send_modify(|got| got.body.clear());
    loop {
        let more = std::mem::take(buffer);
        told.send_modify(|got| got.body.extend_from_slice(&more));
        let is_whole = match length {
            Some(length) => told.borrow().body.len() >= length,
            None => told.borrow().body.ends_with(b"\r\n0\r\n\r\n"),
        };
        if is_whole {
            told.send_modify(|got| got.is_whole = true);
            return true;
        }
        if takes.wait_for(|takes| *takes).await.is_err() {
            return false;
        }
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => buffer.extend_from_slice(&piece[..count]),
            _ => return false,
        }
    }
}

async fn entries(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let found = privet::audit::search(&gateway.audit_dir(), &Filter::default(), 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

async fn kinds(gateway: &Gateway) -> Vec<Kind> {
    entries(gateway).await.iter().map(|entry| entry.kind).collect()
}

/// How a call ended, and why, once it has.
async fn ended(gateway: &Gateway) -> (Option<Ending>, Option<String>) {
    loop {
        let all = entries(gateway).await;
        if let Some(entry) = all.iter().find(|entry| entry.kind == Kind::Outcome) {
            return (entry.outcome, entry.reason.as_deref().map(str::to_owned));
        }
        tokio::task::yield_now().await;
    }
}

fn clerk(gateway: &Gateway) -> String {
    gateway.token(&["clerk"], &["care"])
}

fn head(call: &str, token: &str, more: &str) -> String {
    format!(
        "{call} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{more}\r\n"
    )
}

/// Sends a whole file.
async fn send(gateway: &Gateway, call: &str, token: &str, more: &str, body: &[u8]) -> Reply {
    let more = format!("Content-Length: {}\r\n{more}", body.len());
    let request = [head(call, token, &more).as_bytes(), body].concat();
    Reply::parse(exchange(gateway.address, &request).await, false)
}

/// Begins a file of chunks, or of a length.
async fn begin(gateway: &Gateway, call: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = head(call, &clerk(gateway), more);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn chunk(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    stream.write_all(piece).await?;
    stream.write_all(b"\r\n").await
}

async fn answer(mut stream: TcpStream) -> Reply {
    let (mut raw, mut piece) = (Vec::new(), vec![0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        raw.extend_from_slice(&piece[..count]);
    }
    Reply::parse(raw, false)
}

#[tokio::test]
async fn a_form_with_a_file_arrives_byte_for_byte_after_its_entry() {
    let store = Intake::answering(
        "HTTP/1.1 201 Created\r\nLocation: /customers/c-1/photo\r\nX-Id: 7\r\nContent-Length: 6\r\n\r\nsecret",
    )
    .await;
    let gateway = store.gateway();
    let body = [
        b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\0\xff",
        &[7; 70_000][..],
        b"\r\n--b--\r\n",
    ]
    .concat();
    let more = "Content-Type: multipart/form-data; boundary=b\r\nX-Own: 1\r\nCookie: a=b\r\n";
    let reply = send(&gateway, PHOTOS, &clerk(&gateway), more, &body).await;
    assert_eq!((reply.status, reply.body.len()), (201, 0), "{}", reply.raw_text());
    assert_eq!(reply.header("location"), Some("/shop/customers/c-1/photo"));
    assert_eq!(reply.header("x-id"), None);
    let got = store.got();
    assert!(got.is_whole && got.body == body);
    assert_eq!(got.header("content-type").as_deref(), Some("multipart/form-data; boundary=b"));
    assert_eq!(got.header("content-length"), Some(body.len().to_string()));
    for name in ["authorization", "cookie", "x-own", "transfer-encoding"] {
        assert_eq!(got.header(name), None, "{name}");
    }
    assert_eq!(ended(&gateway).await, (Some(Ending::Complete), Some("written".to_owned())));
    let all = entries(&gateway).await;
    let intent = all.iter().find(|entry| entry.kind == Kind::Intent).unwrap();
    assert_eq!((intent.subjects.len(), intent.bytes), (1, Some(body.len() as u64)));
    let fields: Vec<_> = intent.fields.iter().map(|it| it.category.as_str().to_owned()).collect();
    assert_eq!(fields, ["user.biometric"]);
}

#[tokio::test]
async fn a_file_without_a_stated_length_arrives_in_chunks() {
    let store = Intake::start().await;
    let gateway = store.gateway();
    let mut stream = begin(&gateway, PHOTOS, "Transfer-Encoding: chunked\r\n").await;
    chunk(&mut stream, b"pix").await.unwrap();
    store.until(|got| got.body.windows(3).any(|three| three == b"pix")).await;
    assert_eq!(kinds(&gateway).await, [Kind::Intent], "before the store saw the first byte");
    assert!(!store.got().is_whole);
    chunk(&mut stream, b"els").await.unwrap();
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(answer(stream).await.status, 201);
    let got = store.got();
    assert_eq!(got.body, b"3\r\npix\r\n3\r\nels\r\n0\r\n\r\n");
    assert_eq!(got.header("content-type").as_deref(), Some("application/octet-stream"));
}

#[tokio::test]
async fn without_its_entry_in_the_log_the_store_is_not_called() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let (asked, wait) = (std::sync::Arc::new(tokio::sync::Notify::new()), go.clone());
    let told = asked.clone();
    let store = FakeStore::start(move |_| {
        told.notify_one();
        let record = json(200, r#"{"id":"c-1","team":"red","country":"GB"}"#);
        vec![Step::Wait(wait.clone()), Step::Bytes(record)]
    })
    .await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = clerk(&gateway);
    let close = async {
        asked.notified().await;
        gateway.log.close().await.unwrap();
        go.notify_one();
    };
    let (reply, ()) = tokio::join!(send(&gateway, PHOTOS, &token, "", b"pixels"), close);
    assert_eq!(reply.status, 503);
    let asked: Vec<_> = store.asked().iter().map(|asked| asked.method().to_owned()).collect();
    assert_eq!(asked, ["GET"]);
}

#[tokio::test]
async fn who_may_not_write_the_file_is_refused_before_the_store_gets_any_of_it() {
    let store = Intake::start().await;
    let gateway = store.gateway();
    let token = |role: &str, team: &str| {
        let mut it = wanted("someone");
        it.roles = vec![role.to_owned()];
        it.purposes = vec!["care".to_owned()];
        it.claims = vec![("team".to_owned(), vec![team.to_owned()])];
        gateway.mint(&it)
    };
    let (clerk, blind) = (token("clerk", "red"), token("blind", "red"));
    let cases = [
        ("not in writes", PHOTOS, token("reader", "red"), "", (403, "writes")),
        ("other rows", PHOTOS, token("lead", "blue"), "", (404, "")),
        ("path says no row", "POST /shop/avatars/c-1", token("lead", "red"), "", (404, "")),
        ("nobody", PHOTOS, token("none", "red"), "", (403, "role")),
        ("no version", PHOTO, clerk.clone(), "", (409, "if_match")),
        ("other version", PHOTO, clerk.clone(), "If-Match: \"v0\"\r\n", (412, "")),
        ("weak version", PHOTO, clerk.clone(), "If-Match: W/\"v1\"\r\n", (412, "")),
        ("unseen version", PHOTO, blind, "If-Match: \"v1\"\r\n", (412, "")),
        ("version of nothing", PHOTOS, clerk.clone(), "If-Match: \"v1\"\r\n", (400, "")),
        ("odd type", PHOTOS, clerk.clone(), "Content-Type: ;;\r\n", (415, "")),
        (
            "two types",
            PHOTOS,
            clerk.clone(),
            "Content-Type: a/b\r\nContent-Type: a/c\r\n",
            (415, ""),
        ),
        ("coded", PHOTOS, clerk.clone(), "Content-Encoding: gzip\r\n", (415, "")),
        ("a part", FREE, clerk.clone(), "Content-Range: bytes 0-5/9\r\n", (400, "")),
    ];
    for (name, call, token, more, (status, missing)) in cases {
        let reply = send(&gateway, call, &token, more, b"pixels").await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        let told = reply.json()["missing"][0].as_str().unwrap_or_default().to_owned();
        assert_eq!(told, missing, "{name}");
    }
    assert_eq!(send(&gateway, PHOTOS, &clerk, "", b"").await.status, 400);
    assert_eq!(store.got().writes(), 0);
}

#[tokio::test]
async fn held_is_said_to_who_is_shown_the_record_and_hidden_is_not_there() {
    let store = Intake::start().await;
    let gateway = store.gateway();
    let statuses = async |call, status| {
        gateway.cards.set_status(&person(), "c-1", status).await.unwrap();
        let clerk = send(&gateway, call, &clerk(&gateway), "", b"pixels").await;
        let blind = gateway.token(&["blind"], &["care"]);
        (clerk.status, send(&gateway, call, &blind, "", b"pixels").await.status)
    };
    let hold = gateway.cards.add_hold(&person(), "c-1", a_hold()).await.unwrap();
    assert_eq!(statuses(FREE, SubjectStatus::Active).await, (409, 404));
    gateway.cards.release_hold(&hold.id, None).await.unwrap().unwrap();
    assert_eq!(statuses(PHOTOS, SubjectStatus::Restricted).await, (404, 404));
    assert_eq!(store.got().writes(), 0);
    assert_eq!(statuses(PHOTOS, SubjectStatus::Active).await, (201, 201));
    assert_eq!(store.got().writes(), 2);
}

#[tokio::test]
async fn rows_are_those_of_the_record_and_a_blind_caller_may_write() {
    let store = Intake::start().await;
    let gateway = store.gateway();
    let mut lead = wanted("someone");
    lead.roles = vec!["lead".to_owned()];
    lead.purposes = vec!["care".to_owned()];
    lead.claims = vec![("team".to_owned(), vec!["red".to_owned()])];
    let reply = send(&gateway, PHOTOS, &gateway.mint(&lead), "", b"pixels").await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(store.got().body, b"pixels");
}

#[tokio::test]
async fn a_file_is_replaced_and_removed_as_the_version_that_was_read() {
    let store = Intake::answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
    let gateway = store.gateway();
    let token = clerk(&gateway);
    let put = send(&gateway, PHOTO, &token, "If-Match: \"v0\", \"v1\"\r\n", b"new").await;
    assert_eq!((put.status, put.body.len()), (204, 0), "{}", put.text());
    let got = store.got();
    assert_eq!((got.header("if-match").as_deref(), &got.body[..]), (Some("\"v1\""), &b"new"[..]));
    let request = head("DELETE /shop/customers/c-1/photo", &token, "If-Match: \"v1\"\r\n");
    let reply = Reply::parse(exchange(gateway.address, request.as_bytes()).await, false);
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert!(store.got().heads.last().unwrap().starts_with("DELETE /customers/c-1/photo"));
    assert_eq!(store.got().header("if-match").as_deref(), Some("\"v1\""));

    let before = store.got().heads.len();
    assert_eq!(send(&gateway, FREE, &token, "", b"free").await.status, 204);
    let request = head("DELETE /shop/free/c-1", &token, "");
    let reply = Reply::parse(exchange(gateway.address, request.as_bytes()).await, false);
    assert_eq!(reply.status, 204);
    assert_eq!(store.got().heads.len(), before + 2, "nothing is read for what names no record");
}

#[tokio::test]
async fn what_the_store_says_of_a_refusal_stays_with_it() {
    for (answer, status) in [
        ("HTTP/1.1 412 No\r\nContent-Length: 6\r\n\r\nsecret", 412),
        ("HTTP/1.1 409 No\r\nContent-Length: 6\r\n\r\nsecret", 409),
        ("HTTP/1.1 422 No\r\nContent-Length: 6\r\n\r\nsecret", 400),
        ("HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nsecret", 502),
    ] {
        let store = Intake::answering(answer).await;
        let gateway = store.gateway();
        let token = clerk(&gateway);
        let reply = send(&gateway, PHOTO, &token, "If-Match: \"v1\"\r\n", b"new").await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(!reply.raw_text().contains("secret"));
    }
}

#[tokio::test]
async fn a_large_file_passes_while_it_comes_and_none_of_it_waits_in_the_gateway() {
    let store = Intake::start().await;
    let gateway = store.gateway();
    store.takes.send(false).unwrap();
    let more = format!("Content-Length: {}\r\n", 48 * MIB);
    let mut stream = begin(&gateway, PHOTOS, &more).await;
    let (told, mut written) = watch::channel(0);
    let client = tokio::spawn(async move {
        let piece = vec![7; MIB / 4];
        for at in 1..=48 * 4 {
            stream.write_all(&piece).await.unwrap();
            told.send(at * piece.len()).unwrap();
        }
        answer(stream).await
    });
    written.wait_for(|written| *written > 0).await.unwrap();
    // Nothing moves for a while: sockets on the way are full.
    while tokio::time::timeout(Duration::from_millis(500), written.changed()).await.is_ok() {}
    let waiting = *written.borrow();
    assert!(waiting <= 16 * MIB, "{waiting} bytes were read ahead, by sockets too");
    store.until(|got| got.writes() == 1).await;
    store.takes.send(true).unwrap();
    assert_eq!(client.await.unwrap().status, 201);
    let got = store.got();
    assert!(got.is_whole && got.body.len() == 48 * MIB);
}

#[tokio::test]
async fn a_file_that_breaks_off_never_looks_complete() {
    for more in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let store = Intake::start().await;
        let gateway = store.gateway();
        let mut stream = begin(&gateway, PHOTOS, more).await;
        chunk(&mut stream, b"pixels").await.unwrap();
        store.until(|got| got.body.windows(6).any(|six| six == b"pixels")).await;
        drop(stream);
        let got = store.until(|got| got.is_cut).await;
        assert!(!got.is_whole, "{more}");
        assert_eq!(ended(&gateway).await, (Some(Ending::Aborted), Some("body".to_owned())));
    }
}

#[tokio::test]
async fn who_sends_too_slowly_or_too_much_is_cut() {
    let limits =
        Limits { client_write: Duration::from_secs(1), file_bytes: 2048, ..Limits::default() };
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (piece, status, reason) in [(10, 408, "client_slow"), (4000, 413, "too_large")] {
        let store = Intake::start().await;
        let setup = Setup { limits, ..Setup::at(POLICY, store.address) };
        let gateway = Gateway::start(setup);
        let mut stream = begin(&gateway, PHOTOS, chunked).await;
        chunk(&mut stream, b"pixels").await.unwrap();
        store.until(|got| got.body.windows(6).any(|six| six == b"pixels")).await;
        chunk(&mut stream, &vec![7; piece]).await.unwrap();
        assert_eq!(answer(stream).await.status, status);
        let got = store.until(|got| got.is_cut).await;
        assert!(!got.is_whole, "{reason}");
        assert_eq!(ended(&gateway).await, (Some(Ending::Aborted), Some(reason.to_owned())));
    }
    let store = Intake::start().await;
    let gateway = Gateway::start(Setup { limits, ..Setup::at(POLICY, store.address) });
    let reply = send(&gateway, PHOTOS, &clerk(&gateway), "", &[7; 4000]).await;
    assert_eq!((reply.status, store.got().heads.len()), (413, 0), "by its head alone");
}

#[tokio::test]
async fn a_withdrawal_in_the_middle_cuts_the_file() {
    let narrower = POLICY.replace("writes: [photo]", "writes: [team]");
    for policy in [None, Some(narrower)] {
        let store = Intake::start().await;
        let gateway = store.gateway();
        let mut stream = begin(&gateway, PHOTOS, "Transfer-Encoding: chunked\r\n").await;
        chunk(&mut stream, b"pixels").await.unwrap();
        store.until(|got| got.body.windows(6).any(|six| six == b"pixels")).await;
        match &policy {
            None => {
                let status = SubjectStatus::Restricted;
                gateway.cards.set_status(&person(), "c-1", status).await.unwrap();
            }
            Some(policy) => gateway.reload(policy),
        }
        // The gateway closes in the middle of it.
        drop(chunk(&mut stream, &vec![7; 2 * MIB]).await);
        drop(stream.write_all(b"0\r\n\r\n").await);
        let got = store.until(|got| got.is_cut).await;
        assert!(!got.is_whole && got.body.len() < 2 * MIB, "{}", got.body.len());
        let (ending, reason) = ended(&gateway).await;
        assert_eq!(ending, Some(Ending::Aborted));
        let expected = if policy.is_some() { "writes" } else { "withdrawn" };
        assert_eq!(reason.as_deref(), Some(expected));
    }
}

/// A body that is sent as it comes.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_file_passes_over_http_2_and_a_reset_cuts_it() {
    for is_reset in [false, true] {
        let store = Intake::start().await;
        let gateway = store.gateway();
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (pieces, received) = mpsc::channel::<Bytes>(1);
        let body = Pieces(received);
        let request = http::Request::post("http://gateway.test/shop/customers/c-1/photos")
            .header("authorization", format!("Bearer {}", clerk(&gateway)))
            .body(body)
            .unwrap();
        let reply = tokio::spawn(async move { client.send_request(request).await });
        pieces.send(Bytes::from_static(b"pixels")).await.unwrap();
        store.until(|got| got.body.windows(6).any(|six| six == b"pixels")).await;
        if is_reset {
            reply.abort();
            let got = store.until(|got| got.is_cut).await;
            assert!(!got.is_whole);
            assert_eq!(ended(&gateway).await.0, Some(Ending::Aborted));
        } else {
            drop(pieces);
            let reply = reply.await.unwrap().unwrap();
            assert_eq!(reply.status(), 201);
            assert!(reply.into_body().collect().await.unwrap().to_bytes().is_empty());
            assert_eq!(store.got().body, b"6\r\npixels\r\n0\r\n\r\n");
        }
    }
}

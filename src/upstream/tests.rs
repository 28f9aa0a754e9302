//! Calls over loopback to stores that answer, stall, lie and break.

use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::health::Standing;
use super::*;
use crate::catalog::FieldIx;
use crate::policy;
use crate::policy::Call;
use crate::policy::Decision;
use crate::policy::Identity;
use crate::policy::Permit;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::protocol::http::CodingError;
use crate::protocol::http::MediaError;
use crate::protocol::http::MediaType;
use crate::protocol::http::RequestId;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;
use crate::protocol::http::TraceParent;
use crate::types::Action;
use crate::types::Faults;
use crate::types::StoreId;
use crate::types::Timestamp;

/// What a fake store does with a connection, in order. After the last step it waits until the
/// gateway closes.
#[derive(Clone, Debug)]
enum Step {
    /// Reads a request head, then sends bytes.
    Answer(Vec<u8>),
    /// Closes without a word after reading a request head.
    Drop,
    /// Sends no more, but goes on reading.
    HalfClose,
    /// Reads a request head, then resets the connection.
    Reset,
    /// Reads a request head and stays silent.
    Silence,
}

fn answer(text: &str) -> Step {
    Step::Answer(text.as_bytes().to_vec())
}

fn json(body: &str) -> Step {
    let length = body.len();
    answer(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

/// A store with a script for each connection, in the order they come.
struct Fake {
    url: StoreUrl,
    heads: Arc<Mutex<Vec<String>>>,
    /// Ends when every scripted connection has been closed by the gateway.
    done: JoinHandle<()>,
}

impl Fake {
    async fn new(connections: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let done = tokio::spawn(async move {
            let mut open = Vec::new();
            for script in connections {
                let (stream, _) = listener.accept().await.unwrap();
                open.push(tokio::spawn(play(stream, script, Arc::clone(&seen))));
            }
            for connection in open {
                connection.await.unwrap();
            }
        });
        Self { url: StoreUrl::parse(&url).unwrap(), heads, done }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn play(mut stream: TcpStream, script: Vec<Step>, heads: Arc<Mutex<Vec<String>>>) {
    for step in script {
        if matches!(step, Step::HalfClose) {
            stream.shutdown().await.unwrap();
            continue;
        }
        let Some(head) = read_head(&mut stream).await else { return };
        heads.lock().unwrap().push(head);
        match step {
            Step::Answer(bytes) => {
                // The gateway may rightly hang up in the middle.
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Drop => return,
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Step::Silence | Step::HalfClose => {}
        }
    }
    let mut rest = Vec::new();
    let _closed = stream.read_to_end(&mut rest).await;
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn config(urls: &[&StoreUrl]) -> UpstreamConfig {
    let urls = urls.iter().map(|url| (*url).clone()).collect();
    let mut config = UpstreamConfig::new(StoreId::parse("shop").unwrap(), urls);
    // Loopback answers at once; a busy machine may take its time.
    config.timeouts.connect = Duration::from_secs(20);
    config.timeouts.first_byte = Duration::from_secs(20);
    config
}

fn upstream(config: UpstreamConfig) -> Upstream {
    Upstream::new(Store::open(config, &UpstreamMetrics::default()).unwrap())
}

fn request() -> StoreRequest {
    let mut client = HeaderMap::new();
    client.insert("authorization", HeaderValue::from_static("Bearer the-callers-own"));
    client.insert("cookie", HeaderValue::from_static("a=b"));
    let id = RequestId::new(Timestamp::from_unix_ms(1), &[1; 10]);
    let trace = TraceParent::root([1; 16], [2; 8]);
    StoreRequest {
        method: Method::GET,
        target: Target::parse_origin("/customers/1?limit=2").unwrap(),
        headers: StoreHeaders::new(&client, &id, &trace),
    }
}

async fn read(mut body: StoreBody) -> Result<String, UpstreamError> {
    let mut all = Vec::new();
    while let Some(piece) = body.chunk().await? {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(all).unwrap())
}

/// Asks `upstream` and reads the whole body.
async fn get(upstream: &Upstream) -> Result<String, UpstreamError> {
    read(upstream.ask(&request()).await?.body).await
}

/// What comes of a store that sends `bytes` to the first request.
async fn after(bytes: &[u8]) -> Result<String, UpstreamError> {
    let fake = Fake::new(vec![vec![Step::Answer(bytes.to_vec()), Step::HalfClose]]).await;
    get(&upstream(config(&[&fake.url]))).await
}

#[track_caller]
fn refused(result: Result<String, UpstreamError>, fault: AnswerFault) {
    match result {
        Err(UpstreamError::Answer(found)) => assert_eq!(found, fault),
        other => panic!("{other:?} instead of {fault:?}"),
    }
}

#[tokio::test]
async fn a_store_sees_its_own_host_and_none_of_the_callers_credentials() {
    let fake = Fake::new(vec![vec![json("{\"id\":1}")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let answer = upstream.ask(&request()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.media), (200, MediaType::Json));
    assert_eq!(read(answer.body).await.unwrap(), "{\"id\":1}");

    let head = fake.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /customers/1?limit=2 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", fake.url.authority().as_str())), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    for absent in ["authorization", "cookie", "callers-own", "content-length", "transfer-encoding"]
    {
        assert!(!head.contains(absent), "{absent}: {head}");
    }
}

/// What `decide` says of a support agent who reads a record of `set`.
fn decide(policy: &str, set: &str) -> Permit {
    let mut faults = Faults::new();
    let files = [PolicyFile { name: "shop.yaml".into(), text: policy.into() }];
    let today = Timestamp::from_unix_s(1_795_251_661);
    let policy = PolicySet::compile(&files, today, &mut faults);
    let policy = Arc::new(policy.unwrap_or_else(|| panic!("{faults:?}")));
    let identity = Identity {
        owner: "issuer|agent".into(),
        claims: [("roles".into(), vec!["agent".into()])].into(),
        purposes: None,
        names_purposes: false,
        region: None,
        mfa_at: None,
        ticket: false,
        subject: None,
        expires: today.plus_ms(60_000),
    };
    let set = policy.sets().iter().find(|s| s.id.as_str() == set).unwrap();
    let call = Call {
        identity: &identity,
        on_behalf_of: None,
        purpose: Some("support"),
        set,
        route: &set.routes[0],
        action: Action::Read,
        selects_by: &[FieldIx(0)],
        now: today,
    };
    match policy::decide(&call, &policy) {
        Decision::Permit(permit) => permit,
        Decision::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

const POLICY: &str = "
privet: policy/v1
purposes:
  support: { basis: contract }
roles:
  agent: { claim: roles, has: agent }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: \"GET /customers/{id}\", records: \"$\" }
    fields:
      id: { category: user.unique_id }
  other.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: \"GET /customers/{id}\", records: \"$\" }
    fields:
      id: { category: user.unique_id }
grants:
  - id: agents
    why: Agents answer.
    roles: [agent]
    purposes: [support]
    data: [shop.customers, other.customers]
    can: [read]
    fields: { id: show }
";

#[tokio::test]
async fn a_permit_opens_its_own_store_for_reading_and_nothing_else() {
    let fake = Fake::new(vec![vec![json("1")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let (own, other) = (decide(POLICY, "shop.customers"), decide(POLICY, "other.customers"));
    let elsewhere = upstream.fetch(&other, &request()).await;
    assert!(matches!(elsewhere, Err(UpstreamError::Permit)));
    for method in [Method::POST, Method::DELETE, Method::PUT, Method::PATCH, Method::HEAD] {
        let writing = StoreRequest { method, ..request() };
        assert!(matches!(upstream.fetch(&own, &writing).await, Err(UpstreamError::Permit)));
    }
    assert!(fake.heads().is_empty());
    let answer = upstream.fetch(&own, &request()).await.unwrap();
    assert_eq!(read(answer.body).await.unwrap(), "1");
}

#[tokio::test]
async fn a_store_is_shown_the_gateways_token_as_it_changes() {
    let fake = Fake::new(vec![vec![json("1"), json("2")]]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bearer");
    let write = |text: &str, mode: u32| {
        let _absent = std::fs::remove_file(&path);
        let options = std::fs::OpenOptions::new().write(true).create(true).mode(mode).open(&path);
        std::io::Write::write_all(&mut options.unwrap(), text.as_bytes()).unwrap();
    };
    write("first\n", 0o600);
    let mut config = config(&[&fake.url]);
    config.bearer_file = Some(path.clone());
    let upstream = upstream(config);
    get(&upstream).await.unwrap();
    write("second", 0o600);
    upstream.store().reload_credentials().unwrap();
    for (text, mode) in [("", 0o600), ("a\nb", 0o600), ("readable by all", 0o644)] {
        write(text, mode);
        assert!(upstream.store().reload_credentials().is_err(), "{text:?}");
    }
    get(&upstream).await.unwrap();
    let heads = fake.heads();
    assert!(heads[0].contains("authorization: Bearer first\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("authorization: Bearer second\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn a_connection_read_to_its_end_serves_the_next_call() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n";
    let empty = "HTTP/1.1 304 Not Modified\r\n\r\n";
    let fake = Fake::new(vec![vec![json("1"), json("2"), answer(chunked), answer(empty)]]).await;
    let upstream = upstream(config(&[&fake.url]));
    for expected in ["1", "2", "3", ""] {
        assert_eq!(get(&upstream).await.unwrap(), expected);
    }
    assert_eq!(fake.heads().len(), 4);
}

#[tokio::test]
async fn a_body_left_unread_closes_its_connection() {
    let long =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[1,";
    let fake = Fake::new(vec![vec![answer(long)], vec![json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let mut first = upstream.ask(&request()).await.unwrap().body;
    assert_eq!(first.chunk().await.unwrap().unwrap(), "[1,");
    drop(first);
    assert_eq!(get(&upstream).await.unwrap(), "2");
    drop(upstream);
    fake.done.await.unwrap();
}

#[tokio::test]
async fn a_discarded_body_keeps_its_connection_when_it_is_short() {
    let fake = Fake::new(vec![vec![json("[1,2,3]"), json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    upstream.ask(&request()).await.unwrap().body.discard(100).await;
    assert_eq!(get(&upstream).await.unwrap(), "2");

    let fake = Fake::new(vec![vec![json("[1,2,3]")], vec![json("2")]]).await;
    let another =
        Upstream::new(Store::open(config(&[&fake.url]), &UpstreamMetrics::default()).unwrap());
    another.ask(&request()).await.unwrap().body.discard(3).await;
    assert_eq!(get(&another).await.unwrap(), "2");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_stays_one() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0_2\r\n",
    ] {
        let fake = Fake::new(vec![vec![answer(text), Step::HalfClose]]).await;
        let upstream = upstream(config(&[&fake.url]));
        let mut body = upstream.ask(&request()).await.unwrap().body;
        let error = loop {
            match body.chunk().await {
                Ok(Some(piece)) => assert_eq!(piece, "[1,2]"),
                Ok(None) => panic!("a cut body was taken for whole: {text}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, UpstreamError::Interrupted(_)), "{error:?}");
        assert!(matches!(body.chunk().await, Err(UpstreamError::Over)));
        assert_eq!(upstream.pool_len(), 0);
    }
}

#[tokio::test]
async fn bytes_after_a_body_never_answer_the_next_call() {
    let two = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1\
               HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n\"evil\"";
    for _ in 0..20 {
        let fake = Fake::new(vec![vec![answer(two)], vec![json("2")]]).await;
        let upstream = upstream(config(&[&fake.url]));
        assert_eq!(get(&upstream).await.unwrap(), "1");
        assert_eq!(get(&upstream).await.unwrap(), "2");
    }
}

#[tokio::test]
async fn answers_with_bad_framing_are_refused() {
    let head = "Content-Type: application/json\r\n";
    for lines in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let result = after(format!("HTTP/1.1 200 OK\r\n{head}{lines}").as_bytes()).await;
        refused(result, AnswerFault::Framing);
    }
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n: empty\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "{\"id\":1}\r\n\r\n",
    ] {
        refused(after(text.as_bytes()).await, AnswerFault::Head);
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(40_000));
    refused(after(large.as_bytes()).await, AnswerFault::Head);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: a\r\n".repeat(101));
    refused(after(many.as_bytes()).await, AnswerFault::Head);
}

#[tokio::test]
async fn interim_answers_are_skipped_and_switches_refused() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: <secret>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";
    assert_eq!(after(early.as_bytes()).await.unwrap(), "1");
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nsecret";
    refused(after(switch.as_bytes()).await, AnswerFault::Upgrade);
    let part = "HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\n\
                Content-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\n\"}";
    refused(after(part.as_bytes()).await, AnswerFault::Partial);
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_must_show_its_own_end() {
    let json = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":1}";
    assert_eq!(after(json.as_bytes()).await.unwrap(), "{\"id\":1}");
    let lines = "HTTP/1.0 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"id\":1}\n";
    refused(after(lines.as_bytes()).await, AnswerFault::Endless);
}

#[tokio::test]
async fn media_types_and_codings_are_checked_where_the_body_is_released() {
    let with = |status: &str, lines: &str| {
        format!("HTTP/1.1 {status}\r\n{lines}Content-Length: 2\r\n\r\n{{}}").into_bytes()
    };
    let twice = "Content-Type: application/json\r\nContent-Type: text/html\r\n";
    refused(after(&with("200 OK", twice)).await, AnswerFault::Media(MediaError::Repeated));
    let utf16 = "Content-Type: application/json; charset=utf-16\r\n";
    refused(after(&with("200 OK", utf16)).await, AnswerFault::Media(MediaError::Charset));
    let codings = "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n";
    refused(after(&with("200 OK", codings)).await, AnswerFault::Coding(CodingError::Several));
    let unknown = "Content-Encoding: aws-chunked\r\n";
    refused(after(&with("200 OK", unknown)).await, AnswerFault::Coding(CodingError::Unknown));
    assert_eq!(after(&with("500 No", twice)).await.unwrap(), "{}");
}

#[tokio::test]
async fn trailers_are_dropped() {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
                Trailer: X-Secret\r\n\r\n1;x=secret\r\n1\r\n0\r\nX-Secret: secret\r\n\r\n";
    assert_eq!(after(text.as_bytes()).await.unwrap(), "1");
}

/// `{"id":1}` in gzip.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 202, 76, 81, 178, 50, 172, 5, 0, 197, 248, 93, 68, 8,
    0, 0, 0,
];

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn coded_bodies_are_decoded_to_their_very_end() {
    assert_eq!(after(&coded("gzip", GZIP)).await.unwrap(), "{\"id\":1}");
    let twice = [GZIP, GZIP].concat();
    refused(after(&coded("gzip", &twice)).await, AnswerFault::Coding(CodingError::Trailing));
    let cut = &GZIP[..GZIP.len() - 3];
    refused(after(&coded("gzip", cut)).await, AnswerFault::Coding(CodingError::Truncated));
    refused(after(&coded("gzip", b"{\"id\":1}")).await, AnswerFault::Coding(CodingError::Corrupt));
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    for end in [Step::Drop, Step::Reset] {
        let fake = Fake::new(vec![vec![json("1"), end], vec![json("2")]]).await;
        let upstream = upstream(config(&[&fake.url]));
        assert_eq!(get(&upstream).await.unwrap(), "1");
        assert_eq!(get(&upstream).await.unwrap(), "2");
        assert_eq!(upstream.store().metrics.retries.get(), 1);
        assert_eq!(upstream.store().metrics.failures.get(), 0);
    }
}

#[tokio::test]
async fn a_read_is_sent_twice_at_most() {
    let fake = Fake::new(vec![vec![Step::Drop], vec![Step::Reset], vec![json("3")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    assert!(matches!(get(&upstream).await, Err(UpstreamError::Broken(_))));
    assert_eq!(fake.heads().len(), 2);
}

#[tokio::test]
async fn an_answer_that_began_is_never_asked_for_again() {
    let text =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]";
    let fake = Fake::new(vec![vec![answer(text), Step::HalfClose], vec![json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    assert!(get(&upstream).await.is_err());
    assert_eq!(fake.heads().len(), 1);
}

#[tokio::test]
async fn a_silent_store_is_given_up_and_not_asked_again() {
    let fake = Fake::new(vec![vec![Step::Silence], vec![json("2")]]).await;
    let mut config = config(&[&fake.url]);
    config.timeouts.first_byte = Duration::from_millis(20);
    let upstream = upstream(config);
    let error = get(&upstream).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout(_)), "{error:?}");
    assert!(fake.heads().len() <= 1);
}

#[tokio::test]
async fn a_store_that_stalls_in_its_body_is_given_up() {
    let text =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]";
    let fake = Fake::new(vec![vec![answer(text)]]).await;
    let mut config = config(&[&fake.url]);
    config.timeouts.idle = Duration::from_millis(20);
    let upstream = upstream(config);
    let error = get(&upstream).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout(_)), "{error:?}");
    drop(upstream);
    fake.done.await.unwrap();
}

/// A URL where nobody listens.
async fn nobody() -> StoreUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    StoreUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

#[tokio::test]
async fn a_dead_address_gives_way_to_a_living_one() {
    let connection: Vec<Step> = (0..20).map(|_| json("1")).collect();
    let fake = Fake::new(vec![connection; 20]).await;
    let upstream = upstream(config(&[&nobody().await, &fake.url]));
    for _ in 0..20 {
        assert_eq!(get(&upstream).await.unwrap(), "1");
    }
    let health = upstream.store().health();
    let states: Vec<AddressState> = health.addresses.iter().map(|a| a.state).collect();
    assert_eq!(states, [AddressState::Ejected, AddressState::Up]);
    assert!(health.is_up());
    assert_eq!(upstream.store().metrics.ejections.get(), 1);
}

#[tokio::test]
async fn with_nobody_there_the_call_fails_and_says_so_plainly() {
    use crate::types::ClientError;
    let upstream = upstream(config(&[&nobody().await]));
    for _ in 0..6 {
        let error = get(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
        assert_eq!(error.client_message(), "the data store cannot be reached");
    }
    assert!(!upstream.store().health().is_up());
}

#[tokio::test]
async fn the_least_loaded_address_is_called() {
    let long = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1,";
    let scripts = || vec![vec![answer(long)], vec![answer(long)]];
    let (one, two) = (Fake::new(scripts()).await, Fake::new(scripts()).await);
    let upstream = upstream(config(&[&one.url, &two.url]));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(upstream.ask(&request()).await.unwrap());
    }
    let calls: Vec<usize> = upstream.store().health().addresses.iter().map(|a| a.calls).collect();
    assert_eq!(calls, [2, 2]);
    drop(open);
    let calls: Vec<usize> = upstream.store().health().addresses.iter().map(|a| a.calls).collect();
    assert_eq!(calls, [0, 0]);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_turned_away() {
    let fake = Fake::new(vec![vec![json("[1,2]"), json("2")]]).await;
    let mut config = config(&[&fake.url]);
    config.limits.calls = 1;
    let upstream = upstream(config);
    let first = upstream.ask(&request()).await.unwrap();
    assert!(matches!(upstream.ask(&request()).await, Err(UpstreamError::Busy)));
    read(first.body).await.unwrap();
    assert_eq!(get(&upstream).await.unwrap(), "2");
}

#[test]
fn an_address_is_set_aside_after_failures_in_a_row_and_comes_back() {
    let standing = Standing::default();
    let call = |now, well: bool| {
        standing.enter(now);
        standing.leave();
        if well {
            standing.succeeded();
            false
        } else {
            standing.failed(now)
        }
    };
    for _ in 0..4 {
        assert!(!call(1, false));
    }
    assert!(!call(1, true));
    for _ in 0..4 {
        assert!(!call(1, false));
    }
    assert!(call(1, false));
    assert_eq!(standing.state(5_000), AddressState::Ejected);
    assert_eq!(standing.state(5_001), AddressState::Up);

    // One call tries; while it does, others stay away.
    standing.enter(5_001);
    assert_eq!(standing.state(5_002), AddressState::Ejected);
    standing.leave();
    assert!(standing.failed(5_002));
    assert_eq!(standing.state(15_001), AddressState::Ejected);
    assert_eq!(standing.state(15_002), AddressState::Up);

    assert!(!call(15_002, true));
    assert_eq!(standing.state(15_002), AddressState::Up);
    assert!(!call(15_002, false));

    for now in (1..40).map(|i| i * 100_000) {
        call(now, false);
        assert_eq!(standing.state(now + 60_001), AddressState::Up);
    }
}

/// A store that answers every request on every connection, well or ill as `well` says.
async fn moody(well: Arc<AtomicBool>, asked: Arc<AtomicUsize>) -> StoreUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (well, asked) = (Arc::clone(&well), Arc::clone(&asked));
            tokio::spawn(async move {
                while let Some(head) = read_head(&mut stream).await {
                    assert!(head.starts_with("GET /health HTTP/1.1\r\n"), "{head}");
                    asked.fetch_add(1, SeqCst);
                    let status = if well.load(SeqCst) { "204 Well" } else { "500 Ill" };
                    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    let text = if well.load(SeqCst) {
                        text.replace("Content-Length: 0\r\n", "")
                    } else {
                        text
                    };
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    StoreUrl::parse(&url).unwrap()
}

#[tokio::test]
async fn health_checks_take_an_address_out_and_back_in() {
    let well = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let url = moody(Arc::clone(&well), Arc::clone(&asked)).await;
    let mut config = config(&[&url]);
    config.health = Some(HealthCheck { path: "/health".into(), every: Duration::from_millis(1) });
    let upstream = upstream(config);
    let watch = tokio::spawn(Arc::clone(upstream.store()).watch());
    for state in [true, false, true] {
        well.store(state, SeqCst);
        let before = asked.load(SeqCst);
        while upstream.store().health().is_up() != state || asked.load(SeqCst) < before + 2 {
            tokio::task::yield_now().await;
        }
    }
    watch.abort();
}

#[tokio::test]
async fn a_body_is_read_no_faster_than_it_is_asked_for() {
    const SIZE: usize = 256 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = StoreUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b' '; 64 << 10];
        while stream.write_all(&piece).await.is_ok() {
            count.fetch_add(piece.len(), SeqCst);
        }
    });
    let mut config = config(&[&url]);
    config.timeouts.idle = Duration::from_secs(20);
    let mut body = upstream(config).ask(&request()).await.unwrap().body;
    body.chunk().await.unwrap().unwrap();
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(written.load(SeqCst) < 64 << 20, "{} bytes", written.load(SeqCst));
}

#[tokio::test]
async fn idle_connections_are_few_and_do_not_stay() {
    let fake = Fake::new(vec![vec![json("1")], vec![json("2")], vec![json("3")]]).await;
    let mut config = config(&[&fake.url]);
    config.limits.idle_connections = 2;
    config.limits.idle_for = Duration::from_millis(30);
    let upstream = upstream(config);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(upstream.ask(&request()).await.unwrap());
    }
    for answer in open {
        read(answer.body).await.unwrap();
    }
    assert!(upstream.pool_len() <= 2);
    // The store sees all three closed while the gateway lives on.
    fake.done.await.unwrap();
    assert_eq!(upstream.pool_len(), 0);
}

#[test]
fn only_plain_urls_name_a_store() {
    for (text, error) in [
        ("127.0.0.1:7001", UrlError::Scheme),
        ("ftp://a", UrlError::Scheme),
        ("http://a/path", UrlError::Path),
        ("http://a?x=1", UrlError::Path),
        ("http://user:secret@a", UrlError::Credentials),
        ("http://", UrlError::Host),
        ("http://a:99999", UrlError::Host),
    ] {
        assert_eq!(StoreUrl::parse(text), Err(error), "{text}");
    }
    let url = StoreUrl::parse("https://Shop.Internal/").unwrap();
    assert_eq!((url.to_string().as_str(), url.port()), ("https://shop.internal", 443));
    assert_eq!(StoreUrl::parse("http://[::1]:7001").unwrap().port(), 7001);
}

#[test]
fn counters_are_registered_by_store() {
    let metrics = UpstreamMetrics::default();
    metrics.of(&StoreId::parse("shop").unwrap()).retries.inc();
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("privet_store_retries_total{store=\"shop\"} 1\n"), "{text}");
}

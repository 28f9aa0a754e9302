//! What happens on a connection beside its calls, and what of the calls shows outside.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use privet::audit::Ending;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::proxy::Limits;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;

const POLICY: &str = r#"
privet: policy/v1
name: connection
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", find_by: { email: email } }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    find_by: [email]
    fields: { id: show, email: show }
"#;

const BODY: &str = r#"{"id":"planted-id-77","email":"planted-value@mail.example"}"#;

fn gateway(store: &FakeStore, limits: Limits) -> Gateway {
    Gateway::start(Setup { limits, ..Setup::new(POLICY, store) })
}

/// Reads until the gateway closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    drop(tokio::time::timeout(Duration::from_secs(30), read).await.expect("it closes"));
    all
}

#[tokio::test]
async fn a_connection_without_calls_is_closed() {
    let store = FakeStore::always(json(200, BODY)).await;
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let gateway = gateway(&store, limits);
    for sent in [&b""[..], b"GET /shop/customers HTTP/1.1\r\nHost: a\r\n", b"PRI * HT"] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        rest(&mut stream).await;
    }
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn who_has_not_shown_who_they_are_has_little_time() {
    let store = FakeStore::always(json(200, BODY)).await;
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let gateway = gateway(&store, limits);
    let refused = "GET /shop/customers/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    // Nothing, a head that does not end, a call without a credential, the beginning of HTTP/2.
    for sent in ["", "GET /shop/customers HTTP/1.1\r\nHost: a\r\n", refused, "PRI * HT"] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let said = rest(&mut stream).await;
        assert_eq!(said.starts_with(b"HTTP/1.1 401"), sent == refused, "{sent}");
    }
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn a_head_that_takes_long_ends_a_connection_that_is_known_and_idleness_does_not() {
    let store = FakeStore::always(json(200, BODY)).await;
    let limits = Limits { head: Duration::from_millis(200), ..Limits::default() };
    let gateway = gateway(&store, limits);
    let token = gateway.token(&["support"], &["care"]);
    let call = format!(
        "GET /shop/customers/planted-id-77 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let connect = async || {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(call.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        stream
    };
    let (mut idle, mut slow) = (connect().await, connect().await);
    slow.write_all(b"GET /shop/customers HTTP/1.1\r\n").await.unwrap();
    assert!(rest(&mut slow).await.is_empty());
    idle.write_all(call.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = idle.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_nobody_reads_holds_nothing() {
    let store = FakeStore::always(json(200, BODY)).await;
    let gateway = gateway(&store, Limits::default());
    let token = gateway.token(&["support"], &["care"]);
    // Each announces a long body and sends little of it, or none.
    for (head, body) in [
        ("POST /shop/customers/1", ""),
        ("POST /shop/customers/1", "{"),
        ("PUT /nowhere", "{"),
        ("GET /shop/customers/1", "{"),
    ] {
        for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            let call = format!(
                "{head} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n{body}"
            );
            stream.write_all(call.as_bytes()).await.unwrap();
            let said = String::from_utf8(rest(&mut stream).await).unwrap();
            assert!(said.starts_with("HTTP/1.1 4"), "{head} {framing}: {said}");
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
        }
    }
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn one_connection_serves_many_calls_and_a_head_that_is_too_long_none() {
    let store = FakeStore::always(json(200, BODY)).await;
    let gateway = gateway(&store, Limits { header_bytes: 8192, ..Limits::default() });
    let token = gateway.token(&["support"], &["care"]);
    let call = format!(
        "GET /shop/customers/planted-id-77 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
    );
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let both = format!("{call}\r\n{call}Connection: close\r\n\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let answers = String::from_utf8(rest(&mut stream).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let long = format!("{call}X-Long: {}\r\n\r\n", "a".repeat(10_000));
    drop(stream.write_all(long.as_bytes()).await);
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    assert_eq!(store.asked().len(), 2);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_the_log_says_so() {
    // More than the kernel keeps for a socket.
    let email = "a".repeat(4000);
    let record = |n| format!(r#"{{"id":"c-{}","email":"{email}"}}"#, n % 100);
    let records: Vec<String> = (0..8000).map(record).collect();
    let store = FakeStore::always(json(200, &format!("[{}]", records.join(",")))).await;
    let limits = Limits { client_write: Duration::from_millis(200), ..Limits::default() };
    let gateway = gateway(&store, limits);
    let token = gateway.token(&["support"], &["care"]);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(gateway.address).await.unwrap();
    let call =
        format!("GET /shop/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(call.as_bytes()).await.unwrap();
    let ended = async {
        loop {
            gateway.log.flush().await.unwrap();
            let filter = Filter { kind: Some(Kind::Outcome), ..Filter::default() };
            let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap().next();
            if let Some(found) = found {
                return found.unwrap().1;
            }
        }
    };
    let entry = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    let cut = [Some(Ending::Aborted), Some(Ending::Gone)];
    assert!(cut.contains(&entry.outcome), "{entry:?}");
    assert!(entry.records < Some(8000));
    rest(&mut stream).await;
}

#[tokio::test]
async fn a_drain_lets_calls_end_and_takes_no_more() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, wait) = (Arc::clone(&asked), Arc::clone(&go));
    let store = FakeStore::start(move |_| {
        seen.notify_one();
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, BODY))]
    })
    .await;
    let gateway = gateway(&store, Limits::default());
    let token = gateway.token(&["support"], &["care"]);
    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    let call = format!(
        "GET /shop/customers/planted-id-77 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut busy = TcpStream::connect(gateway.address).await.unwrap();
    busy.write_all(call.as_bytes()).await.unwrap();
    asked.notified().await;
    gateway.drain.start();
    assert!(rest(&mut idle).await.is_empty());
    go.notify_one();
    let answer = String::from_utf8(rest(&mut busy).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('}'), "{answer}");
    assert_eq!(gateway.drain.finished(Duration::from_secs(20)).await, 0);
}

/// Collects everything that is logged.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_line_and_no_metric_names_anybody() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let malformed = BODY.replace("77\"", "77\",\"id\":\"planted-id-78\"");
    let store = FakeStore::start(move |asked| {
        let body = if asked.target().ends_with("bad") { &malformed } else { BODY };
        vec![Step::Bytes(json(200, body))]
    })
    .await;
    let gateway = gateway(&store, Limits::default());
    let token = gateway.token(&["support"], &["care"]);
    for (target, status) in [
        ("/shop/customers/planted-id-77", 200),
        ("/shop/customers/planted-id-bad", 502),
        ("/shop/customers?email=planted-value%40mail.example", 502),
        ("/shop/planted-id-77/unknown", 404),
        ("/shop/customers?planted-id-77=1", 400),
    ] {
        assert_eq!(get(gateway.address, target, &token, "").await.status, status, "{target}");
    }
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours = |line: &&str| line.contains("\"target\":\"privet") || line.contains("\"access\"");
    let ours: Vec<&str> = lines.lines().filter(ours).collect();
    let access = ours.iter().filter(|line| line.contains("\"access\"")).count();
    assert_eq!(access, 5);
    assert!(ours.iter().any(|line| line.contains("/customers/{id}")));
    let mut registry = Registry::default();
    gateway.shared.metrics().register(&mut registry);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).unwrap();
    assert!(
        metrics.contains("privet_requests_total{store=\"shop\",purpose=\"care\",action=\"read\""),
        "{metrics}"
    );
    assert!(metrics.contains("privet_fields_total{view=\"show\"} 2"), "{metrics}");
    for text in ours.iter().copied().chain([metrics.as_str()]) {
        for planted in ["planted-id", "planted-value", "agent-1", token.as_str()] {
            assert!(!text.contains(planted), "{planted} in {text}");
        }
    }
}

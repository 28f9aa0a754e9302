//! Clients that take their answer slowly or not at all, and what they hold meanwhile; stores that
//! stop in the middle of theirs.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;
use privet::proxy::Limits;
use privet::proxy::PerPrincipal;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
name: slow
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, email: show }
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
"#;

/// Records of one person, each of about four thousand bytes.
fn list(count: usize) -> Vec<u8> {
    let record = format!(r#"{{"id":"c-1","email":"{}"}}"#, "a".repeat(4000));
    json(200, &format!("[{}]", vec![record; count].join(",")))
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// Waits for how the first call ended. Each look waits for the log's disk.
async fn outcome(gateway: &Gateway) -> Entry {
    let look = async {
        loop {
            if let Some(entry) = entries(gateway, Kind::Outcome).await.into_iter().next() {
                return entry;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("it ends")
}

/// Waits until nothing more is released, and says how many batches were.
async fn stalled(gateway: &Gateway) -> usize {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = entries(gateway, Kind::Release).await.len();
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

/// Asks for the list on a connection that takes little at a time.
async fn ask(gateway: &Gateway) -> TcpStream {
    let token = gateway.token(&["support"], &["care"]);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(gateway.address).await.unwrap();
    let call = format!(
        "GET /shop/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_restriction_reaches_the_batch_that_waits_for_a_slow_client() {
    let store = FakeStore::always(list(8000)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let mut stream = ask(&gateway).await;
    let before = stalled(&gateway).await;
    gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    let mut piece = vec![0; 1024 * 1024];
    while stream.read(&mut piece).await.unwrap() > 0 {}
    let releases = entries(&gateway, Kind::Release).await;
    assert!(releases.len() > before, "{before}");
    let late = releases.iter().skip(before).filter_map(|entry| entry.records).sum::<u32>();
    assert_eq!(late, 0, "records released after the restriction was acknowledged");
}

#[tokio::test]
async fn a_narrower_policy_reaches_the_batch_that_waits_for_a_slow_client() {
    let store = FakeStore::always(list(8000)).await;
    let gateway = Gateway::start(Setup { limits: Limits::default(), ..Setup::new(POLICY, &store) });
    let mut stream = ask(&gateway).await;
    let before = stalled(&gateway).await;
    gateway.reload(&POLICY.replace("id: show, email: show", "id: show"));
    let mut piece = vec![0; 1024 * 1024];
    while stream.read(&mut piece).await.is_ok_and(|count| count > 0) {}
    assert_eq!(entries(&gateway, Kind::Release).await.len(), before);
}

/// Every list here is shorter than what is sent at once when the store does not stop.
#[tokio::test]
async fn what_was_released_leaves_though_the_store_is_silent_and_what_was_not_can_be_stopped() {
    let record = r#"{"id":"c-1","email":"a@mail.example"}"#;
    for (is_restricted, goes_on, is_whole) in
        [(false, true, true), (true, true, true), (false, false, false)]
    {
        let part = |count| vec![record; count].join(",");
        let (early, late) = (format!("[{}", part(300)), format!(",{}]", part(300)));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        let first = format!("{head}: {}\r\n\r\n{early}", early.len() + late.len());
        let last = if goes_on { Step::Bytes(late.into_bytes()) } else { Step::Close };
        let go = Arc::new(Notify::new());
        let steps = vec![Step::Bytes(first.into_bytes()), Step::Wait(Arc::clone(&go)), last];
        let store = FakeStore::start(move |_| steps.clone()).await;
        let gateway = Gateway::start(Setup::new(POLICY, &store));
        let mut stream = ask(&gateway).await;
        let mut raw = Vec::new();
        let shown = |raw: &[u8]| String::from_utf8_lossy(raw).matches("a@mail").count();
        while shown(&raw) < 256 {
            assert!(stream.read_buf(&mut raw).await.unwrap() > 0);
        }
        // One batch and its entry; the next is not full, is not judged and has none.
        assert_eq!(shown(&raw), 256);
        let releases = entries(&gateway, Kind::Release).await;
        let counts: Vec<_> = releases.iter().map(|entry| entry.records).collect();
        assert_eq!(counts, [Some(256)]);
        if is_restricted {
            let restricted = SubjectStatus::Restricted;
            gateway.cards.set_status(&person(), "c-1", restricted).await.unwrap();
        }
        go.notify_one();
        while stream.read_buf(&mut raw).await.is_ok_and(|count| count > 0) {}
        let reply = Reply::parse(raw, false);
        let all = if goes_on && !is_restricted { 600 } else { 256 };
        assert_eq!((reply.status, reply.is_whole), (200, is_whole));
        assert_eq!(shown(&reply.body), all);
        let releases = entries(&gateway, Kind::Release).await;
        let recorded = releases.iter().filter_map(|entry| entry.records).sum::<u32>();
        assert_eq!(recorded, u32::try_from(all).unwrap());
        let (ending, reason) =
            if goes_on { (Ending::Complete, None) } else { (Ending::Aborted, Some("store")) };
        let outcome = outcome(&gateway).await;
        assert_eq!((outcome.outcome, outcome.reason.as_deref()), (Some(ending), reason));
    }
}

/// An HTTP/2 client whose streams take `window` bytes before it reads them.
async fn http_2(
    gateway: &Gateway,
    window: u32,
) -> hyper::client::conn::http2::SendRequest<Empty<bytes::Bytes>> {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(token: &str, target: &str) -> http::Request<Empty<bytes::Bytes>> {
    http::Request::get(format!("http://gateway.test{target}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn an_answer_nobody_takes_is_not_complete_counts_as_a_call_and_is_cut() {
    let record = r#"{"id":"c-1","email":"a@mail.example"}"#;
    let store = FakeStore::always(json(200, record)).await;
    let per_principal = PerPrincipal { concurrent: 1, per_second: 1000 };
    let client_write = Duration::from_secs(1);
    let limits = Limits { client_write, per_principal, ..Limits::default() };
    let gateway = Gateway::start(Setup { limits, ..Setup::new(POLICY, &store) });
    let token = gateway.token(&["support"], &["care"]);
    let mut client = http_2(&gateway, 1).await;
    let reply = client.send_request(request(&token, "/shop/customers/c-1")).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(entries(&gateway, Kind::Outcome).await.is_empty(), "nothing was taken yet");
    let second = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    assert_eq!(second.status, 429, "the first call is still under way");
    let outcome = outcome(&gateway).await;
    let said = (outcome.outcome, outcome.reason.as_deref());
    assert_eq!(said, (Some(Ending::Aborted), Some("client_slow")));
    let third = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    assert_eq!(third.status, 200);
    drop(reply);
}

#[tokio::test]
async fn an_answer_taken_in_small_windows_is_whole_and_then_complete() {
    for count in [1, 14, 40, 300] {
        let store = FakeStore::always(list(count)).await;
        let gateway = Gateway::start(Setup::new(POLICY, &store));
        let token = gateway.token(&["support"], &["care"]);
        let mut client = http_2(&gateway, 1000).await;
        let reply = client.send_request(request(&token, "/shop/customers")).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let records: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(records.as_array().unwrap().len(), count);
        drop(client);
        let outcome = outcome(&gateway).await;
        assert_eq!(outcome.outcome, Some(Ending::Complete), "{count}");
        assert_eq!(outcome.bytes, u64::try_from(body.len()).ok());
    }
}

#[tokio::test]
async fn one_owner_cannot_take_all_large_buffers() {
    let store = FakeStore::always(list(8000)).await;
    // Room for four long answers at one time.
    let limits = Limits { buffer_bytes: 34 << 20, record_bytes: 64 * 1024, ..Limits::default() };
    let gateway = Gateway::start(Setup { limits, ..Setup::new(POLICY, &store) });
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(ask(&gateway).await);
    }
    stalled(&gateway).await;
    let (roles, purposes) = (vec!["support".to_owned()], vec!["care".to_owned()]);
    let other = gateway.mint(&Wanted { roles, purposes, ..wanted("agent-2") });
    let call = get(gateway.address, "/shop/customers", &other, "");
    let reply = tokio::time::timeout(Duration::from_secs(15), call).await.expect("there is room");
    assert_eq!((reply.status, reply.is_whole), (200, true));
}

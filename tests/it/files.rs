//! Files: streamed whole as one classified field.

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
use privet::audit::Shown;
use privet::proxy::Limits;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::gzip;
use crate::harness::json;
use crate::harness::person;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
name: files
purposes:
  care: { basis: contract }
  album: { basis: consent, consent: album }
roles:
  support: { claim: roles, has: support }
  analyst: { claim: roles, has: analyst }
  lead: { claim: roles, has: lead }
views:
  tail-4: { mask: { keep_last: 4 } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers/{id}/photo", records: opaque, field: photo, of: "GET /customers/{id}" }
      - { on: "GET /customers/{id}/avatar", records: opaque, field: photo }
    fields:
      id: { category: user.unique_id }
      team: { category: system.operations, level: general }
      country: { category: user.contact.address.country, level: general }
      photo: { category: user.biometric }
  shop.manuals:
    subject: none
    routes:
      - { on: "GET /manuals/{name}", records: opaque, field: content }
    fields:
      name: { category: system.operations, level: general }
      content: { category: system.operations, level: general }
grants:
  - id: support-photo
    roles: [support]
    purposes: [care, album]
    data: [shop.customers]
    can: [read]
    fields: { id: show, photo: show }
  - id: analyst-photo
    roles: [analyst]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, photo: tail-4 }
  - id: lead-photo
    roles: [lead]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    rows: { team: caller.team }
    find_by: [id]
    fields: { id: show, photo: show }
  - id: manuals
    roles: [support]
    purposes: [care]
    data: [shop.manuals]
    can: [read]
    fields: { name: show, content: show }
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
  - { id: stop, roles: [analyst, support], if: { subjects_shown_over: 3, within: 1 hour }, then: deny }
"#;

const PHOTO: &str = "/shop/customers/c-1/photo";
const AVATAR: &str = "/shop/customers/c-1/avatar";
const MIB: usize = 1024 * 1024;

fn file(content: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nETag: \"v1\"\r\nServer: store/1\r\n\
         Content-Disposition: inline; filename=\"Ana Ruiz.png\"\r\nX-Owner: c-1\r\n\
         Content-Length: {}\r\n\r\n",
        content.len()
    );
    [head.as_bytes(), content].concat()
}

fn record(id: &str) -> Vec<u8> {
    json(200, &format!(r#"{{"id":"{id}","team":"red","country":"GB","photo":"x"}}"#))
}

/// A store of one customer, `c-1` of team `red`, with `answer` as the photo.
async fn store(answer: Vec<u8>) -> FakeStore {
    steps(move || vec![Step::Bytes(answer.clone())]).await
}

async fn steps(photo: impl Fn() -> Vec<Step> + Send + Sync + 'static) -> FakeStore {
    FakeStore::start(move |asked| match asked.target() {
        "/customers/c-1" => vec![Step::Bytes(record("c-1"))],
        "/customers/c-1/photo" | "/customers/c-1/avatar" | "/manuals/m" => photo(),
        _ => vec![Step::Bytes(json(404, "{}"))],
    })
    .await
}

/// A photo of so many MiB.
async fn large(mib: usize) -> FakeStore {
    steps(move || {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", mib * MIB);
        vec![Step::Bytes(head.into_bytes()), Step::Many(vec![7; MIB], mib)]
    })
    .await
}

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// The last outcome, once there are `count`.
async fn outcome(gateway: &Gateway, count: usize) -> Entry {
    loop {
        let mut all = entries(gateway, Kind::Outcome).await;
        if all.len() >= count {
            return all.remove(count - 1);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_passes_as_it_is_with_its_own_headers_and_no_other() {
    let content = [&[0_u8, 255, 10][..], &[b'x'; 100_000]].concat();
    let store = store(file(&content)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    for target in [PHOTO, AVATAR, "/shop/manuals/m"] {
        let more = "Range: bytes=0-5\r\nAccept: image/*\r\nAccept-Encoding: gzip\r\n";
        let reply = get(gateway.address, target, &token, more).await;
        assert_eq!((reply.status, reply.is_whole), (200, true), "{}", reply.text());
        assert!(reply.body == content);
        assert_eq!(reply.header("content-length"), Some("100003"));
        assert_eq!(reply.header("content-type"), Some("image/png"));
        let name = reply.header("content-disposition");
        assert_eq!(name, Some("inline; filename=\"Ana Ruiz.png\""));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("privet-fields"), Some("shown=1"));
        assert_eq!(reply.header("etag"), Some("\"v1\""));
        assert_eq!((reply.header("server"), reply.header("x-owner")), (None, None));
        let asked = store.asked().pop().unwrap();
        assert_eq!(asked.header("accept-encoding"), Some("identity"));
        assert_eq!(asked.header("accept"), Some("*/*"));
        assert_eq!((asked.header("range"), asked.header("authorization")), (None, None));
    }
    let asked: Vec<_> = store.asked().iter().map(|asked| asked.target().to_owned()).collect();
    assert_eq!(
        asked,
        ["/customers/c-1", "/customers/c-1/photo", "/customers/c-1/avatar", "/manuals/m"]
    );
}

#[tokio::test]
async fn a_release_with_one_field_and_one_person_is_on_disk_and_an_outcome_with_bytes_follows() {
    let store = store(file(b"pixels")).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    get(gateway.address, PHOTO, &token, "").await;
    let release = entries(&gateway, Kind::Release).await.remove(0);
    assert_eq!((release.records, release.subjects.len(), release.bytes), (Some(1), 1, Some(6)));
    let fields: Vec<_> =
        release.fields.iter().map(|it| (it.category.as_str().to_owned(), it.view)).collect();
    assert_eq!(fields, [("user.biometric".to_owned(), Shown::Show)]);
    let ended = outcome(&gateway, 1).await;
    assert_eq!((ended.outcome, ended.bytes), (Some(Ending::Complete), Some(6)));
    assert_eq!((ended.records, ended.decision_id), (Some(1), release.decision_id));

    let head = format!(
        "HEAD {PHOTO} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    let reply = Reply::parse(exchange(gateway.address, head.as_bytes()).await, true);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
    let reply = get(gateway.address, PHOTO, &token, "If-None-Match: \"v1\"\r\n").await;
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    let releases = entries(&gateway, Kind::Release).await;
    let told: Vec<_> = releases.iter().map(|it| (it.records, it.bytes)).collect();
    assert_eq!(told, [(Some(1), Some(6)), (Some(1), Some(0)), (Some(1), Some(0))]);
    assert_eq!(outcome(&gateway, 3).await.bytes, Some(0));
}

#[tokio::test]
async fn who_is_not_shown_the_field_as_it_is_is_refused_and_the_store_is_not_asked() {
    let store = store(file(b"pixels")).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["analyst"], &["care"]);
    let reply = get(gateway.address, PHOTO, &token, "").await;
    assert_eq!((reply.status, reply.json()["rule"].as_str()), (403, Some("analyst-photo")));
    assert!(reply.json()["detail"].as_str().unwrap().contains("`photo`"));
    assert!(store.asked().is_empty());
    assert_eq!(entries(&gateway, Kind::Refusal).await.len(), 1);
    assert!(entries(&gateway, Kind::Outcome).await.is_empty());
}

#[tokio::test]
async fn a_file_that_is_hidden_and_one_that_is_not_there_look_the_same() {
    let store = store(file(b"pixels")).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    for (hidden, absent) in
        [(PHOTO, "/shop/customers/c-2/photo"), (AVATAR, "/shop/customers/c-2/avatar")]
    {
        let hidden = get(gateway.address, hidden, &token, "").await;
        let absent = get(gateway.address, absent, &token, "").await;
        assert_eq!((hidden.status, absent.status), (404, 404));
        assert_eq!(hidden.body, absent.body);
        assert_eq!(hidden.header_names(), absent.header_names());
        assert_eq!(hidden.header("privet-fields"), absent.header("privet-fields"));
        assert_eq!(hidden.raw.len(), absent.raw.len());
    }
    let asked: Vec<_> = store.asked().iter().map(|asked| asked.target().to_owned()).collect();
    let expected =
        ["/customers/c-1", "/customers/c-2", "/customers/c-1/avatar", "/customers/c-2/avatar"];
    assert_eq!(asked, expected, "as many questions for what is hidden as for what is not there");
    assert!(entries(&gateway, Kind::Release).await.is_empty());
    let card = gateway.cards.find(&person(), "c-2").await.unwrap();
    assert!(card.is_none(), "nobody is made known by being asked about");
}

#[tokio::test]
async fn rows_and_consent_are_those_of_the_record_it_belongs_to() {
    let store = store(file(b"pixels")).await;
    let gateway = gateway(&store);
    let lead = |team: &str| {
        let mut lead = wanted("agent-1");
        lead.roles = vec!["lead".to_owned()];
        lead.purposes = vec!["care".to_owned()];
        lead.claims = vec![("team".to_owned(), vec![team.to_owned()])];
        gateway.mint(&lead)
    };
    let own = get(gateway.address, PHOTO, &lead("red"), "").await;
    let other = get(gateway.address, PHOTO, &lead("blue"), "").await;
    assert_eq!((own.status, other.status), (200, 404));
    let unknown = get(gateway.address, AVATAR, &lead("red"), "").await;
    assert_eq!(unknown.status, 404, "the path does not say the team");
    let consent = gateway.token(&["support"], &["album"]);
    assert_eq!(get(gateway.address, PHOTO, &consent, "").await.status, 404);
}

#[tokio::test]
async fn people_in_files_count_against_limits() {
    let store = FakeStore::start(|asked| {
        let photo = asked.target().ends_with("/avatar");
        vec![Step::Bytes(if photo { file(b"pixels") } else { json(404, "{}") })]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let mut statuses = Vec::new();
    for n in 0..5 {
        let target = format!("/shop/customers/c-{n}/avatar");
        statuses.push(get(gateway.address, &target, &token, "").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
}

#[tokio::test]
async fn what_the_store_says_of_its_framing_decides() {
    let body = gzip(b"pixels");
    let coded = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let coded = [coded.as_bytes(), &body].concat();
    let plain = |text: &str| text.as_bytes().to_vec();
    let chunked =
        plain("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npixels\r\n0\r\n\r\n");
    let endless = plain("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\npixels");
    let cut = plain("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npixels");
    let none = plain("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let odd = plain("HTTP/1.1 200 OK\r\nContent-Type: ;;\r\nContent-Length: 6\r\n\r\npixels");
    let cases = [
        ("coded", coded, (200, true, 6)),
        ("chunked", chunked, (200, true, 6)),
        ("endless", endless, (502, true, 0)),
        ("cut", cut, (200, false, 6)),
        ("empty", none, (200, true, 0)),
        ("odd type", odd, (502, true, 0)),
    ];
    for (name, answer, (status, is_whole, length)) in cases {
        let store = steps(move || vec![Step::Bytes(answer.clone()), Step::Close]).await;
        let gateway = gateway(&store);
        let token = gateway.token(&["support"], &["care"]);
        let reply = get(gateway.address, AVATAR, &token, "").await;
        assert_eq!((reply.status, reply.is_whole), (status, is_whole), "{name}");
        let sent = if status == 200 { reply.body.len() } else { 0 };
        assert_eq!(sent, length, "{name}");
        let ending = match (status, is_whole) {
            (200, true) => Ending::Complete,
            (200, false) => Ending::Aborted,
            _ => Ending::Failed,
        };
        assert_eq!(outcome(&gateway, 1).await.outcome, Some(ending), "{name}");
    }
}

/// Asks for a target on a connection that takes little at a time.
async fn ask(gateway: &Gateway, target: &str) -> TcpStream {
    let token = gateway.token(&["support"], &["care"]);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(gateway.address).await.unwrap();
    let call = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).await.unwrap();
    stream
}

/// Waits until the store gets rid of nothing more, and says how much it got rid of.
async fn stalled(store: &FakeStore) -> u64 {
    let mut before = u64::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = store.sent();
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

/// Reads to the end; how many bytes that were.
async fn drain(stream: &mut TcpStream) -> usize {
    let (mut piece, mut total) = (vec![0; MIB], 0);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        total += count;
    }
    total
}

#[tokio::test]
async fn a_hundred_mebibytes_pass_and_none_wait_in_the_gateway() {
    let store = large(100).await;
    let gateway = gateway(&store);
    let mut stream = ask(&gateway, "/shop/manuals/m").await;
    let waiting = stalled(&store).await;
    assert!(waiting <= 12 * MIB as u64, "{waiting} bytes were read ahead, by sockets too");
    assert!(drain(&mut stream).await > 100 * MIB);
    let ended = outcome(&gateway, 1).await;
    assert_eq!((ended.outcome, ended.bytes), (Some(Ending::Complete), Some(100 * MIB as u64)));
}

#[tokio::test]
async fn a_restriction_in_the_middle_ends_the_file() {
    for target in [PHOTO, AVATAR] {
        let store = large(64).await;
        let gateway = gateway(&store);
        let mut stream = ask(&gateway, target).await;
        let before = stalled(&store).await;
        gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
        let read = drain(&mut stream).await as u64;
        assert!(read < before + 2 * MIB as u64, "{read} after {before}");
        let ended = outcome(&gateway, 1).await;
        let said = (ended.outcome, ended.reason.as_deref());
        assert_eq!(said, (Some(Ending::Aborted), Some("withdrawn")));
    }
}

#[tokio::test]
async fn a_narrower_policy_in_the_middle_ends_the_file_and_the_same_one_does_not() {
    let narrower = POLICY.replace("id: show, photo: show", "id: show");
    let same = POLICY.replace("name: files", "name: other");
    for (policy, is_cut) in [(narrower, true), (same, false)] {
        let store = large(32).await;
        let gateway = gateway(&store);
        let mut stream = ask(&gateway, AVATAR).await;
        stalled(&store).await;
        gateway.reload(&policy);
        let read = drain(&mut stream).await;
        assert_eq!(read < 32 * MIB, is_cut, "{read}");
        let ended = outcome(&gateway, 1).await;
        let expected = if is_cut { Ending::Aborted } else { Ending::Complete };
        assert_eq!(ended.outcome, Some(expected));
    }
}

#[tokio::test]
async fn who_takes_nothing_is_cut_and_who_waits_for_the_store_is_not() {
    let limits = Limits { client_write: Duration::from_secs(1), ..Limits::default() };
    let store = large(64).await;
    let slow = Gateway::start(Setup { limits, ..Setup::new(POLICY, &store) });
    let stream = ask(&slow, AVATAR).await;
    let ended = outcome(&slow, 1).await;
    let said = (ended.outcome, ended.reason.as_deref());
    assert_eq!(said, (Some(Ending::Aborted), Some("client_slow")));
    drop(stream);

    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let store = steps(move || {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\npixels".to_vec();
        vec![Step::Bytes(head), Step::Wait(Arc::clone(&wait)), Step::Bytes(b"pixels".to_vec())]
    })
    .await;
    let patient = Gateway::start(Setup { limits, ..Setup::new(POLICY, &store) });
    let token = patient.token(&["support"], &["care"]);
    let reply = tokio::spawn(async move { get(patient.address, AVATAR, &token, "").await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    go.notify_one();
    let reply = reply.await.unwrap();
    assert_eq!((reply.is_whole, reply.text().as_str()), (true, "pixelspixels"));
}

#[tokio::test]
async fn a_file_passes_over_http_2() {
    let store = large(3).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://gateway.test{PHOTO}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let reply = client.send_request(request).await.unwrap();
    assert_eq!(reply.headers()["content-length"], (3 * MIB).to_string().as_str());
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() == 3 * MIB && body.iter().all(|byte| *byte == 7));
    drop(client);
    let ended = outcome(&gateway, 1).await;
    assert_eq!((ended.outcome, ended.bytes), (Some(Ending::Complete), Some(3 * MIB as u64)));
}

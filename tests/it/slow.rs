//! Clients that take their answer slowly or not at all, and what they hold meanwhile.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::proxy::Limits;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::json;
use crate::harness::person;

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

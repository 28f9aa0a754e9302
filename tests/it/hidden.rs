//! What an answer without records says of them all the same, and what it must not.

use std::sync::Arc;
use std::time::Duration;

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;
use tokio::sync::Notify;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::json;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
name: hidden
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
  customer: { is_subject: true }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /wrapped/{id}", records: "$.item" }
    fields:
      id: { category: user.unique_id }
      address: { category: user.contact.address, children: { city: {} } }
      tags: { category: user.name }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, address: show, tags: show }
  - id: own
    roles: [customer]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, address: show }
limits:
  - { id: stop, if: { subjects_shown_over: 2, within: 1 hour }, then: deny }
"#;

const RECORD: &str = r#"{"id":"c-1","tags":["a","b"],"address":{"city":"Rome"}}"#;

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

/// A token of a customer.
fn customer(gateway: &Gateway, id: &str) -> String {
    let own = Wanted { subject_id: Some(id.to_owned()), ..wanted(id) };
    gateway.mint(&Wanted { purposes: vec!["care".to_owned()], ..own })
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// An answer whose head names a version.
fn versioned(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\n\
                Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length";
    format!("{head}: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn who_learns_that_a_record_is_there_is_written_down_and_counted() {
    let store = FakeStore::start(|asked| {
        let id = asked.target().rsplit('/').next().unwrap_or_default().to_owned();
        vec![Step::Bytes(versioned(&RECORD.replace("c-1", &id)))]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let call = async |method: &str, id: &str, more: &str| {
        let request = format!(
            "{method} /shop/customers/{id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             {more}Connection: close\r\n\r\n"
        );
        Reply::parse(exchange(gateway.address, request.as_bytes()).await, method == "HEAD").status
    };
    assert_eq!(call("HEAD", "c-1", "").await, 200);
    assert_eq!(call("GET", "c-2", "If-None-Match: \"v1\"\r\n").await, 304);
    let releases = entries(&gateway, Kind::Release).await;
    let said: Vec<_> =
        releases.iter().map(|it| (it.records, it.subjects.len(), it.bytes)).collect();
    assert_eq!(said, [(Some(1), 1, Some(0)), (Some(1), 1, Some(0))]);
    assert_eq!(call("HEAD", "c-3", "").await, 403, "the third person is one too many");
    let outcomes = entries(&gateway, Kind::Outcome).await;
    let first = outcomes.first().unwrap();
    assert_eq!((first.outcome, first.records), (Some(Ending::Complete), Some(1)));
}

#[tokio::test]
async fn no_version_is_named_when_anything_was_not_passed_on() {
    for (target, body, is_named) in [
        ("/shop/customers/c-1", RECORD.to_owned(), true),
        ("/shop/customers/c-1", RECORD.replace("}}", r#"},"secret":1}"#), false),
        ("/shop/customers/c-1", RECORD.replace("\"Rome\"", r#""Rome","zip":7"#), false),
        ("/shop/customers/c-1", RECORD.replace(r#"{"city":"Rome"}"#, "7"), false),
        ("/shop/customers/c-1", RECORD.replace("\"b\"", r#"{"b":1}"#), false),
        ("/shop/wrapped/c-1", format!(r#"{{"item":{RECORD}}}"#), true),
        ("/shop/wrapped/c-1", format!(r#"{{"item":{RECORD},"total":9}}"#), false),
    ] {
        let store = FakeStore::always(versioned(&body)).await;
        let gateway = gateway(&store);
        let token = gateway.token(&["support"], &["care"]);
        let reply = get(gateway.address, target, &token, "").await;
        assert_eq!(reply.status, 200, "{body}");
        assert_eq!(reply.header("etag").is_some(), is_named, "{body}");
        assert_eq!(reply.header("last-modified").is_some(), is_named, "{body}");
        let known = "If-None-Match: \"v1\"\r\n";
        let status = if is_named { 304 } else { 200 };
        assert_eq!(get(gateway.address, target, &token, known).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_broken_record_of_somebody_else_is_one_that_is_not_there() {
    let redirect = "HTTP/1.1 302 F\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let html = String::from_utf8(json(200, RECORD)).unwrap().replace("/json", "/html");
    for (answer, reason) in [
        (json(200, r#"{"id":"c-1","id":"c-1"}"#), "store_body"),
        (redirect.as_bytes().to_vec(), "store_status"),
        (html.into_bytes(), "store_content_type"),
    ] {
        let store = FakeStore::start(move |asked| {
            let there = asked.target().ends_with("c-1");
            vec![Step::Bytes(if there { answer.clone() } else { json(404, "{}") }), Step::Close]
        })
        .await;
        let gateway = gateway(&store);
        let token = customer(&gateway, "c-9");
        let broken = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        let absent = get(gateway.address, "/shop/customers/c-2", &token, "").await;
        assert_eq!((broken.status, absent.status), (404, 404), "{reason}");
        assert_eq!(broken.body, absent.body);
        assert_eq!(broken.header_names(), absent.header_names());
        let outcome = entries(&gateway, Kind::Outcome).await.remove(0);
        let said = (outcome.outcome, outcome.reason.as_deref());
        assert_eq!(said, (Some(Ending::NotFound), Some(reason)));
        let staff = gateway.token(&["support"], &["care"]);
        assert_eq!(get(gateway.address, "/shop/customers/c-1", &staff, "").await.status, 502);
    }
}

#[tokio::test]
async fn a_record_nobody_may_open_makes_no_card() {
    let store = FakeStore::always(json(200, RECORD)).await;
    let gateway = gateway(&store);
    let made = || gateway.cards.metrics().created.get();
    let stranger = customer(&gateway, "c-9");
    assert_eq!(get(gateway.address, "/shop/customers/c-1", &stranger, "").await.status, 404);
    assert_eq!(made(), 0);
    let own = customer(&gateway, "c-1");
    assert_eq!(get(gateway.address, "/shop/customers/c-1", &own, "").await.status, 200);
    assert_eq!(made(), 1);
}

#[tokio::test]
async fn the_answer_waits_for_the_whole_of_the_stores_404() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let store = FakeStore::start(move |_| {
        let head = "HTTP/1.1 404 N\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
        vec![
            Step::Bytes(head.as_bytes().to_vec()),
            Step::Wait(Arc::clone(&wait)),
            Step::Bytes(b"}".to_vec()),
        ]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let mut call = std::pin::pin!(get(gateway.address, "/shop/customers/c-1", &token, ""));
    let early = tokio::time::timeout(Duration::from_millis(300), call.as_mut()).await;
    assert!(early.is_err(), "answered before the store had said all");
    go.notify_one();
    assert_eq!(call.await.status, 404);
}

//! Records of several data sets in one answer.

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::types::DomainId;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;

const POLICY: &str = r#"
privet: policy/v1
name: sets
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
  clerk: { claim: roles, has: clerk }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - on: "GET /search"
        records: { "$.customers[*]": shop.customers, "$.orders[*]": shop.orders, "$.owner": shop.customers }
        around: [total]
        find_by: { email: email }
      - on: "GET /customers/{id}/all"
        records: { "$.customer": shop.customers, "$.orders[*]": shop.orders }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
  shop.orders:
    subject: { field: buyer, domain: buyer }
    routes:
      - { on: "GET /orders", records: "$[*]" }
    fields:
      number: { category: user.behavior.purchase_history }
      buyer: { category: user.unique_id }
grants:
  - id: support-customers
    roles: [support, clerk]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    find_by: [email]
    fields: { id: show, email: email-hint }
  - id: support-orders
    roles: [support]
    purposes: [care]
    data: [shop.orders]
    can: [read]
    fields: { number: show, buyer: show }
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
"#;

const SEARCH: &str = r#"{"orders":[{"number":7,"buyer":"b-1","x":1},{"number":8,"buyer":"b-2"}],
 "total":2,"secret":"planted","customers":[{"id":"c-1","email":"ana@mail.example"}],
 "owner":{"id":"c-2","email":"bo@mail.example"}}"#;

async fn gateway(answer: &str) -> Gateway {
    let store = FakeStore::always(json(200, answer)).await;
    Gateway::start(Setup::new(POLICY, &store))
}

async fn ask(gateway: &Gateway, role: &str, target: &str) -> crate::harness::Reply {
    let token = gateway.token(&[role], &["care"]);
    get(gateway.address, target, &token, "").await
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

#[tokio::test]
async fn each_set_is_shown_and_recorded_under_its_own_decision() {
    let gateway = gateway(SEARCH).await;
    let reply = ask(&gateway, "support", "/shop/search?email=ana%40mail.example").await;
    assert_eq!(
        reply.text(),
        r#"{"orders":[{"number":7,"buyer":"b-1"},{"number":8,"buyer":"b-2"}],"total":2,"customers":[{"id":"c-1","email":"a***@mail.example"}],"owner":{"id":"c-2","email":"***@mail.example"}}"#
    );
    assert_eq!(reply.header("privet-fields"), Some("shown=4, masked=2"));
    assert!(reply.header("content-length").is_some());
    let releases = entries(&gateway, Kind::Release).await;
    let told: Vec<_> = releases
        .iter()
        .map(|it| {
            let set = it.data_set.as_ref().unwrap().as_str().to_owned();
            (set, it.records, it.subjects.len(), it.fields.len())
        })
        .collect();
    let customers = |records| ("shop.customers".to_owned(), Some(records), 1, 2);
    let orders = ("shop.orders".to_owned(), Some(2), 2, 2);
    assert_eq!(told, [orders, customers(1), customers(1)]);
    assert_eq!(releases[0].rules[0].as_str(), "support-orders");
    let bytes: u64 = releases.iter().filter_map(|it| it.bytes).sum();
    assert_eq!(bytes, reply.body.len() as u64);
    let outcome = entries(&gateway, Kind::Outcome).await.remove(0);
    assert_eq!((outcome.outcome, outcome.records), (Some(Ending::Complete), Some(4)));
}

#[tokio::test]
async fn a_set_that_policy_refuses_is_left_out_whole() {
    let gateway = gateway(SEARCH).await;
    let reply = ask(&gateway, "clerk", "/shop/search").await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["orders"], serde_json::json!([]));
    assert_eq!(answer["customers"][0]["id"], "c-1");
    assert!(!reply.text().contains("b-1"));
    let sets: Vec<_> = entries(&gateway, Kind::Release).await;
    assert!(sets.iter().all(|it| it.data_set.as_ref().unwrap().as_str() == "shop.customers"));
    let buyer = DomainId::parse("buyer").unwrap();
    assert!(gateway.cards.find(&buyer, "b-1").await.unwrap().is_none());
    // The route's own set decides about the call.
    let refused = ask(&gateway, "nobody", "/shop/search").await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_refused_set_does_not_tell_whether_the_store_has_it() {
    let without = SEARCH.replace(r#""orders":"#, r#""others":"#);
    assert_ne!(without, SEARCH);
    let (there, missing) = (gateway(SEARCH).await, gateway(&without).await);
    let there = ask(&there, "clerk", "/shop/search").await;
    let missing = ask(&missing, "clerk", "/shop/search").await;
    assert_eq!((there.status, there.text()), (200, missing.text()));
    assert!(there.text().ends_with(r#","orders":[]}"#), "{}", there.text());
}

#[tokio::test]
async fn people_are_left_out_of_the_set_they_are_in() {
    let gateway = gateway(SEARCH).await;
    let buyer = DomainId::parse("buyer").unwrap();
    gateway.cards.set_status(&buyer, "b-1", SubjectStatus::Restricted).await.unwrap();
    gateway.cards.set_status(&person(), "c-2", SubjectStatus::Restricted).await.unwrap();
    let reply = ask(&gateway, "support", "/shop/search").await;
    assert_eq!(
        reply.text(),
        r#"{"orders":[{"number":8,"buyer":"b-2"}],"total":2,"customers":[{"id":"c-1","email":"a***@mail.example"}],"owner":null}"#
    );
    let outcome = entries(&gateway, Kind::Outcome).await.remove(0);
    assert_eq!((outcome.records, outcome.left_out), (Some(2), Some(2)));
}

#[tokio::test]
async fn what_is_missing_looks_like_what_is_hidden() {
    let hidden = gateway(SEARCH).await;
    hidden.cards.set_status(&person(), "c-2", SubjectStatus::Restricted).await.unwrap();
    let without = SEARCH.replace(r#""owner":{"id":"c-2","email":"bo@mail.example"}"#, r#""a":1"#);
    let missing = gateway(&without).await;
    let (hidden, missing) = (
        ask(&hidden, "support", "/shop/search").await,
        ask(&missing, "support", "/shop/search").await,
    );
    assert_eq!(hidden.body, missing.body);
}

#[tokio::test]
async fn places_without_a_record_leave_the_answer_well_formed() {
    for (answer, expected) in [
        (r#"{"customers":[],"owner":null}"#, r#"{"customers":[],"owner":null,"orders":[]}"#),
        (r#"{"owner":null,"customers":[]}"#, r#"{"owner":null,"customers":[],"orders":[]}"#),
    ] {
        let gateway = gateway(answer).await;
        let reply = ask(&gateway, "support", "/shop/search").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    }
}

#[tokio::test]
async fn one_record_of_the_route_decides_whether_there_is_anything() {
    let orders: Vec<String> =
        (0..3).map(|n| format!(r#"{{"number":{n},"buyer":"b-{n}"}}"#)).collect();
    let customer = r#""customer":{"id":"c-1","email":"a@b.example"}"#;
    let orders = format!(r#""orders":[{}]"#, orders.join(","));
    for answer in [format!("{{{orders},{customer}}}"), format!("{{{customer},{orders}}}")] {
        let gateway = gateway(&answer).await;
        let reply = ask(&gateway, "support", "/shop/customers/c-1/all").await;
        assert_eq!((reply.status, reply.json()["orders"].as_array().unwrap().len()), (200, 3));
        gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
        let releases = entries(&gateway, Kind::Release).await.len();
        let hidden = ask(&gateway, "support", "/shop/customers/c-1/all").await;
        assert_eq!(hidden.status, 404);
        assert!(!hidden.text().contains("number"));
        assert_eq!(entries(&gateway, Kind::Release).await.len(), releases);
    }
}

fn long() -> String {
    let orders: Vec<String> = (0..5000)
        .map(|n| format!(r#"{{"number":{n},"buyer":"b-{}","x":"{}"}}"#, n % 7, "y".repeat(200)))
        .collect();
    let customers: Vec<String> = (0..5000)
        .map(|n| format!(r#"{{"id":"c-{}","email":"e{n}@mail.example"}}"#, n % 5))
        .collect();
    format!(r#"{{"orders":[{}],"customers":[{}]}}"#, orders.join(","), customers.join(","))
}

#[tokio::test]
async fn long_sets_stream_in_batches_of_each() {
    let gateway = gateway(&long()).await;
    let reply = ask(&gateway, "support", "/shop/search").await;
    assert_eq!((reply.is_whole, reply.header("content-length")), (true, None));
    let answer = reply.json();
    assert_eq!(answer["orders"].as_array().unwrap().len(), 5000);
    assert_eq!(answer["customers"].as_array().unwrap().len(), 5000);
    assert_eq!(
        (&answer["owner"], &answer["orders"][4999]["number"]),
        (&serde_json::Value::Null, &4999.into())
    );
    let releases = entries(&gateway, Kind::Release).await;
    assert!(releases.iter().all(|it| it.records.unwrap() <= 256));
    assert_eq!(releases.iter().filter_map(|it| it.records).sum::<u32>(), 10_000);
}

#[tokio::test]
async fn a_policy_that_no_longer_shows_one_of_the_sets_ends_the_answer() {
    let policy =
        POLICY.replace("fields: { number: show, buyer: show }", "fields: { number: show }");
    for (policy, is_whole) in [(policy.as_str(), false), (POLICY, true)] {
        let go = std::sync::Arc::new(tokio::sync::Notify::new());
        let wait = std::sync::Arc::clone(&go);
        let body = long();
        let store = FakeStore::start(move |_| {
            let answer = json(200, &body);
            let (first, second) = answer.split_at(answer.len() / 2);
            vec![
                crate::harness::Step::Bytes(first.to_vec()),
                crate::harness::Step::Wait(std::sync::Arc::clone(&wait)),
                crate::harness::Step::Bytes(second.to_vec()),
            ]
        })
        .await;
        let gateway = Gateway::start(Setup::new(POLICY, &store));
        let token = gateway.token(&["support"], &["care"]);
        let address = gateway.address;
        let asked = tokio::spawn(async move { get(address, "/shop/search", &token, "").await });
        // More than is sent at once.
        while entries(&gateway, Kind::Release).await.len() < 10 {
            tokio::task::yield_now().await;
        }
        gateway.reload(policy);
        go.notify_one();
        assert_eq!(asked.await.unwrap().is_whole, is_whole);
    }
}

#[tokio::test]
async fn a_fault_in_one_set_releases_nothing_of_it() {
    let answer = r#"{"customers":[{"id":"c-1","email":"a@b.example"}],"orders":[{"number":1}"#;
    let reply = ask(&gateway(answer).await, "support", "/shop/search").await;
    assert_eq!((reply.status, reply.text().contains("example")), (502, false));
    let none = ask(&gateway("{}").await, "support", "/shop/search").await;
    assert_eq!(none.status, 502);
}

//! The same record for callers who pass it on to different recipients, and when that ends; people
//! counted before their data leaves.

use std::sync::Arc;

use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;
use privet::clock::Clock;
use privet::clock::ManualClock;
use privet::clock::SystemClock;
use privet::state::FaultMoment;
use privet::state::FaultPlan;
use privet::state::MemoryStore;
use privet::types::Timestamp;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::get;
use crate::harness::json;
use crate::harness::wanted;

/// `UNTIL` is when the mechanism ends.
const POLICY: &str = r#"
privet: policy/v1
name: transfers
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
recipients:
  desk-cn: { kind: controller, country: CN, agreement: { ref: group } }
  mailer: { kind: processor, country: US, agreement: { ref: dpa }, mechanisms: [ { kind: cn_standard_contract, for: [CN], until: UNTIL } ] }
  other: { kind: processor, country: US, agreement: { ref: dpa } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      country: { category: user.contact.address.country, level: general }
grants:
  - id: contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, name: show, country: show }
limits:
  - { id: cn-stays, if: { record_region: [CN], flags: [personal] }, unless: { transfer: true }, then: leave_out }
"#;

const LI: &str = r#"{"id":"c-1","name":"Li Na","country":"CN"}"#;
const BOTH: &str =
    r#"[{"id":"c-1","name":"Li Na","country":"CN"},{"id":"c-2","name":"Eva","country":"DE"}]"#;

fn policy(until: Timestamp) -> String {
    POLICY.replace("UNTIL", &until.to_string())
}

fn token(gateway: &Gateway, recipient: Option<&str>) -> String {
    let roles = vec!["support".to_owned()];
    let recipient = recipient.map(str::to_owned);
    gateway.mint(&Wanted { roles, recipient, ..wanted("agent-1") })
}

async fn ask(gateway: &Gateway, path: &str, recipient: Option<&str>) -> Reply {
    get(gateway.address, path, &token(gateway, recipient), "Privet-Purpose: care\r\n").await
}

async fn counted(gateway: &Gateway) -> u64 {
    let report = gateway.cards.exports().report(SystemClock.now()).await.unwrap();
    report.iter().map(|year| year.other + year.sensitive).sum()
}

#[tokio::test]
async fn a_record_goes_to_whom_a_mechanism_holds_for_until_it_ends() {
    let store = FakeStore::always(json(200, LI)).await;
    let now = SystemClock.now();
    let clock = Arc::new(ManualClock::at(now));
    let setup = Setup::new(&policy(now.plus_ms(60_000)), &store);
    let gateway = Gateway::start(Setup { clock: clock.clone(), ..setup });
    let path = "/shop/customers/c-1";
    for (recipient, status) in [
        (None, 404),
        (Some("stranger"), 404),
        (Some("other"), 404),
        (Some("mailer"), 200),
        (Some("desk-cn"), 200),
    ] {
        assert_eq!(ask(&gateway, path, recipient).await.status, status, "{recipient:?}");
    }
    assert_eq!(counted(&gateway).await, 1, "what goes to a desk in China does not leave it");
    clock.advance_ms(61_000);
    assert_eq!(ask(&gateway, path, Some("mailer")).await.status, 404, "its contract has ended");
    assert_eq!(ask(&gateway, path, Some("desk-cn")).await.status, 200);
}

#[tokio::test]
async fn a_list_leaves_out_what_may_not_go_and_a_header_opens_nothing() {
    let store = FakeStore::always(json(200, BOTH)).await;
    let gateway = Gateway::start(Setup::new(&policy(SystemClock.now().plus_ms(60_000)), &store));
    let reply = ask(&gateway, "/shop/customers", Some("other")).await;
    assert!(reply.text().contains("Eva") && !reply.text().contains("Li Na"), "{}", reply.text());
    let more = "Privet-Purpose: care\r\nPrivet-Recipient: mailer\r\nRecipient: mailer\r\n";
    let reply = get(gateway.address, "/shop/customers", &token(&gateway, None), more).await;
    assert!(!reply.text().contains("Li Na"), "{}", reply.text());
}

#[tokio::test]
async fn nobody_leaves_who_could_not_be_counted() {
    let store = FakeStore::always(json(200, BOTH)).await;
    let rows = MemoryStore::default();
    let setup = Setup::new(&policy(SystemClock.now().plus_ms(60_000)), &store);
    let gateway = Gateway::start(Setup { card_rows: rows.clone(), ..setup });
    // The people are known, so that what fails is the counting.
    assert_eq!(ask(&gateway, "/shop/customers", Some("desk-cn")).await.status, 200);
    assert_eq!(counted(&gateway).await, 0);
    for call in 1..=4 {
        rows.plan_fault(FaultPlan { call, moment: FaultMoment::Before });
        let reply = ask(&gateway, "/shop/customers", Some("mailer")).await;
        assert!(rows.clear_fault(), "call {call} was made");
        assert_ne!(reply.status, 200, "call {call}: {}", reply.text());
        assert!(!reply.text().contains("Li Na"), "call {call}: {}", reply.text());
    }
    assert_eq!(ask(&gateway, "/shop/customers", Some("mailer")).await.status, 200);
    assert_eq!(counted(&gateway).await, 1);
}

#[tokio::test]
async fn a_threshold_keeps_records_here_and_is_told_in_the_log() {
    let list = |from: usize, to: usize| {
        let records: Vec<String> =
            (from..to).map(|n| format!(r#"{{"id":"c-{n}","name":"N","country":"CN"}}"#)).collect();
        format!("[{}]", records.join(","))
    };
    let body = list(0, 300);
    let store = FakeStore::always(json(200, &body)).await;
    // Special data, of whom an assessment is needed from the ten thousandth person on.
    let policy = policy(SystemClock.now().plus_ms(600_000))
        .replace("name: { category: user.name }", "name: { category: user.health_and_medical }");
    let gateway = Gateway::start(Setup::new(&policy, &store));
    let others: Vec<privet::policy::Exported> = (0..9_900_u64)
        .map(|n| privet::policy::Exported {
            token: privet::types::SubjectToken(u128::from(n).to_be_bytes()),
            classes: privet::policy::ExportClasses::NONE
                .and(privet::policy::ExportClass::Sensitive),
        })
        .collect();
    gateway.cards.exports().admit(&others, SystemClock.now(), &|_| false).await.unwrap();
    let reply = ask(&gateway, "/shop/customers", Some("mailer")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text().matches("\"id\"").count(), 99);
    let again = ask(&gateway, "/shop/customers", Some("mailer")).await;
    assert_eq!(again.text(), reply.text(), "who was counted goes on, and nobody else");
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(Kind::Alert), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    let reasons: Vec<String> =
        found.filter_map(|it| Some(it.unwrap().1.reason?.to_string())).collect();
    assert!(reasons.contains(&"transfer_threshold".to_owned()), "{reasons:?}");
    assert!(reasons.contains(&"transfer_reached".to_owned()), "{reasons:?}");
}

//! Writes through the gateway: a store in memory behind it, and callers who may see or set little.

mod attacks;
mod bodies;
mod changes;
mod creates;
mod flat;
mod order;
mod refused;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::exchange;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { basis: contract }
  law: { basis: legal_obligation }
roles:
  clerk: { claim: roles, has: clerk }
  boss: { claim: roles, has: boss }
  blind: { claim: roles, has: blind }
  mate: { claim: roles, has: mate }
  reader: { claim: roles, has: reader }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$", query: [v] }
      - { on: "PUT /customers/{id}", records: "$" }
      - { on: "PATCH /customers/{id}", records: "$", query: [v] }
      - { on: "DELETE /customers/{id}" }
      - { on: "POST /customers", records: "$", created_id: "$.id" }
      - { on: "POST /batch", records: "$[*]", created_id: "$[*].id" }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      city: { category: user.contact.address.city }
      country: { category: user.contact.address.country, level: general }
      team: { category: system.operations, level: general }
      secret: { category: user.health_and_medical }
grants:
  - id: clerk-care
    roles: [clerk]
    purposes: [care]
    data: [shop.customers]
    can: [read, create, update]
    fields: { id: show, name: show, email: email-hint, city: show, country: show, team: show }
    writes: [name, email, city, country]
  - id: boss-all
    roles: [boss]
    purposes: [care, law]
    data: [shop.customers]
    can: [read, create, update, delete]
    levels: { general: show, sensitive: show, critical: show }
    writes: [id, name, email, city, country, team, secret]
  - id: blind-creates
    roles: [blind]
    purposes: [care]
    data: [shop.customers]
    can: [create, update]
    find_by: [id]
    writes: [name, email, country]
  - id: mates
    roles: [mate]
    purposes: [care]
    data: [shop.customers]
    can: [update]
    find_by: [id]
    rows: { team: caller.team }
    writes: [name, team]
  - id: mates-read
    roles: [mate, reader]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, name: show, team: show, country: show }
limits:
  - { id: restricted, if: { subject_status: restricted }, unless: { purposes: [law] }, then: leave_out }
  - { id: cn-stays, if: { record_region: [CN], caller_region_not: [CN] }, then: leave_out }
"#;

/// What nobody below may ever see of it: `secret`, and members the policy does not list.
const ANA: &str = r#"{"id":"c-1","name":"Ana Ruiz","email":"ana@mail.example","city":"London","country":"GB","team":"x","secret":"planted-secret","unlisted":{"planted":[1.50, 2e3]}}"#;

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

fn unsafe_gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(&accepting(), store))
}

/// The policy where lost changes are accepted.
fn accepting() -> String {
    let mut policy = POLICY.to_owned();
    for route in ["PUT /customers/{id}\", records: \"$\"", "DELETE /customers/{id}\""] {
        policy = policy.replace(route, &format!("{route}, unsafe_writes: accepted"));
    }
    policy
}

fn token(gateway: &Gateway, role: &str) -> String {
    let mut wanted = wanted("someone");
    wanted.roles = vec![role.to_owned()];
    wanted.purposes = vec!["care".to_owned()];
    wanted.region = Some("GB".to_owned());
    wanted.claims.push(("team".to_owned(), vec!["x".to_owned()]));
    gateway.mint(&wanted)
}

/// A call of the one customer.
async fn call(gateway: &Gateway, method: &str, token: &str, more: &str, body: &str) -> Reply {
    call_at(gateway, (method, "/shop/customers/c-1"), token, more, body).await
}

async fn call_at(
    gateway: &Gateway,
    (method, target): (&str, &str),
    token: &str,
    more: &str,
    body: &str,
) -> Reply {
    let media = if body.is_empty() || more.contains("Content-Type") {
        ""
    } else {
        "Content-Type: application/json\r\n"
    };
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n{media}{length}{more}\r\n{body}"
    );
    Reply::parse(exchange(gateway.address, request.as_bytes()).await, false)
}

/// What the store was asked to change.
fn writes(store: &FakeStore) -> Vec<String> {
    let asked = store.asked().into_iter().filter(|asked| asked.method() != "GET");
    asked.map(|asked| format!("{} {}", asked.method(), asked.body)).collect()
}

/// Every entry of the log, once everything is in it.
async fn entries(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let found = privet::audit::search(&gateway.audit_dir(), &Filter::default(), 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

fn kinds(entries: &[Entry]) -> Vec<Kind> {
    let told = [Kind::Intent, Kind::Outcome, Kind::Refusal, Kind::Release];
    entries.iter().map(|entry| entry.kind).filter(|kind| told.contains(kind)).collect()
}

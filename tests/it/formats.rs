//! Answers of every format over real sockets.

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::get;
use crate::harness::json;

const POLICY: &str = r#"
privet: policy/v1
name: test
purposes:
  care: { basis: contract }
  stats: { basis: legitimate_interest }
roles:
  support: { claim: roles, has: support }
  analyst: { claim: roles, has: analyst }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
  stable-id: { pseudonymize: { scope: purpose } }
  year: { generalize: { date: year } }
  tens: { generalize: { number: 10 } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [limit, offset], find_by: { email: email } }
      - { on: "GET /pages", records: "$.data.items[*]", query: [limit, offset], around: [total, data.count, paging.next, paging.own] }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      phone: { category: user.contact.phone_number }
      birthday: { category: user.demographic.date_of_birth }
      points: { category: user.behavior }
      note: { category: user.content.private }
      address: { category: user.contact.address, children: { street: {}, city: {} } }
      "cards[*].pan": { category: user.financial.credit_card }
      country: { category: user.contact.address.country, level: general }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    find_by: [email]
    fields: { id: show, name: show, email: email-hint, phone: show, points: show, note: show, address.city: show, "cards[*].pan": show, country: show }
  - id: cohorts
    roles: [analyst]
    purposes: [stats]
    data: [shop.customers]
    can: [read]
    fields: { id: stable-id, birthday: year, points: tens, country: show }
limits:
  - { id: restricted, purposes: [stats], if: { subject_status: restricted }, then: leave_out }
"#;

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

async fn support(gateway: &Gateway, target: &str) -> Reply {
    get(gateway.address, target, &gateway.token(&["support"], &["care"]), "").await
}

#[tokio::test]
async fn an_envelope_keeps_listed_values_and_links_that_lead_to_the_gateway() {
    let store = FakeStore::start(|asked| {
        let host = asked.header("host").unwrap();
        let body = format!(
            r#"{{"paging":{{"own":"/customers/c-9","next":"http://{host}/pages?limit=2&offset=40","x":"c-8"}},
               "data":{{"items":[{{"id":"c-1","secret":"s"}}],"count":2,"last_id":"c-7"}},"total":9000}}"#
        );
        vec![crate::harness::Step::Bytes(json(200, &body))]
    })
    .await;
    let gateway = gateway(&store);
    let reply = support(&gateway, "/shop/pages?limit=2").await;
    assert_eq!(
        reply.text(),
        r#"{"data":{"items":[{"id":"c-1"}],"count":2},"total":9000,"paging":{"next":"/shop/pages?limit=2&offset=40","own":null}}"#
    );
}

#[tokio::test]
async fn a_link_that_selects_by_what_the_caller_did_not_say_is_not_passed_on() {
    for link in ["/customers?email=a@b.example", "/secrets?limit=1", "/pages?sort=1", "//x.test/"] {
        let body = format!(r#"{{"data":{{"items":[]}},"paging":{{"next":"{link}"}}}}"#);
        let store = FakeStore::always(json(200, &body)).await;
        let gateway = gateway(&store);
        let reply = support(&gateway, "/shop/pages").await;
        assert_eq!(reply.text(), r#"{"data":{"items":[]},"paging":{"next":null}}"#, "{link}");
    }
    let body = r#"{"data":{"items":[]},"paging":{"next":"?offset=2"}}"#;
    let store = FakeStore::always(json(200, body)).await;
    let reply = support(&gateway(&store), "/shop/pages").await;
    assert_eq!(reply.json()["paging"]["next"], "/shop/pages?offset=2");
}

#[tokio::test]
async fn a_list_that_may_be_short_says_so_whatever_its_records_are() {
    for body in ["[]", r#"[{"id":"c-1"}]"#] {
        let store = FakeStore::always(json(200, body)).await;
        let gateway = gateway(&store);
        let page = |reply: &Reply| reply.header("privet-page").map(str::to_owned);
        assert_eq!(page(&support(&gateway, "/shop/customers").await), None);
        let token = gateway.token(&["analyst"], &["stats"]);
        let reply = get(gateway.address, "/shop/customers", &token, "").await;
        assert_eq!(page(&reply).as_deref(), Some("may-be-short"), "{}", reply.text());
    }
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = gateway(&store);
    let reply = support(&gateway, "/shop/customers/c-1").await;
    assert_eq!((reply.status, reply.header("privet-page")), (200, None));
}

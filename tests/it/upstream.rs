//! What a store sees of a caller, and what a caller sees of a store that is away.

use tokio::net::TcpListener;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::get;
use crate::harness::json;

const POLICY: &str = r#"
privet: policy/v1
name: upstream
purposes:
  care: { basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show }
"#;

/// Headers by which a caller is, or claims to be, somebody or somewhere.
const OF_THE_CALLER: [&str; 34] = [
    "Cookie",
    "Cookie2",
    "Proxy-Authorization",
    "Authentication-Info",
    "X-Api-Key",
    "X-Auth-Token",
    "X-Amz-Security-Token",
    "X-Csrf-Token",
    "Privet-Purpose-Override",
    "Privet-Decision",
    "Privet-Fields",
    "Privet-Request-Id",
    "Privet-Roles",
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Client-Cert",
    "X-Real-Ip",
    "X-Client-Ip",
    "True-Client-Ip",
    "X-Role",
    "X-User",
    "X-User-Id",
    "X-Remote-User",
    "X-Original-Url",
    "X-Rewrite-Url",
    "X-Http-Method-Override",
    "Origin",
    "Referer",
    "From",
];

/// All that a store is ever sent.
const TO_THE_STORE: [&str; 6] =
    ["host", "accept", "accept-encoding", "privet-request-id", "traceparent", "user-agent"];

#[tokio::test]
async fn nothing_that_says_who_the_caller_is_reaches_the_store() {
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = gateway.token(&["support"], &["care"]);
    for name in OF_THE_CALLER {
        let more =
            format!("{name}: planted-identity\r\n{}: planted-identity\r\n", name.to_lowercase());
        let reply = get(gateway.address, "/shop/customers/c-1", &token, &more).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.raw_text());
    }
    let asked = store.asked();
    assert_eq!(asked.len(), OF_THE_CALLER.len());
    for (asked, name) in asked.iter().zip(OF_THE_CALLER) {
        let head = &asked.head;
        assert!(!head.contains("planted") && !head.contains(&token), "{name}: {head}");
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        for (sent, _) in lines {
            assert!(TO_THE_STORE.contains(&sent.to_ascii_lowercase().as_str()), "{name}: {head}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_not_waited_for_and_the_caller_learns_when_to_come_back() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::start(Setup::at(POLICY, free));
    let token = gateway.token(&["support"], &["care"]);
    let mut told = None;
    for _ in 0..6 {
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        assert!([502, 503].contains(&reply.status), "{}", reply.raw_text());
        told = reply.header("retry-after").map(str::to_owned);
    }
    let seconds: u32 = told.expect("the sixth call is turned away").parse().unwrap();
    assert!((1..=6).contains(&seconds), "{seconds}");
}

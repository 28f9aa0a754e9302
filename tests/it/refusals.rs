//! What a refused caller is told: what would help, and nothing it sent.

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;

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
name: test
purposes:
  care: { basis: contract }
  fraud: { basis: legal_obligation }
  teams: { basis: contract }
  stats: { basis: legitimate_interest }
  mail: { basis: contract }
roles:
  support: { claim: roles, has: support }
  analyst: { claim: roles, has: analyst }
views:
  stable-id: { pseudonymize: { scope: purpose } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [limit], find_by: { mail: email } }
      - { on: "GET /plain", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
      team: { category: system.operations }
grants:
  - { id: contact, roles: [support], purposes: [care], data: [shop.customers], can: [read], fields: { id: show, email: show } }
  - { id: checks, roles: [support], purposes: [fraud], data: [shop.customers], can: [read], fields: { id: show }, needs: { mfa_within: 15 minutes, ticket: true } }
  - { id: own-team, roles: [support], purposes: [teams], data: [shop.customers], can: [read], rows: { team: caller.team }, fields: { id: show } }
  - { id: cohorts, roles: [analyst], purposes: [stats], data: [shop.customers], can: [read], fields: { id: stable-id } }
  - { id: old-mail, roles: [support], purposes: [mail], data: [shop.customers], can: [read], fields: { id: show }, valid: { until: 2020-01-01 } }
"#;

const ANA: &str = r#"{"id":"c-1","email":"ana@mail.example"}"#;

async fn started() -> (FakeStore, Gateway) {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    (store, gateway)
}

async fn refusals(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let found = privet::audit::search(&gateway.audit_dir(), &Filter::default(), 0).unwrap();
    found.map(|found| found.unwrap().1).filter(|entry| entry.kind == Kind::Refusal).collect()
}

/// The problem's `detail` and `missing`.
fn said(reply: &Reply) -> (String, Vec<String>) {
    let problem = reply.json();
    let missing = problem["missing"].as_array().into_iter().flatten();
    let missing = missing.map(|word| word.as_str().unwrap().to_owned()).collect();
    (problem["detail"].as_str().unwrap_or_default().to_owned(), missing)
}

#[tokio::test]
async fn without_a_credential_the_answer_says_what_to_send() {
    let (_store, gateway) = started().await;
    let request = b"GET /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let reply = Reply::parse(exchange(gateway.address, request).await, false);
    let (detail, missing) = said(&reply);
    assert_eq!((reply.status, missing), (401, vec!["credential".to_owned()]));
    assert!(detail.contains("send `Authorization: Bearer …`"), "{detail}");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"privet\""));
}

#[tokio::test]
async fn a_credential_that_is_not_believed_is_answered_with_the_reason() {
    let (store, gateway) = started().await;
    let sound = gateway.token(&["support"], &["care"]);
    let tokens = [
        (gateway.odd_token(7200, |_| {}), "has expired"),
        (gateway.odd_token(-7200, |_| {}), "not valid yet"),
        (gateway.odd_token(0, |it| it.audience = "planted-word".into()), "another audience"),
        (gateway.odd_token(0, |it| it.name = "https://planted-word".into()), "issuer"),
        (format!("{}AAAA", sound.split_at(sound.len() - 4).0), "cannot be verified"),
        ("planted-word".to_owned(), "cannot be verified"),
    ];
    for (token, words) in tokens {
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        let (detail, missing) = said(&reply);
        assert_eq!((reply.status, missing.len()), (401, 0), "{words}");
        assert!(detail.contains(words), "{words}: {detail}");
        let challenge = reply.header("www-authenticate").unwrap();
        let expected = format!("error=\"invalid_token\", error_description=\"{detail}\"");
        assert!(challenge.ends_with(&expected), "{challenge}");
        assert!(!reply.raw_text().contains("planted-word"), "{}", reply.raw_text());
    }
    assert!(store.asked().is_empty());
}

#[expect(clippy::too_many_lines, reason = "one table of refusals, in words")]
#[tokio::test]
async fn a_refusal_by_policy_names_what_of_the_policy_is_lacking() {
    let (_store, gateway) = started().await;
    let one = "/shop/customers/c-1";
    for (roles, purpose, target, rule, words, missing) in [
        ("planted-word", "care", one, "", "no role of the policy is recognised", "role"),
        (
            "analyst",
            "care",
            one,
            "",
            "lets `analyst` read `shop.customers`; there are grants for `stats`",
            "purpose",
        ),
        (
            "support",
            "stats",
            one,
            "",
            "for purpose `stats` lets `support` read `shop.customers`; there are grants for `care`, `fraud`, `teams`",
            "purpose",
        ),
        (
            "analyst",
            "stats",
            one,
            "cohorts",
            "`{id}` in the path selects by `id`, which no grant",
            "find_by",
        ),
        (
            "analyst",
            "stats",
            "/shop/customers?mail=x",
            "cohorts",
            "parameter `mail` selects by `email`",
            "find_by",
        ),
        (
            "support",
            "fraud",
            one,
            "checks",
            "a second factor shown within 15 minutes (`mfa_within`) and a ticket (the signed claim `ticket`",
            "mfa_within ticket",
        ),
        (
            "support",
            "teams",
            one,
            "own-team",
            "grant `own-team` covers this call, but needs the signed claim `caller.team`",
            "rows",
        ),
        (
            "support",
            "mail",
            one,
            "old-mail",
            "`old-mail` covers this call, but is not in force",
            "",
        ),
        ("support", "planted-word", one, "", "no purpose of the policy has this name", "purpose"),
        ("support", "care,planted-word", one, "", "one purpose a call", "purpose"),
    ] {
        let token = gateway.token(&[roles], &[]);
        let more = format!("Privet-Purpose: {purpose}\r\n");
        let reply = get(gateway.address, target, &token, &more).await;
        let (detail, lacking) = said(&reply);
        let problem = reply.json();
        assert_eq!((reply.status, lacking.join(" ").as_str()), (403, missing), "{detail}");
        assert!(detail.contains(words), "`{words}` is not in `{detail}`");
        assert_eq!(problem["rule"].as_str().unwrap_or_default(), rule, "{detail}");
        assert!(problem["policy"].is_string() && problem["decision_id"].is_string());
        assert!(!reply.raw_text().contains("planted-word"), "{}", reply.raw_text());
        let entry = refusals(&gateway).await.pop().unwrap();
        let known = !purpose.contains("planted-word");
        assert_eq!(entry.purpose.is_some_and(|it| it.as_str() == purpose), known);
        assert_eq!(entry.data_set.unwrap().as_str(), "shop.customers");
        assert!(entry.policy.is_some());
        // The policy's own words: a role nobody knows is not written down.
        let held: Vec<&str> = entry.roles.iter().map(privet::types::RoleId::as_str).collect();
        let expected: &[&str] = if roles == "planted-word" { &[] } else { &[roles] };
        assert_eq!(held, expected);
    }
}

#[tokio::test]
async fn what_the_second_credential_lacks_is_told_as_its_own() {
    let (_store, gateway) = started().await;
    let token = gateway.token(&["support"], &["care"]);
    let weak = gateway.mint(&Wanted { roles: vec!["analyst".to_owned()], ..wanted("person-9") });
    let more = format!("Privet-On-Behalf-Of: {weak}\r\n");
    let (detail, _) = said(&get(gateway.address, "/shop/customers/c-1", &token, &more).await);
    assert!(detail.starts_with("for the credential in `Privet-On-Behalf-Of`: "), "{detail}");
    assert!(detail.contains("`analyst`"), "{detail}");
}

#[tokio::test]
async fn a_parameter_that_is_not_listed_is_answered_with_those_that_are() {
    let (_store, gateway) = started().await;
    let token = gateway.token(&["support"], &["care"]);
    for (target, words) in [
        ("/shop/customers?planted-word=1", "which lists `limit`, `mail`"),
        ("/shop/plain?planted-word=1", "the route lists no query parameters"),
    ] {
        let reply = get(gateway.address, target, &token, "").await;
        let (detail, _) = said(&reply);
        assert_eq!(reply.status, 400);
        assert!(detail.contains(words), "{detail}");
        assert!(!reply.raw_text().contains("planted-word"));
    }
}

#[tokio::test]
async fn a_path_without_a_route_is_told_apart_from_a_record_that_is_not_there() {
    let (_store, gateway) = started().await;
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/nowhere", &token, "").await;
    let problem = reply.json();
    assert_eq!((reply.status, &problem["type"]), (404, &"urn:privet:problem:not-found".into()));
    assert_eq!(problem["detail"], "no route of the policy matches this path");
    assert_eq!(problem["decision_id"].as_str(), reply.header("privet-request-id"));
}

#[tokio::test]
async fn a_store_that_fails_is_told_by_class_and_never_in_its_words() {
    let html =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nplanted-word";
    let cut =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"id\":1";
    for (answer, words) in [
        (String::from_utf8(json(500, "planted-word")).unwrap(), "answered with an error status"),
        (
            String::from_utf8(json(200, "[\"planted-word\"]")).unwrap(),
            "is not what the route says: its records",
        ),
        (String::from_utf8(json(200, "{planted-word}")).unwrap(), "is not well-formed"),
        (html.to_owned(), "is not what the route says: its media type"),
        (cut.to_owned(), "broke off"),
        (String::new(), "cannot be reached"),
    ] {
        let store =
            FakeStore::start(move |_| vec![Step::Bytes(answer.clone().into_bytes()), Step::Close])
                .await;
        let gateway = Gateway::start(Setup::new(POLICY, &store));
        let token = gateway.token(&["support"], &["care"]);
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        let (detail, _) = said(&reply);
        assert_eq!(reply.status, 502, "{words}: {detail}");
        assert!(detail.contains(words), "`{words}` is not in `{detail}`");
        assert!(!reply.raw_text().contains("planted-word"));
    }
}

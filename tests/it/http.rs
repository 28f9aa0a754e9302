//! Calls over HTTP, from socket to socket.

use std::sync::Arc;

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Kind;
use privet::proxy::Limits;
use privet::proxy::PerPrincipal;
use privet::types::SubjectStatus;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

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
name: test
purposes:
  care: { basis: contract }
  audit: { basis: legal_obligation }
  stats: { basis: legitimate_interest }
  mail: { basis: consent, consent: mail }
roles:
  support: { claim: roles, has: support }
  auditor: { claim: roles, has: auditor }
  analyst: { claim: roles, has: analyst }
  mailer: { claim: roles, has: mailer }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
  stable-id: { pseudonymize: { scope: purpose } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [limit], find_by: { email: email } }
      - { on: "GET /pages", records: "$.items[*]" }
      - { on: "POST /customers", records: "$" }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      city: { category: user.contact.address.city }
      country: { category: user.contact.address.country, level: general }
  shop.things:
    subject: none
    routes:
      - { on: "GET /things/{id}", records: "$" }
    fields:
      id: { category: system.operations, level: general }
      size: { category: system.operations, level: general }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    find_by: [email]
    fields: { id: show, name: show, email: email-hint, country: show }
  - id: everything
    roles: [auditor]
    purposes: [audit]
    data: [shop.customers]
    can: [read]
    fields: { id: show, name: show, email: show, city: show, country: show }
    needs: { mfa_within: 15 minutes, ticket: true }
  - id: cohorts
    roles: [analyst]
    purposes: [stats]
    data: [shop.customers]
    can: [read]
    fields: { id: stable-id, country: show }
  - id: newsletter
    roles: [mailer]
    purposes: [mail]
    data: [shop.customers]
    can: [read]
    fields: { id: show, email: show }
  - id: things
    roles: [support]
    purposes: [care]
    data: [shop.things]
    can: [read]
    fields: { id: show, size: show }
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
  - { id: stop, roles: [mailer], if: { subjects_shown_over: 3, within: 1 hour }, then: deny }
  - { id: watch, roles: [mailer], if: { subjects_shown_over: 2, within: 1 hour }, then: alert }
"#;

const ANA: &str = r#"{"id":"c-1","name":"Ana Ruiz","email":"ana@mail.example","city":"London","country":"GB","secret":"hidden"}"#;

fn record(n: usize) -> String {
    format!(r#"{{"id":"c-{n}","name":"Person {n}","email":"p{n}@mail.example","country":"GB"}}"#)
}

fn list(count: usize) -> String {
    let records: Vec<String> = (0..count).map(record).collect();
    format!("[{}]", records.join(","))
}

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

/// Every entry of the log, once everything is in it.
async fn entries(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = privet::audit::Filter::default();
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

async fn outcome(gateway: &Gateway) -> Entry {
    let entries = entries(gateway).await;
    entries.into_iter().rfind(|entry| entry.kind == Kind::Outcome).expect("an outcome entry")
}

#[tokio::test]
async fn a_record_is_shown_as_its_plan_says_and_nothing_of_the_store_shows() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let more = "Cookie: a=b\r\nX-Role: admin\r\nRange: bytes=0-5\r\n";
    let reply = get(gateway.address, "/shop/customers/c-1", &token, more).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.text(),
        r#"{"id":"c-1","name":"Ana Ruiz","email":"a***@mail.example","country":"GB"}"#
    );
    assert_eq!(reply.header("content-length"), Some("73"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    assert_eq!(reply.header("privet-fields"), Some("shown=3, masked=1, dropped=1"));
    assert!(reply.header("privet-decision").unwrap().starts_with("allow;id=\""));
    assert_eq!((reply.header("server"), reply.header("x-debug")), (None, None));
    let asked = store.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method(), asked[0].target()), ("GET", "/customers/c-1"));
    for kept_back in ["authorization", "cookie", "x-role", "range"] {
        assert_eq!(asked[0].header(kept_back), None, "{kept_back}");
    }
}

#[tokio::test]
async fn a_release_is_on_disk_with_its_subject_before_and_an_outcome_after() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    get(gateway.address, "/shop/customers/c-1", &token, "").await;
    let entries = entries(&gateway).await;
    let release = entries.iter().find(|entry| entry.kind == Kind::Release).unwrap();
    assert_eq!((release.records, release.left_out, release.subjects.len()), (Some(1), Some(0), 1));
    assert_eq!(release.route.as_deref(), Some("/customers/{id}"));
    let outcome = entries.iter().find(|entry| entry.kind == Kind::Outcome).unwrap();
    assert_eq!((outcome.outcome, outcome.records), (Some(Ending::Complete), Some(1)));
    assert_eq!(outcome.decision_id, release.decision_id);
    let log = std::fs::read_dir(gateway.audit_dir()).unwrap().count();
    assert!(log > 0);
    // With its end: a decision id may have these characters in it.
    for planted in ["c-1\"", "Ana", "mail.example", "agent-1"] {
        for entry in &entries {
            let text = String::from_utf8(entry.to_bytes().unwrap()).unwrap();
            assert!(!text.contains(planted), "{planted} in {text}");
        }
    }
}

#[tokio::test]
async fn who_shows_no_valid_credential_is_asked_for_one_and_the_store_is_not() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let target = "GET /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let reply = Reply::parse(exchange(gateway.address, target.as_bytes()).await, false);
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"privet\""));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let reply = get(gateway.address, "/shop/customers/c-1", "abc.def.ghi", "").await;
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").unwrap().contains("invalid_token"));
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn a_refusal_says_why_and_is_written_down() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let cases = [
        ("support", "audit", "", "no_grant"),
        ("support", "care audit", "", "no_purpose"),
        ("support", "", "Privet-Purpose: nonsense\r\n", "unknown_purpose"),
        ("support", "care", "Privet-Purpose: audit\r\n", "purpose_not_in_token"),
        ("auditor", "audit", "", "needs"),
        ("analyst", "stats", "", "find_by"),
    ];
    for (role, purposes, more, reason) in cases {
        let purposes: Vec<&str> = purposes.split_whitespace().collect();
        let token = gateway.token(&[role], &purposes);
        let reply = get(gateway.address, "/shop/customers/c-1", &token, more).await;
        assert_eq!(reply.status, 403, "{reason}: {}", reply.text());
        let problem = reply.json();
        assert_eq!(problem["type"], "urn:privet:problem:denied");
        assert!(problem["detail"].is_string() && problem["policy"].is_string(), "{problem}");
        let decision = problem["decision_id"].as_str().unwrap();
        assert_eq!(reply.header("privet-decision").unwrap(), format!("refuse;id=\"{decision}\""));
        let entry = entries(&gateway).await.pop().unwrap();
        assert_eq!((entry.kind, entry.reason.as_deref()), (Kind::Refusal, Some(reason)));
        assert_eq!(entry.decision_id.as_deref(), Some(decision));
    }
    let token = gateway.token(&["auditor"], &["audit"]);
    let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    assert_eq!(reply.json()["missing"], serde_json::json!(["mfa_within", "ticket"]));
    assert_eq!(reply.json()["rule"], "everything");
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn what_is_left_out_and_what_is_not_there_look_the_same() {
    let store = FakeStore::start(|asked| {
        let there = asked.target().ends_with("/c-1");
        vec![Step::Bytes(if there {
            json(200, ANA)
        } else {
            json(404, "{\"why\":\"no such row\"}")
        })]
    })
    .await;
    let gateway = gateway(&store);
    gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    let token = gateway.token(&["support"], &["care"]);
    let left_out = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    let not_there = get(gateway.address, "/shop/customers/c-2", &token, "").await;
    assert_eq!((left_out.status, not_there.status), (404, 404));
    assert_eq!(left_out.body, not_there.body);
    assert_eq!(left_out.header_names(), not_there.header_names());
    assert_eq!(left_out.header("privet-fields"), not_there.header("privet-fields"));
    assert_eq!(left_out.raw.len(), not_there.raw.len());
    let outcomes: Vec<_> = entries(&gateway)
        .await
        .into_iter()
        .filter(|entry| entry.kind == Kind::Outcome)
        .map(|entry| (entry.outcome, entry.left_out))
        .collect();
    let not_found = Some(Ending::NotFound);
    assert_eq!(outcomes, [(not_found, Some(1)), (not_found, Some(0))]);
}

#[tokio::test]
async fn a_list_skips_what_may_not_leave() {
    let body = format!("[{},{},{{\"name\":\"nobody\"}},{}]", record(1), record(2), record(3));
    let store = FakeStore::always(json(200, &body)).await;
    let gateway = gateway(&store);
    gateway.cards.set_status(&person(), "c-2", SubjectStatus::Restricted).await.unwrap();
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/customers?limit=10", &token, "").await;
    let ids: Vec<_> = reply.json().as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, ["c-1", "c-3"]);
    let outcome = outcome(&gateway).await;
    assert_eq!((outcome.records, outcome.left_out), (Some(2), Some(2)));
}

#[tokio::test]
async fn a_page_keeps_its_wrapper_and_loses_what_stands_around() {
    let body = format!(r#"{{"total":9000,"items":[{}],"next":"c-77"}}"#, record(1));
    let store = FakeStore::always(json(200, &body)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["analyst"], &["stats"]);
    let reply = get(gateway.address, "/shop/pages", &token, "").await;
    let page = reply.json();
    assert_eq!(page.as_object().unwrap().len(), 1, "{page}");
    let id = page["items"][0]["id"].as_str().unwrap();
    // Quoted: a pseudonym may hold these letters by chance.
    assert!(id.starts_with("ps1_") && !reply.text().contains("\"c-1\""));
}

#[tokio::test]
async fn a_long_list_is_streamed_whole_and_every_batch_is_recorded() {
    let body = list(2000);
    let store = FakeStore::always(json(200, &body)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/customers", &token, "").await;
    assert_eq!((reply.status, reply.header("content-length")), (200, None));
    assert!(reply.is_whole);
    assert_eq!(reply.json().as_array().unwrap().len(), 2000);
    let entries = entries(&gateway).await;
    let releases: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::Release).collect();
    assert!(releases.iter().all(|entry| entry.records <= Some(256)));
    assert_eq!(releases.iter().filter_map(|entry| entry.records).sum::<u32>(), 2000);
    assert_eq!(releases.iter().map(|entry| entry.subjects.len()).sum::<usize>(), 2000);
    let outcome = entries.iter().find(|entry| entry.kind == Kind::Outcome).unwrap();
    assert_eq!((outcome.outcome, outcome.records), (Some(Ending::Complete), Some(2000)));
    assert_eq!(outcome.bytes, Some(u64::try_from(reply.body.len()).unwrap()));
}

#[tokio::test]
async fn a_medium_list_of_several_batches_has_its_length() {
    let store = FakeStore::always(json(200, &list(600))).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/customers", &token, "").await;
    assert!(reply.header("content-length").is_some() && reply.is_whole);
    assert_eq!(reply.json().as_array().unwrap().len(), 600);
}

#[tokio::test]
async fn a_store_that_breaks_off_half_way_gives_a_cut_answer() {
    let body = list(2000);
    let half = body.len() * 3 / 4;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let cut = [head.as_bytes(), &body.as_bytes()[..half]].concat();
    let store = FakeStore::start(move |_| vec![Step::Bytes(cut.clone()), Step::Close]).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/customers", &token, "").await;
    assert_eq!(reply.status, 200);
    assert!(!reply.is_whole, "the last chunk must not come");
    let released: usize = entries(&gateway)
        .await
        .iter()
        .filter(|entry| entry.kind == Kind::Release)
        .map(|entry| usize::try_from(entry.bytes.unwrap()).unwrap())
        .sum();
    assert!(reply.body.len() <= released, "no byte without its entry");
    let outcome = outcome(&gateway).await;
    assert_eq!(
        (outcome.outcome, outcome.reason.as_deref()),
        (Some(Ending::Aborted), Some("store"))
    );
}

#[tokio::test]
async fn a_short_answer_that_is_malformed_is_a_plain_502() {
    for body in ["{\"id\":\"c-1\"", "{\"id\":\"c-1\",\"id\":\"c-2\"}", "[]", "{\"id\":\"c-1\"}x"] {
        let store = FakeStore::always(json(200, body)).await;
        let gateway = gateway(&store);
        let token = gateway.token(&["support"], &["care"]);
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        assert_eq!((reply.status, reply.is_whole), (502, true), "{body}");
        // With what stands before it: the id of a request may hold these letters by chance.
        let said = reply.text();
        assert!(!["\"c-1", "/c-1", " c-1", "`c-1"].iter().any(|id| said.contains(id)), "{said}");
        assert_eq!(outcome(&gateway).await.outcome, Some(Ending::Failed));
    }
}

#[tokio::test]
async fn nothing_leaves_while_the_log_cannot_be_written() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    gateway.log.close().await.unwrap();
    let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    assert!(!reply.text().contains("Ana"));
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn a_log_that_closes_before_the_release_keeps_the_answer_back() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, wait) = (Arc::clone(&asked), Arc::clone(&go));
    let store = FakeStore::start(move |_| {
        seen.notify_one();
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, ANA))]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let call = get(gateway.address, "/shop/customers/c-1", &token, "");
    let close = async {
        asked.notified().await;
        gateway.log.close().await.unwrap();
        go.notify_one();
    };
    let (reply, ()) = tokio::join!(call, close);
    assert_eq!(reply.status, 503);
    assert!(!reply.text().contains("Ana"));
}

#[tokio::test]
async fn too_many_people_are_reported_once_and_then_refused() {
    let store = FakeStore::start(|asked| {
        let id = asked.target().rsplit('/').next().unwrap_or_default().to_owned();
        vec![Step::Bytes(json(200, &format!(r#"{{"id":"{id}","email":"x@y.example"}}"#)))]
    })
    .await;
    let gateway = gateway(&store);
    for n in 0..5 {
        let given = privet::types::Consent::given(None);
        gateway.cards.set_consent(&person(), &format!("c-{n}"), "mail", given).await.unwrap();
    }
    let token = gateway.token(&["mailer"], &["mail"]);
    let mut statuses = Vec::new();
    for n in [0, 1, 1, 2, 3, 0] {
        let target = format!("/shop/customers/c-{n}");
        statuses.push(get(gateway.address, &target, &token, "").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 403, 403]);
    assert_eq!(store.asked().len(), 5, "the last call is refused before the store is asked");
    let entries = entries(&gateway).await;
    let alerts = entries.iter().filter(|entry| entry.kind == Kind::Alert).count();
    let refusals = entries.iter().filter(|entry| entry.reason.as_deref() == Some("bulk"));
    assert_eq!(alerts, 1);
    assert!(refusals.filter(|entry| entry.kind == Kind::Refusal).count() == 2);
    let releases = entries.iter().filter(|entry| entry.kind == Kind::Release).count();
    assert_eq!(releases, 4);
}

#[tokio::test]
async fn a_second_credential_only_takes_away_and_both_are_written_down() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support", "analyst"], &["care", "stats"]);
    let weak = gateway
        .mint(&privet::authn::Wanted { roles: vec!["analyst".to_owned()], ..wanted("person-9") });
    let purpose = "Privet-Purpose: care\r\n";
    let alone = get(gateway.address, "/shop/customers/c-1", &token, purpose).await;
    assert_eq!(alone.status, 200);
    let more = format!("{purpose}Privet-On-Behalf-Of: {weak}\r\n");
    let both = get(gateway.address, "/shop/customers/c-1", &token, &more).await;
    assert_eq!(both.status, 403);
    let entry = entries(&gateway).await.pop().unwrap();
    assert!(entry.actor.is_some() && entry.on_behalf_of.is_some());
    assert_ne!(entry.actor, entry.on_behalf_of);
    let more = format!("{purpose}Privet-On-Behalf-Of: not.a.token\r\n");
    let forged = get(gateway.address, "/shop/customers/c-1", &token, &more).await;
    assert_eq!(
        forged.status, 401,
        "a second credential that does not verify is no credential less"
    );
}

#[tokio::test]
async fn head_says_whether_and_never_how_much() {
    let store = FakeStore::start(|asked| {
        let there = asked.target().ends_with("/c-1");
        vec![Step::Bytes(if there { json(200, ANA) } else { json(404, "{}") })]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    for (id, status) in [("c-1", 200), ("c-2", 404)] {
        let request = format!(
            "HEAD /shop/customers/{id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        let reply = Reply::parse(exchange(gateway.address, request.as_bytes()).await, true);
        assert_eq!((reply.status, reply.is_whole), (status, true), "{}", reply.head);
        assert_eq!(reply.header("content-length"), None, "{}", reply.head);
    }
    assert!(store.asked().iter().all(|asked| asked.method() == "GET"));
}

#[tokio::test]
async fn only_listed_parameters_are_passed_on() {
    let store = FakeStore::always(json(200, "[]")).await;
    let gateway = gateway(&store);
    let support = gateway.token(&["support"], &["care"]);
    let analyst = gateway.token(&["analyst"], &["stats"]);
    for (token, query, status) in [
        (&support, "limit=5", 200),
        (&support, "email=ana%40mail.example", 200),
        (&analyst, "limit=5", 200),
        (&analyst, "email=ana%40mail.example", 403),
        (&support, "order=email", 400),
        (&support, "limit=5&Limit=6", 400),
        (&support, "limit=5&limit=6", 400),
    ] {
        let target = format!("/shop/customers?{query}");
        assert_eq!(get(gateway.address, &target, token, "").await.status, status, "{query}");
    }
    let asked: Vec<_> = store.asked().iter().map(|asked| asked.target().to_owned()).collect();
    assert_eq!(
        asked,
        ["/customers?limit=5", "/customers?email=ana%40mail.example", "/customers?limit=5"]
    );
}

#[tokio::test]
async fn what_is_not_json_is_not_released() {
    for content_type in ["text/html", "text/json", "application/json; charset=utf-16", "image/png"]
    {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{ANA}",
            ANA.len()
        );
        let store = FakeStore::always(answer.into_bytes()).await;
        let gateway = gateway(&store);
        let token = gateway.token(&["support"], &["care"]);
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        assert_eq!(reply.status, 502, "{content_type}");
        assert!(!reply.text().contains("Ana"));
    }
}

#[tokio::test]
async fn lines_are_released_line_by_line() {
    let lines = format!("{}\n{}\n", record(1), record(2));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{lines}",
        lines.len()
    );
    let store = FakeStore::always(answer.into_bytes()).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["analyst"], &["stats"]);
    let reply = get(gateway.address, "/shop/customers", &token, "").await;
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(reply.text().lines().count(), 2);
    assert!(!reply.text().contains("Person"));
    let token = gateway.token(&["support"], &["care"]);
    let single = get(gateway.address, "/shop/customers/c-1", &token, "").await;
    assert_eq!(single.status, 502, "one record is not a line among lines");
}

#[tokio::test]
async fn a_coded_answer_is_decoded_and_judged() {
    let coded = gzip(ANA.as_bytes());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\
         Content-Length: {}\r\n\r\n",
        coded.len()
    );
    let store = FakeStore::always([head.as_bytes(), &coded].concat()).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reply =
        get(gateway.address, "/shop/customers/c-1", &token, "Accept-Encoding: gzip\r\n").await;
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(reply.json()["email"], "a***@mail.example");
}

#[tokio::test]
async fn a_version_is_named_only_when_everything_is_shown() {
    let answer = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let (thing, ana) = (answer(r#"{"id":"t-1","size":3}"#), answer(ANA));
    let store = FakeStore::start(move |asked| {
        let is_thing = asked.target().starts_with("/things");
        vec![Step::Bytes(if is_thing { thing.clone() } else { ana.clone() })]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/things/t-1", &token, "").await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"v1\"")));
    let known = "If-None-Match: \"v0\", W/\"v1\"\r\n";
    let reply = get(gateway.address, "/shop/things/t-1", &token, known).await;
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    let reply = get(gateway.address, "/shop/customers/c-1", &token, known).await;
    assert_eq!((reply.status, reply.header("etag")), (200, None));
    assert!(store.asked().iter().all(|asked| asked.header("if-none-match").is_none()));
}

#[tokio::test]
async fn errors_and_redirects_of_the_store_are_put_in_our_words() {
    let answer = Arc::new(std::sync::Mutex::new(Vec::new()));
    let given = Arc::clone(&answer);
    let store =
        FakeStore::start(move |_| vec![Step::Bytes(given.lock().unwrap().clone()), Step::Close])
            .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let redirect =
        |to: &str| format!("HTTP/1.1 302 F\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let said = |status: u16| String::from_utf8(json(status, ANA)).unwrap();
    for (given, status, location) in [
        (said(500), 502, None),
        (said(401), 502, None),
        (said(503), 503, None),
        (said(400), 400, None),
        (said(410), 404, None),
        (said(206), 502, None),
        (said(204).replace("17", "0"), 204, None),
        (redirect("/customers"), 302, Some("/shop/customers")),
        (redirect("/customers/c-1"), 302, Some("/shop/customers/c-1")),
        (redirect("/customers/c-99"), 502, None),
        (redirect("/things/c-1"), 502, None),
        (redirect("https://elsewhere.example/customers"), 502, None),
    ] {
        *answer.lock().unwrap() = given.clone().into_bytes();
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        assert_eq!((reply.status, reply.header("location")), (status, location), "{given}");
        assert!(!reply.text().contains("Ana"));
    }
}

#[tokio::test]
async fn writes_and_unknown_places_are_refused_with_a_reason() {
    let store = FakeStore::always(json(200, ANA)).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    for (line, status, allow) in [
        ("POST /shop/customers", 403, None),
        ("DELETE /shop/customers/c-1", 405, Some("GET, HEAD")),
        ("OPTIONS /shop/customers", 405, Some("GET, HEAD, POST")),
        ("GET /shop/orders", 404, None),
        ("GET /elsewhere", 404, None),
        ("GET /shop/../shop/customers", 400, None),
        ("TRACE /shop/customers", 501, None),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let reply = Reply::parse(exchange(gateway.address, request.as_bytes()).await, false);
        assert_eq!(
            (reply.status, reply.header("allow")),
            (status, allow),
            "{line}: {}",
            reply.head
        );
    }
    assert!(store.asked().is_empty());
}

#[tokio::test]
async fn a_narrower_policy_ends_a_running_stream_and_the_same_one_does_not() {
    for (policy, is_whole) in [
        (POLICY.replace("name: show, email: email-hint", "name: show"), false),
        (POLICY.replace("name: test", "name: renamed"), true),
    ] {
        let body = list(4000);
        let half = body.len() / 2;
        let (first, second) = (body.as_bytes()[..half].to_vec(), body.as_bytes()[half..].to_vec());
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let store = FakeStore::start(move |_| {
            vec![
                Step::Bytes([head.as_bytes(), &first].concat()),
                Step::Wait(Arc::clone(&wait)),
                Step::Bytes(second.clone()),
            ]
        })
        .await;
        let gateway = gateway(&store);
        let token = gateway.token(&["support"], &["care"]);
        let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let call = format!(
            "GET /shop/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(call.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        while !String::from_utf8_lossy(&raw).contains("c-255\"") {
            assert!(stream.read_buf(&mut raw).await.unwrap() > 0);
        }
        gateway.reload(&policy);
        go.notify_one();
        drop(stream.read_to_end(&mut raw).await);
        let reply = Reply::parse(raw, false);
        assert_eq!((reply.status, reply.is_whole), (200, is_whole));
        assert_eq!(store.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_call_is_decided_anew_when_the_policy_changes_before_anything_left() {
    let (seen, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asked, wait) = (Arc::clone(&seen), Arc::clone(&go));
    let store = FakeStore::start(move |_| {
        asked.notify_one();
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, ANA))]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let reload = async {
        seen.notified().await;
        gateway.reload(&POLICY.replace("name: show, email: email-hint", "name: show"));
        go.notify_one();
        seen.notified().await;
        go.notify_one();
    };
    let call = get(gateway.address, "/shop/customers/c-1", &token, "");
    let (reply, ()) = tokio::join!(call, reload);
    assert_eq!(reply.text(), r#"{"id":"c-1","name":"Ana Ruiz","country":"GB"}"#);
    assert_eq!(outcome(&gateway).await.outcome, Some(Ending::Complete));
}

#[tokio::test]
async fn one_owner_cannot_take_all() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, wait) = (Arc::clone(&asked), Arc::clone(&go));
    let store = FakeStore::start(move |_| {
        seen.notify_one();
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, ANA))]
    })
    .await;
    let limits = Limits {
        per_principal: PerPrincipal { concurrent: 1, per_second: 1000 },
        ..Limits::default()
    };
    let setup = Setup { limits, ..Setup::new(POLICY, &store) };
    let gateway = Gateway::start(setup);
    let token = gateway.token(&["support"], &["care"]);
    let second = async {
        asked.notified().await;
        let reply = get(gateway.address, "/shop/customers/c-1", &token, "").await;
        go.notify_one();
        reply
    };
    let (first, second) =
        tokio::join!(get(gateway.address, "/shop/customers/c-1", &token, ""), second);
    assert_eq!((first.status, second.status), (200, 429));
    assert!(second.header("retry-after").is_some());
}

#[tokio::test]
async fn a_client_that_goes_away_is_written_down() {
    use tokio::io::AsyncWriteExt;
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, wait) = (Arc::clone(&asked), Arc::clone(&go));
    let store = FakeStore::start(move |_| {
        seen.notify_one();
        vec![Step::Wait(Arc::clone(&wait)), Step::Bytes(json(200, ANA))]
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let request = format!(
        "GET /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut client = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    asked.notified().await;
    drop(client);
    let gone = async {
        loop {
            let entries = entries(&gateway).await;
            if let Some(entry) = entries.iter().find(|entry| entry.kind == Kind::Outcome) {
                return entry.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let entry = tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
    assert_eq!((entry.outcome, entry.records), (Some(Ending::Gone), Some(0)));
}

#[tokio::test]
async fn http_2_gets_the_same_answers_and_a_reset_for_a_cut_one() {
    use http_body_util::BodyExt;
    use http_body_util::Empty;
    use hyper_util::rt::TokioExecutor;
    use hyper_util::rt::TokioIo;
    let long = list(4000);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        long.len()
    );
    let cut = [head.as_bytes(), &long.as_bytes()[..long.len() / 2]].concat();
    let store = FakeStore::start(move |asked| {
        if asked.target() == "/customers" {
            vec![Step::Bytes(cut.clone()), Step::Close]
        } else {
            vec![Step::Bytes(json(200, ANA))]
        }
    })
    .await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = |target: &str| {
        http::Request::get(format!("http://gateway.test{target}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    let reply = client.send_request(request("/shop/customers/c-1")).await.unwrap();
    assert_eq!(reply.status(), 200);
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"id\":\"c-1\",\"name\":\"Ana Ruiz\",\"email\":\"a***@"));
    let reply = client.send_request(request("/shop/customers")).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(reply.into_body().collect().await.is_err(), "the stream is reset");
}

#[tokio::test]
async fn a_client_certificate_stands_for_its_principal_and_no_other_does() {
    use privet::authn::CertificateMatch;
    use privet::authn::CertificatePrincipal;
    let make = |name: &str| {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    };
    let store = FakeStore::always(json(200, ANA)).await;
    let principal = CertificatePrincipal {
        matches: CertificateMatch::Dns("desk.test".to_owned()),
        owner: "desk".to_owned(),
        roles: vec!["support".into()],
        purposes: Some(vec!["care".into()]),
        region: None,
        recipient: None,
    };
    let setup = Setup { certificates: vec![principal], ..Setup::new(POLICY, &store) };
    let gateway = Gateway::start(setup);
    let request = b"GET /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nPrivet-Purpose: care\r\nConnection: close\r\n\r\n";
    let reply = gateway.exchange_as(&make("desk.test"), request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = gateway.exchange_as(&make("other.test"), request).await;
    assert_eq!(reply.status, 401);
    let entry = outcome(&gateway).await;
    assert_eq!(entry.strength, Some(privet::audit::Strength::Certificate));
}

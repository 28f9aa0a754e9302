//! Data sets in which the policy is only observed: what callers get, what the log has, and that it
//! says what enforcing the policy does.

use std::collections::BTreeMap;
use std::sync::Arc;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::audit::Observed;
use privet::audit::Verdict;
use privet::clock::Clock;
use privet::clock::ManualClock;
use privet::clock::SystemClock;
use privet::types::SubjectStatus;
use privet::types::Timestamp;
use serde_json::Value;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;

const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { basis: contract }
  news: { basis: consent, consent: news }
roles:
  support: { claim: roles, has: support }
  boss: { claim: roles, has: boss }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    mode: MODE
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [_start, _limit] }
      - { on: "GET /wrapped", records: "$.items[*]" }
      - { on: "PATCH /customers/{id}", records: "$" }
      - { on: "DELETE /customers/{id}" }
      - { on: "POST /customers", records: "$", created_id: "$.id" }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      tags: { category: user.behavior, whole: true }
  shop.prices:
    subject: none
    mode: MODE
    routes: [ { on: "GET /prices", records: "$[*]" } ]
    fields: { sku: { category: system.operations } }
grants:
  - id: support-care
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    fields: { id: show, name: show, email: email-hint }
    writes: [name]
  - id: boss-all
    roles: [boss]
    purposes: [care, news]
    data: [shop.customers, shop.prices]
    can: [read, create, update, delete]
    levels: { general: show, sensitive: show, critical: show }
    writes: [id, name, email, tags]
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
"#;

/// The policy, in force or only observed for ten days.
fn policy(is_observed: bool) -> String {
    let until = SystemClock.now().plus_ms(10 * 86_400_000).to_string();
    let mode = if is_observed { format!("{{ observe_until: {until} }}") } else { "enforce".into() };
    POLICY.replace("MODE", &mode)
}

const ROWS: [(&str, &str); 4] = [
    (
        "c-1",
        "{ \"id\":\"c-1\" , \"name\":\"Ana\\u00e9\",\"email\":\"ana@mail.example\",\"tags\":[1.50,2e3]}",
    ),
    ("c-2", r#"{"id":"c-2","name":"Bo","email":"bo@mail.example","shadow":{"planted":true}}"#),
    ("c-3", r#"{"id":"c-3","name":"Cy"}"#),
    ("c-4", r#"{"id":"c-4","email":null,"name":"Di"}"#),
];

/// Both ways: a gateway that only observes, and one that enforces, each before a store of its own.
struct Both {
    observing: Gateway,
    enforcing: Gateway,
    stores: [(Table, FakeStore); 2],
}

impl Both {
    async fn start() -> Self {
        let stores = [
            Table::start(Versions::Strong, &ROWS).await,
            Table::start(Versions::Strong, &ROWS).await,
        ];
        let [(_, first), (_, second)] = &stores;
        let observing = Gateway::start(Setup::new(&policy(true), first));
        let enforcing = Gateway::start(Setup::new(&policy(false), second));
        Self { observing, enforcing, stores }
    }

    async fn set_status(&self, id: &str, status: SubjectStatus) {
        for gateway in [&self.observing, &self.enforcing] {
            gateway.cards.set_status(&person(), id, status).await.unwrap();
        }
    }
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// What was observed of the last call.
async fn observed(gateway: &Gateway) -> Observed {
    let outcomes = entries(gateway, Kind::Outcome).await;
    *outcomes.last().unwrap().observed.clone().unwrap()
}

async fn call(gateway: &Gateway, role: &str, purpose: &str, line: &str, body: &str) -> Reply {
    let token = gateway.token(&[role], &[purpose]);
    let request = format!(
        "{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let request = if body.is_empty() {
        request.replace("Content-Type: application/json\r\nContent-Length: 0\r\n", "")
    } else {
        request
    };
    Reply::parse(exchange(gateway.address, request.as_bytes()).await, line.starts_with("HEAD"))
}

const READS: [(&str, &str, &str); 8] = [
    ("support", "care", "GET /shop/customers/c-1"),
    ("support", "care", "GET /shop/customers/c-3"),
    ("support", "care", "GET /shop/customers"),
    ("support", "care", "GET /shop/customers?_start=2&_limit=1"),
    ("support", "news", "GET /shop/customers/c-1"),
    ("boss", "news", "GET /shop/customers"),
    ("boss", "care", "GET /shop/customers/c-3"),
    ("nobody", "care", "GET /shop/customers"),
];

#[tokio::test]
async fn callers_get_the_bytes_of_the_store_and_the_report_says_what_enforcing_does() {
    let both = Both::start().await;
    both.set_status("c-3", SubjectStatus::Restricted).await;
    for (role, purpose, line) in READS {
        let told = call(&both.observing, role, purpose, line, "").await;
        let asked = both.stores[0].1.asked();
        let text = both.stores[0].0.row("c-1").unwrap();
        let stored = match asked.last().unwrap().target() {
            "/customers/c-1" => text,
            "/customers/c-3" => both.stores[0].0.row("c-3").unwrap(),
            _ => both.stores[0].0.list(asked.last().unwrap()),
        };
        assert_eq!((told.status, told.text()), (200, stored.clone()), "{role} {purpose} {line}");
        assert!(told.is_whole && told.header("privet-decision").unwrap().starts_with("allow"));
        let report = observed(&both.observing).await;
        let enforced = call(&both.enforcing, role, purpose, line, "").await;
        compare(&report, (&stored, &enforced), &format!("{role} {purpose} {line}"));
    }
}

/// Whether the report says what enforcing the policy did with the same record or records.
fn compare(report: &Observed, (stored, enforced): (&str, &Reply), call: &str) {
    let would_refuse = report.would == Verdict::Refuse;
    assert_eq!(would_refuse, enforced.status == 403, "{call}: {report:?}");
    if would_refuse {
        assert_eq!(enforced.json()["missing"], Value::from(missing(report)), "{call}");
        return;
    }
    let left_out: u32 = report.left_out.values().sum();
    let rows = |text: &str| match serde_json::from_str(text).unwrap() {
        Value::Array(rows) => rows,
        row => vec![row],
    };
    if enforced.status == 404 {
        assert_eq!(left_out, 1, "{call}: {report:?}");
        return;
    }
    let (before, after) = (rows(stored), rows(&enforced.text()));
    assert_eq!(usize::try_from(left_out).unwrap(), before.len() - after.len(), "{call}");
    let mut changed: BTreeMap<String, u32> = BTreeMap::new();
    let mut unlisted = 0;
    for row in &after {
        let old = before.iter().find(|old| old["id"] == row["id"]).unwrap().as_object().unwrap();
        unlisted += u32::from(old.contains_key("shadow"));
        for (name, value) in old {
            if row.get(name) != Some(value) && name != "shadow" {
                *changed.entry(name.clone()).or_default() += 1;
            }
        }
    }
    let told = report.fields.iter().map(|it| (it.field.to_string(), it.records));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), changed, "{call}: {report:?}");
    assert!(report.unlisted >= unlisted, "{call}: {report:?}");
    let is_same = before == after;
    assert_eq!(report.changes(), !is_same, "{call}: {report:?}");
}

fn missing(report: &Observed) -> Vec<&str> {
    report.missing.iter().map(AsRef::as_ref).collect()
}

#[tokio::test]
async fn what_left_is_recorded_in_clear_with_the_people_it_is_about() {
    let both = Both::start().await;
    assert_eq!(
        call(&both.observing, "support", "care", "GET /shop/customers", "").await.status,
        200
    );
    let releases = entries(&both.observing, Kind::Release).await;
    let [release] = releases.as_slice() else { panic!("{releases:?}") };
    assert_eq!((release.records, release.subjects.len(), release.left_out), (Some(4), 4, Some(0)));
    assert!(release.fields.iter().all(|field| field.view.as_str() == "show"), "{release:?}");
    let kinds: Vec<&str> = release.fields.iter().map(|it| it.category.as_str()).collect();
    assert!(kinds.contains(&"user.contact.email") && kinds.contains(&"user"), "{kinds:?}");
    assert_eq!(release.observed.as_ref().unwrap().would, Verdict::Permit);
    let told = call(&both.observing, "nobody", "care", "GET /shop/customers/c-1", "").await;
    assert_eq!(told.status, 200);
    let report = observed(&both.observing).await;
    assert_eq!((report.would, report.reason.as_deref()), (Verdict::Refuse, Some("no_grant")));
    // Nobody was refused, so nothing says so.
    assert_eq!(entries(&both.observing, Kind::Refusal).await.len(), 0);
    let text = std::fs::read_dir(both.observing.audit_dir()).unwrap().count();
    assert!(text > 0);
}

#[tokio::test]
async fn who_is_not_known_is_refused_and_so_is_what_no_route_lists() {
    let both = Both::start().await;
    let gateway = &both.observing;
    let token = gateway.token(&["support"], &["care"]);
    assert_eq!(get(gateway.address, "/shop/customers/c-1", "none", "").await.status, 401);
    assert_eq!(get(gateway.address, "/shop/other/c-1", &token, "").await.status, 404);
    assert_eq!(get(gateway.address, "/shop/customers?fields=all", &token, "").await.status, 400);
    assert_eq!(both.stores[0].1.asked().len(), 0);
}

#[tokio::test]
async fn who_was_erased_does_not_come_back() {
    let lists = [
        ("c-1", r#"[{"id":"c-2"} , {"id":"c-3"}]"#),
        ("c-2", r#"[{"id":"c-1"} , {"id":"c-3"}]"#),
        ("c-3", r#"[{"id":"c-1"} , {"id":"c-2"} ]"#),
    ];
    for (gone, left) in lists {
        let store = FakeStore::start(|asked| {
            let list = r#"[{"id":"c-1"} , {"id":"c-2"} , {"id":"c-3"} ]"#;
            vec![Step::Bytes(match asked.target() {
                "/customers" => json(200, list),
                "/wrapped" => json(200, &format!("{{\"n\":3,\"items\":{list}}}")),
                other => {
                    json(200, &format!("{{\"id\":\"{}\"}}", other.rsplit('/').next().unwrap()))
                }
            })]
        })
        .await;
        let gateway = Gateway::start(Setup::new(&policy(true), &store));
        let first = call(&gateway, "boss", "care", "GET /shop/customers", "").await;
        assert_eq!(first.text(), r#"[{"id":"c-1"} , {"id":"c-2"} , {"id":"c-3"} ]"#);
        gateway.cards.erase(&person(), gone, "r").await.unwrap();
        let list = call(&gateway, "boss", "care", "GET /shop/customers", "").await;
        let told: Vec<Value> = serde_json::from_str(&list.text()).unwrap();
        assert_eq!(told, serde_json::from_str::<Vec<Value>>(left).unwrap(), "without {gone}");
        let wrapped = call(&gateway, "boss", "care", "GET /shop/wrapped", "").await;
        assert_eq!(wrapped.json()["items"], Value::from(told), "{}", wrapped.text());
        let one = format!("GET /shop/customers/{gone}");
        assert_eq!(call(&gateway, "boss", "care", &one, "").await.status, 404);
        let write = format!("PATCH /shop/customers/{gone}");
        assert_eq!(call(&gateway, "boss", "care", &write, "{\"name\":\"x\"}").await.status, 404);
        // Nor by a record of somebody else that is moved to them.
        let other = if gone == "c-1" { "c-2" } else { "c-1" };
        let write = format!("PATCH /shop/customers/{other}");
        let moved = call(&gateway, "boss", "care", &write, &format!("{{\"id\":\"{gone}\"}}")).await;
        assert_eq!(moved.status, 404, "{}", moved.text());
        assert!(store.asked().iter().all(|asked| asked.method() == "GET"));
    }
}

#[tokio::test]
async fn a_long_answer_is_passed_on_as_it_comes_batch_by_batch() {
    let rows = |count: usize| {
        let row = |n| format!("{{\"id\":\"c-{n}\",\"name\":\"{}\"}}", "x".repeat(200 + n % 7));
        format!(" [ {} \n]  ", (0..count).map(row).collect::<Vec<_>>().join(" ,\n"))
    };
    let text = rows(3000);
    let lines = text.trim().trim_matches(['[', ']']).replace(" ,\n", "\n").trim().to_owned() + "\n";
    for (media, body) in [("application/json", text), ("application/x-ndjson", lines)] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let store = FakeStore::always(answer.into_bytes()).await;
        let gateway = Gateway::start(Setup::new(&policy(true), &store));
        let told = call(&gateway, "nobody", "care", "GET /shop/customers", "").await;
        assert_eq!((told.status, told.is_whole), (200, true));
        assert!(told.text() == body, "{media}: not the store's bytes");
        let releases = entries(&gateway, Kind::Release).await;
        assert!(releases.len() > 10, "{}", releases.len());
        let people: usize = releases.iter().map(|entry| entry.subjects.len()).sum();
        assert_eq!(people, 3000);
    }
}

#[tokio::test]
async fn what_nobody_can_be_named_for_passes_only_where_it_is_about_nobody() {
    for (path, body, status, possible) in [
        ("customers", "[{\"name\":\"no id\"}]", 200, 1),
        ("customers", "[{\"id\":\"c-1\",\"id\":\"c-2\"}]", 502, 0),
        ("customers", "{\"not\":\"a list\"}", 502, 0),
        ("prices", "[{\"sku\":1,\"sku\":2}]", 200, 1),
        ("prices", "not even JSON", 200, 1),
    ] {
        let store = FakeStore::always(json(200, body)).await;
        let gateway = Gateway::start(Setup::new(&policy(true), &store));
        let line = format!("GET /shop/{path}");
        let told = call(&gateway, "boss", "care", &line, "").await;
        assert_eq!(told.status, status, "{path} {body}");
        if status == 200 {
            assert_eq!(told.text(), body);
        }
        assert_eq!(observed(&gateway).await.unattributed, possible, "{path} {body}");
    }
    let page =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<ana>".to_vec();
    let store = FakeStore::always(page).await;
    let gateway = Gateway::start(Setup::new(&policy(true), &store));
    assert_eq!(call(&gateway, "boss", "care", "GET /shop/customers", "").await.status, 502);
    assert_eq!(call(&gateway, "boss", "care", "GET /shop/prices", "").await.text(), "<ana>");
}

#[tokio::test]
async fn errors_of_the_store_pass_and_what_is_not_there_looks_like_what_may_not_be_seen() {
    for (status, passes) in [(400, true), (409, true), (422, true), (500, true), (404, false)] {
        let body = "{\"error\":\"said by the store\"}";
        let answer = format!(
            "HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let store = FakeStore::always(answer.into_bytes()).await;
        let gateway = Gateway::start(Setup::new(&policy(true), &store));
        let told = call(&gateway, "boss", "care", "GET /shop/customers/c-1", "").await;
        assert_eq!(told.status, status);
        assert_eq!(told.text() == body, passes, "{status}: {}", told.text());
        // It is in the log before it leaves.
        assert_eq!(entries(&gateway, Kind::Release).await.len(), usize::from(passes), "{status}");
    }
}

const WRITES: [(&str, &str, &str); 8] = [
    ("support", "PATCH /shop/customers/c-1", r#"{"name":"New"}"#),
    ("support", "PATCH /shop/customers/c-1", r#"{"email":"new@mail.example"}"#),
    ("support", "PATCH /shop/customers/c-3", r#"{"name":"New"}"#),
    ("support", "DELETE /shop/customers/c-2", ""),
    ("boss", "PATCH /shop/customers/c-2", r#"{"email":"new@mail.example"}"#),
    ("boss", "POST /shop/customers", r#"{"id":"c-9","name":"Zoe"}"#),
    ("support", "POST /shop/customers", r#"{"name":"Zoe"}"#),
    ("nobody", "PATCH /shop/customers/c-1", r#"{"name":"New"}"#),
];

#[tokio::test]
async fn writes_are_passed_on_as_they_were_sent_and_the_report_says_which_would_be_refused() {
    for (role, line, body) in WRITES {
        let both = Both::start().await;
        both.set_status("c-3", SubjectStatus::Restricted).await;
        let told = call(&both.observing, role, "care", line, body).await;
        assert!(told.status < 300, "{role} {line}: {}", told.raw_text());
        let asked = both.stores[0].1.asked();
        let method = line.split(' ').next().unwrap();
        let sent = asked.iter().find(|asked| asked.method() == method).unwrap();
        assert_eq!(sent.body, body, "{role} {line}");
        let report = observed(&both.observing).await;
        let enforced = call(&both.enforcing, role, "care", line, body).await;
        let is_refused = enforced.status >= 400;
        assert_eq!(
            report.would == Verdict::Refuse,
            is_refused,
            "{role} {line}: {report:?} {}",
            enforced.raw_text()
        );
        let intents = entries(&both.observing, Kind::Intent).await;
        let [intent] = intents.as_slice() else { panic!("{intents:?}") };
        let is_nameless = line.starts_with("POST") && !body.contains("\"id\"");
        assert_eq!(intent.subjects.is_empty(), is_nameless, "{role} {line}");
        assert!(intent.observed.is_some());
    }
}

#[tokio::test]
async fn from_its_day_on_and_by_a_wrong_clock_the_policy_is_in_force() {
    let start = SystemClock.now();
    let store = FakeStore::always(json(200, r#"[{"id":"c-1","name":"Ana"}]"#)).await;
    let clock = Arc::new(ManualClock::at(start));
    let setup =
        Setup { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Setup::new(&policy(true), &store) };
    let gateway = Gateway::start(setup);
    let odd = |plus_s: u64| {
        let wanted = privet::authn::Wanted {
            roles: vec!["nobody".to_owned()],
            purposes: vec!["care".to_owned()],
            ttl_s: 11 * 86_400 + plus_s,
            ..crate::harness::wanted("someone")
        };
        gateway.mint(&wanted)
    };
    let token = odd(0);
    let status = async || get(gateway.address, "/shop/customers", &token, "").await.status;
    let before = status().await;
    // A little more than until the end, which was reckoned after the start.
    clock.advance_ms(10 * 86_400_000 + 3_600_000);
    let after = status().await;
    // A token of eleven days may be too long for the issuer; what matters is that the day counts.
    assert!(matches!((before, after), (200, 403) | (401, 401)), "{before} {after}");
    let long_ago = Arc::new(ManualClock::at(Timestamp::from_unix_s(1)));
    let setup = Setup { clock: long_ago, ..Setup::new(&policy(true), &store) };
    let gateway = Gateway::start(setup);
    let token = gateway.token(&["nobody"], &["care"]);
    assert_ne!(get(gateway.address, "/shop/customers", &token, "").await.status, 200);
}

#[tokio::test]
async fn a_reload_that_enforces_counts_for_the_next_call() {
    let both = Both::start().await;
    let gateway = &both.observing;
    let line = "GET /shop/customers";
    assert_eq!(call(gateway, "nobody", "care", line, "").await.status, 200);
    gateway.reload(&policy(false));
    assert_eq!(call(gateway, "nobody", "care", line, "").await.status, 403);
    let last = entries(gateway, Kind::Refusal).await;
    assert!(last.last().unwrap().observed.is_none());
    gateway.reload(&policy(true));
    assert_eq!(call(gateway, "nobody", "care", line, "").await.status, 200);
}

fn inbox(gateway: &Gateway) -> Vec<(String, u64, Vec<&'static str>)> {
    let seen = gateway.inbox.list(&[]).into_iter();
    let row = |it: privet::proxy::Seen| {
        let kinds = it.kinds.iter().map(|kind| kind.as_str()).collect();
        (format!("{} {}", it.data_set, it.path), it.count, kinds)
    };
    seen.map(row).collect()
}

#[tokio::test]
async fn fields_that_no_policy_lists_are_collected_by_their_place_whether_or_not_it_is_in_force() {
    let list = r#"[
        {"id":"c-1","shadow":{"planted":1},"n\u0069ck":"planted","4000000000000002":"planted"},
        {"id":"c-2","shadow":"planted","nick":null,"ana@mail.example":"planted"},
        {"id":"c-3"}]"#;
    for is_observed in [true, false] {
        let store = FakeStore::always(json(200, list)).await;
        let gateway = Gateway::start(Setup::new(&policy(is_observed), &store));
        for _ in 0..2 {
            let told = call(&gateway, "boss", "care", "GET /shop/customers", "").await;
            assert_eq!(told.status, 200);
            assert_eq!(told.text().contains("planted"), is_observed);
        }
        let row = |path: &str, kinds: &[&'static str]| {
            (format!("shop.customers {path}"), 4, kinds.to_vec())
        };
        let wanted = [
            row("*", &["text"]),
            row("nick", &["null", "text"]),
            row("shadow", &["object", "text"]),
        ];
        assert_eq!(inbox(&gateway), wanted, "{is_observed}");
    }
}

#[tokio::test]
async fn a_record_that_breaks_off_and_names_without_end_leave_no_trace_of_what_they_hold() {
    let store = FakeStore::always(json(200, r#"[{"id":"c-1","shadow":{"a":1"#)).await;
    let gateway = Gateway::start(Setup::new(&policy(true), &store));
    assert_ne!(call(&gateway, "boss", "care", "GET /shop/customers", "").await.status, 200);
    assert_eq!(inbox(&gateway), []);
    // People's names where names of fields stand: more than anybody gives to fields.
    let name = |n: u32| -> String {
        n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    };
    let list: Vec<String> =
        (0..300).map(|n| format!("{{\"id\":\"c-{n}\",\"planted-{}\":1}}", name(n))).collect();
    let store = FakeStore::always(json(200, &format!("[{}]", list.join(",")))).await;
    let gateway = Gateway::start(Setup::new(&policy(true), &store));
    for _ in 0..20 {
        call(&gateway, "boss", "care", "GET /shop/customers", "").await;
    }
    let seen = inbox(&gateway);
    let [(path, _, _)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(path, "shop.customers *");
}

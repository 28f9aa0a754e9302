//! Second factors, approvals and broken glass, from the refusal to the last batch: with the tokens of
//! callers, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use privet::audit::Ending;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;
use privet::clock::Clock;
use privet::clock::ManualClock;
use privet::clock::SystemClock;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::json as answer;
use crate::harness::wanted;
use crate::sealed::admin;

const POLICY: &str = r#"
privet: policy/v1
name: clearances
purposes:
  care: { basis: contract }
  fraud: { basis: legal_obligation }
  fresh: { basis: contract }
  dated: { basis: contract }
roles:
  support: { claim: roles, has: support }
  dpo: { claim: roles, has: dpo }
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
  - { id: factor, roles: [support, dpo], purposes: [fresh], data: [shop.customers], can: [read], fields: { id: show }, needs: { mfa_within: 15 minutes } }
  - { id: asks, roles: [support, dpo], purposes: [care], data: [shop.customers], can: [read], fields: { id: show }, needs: { approval: { by: dpo, for: 1 hour } } }
  - { id: both, roles: [support], purposes: [fraud], data: [shop.customers], can: [read], fields: { id: show }, needs: { mfa_within: 15 minutes, break_glass: { for: 30 minutes, review_by: dpo, review_within: 3 days } } }
  - { id: dated, roles: [support], purposes: [dated], data: [shop.customers], can: [read], fields: { id: show }, valid: { from: 2026-01-01, until: 2099-01-01 } }
"#;

const ONE: &str = "/shop/customers/c-1";

struct Desk {
    gateway: Gateway,
    admin: SocketAddr,
    clock: Arc<ManualClock>,
    /// Lets the store go on in the middle of a list.
    go: Arc<Notify>,
}

impl Desk {
    async fn new() -> Self {
        Self::with(POLICY).await
    }

    async fn with(policy: &str) -> Self {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let store = FakeStore::start(move |asked| {
            if asked.target().ends_with("/customers") {
                list(&wait)
            } else {
                vec![Step::Bytes(answer(200, r#"{"id":"c-1","email":"ana@mail.example"}"#))]
            }
        })
        .await;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let setup = Setup { clock: clock.clone(), ..Setup::new(policy, &store) };
        let gateway = Gateway::start(setup);
        let admin = admin::start(&gateway, "", clock.clone()).await;
        Self { gateway, admin, clock, go }
    }

    fn token(&self, owner: &str, role: &str, mfa: bool) -> String {
        let roles = vec![role.to_owned()];
        self.gateway.mint(&Wanted { roles, mfa, ttl_s: 7 * 86_400, ..wanted(owner) })
    }

    async fn call(&self, token: &str, purpose: &str, more: &str) -> Reply {
        let more = format!("Privet-Purpose: {purpose}\r\n{more}");
        get(self.gateway.address, ONE, token, &more).await
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /api/v1/approvals{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        Reply::parse(exchange(self.admin, request.as_bytes()).await, false)
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.ask("POST", path, token, body).await
    }

    /// Makes a request and gives its id.
    async fn made(&self, path: &str, token: &str, grant: &str) -> String {
        let reply = self.post(path, token, &wish(grant)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    async fn entries(&self, kind: Kind) -> Vec<Entry> {
        self.gateway.log.flush().await.unwrap();
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        let found = privet::audit::search(&self.gateway.audit_dir(), &filter, 0).unwrap();
        found.map(|found| found.unwrap().1).collect()
    }

    /// Begins to read a list, lets something happen in the middle, and gives what arrived and how
    /// the log says it ended.
    async fn interrupted(
        &self,
        (token, purpose): (&str, &str),
        happens: impl Future,
    ) -> (Reply, Entry) {
        let mut stream = TcpStream::connect(self.gateway.address).await.unwrap();
        let call = format!(
            "GET /shop/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nPrivet-Purpose: {purpose}\r\n\r\n"
        );
        stream.write_all(call.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        while !String::from_utf8_lossy(&raw).contains("c-255-") {
            let read = stream.read_buf(&mut raw).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&raw));
        }
        happens.await;
        self.go.notify_one();
        drop(stream.read_to_end(&mut raw).await);
        let ended = async {
            loop {
                let mut entries = self.entries(Kind::Outcome).await.into_iter();
                if let Some(entry) = entries.find(|it| it.route.as_deref() == Some("/customers")) {
                    return entry;
                }
            }
        };
        let entry = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
        (Reply::parse(raw, false), entry)
    }
}

/// 4,000 records, of which half come when the test says so: too many to be kept until the end.
fn list(wait: &Arc<Notify>) -> Vec<Step> {
    let id = |n: u32| format!("c-{n}-{}", "x".repeat(40));
    let records: Vec<String> = (0..4000).map(|n| format!(r#"{{"id":"{}"}}"#, id(n))).collect();
    let body = format!("[{}]", records.join(","));
    let all = answer(200, &body);
    let (first, rest) = all.split_at(all.len() / 2);
    vec![Step::Bytes(first.to_vec()), Step::Wait(Arc::clone(wait)), Step::Bytes(rest.to_vec())]
}

fn wish(grant: &str) -> Value {
    json!({ "grant": grant, "case": "C-17", "why": "a complaint" })
}

#[tokio::test]
async fn a_missing_second_factor_alone_is_asked_for_with_401() {
    let desk = Desk::new().await;
    let token = desk.token("ada", "support", false);
    let reply = desk.call(&token, "fresh", "").await;
    assert_eq!(reply.status, 401);
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(
        reply.header("www-authenticate").unwrap(),
        format!(
            "Bearer realm=\"privet\", error=\"insufficient_user_authentication\", \
             error_description=\"{detail}\", acr_values=\"gold\", max_age=\"900\""
        )
    );
    let problem = reply.json();
    assert_eq!((&problem["missing"], &problem["rule"]), (&json!(["mfa_within"]), &json!("factor")));
    assert_eq!(problem["status"], 401);
    let entry = desk.entries(Kind::Refusal).await.pop().unwrap();
    assert_eq!((entry.reason.as_deref(), entry.status), (Some("needs"), Some(401)));
    assert_eq!(desk.call(&desk.token("ada", "support", true), "fresh", "").await.status, 200);
    // What is fresh now is not in an hour.
    let token = desk.token("ada", "support", true);
    desk.clock.advance_ms(15 * 60_000 + 1000);
    assert_eq!(desk.call(&token, "fresh", "").await.status, 401);
    desk.clock.advance_ms(24 * 3_600_000);
    assert_eq!(desk.call(&token, "fresh", "").await.status, 401);
}

#[tokio::test]
async fn the_second_credential_is_measured_alike_and_named() {
    let desk = Desk::new().await;
    let (with, without) = (desk.token("ada", "support", true), desk.token("ben", "dpo", false));
    let reply = desk.call(&with, "fresh", &format!("Privet-On-Behalf-Of: {without}\r\n")).await;
    assert_eq!(reply.status, 401);
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains("for the credential in `Privet-On-Behalf-Of`"), "{challenge}");
    let reply = desk.call(&without, "fresh", &format!("Privet-On-Behalf-Of: {with}\r\n")).await;
    assert_eq!(reply.status, 401);
    let both = format!("Privet-On-Behalf-Of: {}\r\n", desk.token("ben", "dpo", true));
    assert_eq!(desk.call(&with, "fresh", &both).await.status, 200);
}

#[tokio::test]
async fn what_a_second_factor_alone_does_not_help_is_403_and_names_all() {
    let desk = Desk::new().await;
    let reply = desk.call(&desk.token("ada", "support", false), "fraud", "").await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["missing"], json!(["mfa_within", "break_glass"]));
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.ends_with("max_age=\"900\""), "{challenge}");
    let reply = desk.call(&desk.token("ada", "support", true), "fraud", "").await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (403, None));
    assert_eq!(reply.json()["missing"], json!(["break_glass"]));
    let reply = desk.call(&desk.token("ada", "support", true), "care", "").await;
    assert_eq!((reply.status, &reply.json()["missing"]), (403, &json!(["approval"])));
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("role `dpo`, for 1 hour"), "{detail}");
}

#[tokio::test]
async fn an_approved_call_is_let_in_marked_and_ends_with_its_hour() {
    let desk = Desk::new().await;
    let ada = desk.token("ada", "support", false);
    let id = desk.made("", &ada, "asks").await;
    assert_eq!(desk.call(&ada, "care", "").await.status, 403, "nobody agreed yet");
    let approve = format!("/{id}/approve");
    let cases = [
        (desk.token("ada", "support", true), 403, "somebody else with the role `dpo`"),
        (desk.token("ada", "dpo", true), 403, "a second person must"),
        (desk.token("ADA", "dpo", true), 403, "a second person must"),
        (desk.token("eve", "support", true), 404, "no such request"),
        (desk.token("ben", "dpo", false), 401, "second factor"),
        ("made.up.token".to_owned(), 401, ""),
    ];
    for (token, status, words) in &cases {
        let reply = desk.post(&approve, token, &Value::Null).await;
        assert_eq!(reply.status, *status, "{words}: {}", reply.text());
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
    }
    let challenge = desk.post(&approve, &cases[4].0, &Value::Null).await;
    let challenge = challenge.header("www-authenticate").unwrap().to_owned();
    assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
    assert!(challenge.ends_with("acr_values=\"gold\", max_age=\"900\""), "{challenge}");
    let ben = desk.token("ben", "dpo", true);
    let reply = desk.post(&approve, &ben, &Value::Null).await;
    assert_eq!((reply.status, &reply.json()["state"]), (200, &json!("in_force")));
    assert_eq!(desk.call(&ada, "care", "").await.status, 200);
    // For ada alone, whatever else a caller sends.
    let eve = desk.token("eve", "support", true);
    for more in ["", "Privet-Approval: x\r\n", "Approved: true\r\n"] {
        assert_eq!(desk.call(&eve, "care", more).await.status, 403);
    }
    let behalf = format!("Privet-On-Behalf-Of: {eve}\r\n");
    assert_eq!(desk.call(&ada, "care", &behalf).await.status, 403);
    let release = desk.entries(Kind::Release).await.pop().unwrap();
    assert_eq!(release.facts.get("approval").map(|fact| &**fact), Some(&*id));
    let filter = Filter { clearance: Some(id.clone()), ..Filter::default() };
    let found = privet::audit::search(&desk.gateway.audit_dir(), &filter, 0).unwrap();
    let reasons: Vec<_> = found.map(|it| it.unwrap().1).map(|it| (it.kind, it.reason)).collect();
    let told: Vec<&str> = reasons.iter().filter_map(|(_, reason)| reason.as_deref()).collect();
    assert_eq!(told, ["approval_requested", "approval_approved"]);
    assert!(reasons.iter().any(|(kind, _)| *kind == Kind::Release));
    let page = desk.ask("GET", &format!("/{id}"), &ben, &Value::Null).await.json();
    assert_eq!(page["releases"][0]["data_set"], "shop.customers");
    assert_eq!(page["approved_by"], "https://id.test|ben");
    desk.clock.advance_ms(3_600_000);
    assert_eq!(desk.call(&ada, "care", "").await.status, 403);
}

#[tokio::test]
async fn nobody_asks_for_what_they_could_not_use() {
    let desk = Desk::new().await;
    let ada = desk.token("ada", "support", false);
    let other = desk.token("eve", "nobody", true);
    for (token, path, body, status) in [
        (&ada, "", wish("factor"), 404),
        (&ada, "", wish("both"), 404),
        (&ada, "", wish("unknown"), 404),
        (&other, "", wish("asks"), 404),
        (&ada, "/break-glass", wish("asks"), 404),
        (&ada, "", json!({ "grant": "asks", "case": "", "why": "x" }), 400),
        (&ada, "", json!({ "grant": "asks", "case": "C", "why": "x", "more": 1 }), 400),
        (&ada, "", json!({ "grant": "asks", "purpose": "fraud", "case": "C", "why": "x" }), 400),
        (&ada, "", Value::Null, 400),
    ] {
        let reply = desk.post(path, token, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    // Not for another, and not by an operator's token.
    let request = format!(
        "POST /api/v1/approvals HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer \
         {ada}\r\nPrivet-On-Behalf-Of: {other}\r\nContent-Length: 2\r\n\r\n{{}}",
        desk.admin
    );
    let reply = Reply::parse(exchange(desk.admin, request.as_bytes()).await, false);
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(desk.post("", "token-ada", &wish("asks")).await.status, 401);
    let list = desk.ask("GET", "", &ada, &Value::Null).await;
    assert_eq!(list.json()["rows"], json!([]));
    let id = desk.made("", &ada, "asks").await;
    let rows = |reply: Reply| reply.json()["rows"].as_array().unwrap().len();
    assert_eq!(rows(desk.ask("GET", "", &ada, &Value::Null).await), 1);
    assert_eq!(rows(desk.ask("GET", "", &desk.token("b", "dpo", false), &Value::Null).await), 1);
    assert_eq!(rows(desk.ask("GET", "", &other, &Value::Null).await), 0);
    assert_eq!(desk.ask("GET", &format!("/{id}"), &other, &Value::Null).await.status, 404);
    assert_eq!(desk.post(&format!("/{id}/revoke"), &other, &Value::Null).await.status, 404);
}

#[tokio::test]
async fn glass_is_broken_with_a_second_factor_told_at_once_and_reviewed_by_another() {
    let desk = Desk::new().await;
    let ada = desk.token("ada", "support", true);
    let weak = desk.post("/break-glass", &desk.token("ada", "support", false), &wish("both")).await;
    assert_eq!((weak.status, &weak.json()["missing"]), (401, &json!(["mfa_within"])));
    let id = desk.made("/break-glass", &ada, "both").await;
    let alert = desk.entries(Kind::Alert).await.pop().unwrap();
    assert_eq!(alert.reason.as_deref(), Some("break_glass_opened"));
    assert_eq!(alert.facts.get("break_glass").map(|fact| &**fact), Some(&*id));
    assert_eq!(desk.gateway.approvals.metrics().broken.get(), 1);
    assert_eq!(desk.call(&ada, "fraud", "").await.status, 200);
    let release = desk.entries(Kind::Release).await.pop().unwrap();
    assert_eq!(release.facts.get("break_glass").map(|fact| &**fact), Some(&*id));
    assert_eq!(desk.call(&desk.token("eve", "support", true), "fraud", "").await.status, 403);
    let found = json!({ "finding": "unjustified", "note": "there was time to ask" });
    let review = format!("/{id}/review");
    for (token, status) in [
        (desk.token("ada", "dpo", true), 403),
        (desk.token("ben", "support", true), 404),
        (desk.token("ben", "dpo", false), 401),
    ] {
        assert_eq!(desk.post(&review, &token, &found).await.status, status);
    }
    let ben = desk.token("ben", "dpo", true);
    let odd = json!({ "finding": "perhaps", "note": "x" });
    assert_eq!(desk.post(&review, &ben, &odd).await.status, 400);
    let reply = desk.post(&review, &ben, &found).await;
    assert_eq!((reply.status, &reply.json()["review"]["state"]), (200, &json!("done")));
    assert_eq!(desk.post(&review, &ben, &found).await.status, 409);
    let entry = desk.entries(Kind::Admin).await.pop().unwrap();
    assert_eq!(entry.facts.get("finding").map(|fact| &**fact), Some("unjustified"));
    assert!(!format!("{entry:?}").contains("time to ask"), "the note is not in the log");
    desk.clock.advance_ms(30 * 60_000);
    let late = desk.call(&desk.token("ada", "support", true), "fraud", "").await;
    assert_eq!(late.status, 403);
}

#[tokio::test]
async fn what_is_taken_back_ends_a_list_under_way() {
    let desk = Desk::new().await;
    let (ada, ben) = (desk.token("ada", "support", false), desk.token("ben", "dpo", true));
    let id = desk.made("", &ada, "asks").await;
    assert_eq!(desk.post(&format!("/{id}/approve"), &ben, &Value::Null).await.status, 200);
    let revoke = async {
        let reply = desk.post(&format!("/{id}/revoke"), &ben, &Value::Null).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let (reply, ended) = desk.interrupted((&ada, "care"), revoke).await;
    assert_eq!((reply.status, reply.is_whole), (200, false), "{ended:?}");
    assert_eq!((ended.outcome, ended.reason.as_deref()), (Some(Ending::Aborted), Some("needs")));
    assert!(ended.records < Some(4000), "{ended:?}");
    assert_eq!(desk.call(&ada, "care", "").await.status, 403);
}

#[tokio::test]
async fn what_runs_out_ends_a_list_under_way_and_what_does_not_ends_none() {
    for (minutes, is_whole) in [(59, true), (60, false)] {
        let desk = Desk::new().await;
        let (ada, ben) = (desk.token("ada", "support", false), desk.token("ben", "dpo", true));
        let id = desk.made("", &ada, "asks").await;
        desk.post(&format!("/{id}/approve"), &ben, &Value::Null).await;
        // Somebody else's approval, given meanwhile, concerns nobody here.
        let other = desk.made("", &desk.token("eve", "support", false), "asks").await;
        let later = async {
            desk.post(&format!("/{other}/approve"), &ben, &Value::Null).await;
            desk.clock.advance_ms(minutes * 60_000);
        };
        let (reply, ended) = desk.interrupted((&ada, "care"), later).await;
        assert_eq!((reply.status, reply.is_whole), (200, is_whole), "{minutes} {ended:?}");
        assert_eq!(ended.records == Some(4000), is_whole, "{minutes}");
    }
}

#[tokio::test]
async fn a_grant_ends_with_its_date_also_in_the_middle_of_a_list() {
    let until = SystemClock.now().plus_ms(3_600_000).to_string();
    let until = format!("{}Z", until.split('.').next().unwrap().trim_end_matches('Z'));
    let policy = POLICY.replace("until: 2099-01-01", &format!("until: '{until}'"));
    for (minutes, is_whole) in [(30, true), (61, false)] {
        let desk = Desk::with(&policy).await;
        let ada = desk.token("ada", "support", false);
        assert_eq!(desk.call(&ada, "dated", "").await.status, 200);
        let later = async { desk.clock.advance_ms(minutes * 60_000) };
        let (reply, ended) = desk.interrupted((&ada, "dated"), later).await;
        assert_eq!(
            (reply.is_whole, ended.records == Some(4000)),
            (is_whole, is_whole),
            "{minutes}"
        );
        let status = if is_whole { 200 } else { 403 };
        assert_eq!(desk.call(&ada, "dated", "").await.status, status);
    }
}

#[tokio::test]
async fn a_policy_that_asks_for_another_role_takes_approvals_of_the_old_one_back() {
    let desk = Desk::new().await;
    let (ada, ben) = (desk.token("ada", "support", false), desk.token("ben", "dpo", true));
    let id = desk.made("", &ada, "asks").await;
    let waiting = desk.made("", &ada, "asks").await;
    desk.post(&format!("/{id}/approve"), &ben, &Value::Null).await;
    assert_eq!(desk.call(&ada, "care", "").await.status, 200);
    desk.gateway.reload(&POLICY.replace("by: dpo, for: 1 hour", "by: support, for: 1 hour"));
    assert_eq!(desk.call(&ada, "care", "").await.status, 403);
    let reply = desk.post(&format!("/{waiting}/approve"), &ben, &Value::Null).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    desk.gateway.reload(&POLICY.replace("by: dpo, for: 1 hour", "by: dpo, for: 10 minutes"));
    assert_eq!(desk.call(&ada, "care", "").await.status, 200);
    desk.clock.advance_ms(10 * 60_000);
    assert_eq!(desk.call(&ada, "care", "").await.status, 403);
}

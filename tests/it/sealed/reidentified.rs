//! Two operators turn reversible tokens back into values over the admin listener.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use privet::api::OperatorRole;
use privet::api::Operators;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::clock::Clock;
use privet::clock::ManualClock;
use privet::clock::SystemClock;
use privet::types::SubjectStatus;

use super::admin;
use super::pseudonyms::Shop;
use super::pseudonyms::people;
use crate::harness::Reply;
use crate::harness::person;

const PATH: &str = "/api/v1/reidentifications";

/// The officers ada, Ada and ben, and axel, who may only look; each has a second factor.
struct Desk {
    shop: Shop,
    admin: SocketAddr,
    clock: Arc<ManualClock>,
}

fn secret(name: &str) -> [u8; 20] {
    let mut secret = [7; 20];
    secret.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    secret
}

impl Desk {
    async fn start() -> Self {
        let shop = Shop::start(&people()).await;
        let secrets = shop.gateway.keys.operator_secrets();
        let officers = ["ada", "Ada", "ben", "axel"].map(|name| {
            let sealed = secrets.seal(name, &secret(name), &[1; 16]).unwrap();
            let role = if name == "axel" { OperatorRole::Auditor } else { OperatorRole::Officer };
            Operators::line(name, role, &format!("token-{name}"), Some(&sealed))
        });
        // Somebody without a second factor.
        let cleo = Operators::line("cleo", OperatorRole::Officer, "token-cleo", None);
        let operators = format!("{}{cleo}", officers.concat());
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let admin = admin::start(&shop.gateway, &operators, clock.clone()).await;
        Self { shop, admin, clock }
    }

    fn code(&self, name: &str) -> String {
        let secret = totp_rs::Secret::new_stack(secret(name));
        let codes = totp_rs::Builder::new().with_secret(secret).with_step_duration(30);
        codes.build().unwrap().generate(self.clock.now().unix_s()).to_string()
    }

    /// A call with a code that was never used.
    async fn fresh(&self, name: &str, path: &str, body: &Value) -> Reply {
        self.clock.advance_ms(30_000);
        admin::post(self.admin, name, path, (Some(&self.code(name)), body)).await
    }

    /// The tokens that somebody was shown, with what they stand for.
    async fn tokens(&self) -> Vec<(String, String)> {
        let shown = self.shop.read("back", "count", "people").await.json();
        let each = shown.as_array().unwrap().iter().zip(people());
        let text = |value: &Value| value["email"].as_str().unwrap().to_owned();
        each.map(|(shown, real)| (text(shown), text(&real))).collect()
    }

    fn wish(tokens: &[&str]) -> Value {
        json!({ "purpose": "count", "tokens": tokens, "case": "C-117", "why": "fraud", "valid_for": 3_600 })
    }

    /// A request of ada's.
    async fn asked(&self, tokens: &[&str]) -> String {
        let asked = self.fresh("ada", PATH, &Self::wish(tokens)).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        asked.json()["id"].as_str().unwrap().to_owned()
    }

    async fn approve(&self, name: &str, id: &str) -> Reply {
        self.fresh(name, &format!("{PATH}/{id}/approve"), &Value::Null).await
    }

    async fn show(&self, name: &str, id: &str) -> Reply {
        self.fresh(name, &format!("{PATH}/{id}/show"), &Value::Null).await
    }

    /// The entries about operators, the oldest first.
    async fn entries(&self) -> Vec<Entry> {
        self.shop.gateway.log.flush().await.unwrap();
        let dir = self.shop.gateway.audit_dir();
        let found = privet::audit::search(&dir, &Filter::default(), 0).unwrap();
        let found = found.map(|found| found.unwrap().1);
        found.filter(|entry| matches!(entry.kind, Kind::Admin | Kind::Alert)).collect()
    }

    async fn reasons(&self) -> Vec<String> {
        let each = self.entries().await;
        each.iter().map(|entry| entry.reason.as_deref().unwrap_or_default().to_owned()).collect()
    }
}

/// A refusal that tells no value, and why.
fn assert_refused(reply: &Reply, status: u16, why: &str) {
    let text = reply.text();
    assert_eq!(reply.status, status, "{text}");
    assert!(text.contains(why), "{why} is not in {text}");
    assert!(!text.contains("mail.example"), "{text}");
}

#[tokio::test]
async fn two_operators_turn_tokens_back_once_and_the_log_has_it_before() {
    let desk = Desk::start().await;
    let tokens = desk.tokens().await;
    let (token, real) = &tokens[3];
    let unknown = "ps1_AAAAAAAAAAAAAAAAAAAAAA";
    let id = desk.asked(&[token, unknown]).await;
    assert_refused(&desk.show("ada", &id).await, 409, "waits for another operator");
    for own in ["ada", "Ada"] {
        assert_refused(&desk.approve(own, &id).await, 403, "a second person");
    }
    assert_refused(&desk.approve("axel", &id).await, 403, "officer");
    assert_eq!(desk.approve("ben", &id).await.status, 200);
    assert_refused(&desk.approve("ben", &id).await, 409, "approved or used already");
    assert_refused(&desk.show("ben", &id).await, 403, "whoever made the request");

    let shown = desk.show("ada", &id).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let values = shown.json()["values"].clone();
    let found = |token: &str| {
        let mut each = values.as_array().unwrap().iter();
        each.find(|value| value["token"] == token).unwrap().clone()
    };
    assert_eq!(found(token)["value"], real.as_str());
    assert_eq!(found(unknown)["gone"], "unknown");
    assert_refused(&desk.show("ada", &id).await, 409, "given out already");

    let entries = desk.entries().await;
    let reasons: Vec<_> = entries.iter().map(|it| it.reason.as_deref().unwrap()).collect();
    assert_eq!(
        reasons,
        ["reidentification_requested", "reidentification_approved", "reidentified"]
    );
    let card = desk.shop.gateway.cards.find(&person(), "c-3").await.unwrap().unwrap();
    let shown = entries.last().unwrap();
    assert_eq!(shown.subjects, [card.token], "whom it was about");
    let fact = |name: &str| shown.facts.get(name).map(|fact| fact.to_string());
    assert_eq!(fact("case").as_deref(), Some("C-117"));
    assert_eq!(fact("operator").as_deref(), Some("ada"));
    assert_eq!(fact("approved_by").as_deref(), Some("ben"));
    for entry in &entries {
        let line = String::from_utf8(entry.to_bytes().unwrap()).unwrap();
        assert!(!line.contains("mail.example") && !line.contains("ps1_"), "{line}");
    }
}

#[tokio::test]
async fn every_step_takes_a_code_that_was_never_used() {
    let desk = Desk::start().await;
    let (token, _) = desk.tokens().await.remove(0);
    let wish = Desk::wish(&[&token]);
    let post = |name: &'static str, path: String, code: Option<String>, body: Value| {
        let admin = desk.admin;
        async move { admin::post(admin, name, &path, (code.as_deref(), &body)).await }
    };
    // No code, somebody else's, a second factor that was never set up.
    let missing = post("ada", PATH.into(), None, wish.clone()).await;
    assert_refused(&missing, 403, "six digits");
    let others = post("ada", PATH.into(), Some(desk.code("ben")), wish.clone()).await;
    assert_refused(&others, 403, "wrong or out of date");
    let none = post("cleo", PATH.into(), Some("123456".into()), wish.clone()).await;
    assert_refused(&none, 403, "no second factor");
    assert_eq!(desk.reasons().await, ["mfa_wrong"]);

    // Each code works for one step, and for none of the others.
    let code = desk.code("ada");
    let asked = post("ada", PATH.into(), Some(code.clone()), wish.clone()).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let (approve, show) = (format!("{PATH}/{id}/approve"), format!("{PATH}/{id}/show"));
    assert_refused(&post("ada", PATH.into(), Some(code.clone()), wish).await, 403, "used already");
    assert_refused(&post("ben", approve.clone(), None, Value::Null).await, 403, "six digits");
    let bens = desk.code("ben");
    assert_eq!(post("ben", approve.clone(), Some(bens), Value::Null).await.status, 200);
    // With ada's token alone nobody fetches what was agreed to.
    assert_refused(&post("ada", show.clone(), None, Value::Null).await, 403, "six digits");
    assert_refused(&post("ada", show.clone(), Some(code), Value::Null).await, 403, "used already");
    desk.clock.advance_ms(30_000);
    let shown = post("ada", show, Some(desk.code("ada")), Value::Null).await;
    assert!(shown.text().contains("mail.example"), "{}", shown.text());
}

#[tokio::test]
async fn a_request_ends_with_its_time_and_with_the_person() {
    let desk = Desk::start().await;
    let tokens = desk.tokens().await;
    let (token, real) = &tokens[5];
    // Nobody agrees in time.
    let late = desk.asked(&[token]).await;
    desk.clock.advance_ms(3_600_000);
    assert_refused(&desk.approve("ben", &late).await, 409, "expired");
    // Somebody agrees in time, and nobody fetches in time.
    let agreed = desk.asked(&[token]).await;
    assert_eq!(desk.approve("ben", &agreed).await.status, 200);
    desk.clock.advance_ms(3_600_000);
    assert_refused(&desk.show("ada", &agreed).await, 409, "expired");
    for id in ["AAAAAAAAAAAAAAAA", "short", "..%2Fcard%2FAAAAAAA"] {
        assert_refused(&desk.show("ada", id).await, 404, "no such request");
    }
    // The person is erased between both.
    let gone = desk.asked(&[token]).await;
    assert_eq!(desk.approve("ben", &gone).await.status, 200);
    desk.shop.gateway.cards.set_status(&person(), "c-5", SubjectStatus::Erased).await.unwrap();
    let shown = desk.show("ada", &gone).await;
    assert_eq!((shown.status, &shown.json()["values"][0]["gone"]), (200, &json!("destroyed")));
    assert!(!shown.text().contains(real.as_str()));
}

#[tokio::test]
async fn without_an_entry_in_the_log_no_value_leaves() {
    let desk = Desk::start().await;
    let (token, _) = desk.tokens().await.remove(0);
    let id = desk.asked(&[&token]).await;
    assert_eq!(desk.approve("ben", &id).await.status, 200);
    desk.shop.gateway.log.close().await.unwrap();
    let shown = desk.show("ada", &id).await;
    assert_eq!(shown.status, 503, "{}", shown.text());
    assert!(!shown.text().contains("mail.example"), "{}", shown.text());
}

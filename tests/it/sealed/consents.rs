//! The consent ledger over the admin listener: who may do what, once, and many at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use privet::api::OperatorRole;
use privet::api::Operators;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::clock::SystemClock;

use super::writes::POLICY;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::exchange;

const ROLES: [OperatorRole; 4] = OperatorRole::ALL;

/// A gateway whose policy asks for `news` and `quiz`, and its admin listener.
async fn site() -> (Table, Gateway, SocketAddr) {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let asking = "purposes:\n  news: { basis: consent, consent: news }\n  quiz: { basis: consent, consent: quiz }\n";
    assert!(POLICY.contains("purposes:\n"), "the policy of the tests has purposes");
    let policy = POLICY.replacen("purposes:\n", asking, 1);
    let gateway = Gateway::start(Setup::new(&policy, &store));
    let line = |role: OperatorRole| {
        Operators::line(role.as_str(), role, &format!("token-{}", role.as_str()), None)
    };
    let operators: String = ROLES.map(line).concat();
    let admin = super::admin::start(&gateway, &operators, Arc::new(SystemClock)).await;
    (table, gateway, admin)
}

/// One call as an operator, with more headers.
async fn call(
    admin: SocketAddr,
    (operator, method, path): (&str, &str, &str),
    (more, body): (&str, &str),
) -> Reply {
    let credential = match operator {
        "" => String::new(),
        name => format!("Authorization: Bearer token-{name}\r\n"),
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{credential}{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Reply::parse(exchange(admin, request.as_bytes()).await, false)
}

async fn post(admin: SocketAddr, operator: &str, path: &str, body: &Value) -> Reply {
    call(admin, (operator, "POST", path), ("", &body.to_string())).await
}

async fn create(admin: SocketAddr, operator: &str, key: &str, body: &Value) -> Reply {
    let key = format!("Idempotency-Key: {key}\r\n");
    call(admin, (operator, "POST", "/api/v1/consents"), (&key, &body.to_string())).await
}

fn given(id: &str, consent: &str) -> Value {
    json!({ "id": id, "consent": {
        "process": [{ "purpose_key": consent }],
        "events": [{
            "purpose_key": consent, "state": "Given", "type": "ExpressedConsent",
            "entity_id": "subject",
        }],
    } })
}

fn taken_back(id: &str, consent: &str) -> Value {
    json!({ "id": id, "event": {
        "purpose_key": consent, "state": "Withdrawn", "entity_id": "subject",
    } })
}

fn parsed(reply: &Reply) -> Value {
    serde_json::from_str(&reply.text()).unwrap_or_else(|e| panic!("{e}: {}", reply.text()))
}

async fn entries(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(Kind::Consent), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// Every route of the ledger against every role, and nobody. A collector reaches what a shop's
/// back end needs and not one route more, here or anywhere else.
#[tokio::test]
async fn each_role_reaches_its_own_routes_and_no_other() {
    use OperatorRole as R;
    let (_table, _gateway, admin) = site().await;
    let made = parsed(&create(admin, "officer", "first", &given("c-1", "news")).await);
    let id = made["record_id"].as_str().unwrap();
    let about = |page: &str| format!("/api/v1/consents/{id}/{page}");
    let collectors: &[R] = &[R::Collector, R::Officer, R::Admin];
    let officers: &[R] = &[R::Officer, R::Admin];
    let auditors: &[R] = &[R::Auditor, R::Officer, R::Admin];
    let admins: &[R] = &[R::Admin];
    let mut routes: Vec<(&str, String, &[R])> = vec![
        ("POST", "/api/v1/consents".to_owned(), collectors),
        ("POST", "/api/v1/consents/find".to_owned(), collectors),
        ("POST", "/api/v1/consents/allows".to_owned(), collectors),
        ("POST", about("events"), collectors),
        ("GET", about("receipt"), collectors),
        ("GET", "/api/v1/consents".to_owned(), officers),
        ("POST", "/api/v1/consents/import".to_owned(), officers),
        ("GET", format!("/api/v1/consents/{id}"), officers),
        ("GET", about("kantara"), officers),
        ("POST", "/api/v1/notices".to_owned(), officers),
        ("GET", "/api/v1/notices".to_owned(), auditors),
    ];
    for (method, path, roles) in [
        ("GET", "/api/v1/status", auditors),
        ("GET", "/api/v1/audit", auditors),
        ("GET", "/api/v1/jobs", auditors),
        ("GET", "/api/v1/jobs/x", auditors),
        ("GET", "/api/v1/jobs/x/report", auditors),
        ("GET", "/api/v1/keys", auditors),
        ("POST", "/api/v1/operator/verify", auditors),
        ("POST", "/api/v1/audit/prune", officers),
        ("POST", "/api/v1/jobs/x/approve", officers),
        ("POST", "/api/v1/jobs/x/cancel", officers),
        ("POST", "/api/v1/keys/rotate/subject", officers),
        ("POST", "/api/v1/reidentifications", officers),
        ("POST", "/api/v1/reidentifications/x/approve", officers),
        ("POST", "/api/v1/reidentifications/x/show", officers),
        ("POST", "/api/v1/legal-claims", officers),
        ("POST", "/api/v1/legal-claims/x/approve", officers),
        ("POST", "/api/v1/legal-claims/x/show", officers),
        ("POST", "/api/v1/stores/backfill", officers),
        ("POST", "/api/v1/subjects/show", officers),
        ("POST", "/api/v1/subjects/accesses", officers),
        ("POST", "/api/v1/subjects/status", officers),
        ("POST", "/api/v1/subjects/consent", officers),
        ("POST", "/api/v1/subjects/opt-out", officers),
        ("POST", "/api/v1/subjects/erase-key", officers),
        ("POST", "/api/v1/reload", admins),
        ("POST", "/api/v1/keys/rotate/epoch", admins),
        ("POST", "/api/v1/keys/rotate/root", admins),
    ] {
        routes.push((method, path.to_owned(), roles));
    }
    for (method, path, roles) in &routes {
        for role in ROLES {
            let reply = call(admin, (role.as_str(), method, path), ("", "")).await;
            // What the role may not do is told as that. Anything else came of the empty body.
            let text = reply.text();
            let is_denied = reply.status == 403 && text.contains("this needs the role");
            assert_eq!(is_denied, !roles.contains(&role), "{role:?} {method} {path}: {text}");
            assert_ne!(reply.status, 401, "{role:?} {method} {path}");
        }
        let reply = call(admin, ("", method, path), ("", "")).await;
        assert_eq!(reply.status, 401, "{method} {path}: {}", reply.text());
        let strange = call(admin, ("nobody-there", method, path), ("", "")).await;
        assert_eq!(strange.status, 401, "{method} {path}");
    }
    // The public key is for everybody.
    let keys = call(admin, ("", "GET", "/api/v1/consents/keys"), ("", "")).await;
    assert_eq!((keys.status, parsed(&keys)["keys"][0]["crv"].as_str()), (200, Some("Ed25519")));
}

#[tokio::test]
async fn an_attempt_that_is_repeated_gets_the_same_answer_and_is_recorded_once() {
    let (_table, gateway, admin) = site().await;
    let body = given("c-1", "news");
    let first = create(admin, "collector", "\"k-1\"", &body).await;
    assert_eq!(first.status, 201, "{}", first.text());
    // Quoted as RFC 9651 has it, or bare: the same text.
    for key in ["\"k-1\"", "k-1"] {
        let again = create(admin, "collector", key, &body).await;
        assert_eq!((again.status, again.text()), (201, first.text()));
    }
    for (who, other) in [("c-1", "quiz"), ("c-2", "news")] {
        let reused = create(admin, "collector", "k-1", &given(who, other)).await;
        assert_eq!(reused.status, 422, "{}", reused.text());
    }
    // Another operator's attempt is another one.
    let elsewhere = create(admin, "officer", "k-1", &body).await;
    assert_eq!(elsewhere.status, 201);
    assert_ne!(parsed(&elsewhere)["record_id"], parsed(&first)["record_id"]);
    let none = post(admin, "collector", "/api/v1/consents", &body).await;
    assert_eq!((none.status, none.text().contains("Idempotency-Key")), (400, true));
    let twice = "Idempotency-Key: a\r\nIdempotency-Key: b\r\n";
    let twice =
        call(admin, ("collector", "POST", "/api/v1/consents"), (twice, &body.to_string())).await;
    assert_eq!(twice.status, 400);
    let found = post(admin, "collector", "/api/v1/consents/find", &json!({ "id": "c-1" })).await;
    assert_eq!(parsed(&found)["records"].as_array().unwrap().len(), 2);
    // Each change has its entry before it, and says where that is.
    let seq = parsed(&found)["records"][0]["audit_seq"].as_u64().unwrap();
    gateway.log.flush().await.unwrap();
    let all = privet::audit::search(&gateway.audit_dir(), &Filter::default(), 0).unwrap();
    let at = all.map(Result::unwrap).find(|(index, _)| *index == seq).unwrap();
    assert_eq!((at.0, at.1.reason.as_deref()), (seq, Some("consent_record")));
    assert_eq!(at.1.subjects.len(), 1);
    let text = format!("{:?}", entries(&gateway).await);
    assert!(!text.contains("c-1\""), "no entry holds an id: {text}");
}

#[tokio::test]
async fn a_record_is_changed_for_its_own_person_and_in_the_order_of_its_states() {
    let (_table, gateway, admin) = site().await;
    let made = parsed(&create(admin, "collector", "k", &given("c-1", "news")).await);
    let events = format!("/api/v1/consents/{}/events", made["record_id"].as_str().unwrap());
    let allows = async |at: Option<&str>| {
        let body = json!({ "id": "c-1", "consent": "news", "at": at });
        parsed(&post(admin, "collector", "/api/v1/consents/allows", &body).await)
    };
    assert_eq!(allows(None).await["allows"], true);
    let since = allows(None).await["since"].as_str().unwrap().to_owned();
    // Somebody else's, whoever knows its id; and one that nobody has.
    for (path, person) in [
        (events.as_str(), "c-2"),
        ("/api/v1/consents/0192f0c1-2345-7abc-8def-0123456789ab/events", "c-1"),
        ("/api/v1/consents/no-id/events", "c-1"),
    ] {
        let reply = post(admin, "collector", path, &taken_back(person, "news")).await;
        assert_eq!(reply.status, 404, "{}", reply.text());
    }
    let before = entries(&gateway).await.len();
    let done = post(admin, "collector", &events, &taken_back("c-1", "news")).await;
    assert_eq!((done.status, parsed(&done)["version"].as_u64()), (201, Some(2)));
    assert_eq!(allows(None).await["allows"], false);
    assert_eq!(allows(Some(&since)).await["allows"], true, "what stood then stood then");
    let again = post(admin, "collector", &events, &taken_back("c-1", "news")).await;
    assert_eq!(again.status, 409, "{}", again.text());
    let after = entries(&gateway).await;
    let reasons: Vec<&str> =
        after[before..].iter().map(|entry| entry.reason.as_deref().unwrap()).collect();
    assert_eq!(
        reasons,
        ["consent_event", "consent_asked", "consent_asked", "consent_event", "change_failed"]
    );
    for (body, wanted) in [
        (json!({ "id": "c-1", "event": { "purpose_key": "news" } }), 400),
        (json!({ "id": "c-1" }), 400),
        (taken_back("c-1", "quiz"), 400),
    ] {
        let reply = post(admin, "collector", &events, &body).await;
        assert_eq!(reply.status, wanted, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    // A consent that no purpose asks for would change nothing.
    let reply = create(admin, "collector", "k-2", &given("c-1", "mews")).await;
    assert_eq!((reply.status, reply.text().contains("did you mean `news`")), (400, true));
    let body = json!({ "id": "c-1", "consent": "mews" });
    assert_eq!(post(admin, "collector", "/api/v1/consents/allows", &body).await.status, 400);
    // Nobody comes to be by being asked about.
    let find = post(admin, "collector", "/api/v1/consents/find", &json!({ "id": "c-9" })).await;
    assert_eq!(parsed(&find)["records"], json!([]));
    let shown = post(admin, "officer", "/api/v1/subjects/show", &json!({ "id": "c-9" })).await;
    assert_eq!(shown.status, 404);
}

#[tokio::test]
async fn an_import_takes_each_line_for_itself_and_a_second_time_nothing() {
    let (_table, _gateway, admin) = site().await;
    let mut lines: Vec<String> =
        (0..200).map(|n| given(&format!("c-{n}"), "news").to_string()).collect();
    lines[3] = "no json".to_owned();
    lines[70] = given("c-70", "mews").to_string();
    lines[71] = format!("{{\"id\":\"{}\"}}", "x".repeat(90_000));
    // Two of one person, the later of which takes back what the earlier gave.
    lines[150] = json!({ "id": "c-149", "consent": {
        "process": [{ "purpose_key": "news" }],
        "events": [{ "purpose_key": "news", "state": "Refused", "entity_id": "subject" }],
    } })
    .to_string();
    let body = lines.join("\n");
    let path = ("officer", "POST", "/api/v1/consents/import");
    let reply = call(admin, path, ("", &body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let results = |reply: &Reply| -> Vec<Value> {
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = results(&reply);
    assert_eq!(first.len(), 200);
    for (n, result) in first.iter().enumerate() {
        assert_eq!(result["line"], n + 1);
        let wanted = if [3, 70, 71].contains(&n) { "refused" } else { "recorded" };
        assert_eq!(result["result"], wanted, "{result}");
    }
    assert!(first[70]["detail"].as_str().unwrap().contains("did you mean `news`"));
    assert!(first[71]["detail"].as_str().unwrap().contains("longer than"));
    let again = results(&call(admin, path, ("", &body)).await);
    for (first, again) in first.iter().zip(&again) {
        let wanted = if first["result"] == "recorded" { "known" } else { "refused" };
        assert_eq!(again["result"], wanted, "{again}");
        assert_eq!(first["record_id"], again["record_id"]);
    }
    let ask = json!({ "id": "c-149", "consent": "news" });
    let allowed = parsed(&post(admin, "collector", "/api/v1/consents/allows", &ask).await);
    assert_eq!((&allowed["allows"], &allowed["state"]), (&json!(false), &json!("Refused")));
    // All of them come out again, a part at a time, each once.
    let (mut found, mut path) = (Vec::new(), "/api/v1/consents?limit=50".to_owned());
    loop {
        let part = call(admin, ("officer", "GET", &path), ("", "")).await;
        assert_eq!(part.status, 200, "{}", part.text());
        found.extend(results(&part));
        let Some(next) = part.header("privet-next") else { break };
        path = format!("/api/v1/consents?limit=50&cursor={next}");
    }
    assert_eq!(found.len(), 197);
    let ids: std::collections::BTreeSet<&str> =
        found.iter().map(|record| record["record_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 197);
    assert!(found.iter().all(|record| record.get("id").is_none()), "no id of a store");
    for wrong in ["cursor=x", "limit=0", "limit=1000", "limit=x"] {
        let path = format!("/api/v1/consents?{wrong}");
        assert_eq!(call(admin, ("officer", "GET", &path), ("", "")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn notices_are_registered_by_the_hash_of_their_text() {
    let (_table, _gateway, admin) = site().await;
    let notice = |hash: &str| json!({ "id": "shop", "version": "1", "language": "en", "sha256": hash.repeat(32) });
    let add = async |body: Value| post(admin, "officer", "/api/v1/notices", &body).await.status;
    assert_eq!(add(notice("ab")).await, 201);
    assert_eq!(add(notice("ab")).await, 200);
    assert_eq!(add(notice("cd")).await, 409);
    assert_eq!(add(notice("zz")).await, 400);
    let list = call(admin, ("auditor", "GET", "/api/v1/notices"), ("", "")).await;
    assert_eq!(parsed(&list)["notices"].as_array().unwrap().len(), 1);
    // Nobody can have been shown another text under that name.
    let mut shown = given("c-1", "news");
    shown["consent"]["language"] = "en".into();
    for (hash, wanted) in [("cd", 409), ("ab", 201)] {
        shown["consent"]["notice"] =
            json!({ "id": "shop", "version": "1", "sha256": hash.repeat(32) });
        let reply = create(admin, "collector", hash, &shown).await;
        assert_eq!(reply.status, wanted, "{}", reply.text());
    }
}

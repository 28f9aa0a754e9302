//! New people, whose id the store gives: their records are sealed before anybody knows it.

use std::sync::Arc;
use std::sync::Mutex;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::state::FaultMoment;
use privet::state::FaultPlan;
use serde_json::Value;
use serde_json::json;

use super::writes::POLICY;
use super::writes::ask;
use super::writes::assert_nothing_leaked;
use super::writes::is_envelope;
use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::json as answer;

fn policy() -> String {
    let routes = [
        (r#"POST /customers", records: "$""#, r#"created_id: "$.id""#),
        (r#"POST /batch", records: "$[*]""#, r#"created_id: "$[*].id""#),
        (r#"PATCH /customers/{id}", records: "$""#, "unsafe_writes: accepted"),
    ];
    routes.iter().fold(POLICY.to_owned(), |policy, (route, more)| {
        assert!(policy.contains(route), "{route}");
        policy.replace(route, &format!("{route}, {more}"))
    })
}

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(&policy(), store))
}

/// Somebody who has no id yet.
fn new(name: &str) -> Value {
    json!({ "name": name, "email": format!("{name}-planted@mail.example"), "age": 417_417 })
}

/// Every alert of the log.
async fn alerts(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let found = privet::audit::search(&gateway.audit_dir(), &Filter::default(), 0).unwrap();
    found.map(|found| found.unwrap().1).filter(|entry| entry.kind == Kind::Alert).collect()
}

fn reasons(alerts: &[Entry]) -> Vec<&str> {
    alerts.iter().filter_map(|entry| entry.reason.as_deref()).collect()
}

/// What a store makes of the records it is sent: what it answers.
type Makes = fn(Vec<Value>) -> Vec<Value>;

/// A store whose records get the ids `c-1`, `c-2` and so on, and that answers as it likes. One that
/// answers nothing closes the connection once it has stored them.
async fn store(makes: Makes) -> (Arc<Mutex<Vec<Value>>>, FakeStore) {
    let rows = Arc::new(Mutex::new(Vec::<Value>::new()));
    let kept = Arc::clone(&rows);
    let store = FakeStore::start(move |asked| {
        let mut rows = rows.lock().unwrap();
        if asked.method() == "GET" {
            let id = asked.target().rsplit('/').next().unwrap();
            let found = rows.iter().find(|row| row["id"] == id);
            return vec![Step::Bytes(match found {
                Some(row) => answer(200, &row.to_string()),
                None => answer(404, "{}"),
            })];
        }
        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        if asked.method() == "PATCH" {
            let row =
                rows.iter_mut().find(|row| asked.target().ends_with(row["id"].as_str().unwrap()));
            let row = row.unwrap();
            for (name, value) in sent.as_object().unwrap() {
                row[name] = value.clone();
            }
            return vec![Step::Bytes(answer(200, &row.to_string()))];
        }
        let (sent, is_one) = match sent {
            Value::Array(sent) => (sent, false),
            one => (vec![one], true),
        };
        let mut made = Vec::new();
        for mut row in sent {
            if row.get("id").is_none() {
                row["id"] = format!("c-{}", rows.len() + 1).into();
            }
            rows.push(row.clone());
            made.push(row);
        }
        let told = makes(made);
        match (told.first(), is_one) {
            (None, _) => vec![Step::Close],
            (Some(one), true) => vec![Step::Bytes(answer(201, &one.to_string()))],
            (Some(_), false) => vec![Step::Bytes(answer(201, &Value::from(told).to_string()))],
        }
    });
    (kept, store.await)
}

async fn email(gateway: &Gateway, id: &str) -> Value {
    let path = format!("/customers/{id}");
    let reply = ask(gateway, "boss", ("GET", &path), "", "").await;
    assert_eq!(reply.status, 200, "{id}: {}", reply.text());
    reply.json()["email"].clone()
}

#[tokio::test]
async fn a_new_person_has_the_key_of_their_record_when_the_answer_leaves() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let made = ask(&gateway, "boss", ("POST", "/customers"), "", &new("ana").to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let mut expected = new("ana");
    expected["id"] = "c-100".into();
    assert_eq!(made.json(), expected);
    assert_eq!(email(&gateway, "c-100").await, "ana-planted@mail.example");
    let stored: Value = serde_json::from_str(&table.row("c-100").unwrap()).unwrap();
    assert!(is_envelope(&stored["email"]) && is_envelope(&stored["age"]));
    // They are a person like any other from then on.
    let path = ("PATCH", "/customers/c-100");
    let changed = ask(&gateway, "boss", path, "", r#"{"email":"eve@mail.example"}"#).await;
    assert_eq!(changed.json()["email"], "eve@mail.example");
    assert_eq!(changed.json()["age"], 417_417);
    assert!(alerts(&gateway).await.is_empty());
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn records_of_one_batch_get_a_key_each_in_whatever_order_the_answer_comes() {
    let makes: [Makes; 3] = [
        |made| made,
        |made| made.into_iter().rev().collect(),
        |made| made.into_iter().map(|row| json!({ "id": row["id"] })).collect(),
    ];
    for makes in makes {
        let (rows, store) = store(makes).await;
        let gateway = gateway(&store);
        // The one in the middle says who it is.
        let mut known = new("kim");
        known["id"] = "k-1".into();
        let sent = Value::from(vec![new("ana"), known, new("bob")]);
        let made = ask(&gateway, "boss", ("POST", "/batch"), "", &sent.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let stored = rows.lock().unwrap().clone();
        for row in &stored {
            let name = row["name"].as_str().unwrap();
            let found = email(&gateway, row["id"].as_str().unwrap()).await;
            assert_eq!(found, format!("{name}-planted@mail.example"));
        }
        // Nobody's value opens in the record of somebody else.
        let (first, last) = (stored[0]["email"].clone(), stored[2]["id"].clone());
        rows.lock().unwrap()[2]["email"] = first;
        assert_eq!(email(&gateway, last.as_str().unwrap()).await, Value::Null);
        assert_nothing_leaked(&store);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_say_who_is_who_gives_nobody_a_key() {
    let makes: [(&str, Makes); 4] = [
        ("one twice", |made| vec![made[0].clone(), made[0].clone()]),
        ("one less", |made| made[..1].to_vec()),
        ("no id", |made| vec![made[0].clone(), json!({ "name": "bob" })]),
        ("one id for two", |made| {
            made.into_iter()
                .map(|mut row| {
                    row["id"] = "c-7".into();
                    row
                })
                .collect()
        }),
    ];
    for (what, makes) in makes {
        let (_rows, store) = store(makes).await;
        let gateway = gateway(&store);
        let sent = Value::from(vec![new("ana"), new("bob")]);
        let reply = ask(&gateway, "boss", ("POST", "/batch"), "", &sent.to_string()).await;
        assert_eq!(reply.status, 502, "{what}: {}", reply.text());
        assert!(reply.text().contains("the record was made"), "{what}: {}", reply.text());
        assert!(reasons(&alerts(&gateway).await).contains(&"unlinked"), "{what}");
        // The records are there, and whoever reads them first gives them their keys.
        for (id, name) in [("c-1", "ana"), ("c-2", "bob")] {
            assert_eq!(email(&gateway, id).await, format!("{name}-planted@mail.example"), "{what}");
        }
        assert_nothing_leaked(&store);
    }
}

#[tokio::test]
async fn a_record_whose_creation_was_never_answered_is_read_and_changed_like_any_other() {
    for reads_first in [true, false] {
        let (rows, store) = store(|_| Vec::new()).await;
        let gateway = gateway(&store);
        let lost = ask(&gateway, "boss", ("POST", "/customers"), "", &new("ana").to_string()).await;
        assert_eq!(lost.status, 502, "{}", lost.text());
        assert!(is_envelope(&rows.lock().unwrap()[0]["email"]));
        if reads_first {
            assert_eq!(email(&gateway, "c-1").await, "ana-planted@mail.example");
        } else {
            // What the caller is shown is compared with what opens.
            let same = r#"{"email":"ana-planted@mail.example"}"#;
            let kept = ask(&gateway, "boss", ("PATCH", "/customers/c-1"), "", same).await;
            assert_eq!(kept.json()["email"], "ana-planted@mail.example", "{}", kept.text());
        }
        assert_eq!(reasons(&alerts(&gateway).await), ["linked_late"]);
        // Whoever comes first has it: a copy in the record of somebody else stays closed.
        let mut copy = rows.lock().unwrap()[0].clone();
        copy["id"] = "c-2".into();
        rows.lock().unwrap().push(copy);
        assert_eq!(email(&gateway, "c-2").await, Value::Null);
        assert_eq!(email(&gateway, "c-1").await, "ana-planted@mail.example");
        assert_nothing_leaked(&store);
    }
}

#[tokio::test]
async fn two_records_of_one_new_person_made_at_once_both_open() {
    let (rows, store) = store(|made| {
        made.into_iter()
            .map(|mut row| {
                row["id"] = "c-1".into();
                row
            })
            .collect()
    })
    .await;
    let gateway = gateway(&store);
    let (ana, bob) = (new("ana").to_string(), new("bob").to_string());
    let (first, second) = tokio::join!(
        ask(&gateway, "boss", ("POST", "/customers"), "", &ana),
        ask(&gateway, "boss", ("POST", "/customers"), "", &bob),
    );
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json()["email"], "ana-planted@mail.example");
    assert_eq!(second.json()["email"], "bob-planted@mail.example");
    let stored = rows.lock().unwrap().clone();
    for mut row in stored {
        row["id"] = "c-1".into();
        *rows.lock().unwrap() = vec![row];
        assert!(email(&gateway, "c-1").await.is_string());
    }
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn a_record_that_sets_nothing_sealed_needs_no_key() {
    let (_rows, store) =
        store(|made| made.into_iter().map(|_| json!({ "name": "x" })).collect()).await;
    let gateway = gateway(&store);
    let made = ask(&gateway, "boss", ("POST", "/customers"), "", r#"{"name":"Eve"}"#).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(alerts(&gateway).await.is_empty());
}

/// Runs `write` with every call of the engines failing once, and looks at what came of it.
async fn fail_at_every_call(write: (&str, &str, &str), may_hold: &[&str]) {
    for engine in ["keys", "cards"] {
        for moment in [FaultMoment::Before, FaultMoment::After] {
            for call in 1.. {
                let (rows, store) = store(|made| made).await;
                let setup = Setup::new(&policy(), &store);
                let engine =
                    if engine == "keys" { setup.key_rows.clone() } else { setup.card_rows.clone() };
                let gateway = Gateway::start(setup);
                let (method, path, body) = write;
                if method == "PATCH" {
                    let first = new("ana").to_string();
                    let made = ask(&gateway, "boss", ("POST", "/customers"), "", &first).await;
                    assert_eq!(made.status, 201);
                }
                engine.plan_fault(FaultPlan { call, moment });
                let reply = ask(&gateway, "boss", (method, path), "", body).await;
                let has_failed = engine.clear_fault();
                // Nothing in clear; what was made opens, whatever its maker was told.
                assert_nothing_leaked(&store);
                let made = rows.lock().unwrap().len();
                assert!(made > 0 || reply.status >= 400, "{call}: {}", reply.status);
                if made > 0 {
                    let found = email(&gateway, "c-1").await;
                    assert!(may_hold.iter().any(|value| found == *value), "{call}: {found}");
                }
                if !has_failed {
                    assert!(reply.status < 300, "{}", reply.text());
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_fails_while_a_record_is_made_it_is_sealed_and_opens() {
    let sent = new("ana").to_string();
    let may_hold = ["ana-planted@mail.example"];
    fail_at_every_call(("POST", "/customers", &sent), &may_hold).await;
}

#[tokio::test]
async fn whatever_fails_while_a_record_is_changed_it_is_sealed_and_opens() {
    let sent = r#"{"email":"eve@mail.example"}"#;
    let may_hold = ["ana-planted@mail.example", "eve@mail.example"];
    fail_at_every_call(("PATCH", "/customers/c-1", sent), &may_hold).await;
}

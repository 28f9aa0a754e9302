//! A person's key is destroyed over the admin listener.

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
use privet::state::FaultMoment;
use privet::state::FaultPlan;

use super::writes::ANA;
use super::writes::POLICY;
use super::writes::ask;
use super::writes::one;
use super::writes::row;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::a_hold;
use crate::harness::person;

/// Where the admin listener of the gateway answers.
pub(super) async fn admin(gateway: &Gateway) -> SocketAddr {
    let operators = [("olga", OperatorRole::Officer), ("axel", OperatorRole::Auditor)]
        .map(|(name, role)| Operators::line(name, role, &format!("token-{name}"), None))
        .join("\n");
    super::admin::start(gateway, &operators, Arc::new(SystemClock)).await
}

pub(super) async fn erase(admin: SocketAddr, operator: &str, id: &str) -> Reply {
    let body = json!({ "id": id });
    super::admin::post(admin, operator, "/api/v1/subjects/erase-key", (None, &body)).await
}

/// The entries about keys, the oldest first.
async fn entries(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(Kind::Key), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

async fn reasons(gateway: &Gateway) -> Vec<String> {
    entries(gateway).await.iter().map(|entry| entry.reason.as_deref().unwrap().into()).collect()
}

/// A gateway that made Ana in a store, and fails on demand.
async fn with_ana() -> (Table, Gateway, privet::state::MemoryStore) {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let setup = Setup::new(POLICY, &store);
    let keys = setup.key_rows.clone();
    let gateway = Gateway::start(setup);
    let made = ask(&gateway, "boss", ("POST", "/customers"), "", ANA).await;
    assert_eq!(made.status, 201, "{}", made.text());
    (table, gateway, keys)
}

/// Nobody is shown what is sealed in Ana's record, in clear or as it is stored.
async fn assert_closed(gateway: &Gateway, table: &Table) {
    assert!(row(table)["email"].as_str().unwrap().starts_with("pvt1_"), "it is still stored");
    for role in ["boss", "clerk", "vault"] {
        let text = one(gateway, role, "GET", "").await.text();
        for sealed in ["planted", "417417", "@mail.example", "pvt1_", "bi1_"] {
            assert!(!text.contains(sealed), "{role} is shown {sealed}: {text}");
        }
    }
}

#[tokio::test]
async fn whose_key_is_destroyed_is_closed_to_everybody_and_it_may_be_asked_for_twice() {
    let (table, gateway, _) = with_ana().await;
    let admin = admin(&gateway).await;
    let shown = one(&gateway, "boss", "GET", "").await;
    assert!(shown.text().contains("ana-planted@mail.example"), "{}", shown.text());

    let done = erase(admin, "olga", "c-1").await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(
        done.json(),
        json!({
            "status": "erased", "was_erased": false, "keys_destroyed": 1,
            "copies_of_the_keys_open_until": "the next roll of the epoch, due within `keys.shred_within`",
            "named_in_the_log_until": null,
            "remains_in_the_stores": ["blind indexes", "values that are not sealed"],
        })
    );
    assert_closed(&gateway, &table).await;
    let entries_so_far = entries(&gateway).await;
    let [.., asked, told] = entries_so_far.as_slice() else { panic!("too few entries") };
    assert_eq!(asked.reason.as_deref(), Some("key_erased"));
    assert_eq!(told.reason.as_deref(), Some("key_erasure_done"));
    assert_eq!(told.facts["tombstones"].parse(), Ok(gateway.keys.high_water()));
    for entry in [asked, told] {
        assert!(
            entry.subjects.is_empty(),
            "or the tombstone of that moment told whom the token is"
        );
        assert_eq!(entry.facts["operator"].as_ref(), "olga");
        // Up to its end: the id of a decision may hold these letters by chance.
        assert!(!format!("{entry:?}").contains("c-1\""), "no id stands in the log");
    }

    let again = erase(admin, "olga", "c-1").await;
    assert_eq!(again.status, 200, "{}", again.text());
    let again = again.json();
    assert_eq!((&again["was_erased"], &again["keys_destroyed"]), (&json!(true), &json!(0)));
    assert_closed(&gateway, &table).await;
}

#[tokio::test]
async fn a_person_on_hold_an_auditor_and_an_unknown_id_destroy_nothing() {
    let (_table, gateway, _) = with_ana().await;
    let admin = admin(&gateway).await;
    let before = gateway.keys.high_water();
    let hold = gateway.cards.add_hold(&person(), "c-1", a_hold()).await.unwrap();
    for (operator, id, status, why) in [
        ("olga", "c-1", 409, "held"),
        ("axel", "c-1", 403, "officer"),
        ("nobody", "c-1", 401, "token"),
        ("olga", "c-404", 404, "nothing is known"),
        ("olga", "", 400, "`id`"),
    ] {
        let refused = erase(admin, operator, id).await;
        assert_eq!(refused.status, status, "{operator} {id}: {}", refused.text());
        let problem: Value = refused.json();
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    assert_eq!(gateway.keys.high_water(), before);
    assert_eq!(reasons(&gateway).await, ["key_erasure_refused"]);
    gateway.cards.release_hold(&hold.id, None).await.unwrap().unwrap();
    let shown = one(&gateway, "boss", "GET", "").await;
    assert!(shown.text().contains("ana-planted@mail.example"), "{}", shown.text());
}

#[tokio::test]
async fn the_entry_comes_before_the_key_goes() {
    for moment in [FaultMoment::Before, FaultMoment::After] {
        for call in 1.. {
            let (table, gateway, keys) = with_ana().await;
            let admin = admin(&gateway).await;
            let before = gateway.keys.high_water();
            keys.plan_fault(FaultPlan { call, moment });
            let reply = erase(admin, "olga", "c-1").await;
            let has_failed = keys.clear_fault();
            let mut expected = vec!["key_erased"];
            if reply.status != 200 {
                assert_eq!(reply.status, 503, "{call}: {}", reply.text());
                expected.push("key_erasure_failed");
            } else {
                expected.push("key_erasure_done");
            }
            assert_eq!(reasons(&gateway).await, expected, "{call}");
            // Once the tombstone is written, it is honoured.
            if gateway.keys.high_water() != before {
                assert_closed(&gateway, &table).await;
            }
            // Asking again completes the rest.
            assert_eq!(erase(admin, "olga", "c-1").await.status, 200, "{call}");
            assert_closed(&gateway, &table).await;
            if !has_failed {
                assert!(call > 2, "reading and writing both had their turn");
                break;
            }
        }
    }
}

#[tokio::test]
async fn without_an_entry_no_key_is_destroyed() {
    let (_table, gateway, _) = with_ana().await;
    let admin = admin(&gateway).await;
    let before = gateway.keys.high_water();
    gateway.log.close().await.unwrap();
    assert_eq!(erase(admin, "olga", "c-1").await.status, 503);
    assert_eq!(gateway.keys.high_water(), before);
}

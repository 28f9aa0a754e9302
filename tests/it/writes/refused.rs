//! Changes that are refused, and what a caller learns by that.

use super::*;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::a_hold;
use crate::harness::person;
use privet::types::SubjectStatus;

async fn one(versions: Versions) -> (Table, FakeStore, Gateway) {
    let (table, store) = Table::start(versions, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    (table, store, gateway)
}

#[tokio::test]
async fn fields_that_may_not_be_set_are_named_and_nothing_is_written() {
    let (table, store, gateway) = one(Versions::Strong).await;
    let clerk = token(&gateway, "clerk");
    for (body, status, words) in [
        (r#"{"team":"y"}"#, 403, "`team`"),
        (r#"{"id":"c-2"}"#, 403, "`id`"),
        (r#"{"secret":"planted-guess"}"#, 403, "`secret`"),
        // The right guess looks like the wrong one.
        (r#"{"secret":"planted-secret"}"#, 403, "`secret`"),
        (r#"{"unlisted":1}"#, 422, "does not list"),
        (r#"{"email":"b***@mail.example"}"#, 422, "`email`"),
        (r#"{"country":"CN"}"#, 403, "as it would be"),
        (r#"{"country":null}"#, 403, "as it would be"),
    ] {
        for method in ["PATCH", "PUT"] {
            let reply = call(&gateway, method, &clerk, "", body).await;
            assert!(!reply.text().contains("planted"), "{}", reply.text());
            if method == "PATCH" {
                assert_eq!(reply.status, status, "{body}: {}", reply.text());
                assert!(reply.text().contains(words), "{body}: {}", reply.text());
            } else {
                assert!((400..500).contains(&reply.status), "{body}: {}", reply.text());
            }
        }
    }
    assert_eq!(table.row("c-1").unwrap(), ANA);
    assert_eq!(writes(&store), Vec::<String>::new());
    let refusals = entries(&gateway).await;
    let refused: Vec<_> = refusals.iter().filter(|it| it.kind == Kind::Refusal).collect();
    assert!(refused.len() >= 6, "{}", refused.len());
    assert!(refused.iter().all(|it| it.action == Some(privet::types::Action::Update)));
}

#[tokio::test]
async fn two_guesses_at_what_is_hidden_are_answered_alike() {
    let (_, _, gateway) = one(Versions::Strong).await;
    let clerk = token(&gateway, "clerk");
    let guess = |value: &str| {
        let body = format!(r#"{{"secret":"{value}"}}"#);
        let (gateway, clerk) = (&gateway, &clerk);
        async move {
            let text = call(gateway, "PATCH", clerk, "", &body).await.text();
            text.split("decision_id").next().unwrap().to_owned()
        }
    };
    assert_eq!(guess("planted-secret").await, guess("something").await);
}

#[tokio::test]
async fn a_record_that_may_not_be_seen_is_not_there() {
    let (_, store, gateway) = one(Versions::Strong).await;
    let clerk = token(&gateway, "clerk");
    gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    let bare = |reply: Reply| (reply.status, reply.text(), reply.header_names());
    for (method, body) in [("PATCH", r#"{"name":"x"}"#), ("PUT", r#"{"name":"x"}"#)] {
        let hidden = call(&gateway, method, &clerk, "", body).await;
        let absent = ("PATCH", "/shop/customers/c-9");
        let absent = call_at(&gateway, (method, absent.1), &clerk, "", body).await;
        assert_eq!(hidden.status, 404);
        assert_eq!(bare(hidden), bare(absent));
    }
    assert_eq!(writes(&store), Vec::<String>::new());
    // Who acts for the law may.
    let law = {
        let mut wanted = wanted("someone");
        wanted.roles = vec!["boss".to_owned()];
        wanted.region = Some("GB".to_owned());
        gateway.mint(&wanted)
    };
    let reply = call(&gateway, "PATCH", &law, "Privet-Purpose: law\r\n", r#"{"name":"x"}"#).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn who_may_read_more_than_write_is_told_so() {
    let (table, store, gateway) = one(Versions::Strong).await;
    table.touch("c-1", &ANA.replace("\"team\":\"x\"", "\"team\":\"y\""));
    let mate = token(&gateway, "mate");
    let reply = call(&gateway, "PATCH", &mate, "", r#"{"name":"x"}"#).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("\"record\""), "{}", reply.text());
    // And nothing is moved out of what the caller may write.
    table.touch("c-1", ANA);
    let reply = call(&gateway, "PATCH", &mate, "", r#"{"team":"y"}"#).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("as it would be"), "{}", reply.text());
    assert_eq!(writes(&store), Vec::<String>::new());
    let reply = call(&gateway, "PATCH", &mate, "", r#"{"name":"x"}"#).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (200, Some("x")));
}

#[tokio::test]
async fn what_is_held_stays_as_it_is() {
    let (table, store, gateway) = one(Versions::Strong).await;
    gateway.cards.add_hold(&person(), "c-1", a_hold()).await.unwrap();
    let boss = token(&gateway, "boss");
    for (method, body) in [("PATCH", r#"{"name":"x"}"#), ("DELETE", "")] {
        let reply = call(&gateway, method, &boss, "", body).await;
        assert_eq!(reply.status, 409);
        assert!(reply.text().contains("held"), "{}", reply.text());
    }
    // Who may not read it does not learn that it is held.
    let blind = token(&gateway, "blind");
    let reply = call(&gateway, "PATCH", &blind, "", r#"{"name":"x"}"#).await;
    assert_eq!(reply.status, 404);
    assert_eq!(table.row("c-1").unwrap(), ANA);
    assert_eq!(writes(&store), Vec::<String>::new());
}

#[tokio::test]
async fn two_credentials_write_what_both_may() {
    let (table, store, gateway) = one(Versions::Strong).await;
    let (boss, clerk) = (token(&gateway, "boss"), token(&gateway, "clerk"));
    let behalf = format!("Privet-On-Behalf-Of: {clerk}\r\n");
    let reply = call(&gateway, "PATCH", &boss, &behalf, r#"{"team":"y"}"#).await;
    assert_eq!(reply.status, 403);
    assert_eq!(call(&gateway, "DELETE", &boss, &behalf, "").await.status, 403);
    assert_eq!(writes(&store), Vec::<String>::new());
    let reply = call(&gateway, "PATCH", &boss, &behalf, r#"{"name":"x"}"#).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["email"], "a***@mail.example");
    assert!(table.row("c-1").unwrap().contains("\"name\":\"x\""));
}

#[tokio::test]
async fn who_may_not_write_reaches_no_store() {
    let (_, store, gateway) = one(Versions::Strong).await;
    let reader = token(&gateway, "reader");
    for (method, body) in [("PATCH", "{}"), ("PUT", "{}"), ("DELETE", "")] {
        let reply = call(&gateway, method, &reader, "", body).await;
        assert_eq!(reply.status, 403, "{method}");
        assert!(reply.text().contains("no grant"), "{}", reply.text());
    }
    let reply = call(&gateway, "PATCH", "none", "", "{}").await;
    assert_eq!(reply.status, 401);
    let reply = call_at(&gateway, ("POST", "/shop/customers/c-1"), &reader, "", "{}").await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.header("allow"), Some("DELETE, GET, HEAD, PATCH, PUT"));
    assert_eq!(store.asked().len(), 0);
}

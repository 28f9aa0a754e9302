//! New records.

use super::*;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;

const NEW: &str = r#"{"name":"Eve","email":"eve@mail.example","country":"GB"}"#;

async fn post(gateway: &Gateway, target: &str, role: &str, body: &str) -> Reply {
    let token = token(gateway, role);
    call_at(gateway, ("POST", target), &token, "", body).await
}

#[tokio::test]
async fn a_new_person_is_told_as_the_caller_may_see_them() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let reply = post(&gateway, "/shop/customers", "clerk", NEW).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["id"], "c-100");
    assert_eq!(reply.json()["email"], "e***@mail.example");
    assert_eq!(reply.header("location"), Some("/shop/customers/c-100"));
    assert_eq!(writes(&store), [format!("POST {NEW}")]);
    assert_eq!(table.len(), 1);
    let entries = entries(&gateway).await;
    assert_eq!(kinds(&entries), [Kind::Intent, Kind::Release, Kind::Outcome]);
    assert_eq!(entries.last().unwrap().action, Some(privet::types::Action::Create));
    let release = entries.iter().find(|entry| entry.kind == Kind::Release).unwrap();
    assert_eq!(release.subjects.len(), 1);
}

#[tokio::test]
async fn who_may_not_be_shown_it_learns_neither_id_nor_place() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let reply = post(&gateway, "/shop/customers", "blind", NEW).await;
    assert_eq!((reply.status, reply.text().as_str()), (201, ""));
    assert_eq!(reply.header("location"), None);
    assert_eq!(table.len(), 1);
}

#[tokio::test]
async fn a_new_record_holds_what_may_be_set_and_nothing_else() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    for (role, body, status, words) in [
        ("clerk", r#"{"name":"Eve","country":"GB","team":"y"}"#, 403, "`team`"),
        ("clerk", r#"{"name":"Eve","country":"GB","id":"c-9"}"#, 403, "`id`"),
        ("clerk", r#"{"name":"Eve","country":"GB","admin":true}"#, 422, "does not list"),
        ("clerk", r#"{"name":"Eve","country":"GB","email":"e***@mail.example"}"#, 422, "`email`"),
        // Of unknown region, and of one that the caller may not reach.
        ("clerk", r#"{"name":"Eve"}"#, 403, "this record"),
        ("clerk", r#"{"name":"Eve","country":"CN"}"#, 403, "this record"),
        ("reader", NEW, 403, "no grant"),
        ("mate", NEW, 403, "no grant"),
        ("clerk", "[]", 400, "records"),
        ("clerk", r#"{"name":"Eve","name":"Bob","country":"GB"}"#, 400, "strict JSON"),
        ("clerk", r#"{"name":"Eve""#, 400, "middle of a value"),
    ] {
        let reply = post(&gateway, "/shop/customers", role, body).await;
        assert_eq!(reply.status, status, "{role} {body}: {}", reply.text());
        assert!(reply.text().contains(words), "{role} {body}: {}", reply.text());
        assert!(!reply.text().contains("Eve"), "{}", reply.text());
    }
    assert_eq!(table.len(), 0);
    assert_eq!(store.asked().len(), 0);
}

#[tokio::test]
async fn a_record_about_a_restricted_person_is_not_made() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let status = privet::types::SubjectStatus::Restricted;
    gateway.cards.set_status(&crate::harness::person(), "c-9", status).await.unwrap();
    let sent = r#"{"id":"c-9","name":"Eve","country":"GB"}"#;
    let reply = post(&gateway, "/shop/customers", "boss", sent).await;
    assert_eq!(reply.status, 403);
    assert!(!reply.text().contains("restricted"), "{}", reply.text());
    assert_eq!(table.len(), 0);
    let other = sent.replace("c-9", "c-8");
    assert_eq!(post(&gateway, "/shop/customers", "boss", &other).await.status, 201);
}

#[tokio::test]
async fn many_are_made_at_once_or_none() {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let wrong = format!(r#"[{NEW},{{"name":"Bob","country":"CN"}}]"#);
    let reply = post(&gateway, "/shop/batch", "clerk", &wrong).await;
    assert_eq!(reply.status, 403);
    let many = format!("[{}]", vec![NEW; 257].join(","));
    assert_eq!(post(&gateway, "/shop/batch", "clerk", &many).await.status, 413);
    assert_eq!(post(&gateway, "/shop/batch", "clerk", "[]").await.status, 400);
    assert_eq!(store.asked().len(), 0);
    let right = format!("[{NEW}, {NEW}]");
    let reply = post(&gateway, "/shop/batch", "clerk", &right).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json().as_array().unwrap().len(), 2);
    assert!(!reply.text().contains("eve@mail"), "{}", reply.text());
    assert_eq!(table.len(), 2);
    assert_eq!(writes(&store), [format!("POST [{NEW},{NEW}]")]);
    let entries = entries(&gateway).await;
    let intent = entries.iter().find(|entry| entry.kind == Kind::Intent).unwrap();
    assert_eq!(intent.records, Some(2));
}

#[tokio::test]
async fn lines_are_passed_on_as_lines() {
    let store = FakeStore::always(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let more = "Content-Type: application/x-ndjson\r\n";
    let at = ("POST", "/shop/batch");
    let reply = call_at(&gateway, at, &clerk, more, &format!("{NEW}\n{NEW}\n")).await;
    assert_eq!((reply.status, reply.text().as_str()), (201, ""));
    assert_eq!(writes(&store), [format!("POST {NEW}\n{NEW}\n")]);
    assert_eq!(store.asked()[0].header("content-type"), Some("application/x-ndjson"));
}

#[tokio::test]
async fn a_store_that_refuses_is_not_quoted() {
    for (told, status, reason) in [
        ("409 Taken", 409, "conflict"),
        ("422 Wrong", 400, "store_status"),
        ("404 None", 404, "not_found"),
        ("401 Who", 502, "store_status"),
        ("500 Broken", 502, "write_unknown"),
        ("503 Later", 503, "write_unknown"),
        ("303 There", 502, "write_unknown"),
    ] {
        let answer = format!(
            "HTTP/1.1 {told}\r\nContent-Type: application/json\r\nLocation: /customers/planted\r\n\
             Content-Length: 22\r\n\r\n{{\"key\":\"planted-mail\"}}"
        );
        let store = FakeStore::always(answer.into_bytes()).await;
        let gateway = gateway(&store);
        let reply = post(&gateway, "/shop/customers", "clerk", NEW).await;
        assert_eq!(reply.status, status, "{told}");
        assert!(!reply.raw_text().contains("planted"), "{}", reply.raw_text());
        assert_eq!(store.asked().len(), 1);
        let entries = entries(&gateway).await;
        assert_eq!(kinds(&entries), [Kind::Intent, Kind::Outcome]);
        assert_eq!(entries.last().unwrap().reason.as_deref(), Some(reason), "{told}");
    }
}

#[tokio::test]
async fn a_write_that_is_done_stays_done_whatever_the_store_says_of_it() {
    for (answer, reason) in [
        (
            "HTTP/1.1 201 Made\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nplanted",
            "store_content_type",
        ),
        (
            "HTTP/1.1 201 Made\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[planted]",
            "store_body",
        ),
        (
            "HTTP/1.1 201 Made\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"id\":",
            "store",
        ),
        (
            "HTTP/1.1 201 Made\r\nContent-Type: a\r\nContent-Length: 7\r\n\r\nplanted",
            "write_unread",
        ),
        // Nobody knows whom this is about.
        (
            "HTTP/1.1 201 Made\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"name\":\"planted\"}",
            "written",
        ),
    ] {
        let cut = answer.contains("99");
        let store = FakeStore::start(move |_| {
            let mut steps = vec![Step::Bytes(answer.into())];
            steps.extend(cut.then_some(Step::Close));
            steps
        })
        .await;
        let gateway = gateway(&store);
        let reply = post(&gateway, "/shop/customers", "clerk", NEW).await;
        assert_eq!((reply.status, reply.text().as_str()), (201, ""), "{answer}");
        let entries = entries(&gateway).await;
        assert_eq!(entries.last().unwrap().reason.as_deref(), Some(reason), "{answer}");
    }
}

#[tokio::test]
async fn a_write_that_gets_no_answer_says_that_nobody_knows() {
    let store = FakeStore::start(|_| vec![Step::Close]).await;
    let gateway = gateway(&store);
    let reply = post(&gateway, "/shop/customers", "clerk", NEW).await;
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("may have happened or not"), "{}", reply.text());
    assert_eq!(store.asked().len(), 1);
    let entries = entries(&gateway).await;
    assert_eq!(entries.last().unwrap().reason.as_deref(), Some("write_unknown"));
}

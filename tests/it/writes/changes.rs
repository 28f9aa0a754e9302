//! Changes and removals that are done.

use super::*;
use crate::harness::Table;
use crate::harness::Versions;

#[tokio::test]
async fn a_client_that_sends_back_what_it_read_loses_nothing_it_was_not_shown() {
    let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let read = call(&gateway, "GET", &clerk, "", "").await.text();
    assert!(read.contains("a***@mail.example"), "{read}");
    let sent = read.replace("London", "Paris");
    let reply = call(&gateway, "PUT", &clerk, "", &sent).await;
    assert_eq!((reply.status, reply.text()), (200, sent));
    assert_eq!(table.row("c-1").unwrap(), ANA.replace("London", "Paris"));
    let put = store.asked().pop().unwrap();
    assert_eq!(put.header("if-match"), Some("\"v1\""));
    assert_eq!(put.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("privet-fields"), Some("shown=5, masked=1, dropped=1"));
    assert!(reply.header("privet-decision").unwrap().starts_with("allow"));
    assert_eq!(reply.header("etag"), None);
    assert_eq!(reply.header("x-debug"), None);
    let entries = entries(&gateway).await;
    let [_, _, intent, release, outcome] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(
        [intent.kind, release.kind, outcome.kind],
        [Kind::Intent, Kind::Release, Kind::Outcome]
    );
    assert_eq!(intent.action, Some(privet::types::Action::Update));
    assert_eq!(intent.records, Some(1));
    assert_eq!(intent.subjects.len(), 1);
    assert_eq!(intent.fields.len(), 1);
    assert_eq!(intent.fields[0].category.as_str(), "user.contact.address.city");
    assert_eq!(release.action, Some(privet::types::Action::Read));
    assert_eq!(release.subjects, intent.subjects);
    assert_eq!(outcome.action, Some(privet::types::Action::Update));
    assert_eq!((outcome.status, outcome.records), (Some(200), Some(1)));
    let told = format!("{entries:?}");
    for value in ["Paris", "London", "c-1", "Ruiz", "planted"] {
        assert!(!told.contains(value), "`{value}` is in {told}");
    }
}

#[tokio::test]
async fn a_patch_sends_what_it_touches_and_nothing_of_the_caller() {
    for media in ["application/json", "application/merge-patch+json"] {
        let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
        let gateway = gateway(&store);
        let more = format!(
            "Content-Type: {media}\r\nCookie: a=b\r\nX-Forwarded-For: 10.1.1.1\r\n\
             Forwarded: host=evil\r\nX-HTTP-Method-Override: DELETE\r\nPrivet-Purpose: care\r\n"
        );
        let clerk = token(&gateway, "clerk");
        let sent = r#"{"city":"Paris","email":"a***@mail.example","name":"Ana Ruiz"}"#;
        let at = ("PATCH", "/shop/customers/c-1?v=2");
        let reply = call_at(&gateway, at, &clerk, &more, sent).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(writes(&store), [r#"PATCH {"city":"Paris"}"#]);
        assert!(table.row("c-1").unwrap().contains("planted-secret"));
        let patch = store.asked().pop().unwrap();
        assert_eq!(patch.target(), "/customers/c-1?v=2");
        assert_eq!(patch.header("content-type"), Some(media));
        assert_eq!(patch.header("host"), Some(store.address().to_string().as_str()));
        for name in ["authorization", "cookie", "x-forwarded-for", "forwarded", "privet-purpose"] {
            assert_eq!(patch.header(name), None, "{name}");
        }
        assert!(!patch.head.to_lowercase().contains("override"), "{}", patch.head);
    }
}

#[tokio::test]
async fn what_changes_nothing_is_no_write() {
    let (_, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let read = call(&gateway, "GET", &clerk, "", "").await.text();
    for method in ["PUT", "PATCH"] {
        let reply = call(&gateway, method, &clerk, "", &read).await;
        assert_eq!((reply.status, reply.text()), (200, read.clone()));
    }
    assert_eq!(writes(&store), Vec::<String>::new());
    assert!(!kinds(&entries(&gateway).await).contains(&Kind::Intent));
}

#[tokio::test]
async fn a_record_is_removed_as_the_version_that_was_read() {
    let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let boss = token(&gateway, "boss");
    let reply = call(&gateway, "DELETE", &boss, "", "").await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(table.row("c-1"), None);
    assert_eq!(store.asked().pop().unwrap().header("if-match"), Some("\"v1\""));
    assert_eq!(call(&gateway, "DELETE", &boss, "", "").await.status, 404);
    assert_eq!(writes(&store), ["DELETE "]);
}

#[tokio::test]
async fn who_is_shown_nothing_is_told_that_it_is_done() {
    let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let blind = token(&gateway, "blind");
    let reply = call(&gateway, "PATCH", &blind, "", r#"{"name":"New"}"#).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(reply.header("privet-fields"), None);
    assert!(table.row("c-1").unwrap().contains("\"name\":\"New\""));
    // A guess that is right looks like one that is wrong: both are set.
    let reply = call(&gateway, "PATCH", &blind, "", r#"{"name":"New","city":"London"}"#).await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn a_change_by_somebody_else_is_read_and_judged_again() {
    let raced = std::sync::atomic::AtomicBool::new(false);
    let (table, store) = Table::with(Versions::Strong, &[("c-1", ANA)], move |table, asked| {
        if asked.method() == "PUT" && !raced.swap(true, std::sync::atomic::Ordering::Relaxed) {
            table.touch("c-1", &ANA.replace("planted-secret", "another-secret"));
        }
        Vec::new()
    })
    .await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let read = call(&gateway, "GET", &clerk, "", "").await.text();
    let reply = call(&gateway, "PUT", &clerk, "", &read.replace("London", "Paris")).await;
    assert_eq!(reply.status, 200);
    let row = table.row("c-1").unwrap();
    assert!(row.contains("another-secret") && row.contains("Paris"), "{row}");
    assert_eq!(writes(&store).len(), 2);
    let intents = kinds(&entries(&gateway).await);
    assert_eq!(intents.iter().filter(|kind| **kind == Kind::Intent).count(), 2);
}

#[tokio::test]
async fn a_record_that_never_stands_still_is_a_conflict() {
    let (_, store) = Table::with(Versions::Strong, &[("c-1", ANA)], |table, asked| {
        if asked.method() == "PUT" {
            table.touch("c-1", ANA);
        }
        Vec::new()
    })
    .await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let read = call(&gateway, "GET", &clerk, "", "").await.text();
    let reply = call(&gateway, "PUT", &clerk, "", &read.replace("London", "Paris")).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(writes(&store).len(), 3);
    assert!(!reply.text().contains("planted"));
}

#[tokio::test]
async fn a_store_without_versions_is_written_where_the_policy_accepts_it() {
    for versions in [Versions::None, Versions::Weak] {
        let (table, store) = Table::start(versions, &[("c-1", ANA)]).await;
        let refusing = gateway(&store);
        let boss = token(&refusing, "boss");
        for (method, body) in [("PATCH", r#"{"city":"Rome"}"#), ("DELETE", "")] {
            let reply = call(&refusing, method, &boss, "", body).await;
            assert_eq!(reply.status, 409);
            assert!(reply.text().contains("unsafe_writes: accepted"), "{}", reply.text());
        }
        assert_eq!(writes(&store), Vec::<String>::new());
        let accepting = unsafe_gateway(&store);
        let boss = token(&accepting, "boss");
        let sent =
            ANA.replace("London", "Rome").replace(r#","unlisted":{"planted":[1.50, 2e3]}"#, "");
        assert_eq!(call(&accepting, "PUT", &boss, "", &sent).await.status, 200);
        assert_eq!(store.asked().pop().unwrap().header("if-match"), None);
        assert_eq!(table.row("c-1").unwrap(), ANA.replace("London", "Rome"));
        assert_eq!(call(&accepting, "DELETE", &boss, "", "").await.status, 204);
    }
}

#[tokio::test]
async fn a_version_that_the_client_names_is_one_it_can_have_been_given() {
    let whole = ANA.replace(r#","unlisted":{"planted":[1.50, 2e3]}"#, "");
    let (table, store) = Table::start(Versions::Strong, &[("c-1", &whole)]).await;
    let gateway = gateway(&store);
    let (boss, clerk) = (token(&gateway, "boss"), token(&gateway, "clerk"));
    let given = call(&gateway, "GET", &boss, "", "").await;
    assert_eq!(given.header("etag"), Some("\"v1\""));
    let patch = |token, tag: &str| {
        let more = format!("If-Match: {tag}\r\n");
        let body = format!(r#"{{"city":"{}"}}"#, tag.replace(['"', '\\'], ""));
        let gateway = &gateway;
        async move { call(gateway, "PATCH", token, &more, &body).await.status }
    };
    // Nobody was given this, and the masked caller was given none at all.
    assert_eq!(patch(&boss, "\"v7\"").await, 412);
    assert_eq!(patch(&boss, "W/\"v1\"").await, 412);
    assert_eq!(patch(&clerk, "\"v1\"").await, 412);
    assert_eq!(writes(&store), Vec::<String>::new());
    assert_eq!(patch(&boss, "\"v0\", \"v1\"").await, 200);
    assert_eq!(patch(&clerk, "*").await, 200);
    assert!(table.row("c-1").unwrap().contains("\"city\":\"*\""));
}

#[tokio::test]
async fn writes_and_reads_share_a_connection_over_http2() {
    use http_body_util::BodyExt;
    use http_body_util::Full;
    let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (executor, io) =
        (hyper_util::rt::TokioExecutor::new(), hyper_util::rt::TokioIo::new(stream));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let clerk = token(&gateway, "clerk");
    for (method, body, status) in [
        ("PATCH", r#"{"city":"Oslo"}"#, 200),
        ("GET", "", 200),
        ("DELETE", "", 403),
        ("DELETE", "x", 403),
        ("POST", "", 405),
    ] {
        let request = http::Request::builder()
            .method(method)
            .uri("http://gateway.test/shop/customers/c-1")
            .header("authorization", format!("Bearer {clerk}"))
            .header("content-type", "application/json")
            .body(Full::new(bytes::Bytes::from_static(body.as_bytes())))
            .unwrap();
        let reply = sender.send_request(request).await.unwrap();
        assert_eq!(reply.status(), status, "{method}");
        let text = reply.into_body().collect().await.unwrap().to_bytes();
        if status == 200 {
            assert!(String::from_utf8_lossy(&text).contains("Oslo"), "{method}");
        }
    }
    assert!(table.row("c-1").unwrap().contains("Oslo"));
}

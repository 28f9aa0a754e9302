//! Bodies that are not read, or not to their end.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::harness::Table;
use crate::harness::Versions;
use privet::proxy::Limits;

async fn limited(limits: Limits) -> (FakeStore, Gateway) {
    let (_, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let mut setup = Setup::new(POLICY, &store);
    setup.limits = limits;
    let gateway = Gateway::start(setup);
    (store, gateway)
}

#[tokio::test]
async fn only_known_types_are_read() {
    let (store, gateway) = limited(Limits::default()).await;
    let boss = token(&gateway, "boss");
    let patch = r#"{"city":"Rome"}"#;
    for (method, head, body, status) in [
        ("PATCH", "Content-Type: application/json-patch+json\r\n", "[]", 415),
        ("PATCH", "Content-Type: application/vnd.api+json\r\n", patch, 415),
        ("PATCH", "Content-Type: text/plain\r\n", patch, 415),
        ("PATCH", "Content-Type: application/json; charset=utf-16\r\n", patch, 415),
        ("PATCH", "Content-Type: application/json\r\nContent-Type: text/html\r\n", patch, 415),
        ("PATCH", "Content-Type: application/x-ndjson\r\n", patch, 415),
        ("PUT", "Content-Type: application/merge-patch+json\r\n", patch, 415),
        ("PATCH", "X-Content-Type: none\r\n", patch, 415),
        ("PATCH", "Content-Encoding: gzip\r\n", patch, 415),
        ("PATCH", "Content-Encoding: identity, gzip\r\n", patch, 415),
        ("PATCH", "If-None-Match: *\r\n", patch, 400),
        ("PATCH", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", patch, 400),
        ("PUT", "Content-Range: bytes 0-1/2\r\n", patch, 400),
        ("PATCH", "", "", 400),
        ("PUT", "", "", 400),
        ("DELETE", "", "{}", 400),
        ("PATCH", "", "\u{FEFF}{}", 400),
        ("PATCH", "", "{} {}", 400),
        ("PATCH", "", "null", 400),
        ("PATCH", "Accept: text/html\r\n", patch, 406),
    ] {
        let reply = call(&gateway, method, &boss, head, body).await;
        assert_eq!(reply.status, status, "{method} {head}{body}: {}", reply.text());
    }
    assert_eq!(store.asked().len(), 0);
    let more = "Content-Encoding: identity\r\n";
    assert_eq!(call(&gateway, "PATCH", &boss, more, patch).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let limits = Limits { record_bytes: 1024, ..Limits::default() };
    let (store, gateway) = limited(limits).await;
    let boss = token(&gateway, "boss");
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));
    assert_eq!(call(&gateway, "PATCH", &boss, "", &long).await.status, 413);
    // A body whose length nobody states is counted as it comes.
    let head = format!(
        "PATCH /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {boss}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let chunked = format!("{head}{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let reply = exchange(gateway.address, chunked.as_bytes()).await;
    assert_eq!(Reply::parse(reply, false).status, 413);
    // Many short records are fine, one long one is not.
    let one = r#"{"name":"x","country":"GB"}"#;
    let many = format!("[{}]", vec![one; 100].join(","));
    assert!(many.len() > 2048);
    let at = ("POST", "/shop/batch");
    assert_eq!(call_at(&gateway, at, &boss, "", &many).await.status, 201);
    let odd = format!("[{one},{long}]");
    assert_eq!(call_at(&gateway, at, &boss, "", &odd).await.status, 413);
    assert_eq!(writes(&store).len(), 1);
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_cut() {
    let limits = Limits { client_write: Duration::from_millis(50), ..Limits::default() };
    let (store, gateway) = limited(limits).await;
    let boss = token(&gateway, "boss");
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "PATCH /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {boss}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"name\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let reply = Reply::parse(answer, false);
    assert_eq!(reply.status, 408);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(store.asked().len(), 0);
    let entries = entries(&gateway).await;
    assert_eq!(entries.last().unwrap().reason.as_deref(), Some("client_slow"));
}

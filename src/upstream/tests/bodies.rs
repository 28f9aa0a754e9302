//! Bodies read, left, cut and coded; the connections that carried them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::protocol::http::CodingError;

#[tokio::test]
async fn a_body_left_unread_closes_its_connection() {
    let long =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[1,";
    let fake = Fake::new(vec![vec![answer(long)], vec![json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let mut first = upstream.ask(&request()).await.unwrap().body;
    assert_eq!(first.chunk().await.unwrap().unwrap(), "[1,");
    drop(first);
    assert_eq!(get(&upstream).await.unwrap(), "2");
    drop(upstream);
    fake.done.await.unwrap();
}

#[tokio::test]
async fn a_discarded_body_keeps_its_connection_when_it_is_short() {
    let fake = Fake::new(vec![vec![json("[1,2,3]"), json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    upstream.ask(&request()).await.unwrap().body.discard(100).await;
    assert_eq!(get(&upstream).await.unwrap(), "2");

    // More is to come than anybody wants to read.
    let long =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n[1,2,3";
    let fake = Fake::new(vec![vec![answer(long)], vec![json("2")]]).await;
    let another =
        Upstream::new(Store::open(config(&[&fake.url]), &UpstreamMetrics::default()).unwrap());
    another.ask(&request()).await.unwrap().body.discard(3).await;
    assert_eq!(get(&another).await.unwrap(), "2");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_stays_one() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0_2\r\n",
    ] {
        let fake = Fake::new(vec![vec![answer(text), Step::HalfClose]]).await;
        let upstream = upstream(config(&[&fake.url]));
        let mut body = upstream.ask(&request()).await.unwrap().body;
        let error = loop {
            match body.chunk().await {
                Ok(Some(piece)) => assert_eq!(piece, "[1,2]"),
                Ok(None) => panic!("a cut body was taken for whole: {text}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, UpstreamError::Interrupted(_)), "{error:?}");
        assert!(matches!(body.chunk().await, Err(UpstreamError::Over)));
        assert_eq!(upstream.pool_len(), 0);
    }
}

#[tokio::test]
async fn bytes_after_a_body_never_answer_the_next_call() {
    let two = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1\
               HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n\"evil\"";
    for _ in 0..20 {
        let fake = Fake::new(vec![vec![answer(two)], vec![json("2")]]).await;
        let upstream = upstream(config(&[&fake.url]));
        assert_eq!(get(&upstream).await.unwrap(), "1");
        assert_eq!(get(&upstream).await.unwrap(), "2");
    }
}

/// `{"id":1}` in gzip.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 202, 76, 81, 178, 50, 172, 5, 0, 197, 248, 93, 68, 8,
    0, 0, 0,
];

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn coded_bodies_are_decoded_to_their_very_end() {
    assert_eq!(after(&coded("gzip", GZIP)).await.unwrap(), "{\"id\":1}");
    let twice = [GZIP, GZIP].concat();
    refused(after(&coded("gzip", &twice)).await, AnswerFault::Coding(CodingError::Trailing));
    let cut = &GZIP[..GZIP.len() - 3];
    refused(after(&coded("gzip", cut)).await, AnswerFault::Coding(CodingError::Truncated));
    refused(after(&coded("gzip", b"{\"id\":1}")).await, AnswerFault::Coding(CodingError::Corrupt));
}

#[tokio::test]
async fn a_store_that_stalls_in_its_body_is_given_up() {
    let text =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]";
    let fake = Fake::new(vec![vec![answer(text)]]).await;
    let mut config = config(&[&fake.url]);
    config.timeouts.idle = Duration::from_secs(30);
    let upstream = upstream(config);
    let mut body = upstream.ask(&request()).await.unwrap().body;
    assert_eq!(body.chunk().await.unwrap().unwrap(), "[1,2]");
    tokio::time::pause();
    let started = Instant::now();
    let error = body.chunk().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout(_)), "{error:?}");
    assert!(started.elapsed() >= Duration::from_secs(30));
    drop(body);
    drop(upstream);
    fake.done.await.unwrap();
}

#[tokio::test]
async fn a_body_is_read_no_faster_than_it_is_asked_for() {
    const SIZE: usize = 256 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = StoreUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b' '; 64 << 10];
        while stream.write_all(&piece).await.is_ok() {
            count.fetch_add(piece.len(), SeqCst);
        }
    });
    let mut config = config(&[&url]);
    config.timeouts.idle = Duration::from_secs(20);
    let mut body = upstream(config).ask(&request()).await.unwrap().body;
    body.chunk().await.unwrap().unwrap();
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(written.load(SeqCst) < 64 << 20, "{} bytes", written.load(SeqCst));
}

#[tokio::test]
async fn idle_connections_are_few_and_do_not_stay() {
    let fake = Fake::new(vec![vec![json("1")], vec![json("2")], vec![json("3")]]).await;
    let mut config = config(&[&fake.url]);
    config.limits.idle_connections = 2;
    config.limits.idle_for = Duration::from_secs(55);
    let upstream = upstream(config);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(upstream.ask(&request()).await.unwrap());
    }
    for answer in open {
        read(answer.body).await.unwrap();
    }
    assert_eq!(upstream.pool_len(), 2);
    tokio::time::pause();
    // The store sees all three closed while the gateway lives on.
    fake.done.await.unwrap();
    assert_eq!(upstream.pool_len(), 0);
}

#[tokio::test]
async fn trailers_are_dropped() {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
                Trailer: X-Secret\r\n\r\n1;x=secret\r\n1\r\n0\r\nX-Secret: secret\r\n\r\n";
    assert_eq!(after(text.as_bytes()).await.unwrap(), "1");
}

//! Heads of answers that are refused.

use super::*;
use crate::protocol::http::CodingError;
use crate::protocol::http::MediaError;

#[tokio::test]
async fn answers_with_bad_framing_are_refused() {
    let head = "Content-Type: application/json\r\n";
    for lines in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let result = after(format!("HTTP/1.1 200 OK\r\n{head}{lines}").as_bytes()).await;
        refused(result, AnswerFault::Framing);
    }
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n: empty\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "{\"id\":1}\r\n\r\n",
    ] {
        refused(after(text.as_bytes()).await, AnswerFault::Head);
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(40_000));
    refused(after(large.as_bytes()).await, AnswerFault::Head);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: a\r\n".repeat(101));
    refused(after(many.as_bytes()).await, AnswerFault::Head);
}

#[tokio::test]
async fn interim_answers_are_skipped_and_switches_refused() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: <secret>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";
    assert_eq!(after(early.as_bytes()).await.unwrap(), "1");
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nsecret";
    refused(after(switch.as_bytes()).await, AnswerFault::Upgrade);
    let part = "HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\n\
                Content-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\n\"}";
    refused(after(part.as_bytes()).await, AnswerFault::Partial);
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_must_show_its_own_end() {
    let json = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":1}";
    assert_eq!(after(json.as_bytes()).await.unwrap(), "{\"id\":1}");
    let lines = "HTTP/1.0 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"id\":1}\n";
    refused(after(lines.as_bytes()).await, AnswerFault::Endless);
}

#[tokio::test]
async fn media_types_and_codings_are_checked_where_the_body_is_released() {
    let with = |status: &str, lines: &str| {
        format!("HTTP/1.1 {status}\r\n{lines}Content-Length: 2\r\n\r\n{{}}").into_bytes()
    };
    let twice = "Content-Type: application/json\r\nContent-Type: text/html\r\n";
    refused(after(&with("200 OK", twice)).await, AnswerFault::Media(MediaError::Repeated));
    let utf16 = "Content-Type: application/json; charset=utf-16\r\n";
    refused(after(&with("200 OK", utf16)).await, AnswerFault::Media(MediaError::Charset));
    let codings = "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n";
    refused(after(&with("200 OK", codings)).await, AnswerFault::Coding(CodingError::Several));
    let unknown = "Content-Encoding: aws-chunked\r\n";
    refused(after(&with("200 OK", unknown)).await, AnswerFault::Coding(CodingError::Unknown));
    assert_eq!(after(&with("500 No", twice)).await.unwrap(), "{}");
}

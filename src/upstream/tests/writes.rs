//! Writes: sent once, with what belongs to them and nothing of the caller's.

use super::*;

fn write(method: Method) -> StoreWrite {
    let StoreRequest { target, headers, .. } = request();
    let body = WrittenBody { bytes: "{\"a\":1}".into(), content_type: "application/json" };
    let if_match = Some(HeaderValue::from_static("\"v7\""));
    let body = (method != Method::DELETE).then_some(body);
    StoreWrite { method, target, headers, body, if_match }
}

fn done() -> Step {
    answer("HTTP/1.1 204 No Content\r\n\r\n")
}

#[tokio::test]
async fn a_write_carries_its_body_and_version_and_no_credentials_of_the_caller() {
    let fake = Fake::new(vec![vec![done(), done()]]).await;
    let upstream = upstream(config(&[&fake.url]));
    // The fake reads heads alone, so that what has no body comes first.
    upstream.put(&write(Method::DELETE)).await.unwrap();
    upstream.put(&write(Method::PUT)).await.unwrap();
    let heads = fake.heads();
    assert!(heads[0].starts_with("DELETE /customers/1?limit=2 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains("content-type"), "{}", heads[0]);
    assert!(heads[1].starts_with("PUT /customers/1?limit=2 HTTP/1.1\r\n"), "{}", heads[1]);
    for line in ["content-type: application/json\r\n", "content-length: 7\r\n"] {
        assert!(heads[1].contains(line), "{}", heads[1]);
    }
    for head in heads {
        assert!(head.contains("if-match: \"v7\"\r\n"), "{head}");
        assert!(!head.contains("the-callers-own") && !head.contains("cookie"), "{head}");
    }
}

#[tokio::test]
async fn a_write_that_breaks_is_not_sent_again() {
    for step in [Step::Drop, Step::Reset] {
        let fake = Fake::new(vec![vec![step], vec![done()]]).await;
        let upstream = upstream(config(&[&fake.url]));
        let error = upstream.put(&write(Method::POST)).await.unwrap_err();
        assert_eq!(error.fate, Fate::Unknown, "{error:?}");
        assert_eq!(fake.heads().len(), 1);
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_no_write() {
    let fake = Fake::new(vec![vec![json("{}"), Step::HalfClose], vec![done()]]).await;
    let upstream = upstream(config(&[&fake.url]));
    assert_eq!(get(&upstream).await.unwrap(), "{}");
    let answer = upstream.put(&write(Method::DELETE)).await.unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(fake.heads().len(), 2);
}

#[tokio::test]
async fn silence_leaves_the_fate_of_a_write_open() {
    let fake = Fake::new(vec![vec![Step::Silence]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let request = write(Method::PATCH);
    let (answer, ()) = tokio::join!(upstream.put(&request), fake.pause_when_asked());
    let error = answer.unwrap_err();
    assert_eq!(error.fate, Fate::Unknown);
    assert!(matches!(error.cause, UpstreamError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_write_that_reaches_nobody_was_not_sent() {
    let upstream = upstream(config(&[&nobody().await]));
    let error = upstream.put(&write(Method::PUT)).await.unwrap_err();
    assert_eq!(error.fate, Fate::NotSent);
    assert!(matches!(error.cause, UpstreamError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn a_write_that_is_done_stays_done_when_its_answer_cannot_be_read() {
    let twice = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\
                 Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}";
    let fake = Fake::new(vec![vec![answer(twice)]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let error = upstream.put(&write(Method::POST)).await.unwrap_err();
    assert_eq!(error.fate, Fate::Done(http::StatusCode::CREATED));
}

//! What is sent, under which permit, and when it is sent again.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use tokio::time::Instant;

use super::*;
use crate::catalog::FieldIx;
use crate::policy;
use crate::policy::Call;
use crate::policy::Decision;
use crate::policy::Identity;
use crate::policy::Permit;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::protocol::http::MediaType;
use crate::types::Action;
use crate::types::Faults;
use crate::types::StoreId;
use crate::types::Timestamp;

#[tokio::test]
async fn a_store_sees_its_own_host_and_none_of_the_callers_credentials() {
    let fake = Fake::new(vec![vec![json("{\"id\":1}")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let answer = upstream.ask(&request()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.media), (200, MediaType::Json));
    assert_eq!(read(answer.body).await.unwrap(), "{\"id\":1}");

    let head = fake.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /customers/1?limit=2 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", fake.url.authority().as_str())), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    for absent in ["authorization", "cookie", "callers-own", "content-length", "transfer-encoding"]
    {
        assert!(!head.contains(absent), "{absent}: {head}");
    }
}

/// What `decide` says of a support agent who reads a record of `set`.
fn decide(policy: &str, set: &str) -> Permit {
    let mut faults = Faults::new();
    let files = [PolicyFile { name: "shop.yaml".into(), text: policy.into() }];
    let today = Timestamp::from_unix_s(1_795_251_661);
    let policy = PolicySet::compile(&files, today, &mut faults);
    let policy = Arc::new(policy.unwrap_or_else(|| panic!("{faults:?}")));
    let identity = Identity {
        owner: "issuer|agent".into(),
        claims: [("roles".into(), vec!["agent".into()])].into(),
        purposes: None,
        names_purposes: false,
        cleared: std::sync::Arc::default(),
        region: None,
        recipient: None,
        mfa_at: None,
        ticket: false,
        subject: None,
        expires: today.plus_ms(60_000),
    };
    let set = policy.sets().iter().find(|s| s.id.as_str() == set).unwrap();
    let call = Call {
        identity: &identity,
        on_behalf_of: None,
        standing: Default::default(),
        purpose: Some("support"),
        set,
        route: &set.routes[0],
        action: Action::Read,
        selects_by: &[FieldIx(0)],
        gpc: false,
        now: today,
    };
    match policy::decide(&call, &policy) {
        Decision::Permit(permit) => permit,
        Decision::Refuse(refusal) => panic!("{refusal:?}"),
    }
}

const POLICY: &str = "
privet: policy/v1
purposes:
  support: { basis: contract }
roles:
  agent: { claim: roles, has: agent }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: \"GET /customers/{id}\", records: \"$\" }
    fields:
      id: { category: user.unique_id }
  other.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: \"GET /customers/{id}\", records: \"$\" }
    fields:
      id: { category: user.unique_id }
grants:
  - id: agents
    why: Agents answer.
    roles: [agent]
    purposes: [support]
    data: [shop.customers, other.customers]
    can: [read]
    fields: { id: show }
";

#[tokio::test]
async fn a_permit_opens_its_own_store_for_reading_and_nothing_else() {
    let fake = Fake::new(vec![vec![json("1")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    let (own, other) = (decide(POLICY, "shop.customers"), decide(POLICY, "other.customers"));
    let elsewhere = upstream.fetch(&other, &request()).await;
    assert!(matches!(elsewhere, Err(UpstreamError::Permit)));
    for method in [Method::POST, Method::DELETE, Method::PUT, Method::PATCH, Method::HEAD] {
        let writing = StoreRequest { method, ..request() };
        assert!(matches!(upstream.fetch(&own, &writing).await, Err(UpstreamError::Permit)));
    }
    assert!(fake.heads().is_empty());
    let answer = upstream.fetch(&own, &request()).await.unwrap();
    assert_eq!(read(answer.body).await.unwrap(), "1");
}

#[tokio::test]
async fn a_connection_read_to_its_end_serves_the_next_call() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n";
    let empty = "HTTP/1.1 304 Not Modified\r\n\r\n";
    let fake = Fake::new(vec![vec![json("1"), json("2"), answer(chunked), answer(empty)]]).await;
    let upstream = upstream(config(&[&fake.url]));
    for expected in ["1", "2", "3", ""] {
        assert_eq!(get(&upstream).await.unwrap(), expected);
    }
    assert_eq!(fake.heads().len(), 4);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    for end in [Step::Drop, Step::Reset] {
        let fake = Fake::new(vec![vec![json("1"), end], vec![json("2")]]).await;
        let upstream = upstream(config(&[&fake.url]));
        assert_eq!(get(&upstream).await.unwrap(), "1");
        assert_eq!(get(&upstream).await.unwrap(), "2");
        assert_eq!(upstream.store().metrics.retries.get(), 1);
        assert_eq!(upstream.store().metrics.failures.get(), 0);
    }
}

#[tokio::test]
async fn a_read_is_sent_twice_at_most() {
    let fake = Fake::new(vec![vec![Step::Drop], vec![Step::Reset], vec![json("3")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    assert!(matches!(get(&upstream).await, Err(UpstreamError::Broken(_))));
    assert_eq!(fake.heads().len(), 2);
}

#[tokio::test]
async fn an_answer_that_began_is_never_asked_for_again() {
    let text =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1,2]";
    let fake = Fake::new(vec![vec![answer(text), Step::HalfClose], vec![json("2")]]).await;
    let upstream = upstream(config(&[&fake.url]));
    assert!(get(&upstream).await.is_err());
    assert_eq!(fake.heads().len(), 1);
}

#[tokio::test]
async fn a_silent_store_is_given_up_and_not_asked_again() {
    let fake = Fake::new(vec![vec![Step::Silence], vec![json("2")]]).await;
    let mut config = config(&[&fake.url]);
    config.timeouts.first_byte = Duration::from_secs(10);
    let upstream = upstream(config);
    let started = Instant::now();
    let (result, ()) = tokio::join!(get(&upstream), fake.pause_when_asked());
    let error = result.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout(_)), "{error:?}");
    assert!(started.elapsed() >= Duration::from_secs(10));
    assert_eq!(fake.heads().len(), 1);
}

#[test]
fn only_plain_urls_name_a_store() {
    for (text, error) in [
        ("127.0.0.1:7001", UrlError::Scheme),
        ("ftp://a", UrlError::Scheme),
        ("http://a/path", UrlError::Path),
        ("http://a?x=1", UrlError::Path),
        ("http://user:secret@a", UrlError::Credentials),
        ("http://", UrlError::Host),
        ("http://a:99999", UrlError::Host),
    ] {
        assert_eq!(StoreUrl::parse(text), Err(error), "{text}");
    }
    let url = StoreUrl::parse("https://Shop.Internal/").unwrap();
    assert_eq!((url.to_string().as_str(), url.port()), ("https://shop.internal", 443));
    assert_eq!(StoreUrl::parse("http://[::1]:7001").unwrap().port(), 7001);
}

#[test]
fn counters_are_registered_by_store() {
    let metrics = UpstreamMetrics::default();
    metrics.of(&StoreId::parse("shop").unwrap()).retries.inc();
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("privet_store_retries_total{store=\"shop\"} 1\n"), "{text}");
}

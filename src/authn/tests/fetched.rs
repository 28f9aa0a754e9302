//! Key sets behind URLs.

use std::sync::Arc;

use serde_json::json;

use crate::authn::Authenticator;
use crate::authn::AuthnConfig;
use crate::authn::AuthnMetrics;
use crate::authn::IssuerConfig;
use crate::authn::JwksSource;
use crate::clock::ManualClock;
use crate::net::ServerTls;
use crate::net::tests::Pki;
use crate::net::tests::answer_once;
use crate::net::tests::clock;
use crate::net::tests::listen;
use crate::net::tests::setup;
use crate::types::ClientError;
use crate::types::ErrorKind;
use crate::types::Timestamp;

use super::ISSUER;
use super::NOW_S;
use super::Signer;
use super::claims;

fn answer(keys: &serde_json::Value) -> String {
    let body = json!({ "keys": keys }).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn keys_are_fetched_when_first_needed_and_after_a_rotation() {
    let pki = Pki::new();
    pki.issue(&pki.files(), 2090);
    let tls = Arc::new(ServerTls::load(pki.files(), clock()).unwrap());
    let listener = listen(&setup(Some(tls)));
    let url = format!("https://{}/jwks.json", listener.address());
    let jwks = JwksSource::Url { url, ca: Some(pki.ca()) };
    let config = AuthnConfig {
        issuers: vec![IssuerConfig::new(ISSUER, "privet", jwks)],
        ..AuthnConfig::default()
    };
    let now = Arc::new(ManualClock::at(Timestamp::from_unix_s(NOW_S)));
    let auth = Authenticator::new(config, now.clone(), AuthnMetrics::default()).unwrap();
    let (first, second) = (Signer::es256(), Signer::eddsa());
    let token = first.token("first", &claims(json!({})));

    // The issuer is not there yet: closed, and said to be for the moment.
    let broken = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let (refused, ()) = tokio::join!(auth.token(&token), answer_once(&listener, broken));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(auth.status()[0].trouble.as_deref().is_some_and(|why| why.contains("status 503")));
    assert_eq!(auth.token(&token).await.unwrap_err().reason(), "keys_missing", "not asked again");

    now.advance_ms(5_000);
    let good = answer(&json!([first.jwk("first")]));
    let (believed, ()) = tokio::join!(auth.token(&token), answer_once(&listener, &good));
    assert!(believed.is_ok());

    now.advance_ms(5_000);
    let rotated = second.token("second", &claims(json!({})));
    let good = answer(&json!([second.jwk("second")]));
    let (believed, ()) = tokio::join!(auth.token(&rotated), answer_once(&listener, &good));
    assert!(believed.is_ok());
    assert!(auth.cached(&token).is_none(), "forgotten with its key");
}

#[tokio::test]
async fn keys_from_a_server_nobody_vouches_for_are_not_believed() {
    let (pki, other) = (Pki::new(), Pki::new());
    pki.issue(&pki.files(), 2090);
    let tls = Arc::new(ServerTls::load(pki.files(), clock()).unwrap());
    let listener = listen(&setup(Some(tls)));
    let url = format!("https://{}/jwks.json", listener.address());
    let jwks = JwksSource::Url { url, ca: Some(other.ca()) };
    let config = AuthnConfig {
        issuers: vec![IssuerConfig::new(ISSUER, "privet", jwks)],
        ..AuthnConfig::default()
    };
    let now = Arc::new(ManualClock::at(Timestamp::from_unix_s(NOW_S)));
    let auth = Authenticator::new(config, now, AuthnMetrics::default()).unwrap();
    let server = async { listener.accept().await.unwrap().establish().await };
    let (outcome, handshake) = tokio::join!(auth.refresh(), server);
    assert_eq!(outcome.unwrap_err()[0].reason(), "key_set");
    assert!(handshake.is_err());
    assert_eq!(auth.status()[0].keys, 0);
}

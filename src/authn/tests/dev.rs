//! The development issuer, and what is said about a token.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::authn::Allowed;
use crate::authn::Authenticator;
use crate::authn::AuthnConfig;
use crate::authn::AuthnMetrics;
use crate::authn::DevIssuer;
use crate::authn::IssuerConfig;
use crate::authn::JwksSource;
use crate::authn::Strength;
use crate::authn::Verdict;
use crate::authn::Wanted;
use crate::clock::ManualClock;
use crate::types::Timestamp;

use super::NOW_S;

fn settings(dir: &Path) -> IssuerConfig {
    let jwks = JwksSource::File(dir.join(DevIssuer::JWKS_FILE));
    let mut issuer = IssuerConfig::new("https://id.example", "privet", jwks);
    for (fact, path) in [
        ("roles", "realm_access.roles"),
        ("subject", "subject_id"),
        ("region", "https://shop.example/region"),
        ("mfa", "acr:gold"),
        ("team", "realm_access.team"),
    ] {
        issuer.claims.insert(fact.into(), path.into());
    }
    issuer.may_assert.roles = Allowed::Only(["support".into()].into());
    issuer.may_assert.purposes = Allowed::Any;
    issuer.may_assert.ticket = true;
    issuer
}

fn wanted() -> Wanted {
    Wanted {
        owner: "agent-7".into(),
        roles: vec!["support".into(), "admin".into()],
        purposes: vec!["order_support".into()],
        subject_id: Some("p-1".into()),
        region: Some("DE".into()),
        recipient: None,
        mfa: true,
        ticket: Some("T-1".into()),
        claims: vec![("team".into(), vec!["blue".into()])],
        ttl_s: 3600,
    }
}

#[tokio::test]
async fn a_minted_token_is_read_as_it_was_wanted() {
    let dir = tempfile::tempdir().unwrap();
    DevIssuer::create(dir.path()).unwrap();
    let issuer = DevIssuer::open(dir.path()).unwrap();
    let now = Timestamp::from_unix_s(NOW_S);
    let token = issuer.mint(&settings(dir.path()), &wanted(), now).unwrap();
    let config = AuthnConfig { issuers: vec![settings(dir.path())], ..AuthnConfig::default() };
    let clock = Arc::new(ManualClock::at(now));
    let auth = Authenticator::new(config, clock, AuthnMetrics::default()).unwrap();
    let principal = auth.token(&token).await.unwrap();
    let identity = &principal.identity;
    assert_eq!(identity.claims["roles"], ["support".into()], "cut down");
    assert_eq!(identity.claims["team"], ["blue".into()]);
    assert_eq!(identity.purposes, Some(vec!["order_support".into()]));
    assert_eq!(identity.region.map(|region| region.to_string()).as_deref(), Some("DE"));
    assert_eq!(identity.subject.as_ref().unwrap().1.expose(), "p-1");
    assert_eq!((identity.mfa_at, principal.strength), (Some(now), Strength::Mfa));
    assert!(identity.ticket);
    assert_eq!(identity.expires, now.plus_ms(3_630_000));
    assert!(auth.status()[0].development);

    let explanation = auth.explain(&token);
    assert_eq!(explanation.verdict, Verdict::Believed);
    let fact = |name: &str| {
        let found = explanation.facts.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap()
    };
    assert_eq!(fact("roles"), "support");
    assert_eq!(fact("subject"), "person p-1");
    assert_eq!(fact("second factor"), "shown at 2027-01-15T08:00:00.000Z");
    let admin = ("roles: admin".to_owned(), "`may_assert.roles` does not list it".to_owned());
    assert_eq!(explanation.ignored, [admin]);
    assert!(explanation.unused.is_empty(), "{:?}", explanation.unused);
}

#[tokio::test]
async fn an_explanation_says_why_a_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = DevIssuer::create(dir.path()).unwrap();
    let now = Timestamp::from_unix_s(NOW_S);
    let mut other = settings(dir.path());
    other.name = "https://other.example".into();
    let config = AuthnConfig { issuers: vec![settings(dir.path())], ..AuthnConfig::default() };
    let clock = Arc::new(ManualClock::at(now));
    let auth = Authenticator::new(config, clock.clone(), AuthnMetrics::default()).unwrap();
    let why = |token: &str| match auth.explain(token).verdict {
        Verdict::Refused(why) => why,
        Verdict::Believed => "believed".into(),
    };
    assert_eq!(why("x"), "the token is malformed: it does not have three parts");
    assert_eq!(
        why(&issuer.mint(&other, &wanted(), now).unwrap()),
        "its `iss` is none of the issuers known: `https://id.example`"
    );
    let token = issuer.mint(&settings(dir.path()), &wanted(), now).unwrap();
    let explained = |name: &str| {
        let facts = auth.explain(&token).facts;
        facts.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    assert_eq!(explained("leeway"), None);
    clock.advance_ms(3_610_000);
    let grace = "past its `exp`, believed for 20 s more (leeway 30 s)";
    assert_eq!(explained("leeway").as_deref(), Some(grace));
    clock.advance_ms(20_000);
    assert_eq!(why(&token), "the credential has expired");
}

#[test]
fn the_development_key_is_private_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    DevIssuer::create(dir.path()).unwrap();
    let key = dir.path().join(DevIssuer::KEY_FILE);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(DevIssuer::create(dir.path()).is_err());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = DevIssuer::open(dir.path()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("mode 0640") && cause.contains("chmod 600"), "{cause}");
}

#[test]
fn a_fact_without_a_place_is_not_minted() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = DevIssuer::create(dir.path()).unwrap();
    let mut bare = settings(dir.path());
    bare.claims.clear();
    let now = Timestamp::from_unix_s(NOW_S);
    assert!(issuer.mint(&bare, &wanted(), now).is_err());
    let plain = Wanted { roles: vec!["support".into()], ttl_s: 60, ..Wanted::default() };
    assert!(issuer.mint(&bare, &plain, now).is_ok());
}

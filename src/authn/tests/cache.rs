//! What is remembered, and what ends it.

use serde_json::json;

use crate::authn::AuthnConfig;
use crate::authn::AuthnError;
use crate::authn::JwksSource;
use crate::net::Drain;

use super::Signer;
use super::World;
use super::claims;

#[tokio::test]
async fn a_verified_token_is_not_verified_again_within_five_minutes() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({ "exp": super::NOW_S + 3600 })));
    assert!(world.auth.cached(&token).is_none());
    let first = world.ask(&token).await.unwrap();
    assert_eq!(world.auth.cached(&token).unwrap().unwrap(), first);
    world.clock.advance_ms(299_999);
    assert_eq!(world.ask(&token).await.unwrap(), first);
    assert_eq!(world.metrics.verified.get(), 1);
    world.clock.advance_ms(1);
    assert!(world.auth.cached(&token).is_none());
    assert_eq!(world.ask(&token).await.unwrap(), first);
    assert_eq!(world.metrics.verified.get(), 2);
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({ "exp": super::NOW_S + 60 })));
    let principal = world.ask(&token).await.unwrap();
    world.clock.advance_ms(89_999);
    assert!(world.auth.cached(&token).unwrap().is_ok());
    world.clock.advance_ms(1);
    assert!(matches!(world.auth.cached(&token), Some(Err(AuthnError::Expired))));
    assert!(world.auth.still_valid(&principal).is_err());
    assert_eq!(world.verdict(&token).await, "expired");
}

#[tokio::test]
async fn a_suspended_owner_is_refused_at_once_and_comes_back() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({})));
    let principal = world.ask(&token).await.unwrap();
    world.auth.suspend(&principal.identity.owner);
    assert_eq!(world.verdict(&token).await, "suspended");
    assert!(world.auth.still_valid(&principal).is_err());
    let fresh = signer.token("one", &claims(json!({ "jti": "another" })));
    assert_eq!(world.verdict(&fresh).await, "suspended");
    let other = signer.token("one", &claims(json!({ "sub": "agent-8" })));
    assert_eq!(world.verdict(&other).await, "believed");
    world.auth.resume(&principal.identity.owner);
    assert_eq!(world.verdict(&token).await, "believed");
}

#[tokio::test]
async fn a_token_of_a_withdrawn_key_is_forgotten_with_the_key() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let world = World::new(&[old.jwk("old")], |_| {});
    let token = old.token("old", &claims(json!({})));
    assert_eq!(world.verdict(&token).await, "believed");
    world.publish(&[new.jwk("new")]);
    world.auth.refresh().await.unwrap();
    assert_eq!(world.auth.remembered(), 0);
    assert!(world.auth.cached(&token).is_none());
    assert_eq!(world.verdict(&token).await, "unknown_key");
    assert_eq!(world.verdict(&new.token("new", &claims(json!({})))).await, "believed");
    assert_eq!(world.auth.status()[0].generation, 2);
}

#[tokio::test]
async fn a_key_of_the_same_name_does_not_inherit_what_was_remembered() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let world = World::new(&[old.jwk("one")], |_| {});
    let token = old.token("one", &claims(json!({})));
    assert_eq!(world.verdict(&token).await, "believed");
    world.publish(&[new.jwk("one")]);
    world.auth.refresh().await.unwrap();
    assert_eq!(world.verdict(&token).await, "wrong_signature");
}

#[tokio::test]
async fn refused_tokens_are_not_remembered() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({ "aud": "other" })));
    for _ in 0..3 {
        assert_eq!(world.verdict(&token).await, "other_audience");
    }
    assert_eq!(world.auth.remembered(), 0);
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let signer = Signer::eddsa();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let verified = world.ask(&signer.token("one", &claims(json!({})))).await.unwrap();
    let cache = crate::authn::cache::Cache::new();
    for number in 0..40_000_u32 {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        let principal = std::sync::Arc::clone(&verified);
        let cached =
            crate::authn::cache::Cached { issuer: 0, generation: 1, verified_ms: 0, principal };
        cache.insert(digest, cached);
    }
    assert_eq!(cache.len(), 16_384);
    let mut newest = [0; 32];
    newest[..4].copy_from_slice(&39_999_u32.to_le_bytes());
    assert!(cache.find(&newest).is_some());
    assert!(cache.find(&[0; 32]).is_none());
    cache.remove(&newest);
    cache.keep_generation(0, 2);
    assert_eq!(cache.len(), 0);
}

#[tokio::test]
async fn an_unknown_key_asks_the_issuer_again_but_not_often() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let world = World::new(&[old.jwk("old")], |_| {});
    let reads = || world.metrics.key_sets_read.get();
    let unknown = new.token("new", &claims(json!({})));
    assert_eq!(reads(), 1);
    for _ in 0..5 {
        assert_eq!(world.verdict(&unknown).await, "unknown_key");
    }
    assert_eq!(reads(), 2, "asked once, then paused");
    // The pause doubles while nothing new is found: 5 s, 10 s, 20 s, 40 s, 60 s, 60 s.
    for pause_ms in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        let before = reads();
        world.clock.advance_ms(pause_ms - 1);
        world.verdict(&unknown).await;
        assert_eq!(reads(), before, "before {pause_ms} ms");
        world.clock.advance_ms(1);
        world.verdict(&unknown).await;
        assert_eq!(reads(), before + 1, "after {pause_ms} ms");
    }
    world.publish(&[old.jwk("old"), new.jwk("new")]);
    world.clock.advance_ms(60_000);
    let later = super::NOW_S + 600;
    let found = new.token("new", &claims(json!({ "exp": later })));
    assert_eq!(world.verdict(&found).await, "believed");
    // A change starts the pauses over.
    let before = reads();
    world.clock.advance_ms(5_000);
    assert_eq!(
        world.verdict(&new.token("third", &claims(json!({ "exp": later })))).await,
        "unknown_key"
    );
    assert_eq!(reads(), before + 1);
}

#[tokio::test]
async fn many_tokens_with_an_unknown_key_ask_once() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let world = World::new(&[old.jwk("old")], |_| {});
    world.publish(&[old.jwk("old"), new.jwk("new")]);
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..20 {
        let auth = world.auth.clone();
        let token = new.token("new", &claims(json!({ "jti": number })));
        asked.spawn(async move { auth.token(&token).await.is_ok() });
    }
    assert!(asked.join_all().await.into_iter().all(|believed| believed));
    assert_eq!(world.metrics.key_sets_read.get(), 2);
}

#[tokio::test]
async fn a_bad_key_set_leaves_the_last_good_one() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({})));
    for text in ["", "{", r#"{"keys":7}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, "<html>"] {
        world.publish_text(text);
        let faults = world.auth.refresh().await.unwrap_err();
        assert_eq!(faults[0].reason(), "key_set", "{text}");
        let status = &world.auth.status()[0];
        assert!(status.trouble.is_some() && status.generation == 1 && status.keys == 1);
        assert_eq!(world.verdict(&token).await, "believed");
    }
    world.publish(&[signer.jwk("one")]);
    world.auth.refresh().await.unwrap();
    assert_eq!(world.auth.status()[0].trouble, None);
    assert_eq!(world.auth.status()[0].generation, 1, "the same document is not new");
}

#[tokio::test]
async fn an_issuer_that_withdraws_every_key_is_believed() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({})));
    assert_eq!(world.verdict(&token).await, "believed");
    world.publish(&[]);
    world.auth.refresh().await.unwrap();
    assert_eq!(world.verdict(&token).await, "unknown_key");
}

#[tokio::test(start_paused = true)]
async fn key_sets_are_read_again_when_due_until_draining() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |issuer| issuer.refresh_s = 60);
    let (auth, drain) = (world.auth.clone(), Drain::new());
    let stop = drain.clone();
    let fresh = tokio::spawn(async move { auth.keep_fresh(stop).await });
    // The runtime's time is paused: waiting only lets the task have its turns.
    let turns = || tokio::time::sleep(std::time::Duration::from_secs(11));
    world.clock.advance_ms(59_999);
    turns().await;
    assert_eq!(world.metrics.key_sets_read.get(), 1);
    world.clock.advance_ms(1);
    turns().await;
    assert_eq!(world.metrics.key_sets_read.get(), 2);
    world.publish_text("broken");
    world.clock.advance_ms(60_000);
    turns().await;
    assert_eq!(world.metrics.key_set_failures.get(), 1);
    world.clock.advance_ms(29_999);
    turns().await;
    assert_eq!(world.metrics.key_set_failures.get(), 1, "not before half a minute");
    world.clock.advance_ms(1);
    turns().await;
    assert_eq!(world.metrics.key_set_failures.get(), 2);
    drain.start();
    fresh.await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_is_taken_out_is_obeyed_at_once() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("a")], |_| {});
    let token = signer.token("a", &claims(json!({})));
    let principal = world.ask(&token).await.unwrap();
    world.auth.suspend("somebody");

    let mut other = world.issuer();
    other.name = "https://other.example".into();
    let config = |issuer| AuthnConfig { issuers: vec![issuer], ..AuthnConfig::default() };
    let next = world.auth.prepare(config(other)).unwrap();
    assert_eq!(world.verdict(&token).await, "believed", "prepared is not in force");
    world.auth.replace(next);
    assert!(world.auth.cached(&token).is_none());
    assert!(matches!(world.ask(&token).await, Err(AuthnError::UnknownIssuer)));
    assert!(matches!(world.auth.still_valid(&principal), Err(AuthnError::UnknownIssuer)));

    let next = world.auth.prepare(config(world.issuer())).unwrap();
    world.auth.replace(next);
    assert_eq!(world.verdict(&token).await, "believed");
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("a")], |_| {});
    let mut broken = world.issuer();
    broken.jwks = JwksSource::File("nowhere.json".into());
    let config = AuthnConfig { issuers: vec![broken], ..AuthnConfig::default() };
    assert_eq!(world.auth.prepare(config).unwrap_err().len(), 1);
    let token = signer.token("a", &claims(json!({})));
    assert_eq!(world.verdict(&token).await, "believed");
}

//! What a verified token is believed about.

use serde_json::Value;
use serde_json::json;

use crate::authn::Allowed;
use crate::authn::IssuerConfig;
use crate::authn::Principal;
use crate::authn::Strength;
use crate::types::Region;
use crate::types::Timestamp;

use super::NOW_S;
use super::Signer;
use super::World;
use super::claims;

fn only(words: &[&str]) -> Allowed {
    Allowed::Only(words.iter().map(|word| (*word).into()).collect())
}

async fn read(change: impl FnOnce(&mut IssuerConfig), more: Value) -> Principal {
    let signer = Signer::eddsa();
    let world = World::new(&[signer.jwk("one")], |issuer| {
        issuer.may_assert.roles = Allowed::default();
        change(issuer);
    });
    let token = signer.token("one", &claims(more));
    Principal::clone(&*world.ask(&token).await.unwrap())
}

fn map(issuer: &mut IssuerConfig, fact: &str, path: &str) {
    issuer.claims.insert(fact.into(), path.into());
}

fn roles(principal: &Principal) -> Vec<&str> {
    principal.identity.claims["roles"].iter().map(|role| &**role).collect()
}

#[tokio::test]
async fn an_issuer_that_may_assert_nothing_opens_nothing() {
    let principal = read(
        |_| {},
        json!({
            "roles": ["admin"], "purposes": ["marketing"], "ticket": "T-1", "region": "DE",
            "subject_id": "p-1", "acr": "gold", "auth_time": NOW_S, "team": "blue",
        }),
    )
    .await;
    let identity = &principal.identity;
    assert_eq!(roles(&principal), Vec::<&str>::new());
    assert_eq!(identity.purposes.as_deref(), Some(&[][..]), "named, but none may be");
    assert!(!identity.ticket && identity.region.is_none() && identity.mfa_at.is_none());
    assert!(identity.subject.is_none() && identity.claims.len() == 1);
    assert_eq!(principal.strength, Strength::Token);
}

#[tokio::test]
async fn facts_are_cut_down_to_what_may_be_asserted() {
    let principal = read(
        |issuer| {
            map(issuer, "roles", "realm_access.roles");
            issuer.may_assert.roles = only(&["support", "analyst"]);
            issuer.may_assert.purposes = only(&["order_support"]);
        },
        json!({
            "realm_access": { "roles": ["support", "admin"] }, "roles": ["analyst"],
            "purpose": ["order_support", "marketing"],
        }),
    )
    .await;
    assert_eq!(roles(&principal), ["support"]);
    assert_eq!(principal.identity.purposes, Some(vec!["order_support".into()]));
    assert_eq!(&*principal.identity.owner, "https://id.example|agent-7");
    assert_eq!(&*principal.issuer, "https://id.example");
}

#[tokio::test]
async fn paths_reach_into_objects_and_whole_names() {
    let principal = read(
        |issuer| {
            map(issuer, "roles", "https://shop.example/roles");
            map(issuer, "region", "address.country");
            map(issuer, "subject", "customer.id");
            map(issuer, "team", "teams");
            map(issuer, "level", "a.b.c");
            issuer.may_assert.roles = Allowed::Any;
        },
        json!({
            "https://shop.example/roles": "support", "address": { "country": "de" },
            "customer": { "id": 42 }, "teams": ["blue", 7, true, { "x": 1 }, "\u{7}"],
            "a": { "b": "not an object" },
        }),
    )
    .await;
    let identity = &principal.identity;
    assert_eq!(roles(&principal), ["support"]);
    assert_eq!(identity.region, Region::parse("DE"));
    let (domain, id) = identity.subject.as_ref().unwrap();
    assert_eq!((domain.as_str(), id.expose()), ("person", "42"));
    assert_eq!(identity.claims["team"], ["blue".into(), "7".into(), "true".into()]);
    assert!(identity.claims["level"].is_empty());
}

#[tokio::test]
async fn a_purpose_claim_that_cannot_be_read_closes() {
    for purposes in [json!(7.5), json!({}), json!([]), json!([{}]), json!("")] {
        let principal = read(
            |issuer| issuer.may_assert.purposes = Allowed::Any,
            json!({ "purposes": purposes }),
        )
        .await;
        assert_eq!(principal.identity.purposes, Some(vec![]), "{purposes}");
    }
    let none = read(|issuer| issuer.may_assert.purposes = Allowed::Any, json!({})).await;
    assert_eq!(none.identity.purposes, None);
}

#[tokio::test]
async fn leaving_the_purposes_out_opens_nothing() {
    let any = || Allowed::Any;
    let both = || only(&["billing", "support"]);
    // What may be asserted, what the token says, what it may be used for, whether it named that.
    for (may, said, purposes, named) in [
        (any(), json!({}), None, false),
        (any(), json!({ "purpose": "support" }), Some(vec!["support"]), true),
        (any(), json!({ "purposes": [] }), Some(vec![]), true),
        (both(), json!({}), Some(vec!["billing", "support"]), false),
        (both(), json!({ "purposes": [null] }), Some(vec![]), true),
        (both(), json!({ "purpose": "support" }), Some(vec!["support"]), true),
        (both(), json!({ "purposes": ["support", "sales"] }), Some(vec!["support"]), true),
        (both(), json!({ "purposes": ["sales"] }), Some(vec![]), true),
        (both(), json!({ "purposes": [] }), Some(vec![]), true),
        (only(&["support"]), json!({}), Some(vec!["support"]), false),
        (only(&["support"]), json!({ "purpose": "support" }), Some(vec!["support"]), true),
        (Allowed::default(), json!({}), Some(vec![]), false),
        (Allowed::default(), json!({ "purpose": "support" }), Some(vec![]), true),
    ] {
        let read = read(|issuer| issuer.may_assert.purposes = may.clone(), said.clone()).await;
        let purposes = purposes.map(|words| words.into_iter().map(Box::from).collect::<Vec<_>>());
        assert_eq!(read.identity.purposes, purposes, "{may:?} {said}");
        assert_eq!(read.identity.names_purposes, named, "{may:?} {said}");
    }
}

#[tokio::test]
async fn leaving_every_claim_out_leaves_every_fact_unknown() {
    let all = |issuer: &mut IssuerConfig| {
        issuer.may_assert.roles = only(&["support"]);
        issuer.may_assert.ticket = true;
        for (fact, path) in [("region", "region"), ("subject", "person"), ("mfa", "acr:gold")] {
            map(issuer, fact, path);
        }
    };
    let read = read(all, json!({ "auth_time": NOW_S })).await;
    assert_eq!(roles(&read), Vec::<&str>::new());
    let identity = &read.identity;
    assert!(!identity.ticket && identity.region.is_none() && identity.mfa_at.is_none());
    assert!(identity.subject.is_none());
}

#[tokio::test]
async fn a_second_factor_needs_its_value_and_its_time() {
    let at = |time: u64| Some(Timestamp::from_unix_s(time));
    for (path, more, strength, mfa_at) in [
        (
            "acr:gold",
            json!({ "acr": "gold", "auth_time": NOW_S - 9 }),
            Strength::Mfa,
            at(NOW_S - 9),
        ),
        ("acr:gold", json!({ "acr": "silver", "auth_time": NOW_S }), Strength::Token, None),
        ("acr:gold", json!({ "acr": "gold" }), Strength::Mfa, None),
        ("acr:gold", json!({ "acr": "gold", "auth_time": NOW_S + 600 }), Strength::Mfa, None),
        ("acr:gold", json!({ "acr": true, "auth_time": NOW_S }), Strength::Token, None),
        ("amr:otp", json!({ "amr": ["pwd", "otp"], "auth_time": NOW_S }), Strength::Mfa, at(NOW_S)),
        ("mfa", json!({ "mfa": true, "auth_time": NOW_S }), Strength::Mfa, at(NOW_S)),
        ("mfa", json!({ "mfa": "true", "auth_time": NOW_S }), Strength::Token, None),
    ] {
        let principal = read(|issuer| map(issuer, "mfa", path), more.clone()).await;
        assert_eq!(principal.strength, strength, "{path} {more}");
        assert_eq!(principal.identity.mfa_at, mfa_at, "{path} {more}");
    }
}

#[tokio::test]
async fn a_ticket_counts_only_when_it_may_be_asserted() {
    for (may, ticket, expected) in [
        (true, json!("T-1"), true),
        (true, json!(true), true),
        (true, json!(" "), false),
        (true, json!(1), false),
        (false, json!("T-1"), false),
    ] {
        let read = read(|issuer| issuer.may_assert.ticket = may, json!({ "ticket": ticket })).await;
        assert_eq!(read.identity.ticket, expected, "{may} {ticket}");
    }
}

#[tokio::test]
async fn times_and_audience_are_checked() {
    let signer = Signer::eddsa();
    let world = World::new(&[signer.jwk("one")], |_| {});
    for (more, expected) in [
        (json!({ "exp": NOW_S - 29, "iat": null }), "believed"),
        (json!({ "exp": NOW_S - 30, "iat": null }), "expired"),
        (json!({ "exp": null }), "malformed"),
        (json!({ "exp": (NOW_S + 60).to_string() }), "malformed"),
        (json!({ "exp": -1 }), "malformed"),
        (json!({ "exp": 1e300 }), "malformed"),
        (json!({ "exp": u64::MAX }), "malformed"),
        (json!({ "exp": 1_800_000_060.5 }), "believed"),
        (json!({ "nbf": NOW_S + 30 }), "believed"),
        (json!({ "nbf": NOW_S + 31 }), "not_yet"),
        (json!({ "nbf": "soon" }), "malformed"),
        (json!({ "iat": NOW_S + 31 }), "not_yet"),
        (json!({ "iat": NOW_S + 301 }), "malformed"),
        (json!({ "iat": true }), "malformed"),
        (json!({ "aud": ["other", "privet"] }), "believed"),
        (json!({ "aud": ["other"] }), "other_audience"),
        (json!({ "aud": "Privet" }), "other_audience"),
        (json!({ "aud": null }), "other_audience"),
        (json!({ "aud": { "privet": true } }), "other_audience"),
        (json!({ "sub": null }), "malformed"),
        (json!({ "sub": "" }), "malformed"),
        (json!({ "sub": 7 }), "malformed"),
    ] {
        let token = signer.token("one", &claims(more.clone()));
        assert_eq!(world.verdict(&token).await, expected, "{more}");
    }
}

#[tokio::test]
async fn a_recipient_is_believed_where_it_may_be_asserted_and_never_replaced() {
    let recipient = async |may: Allowed, own: Option<&str>, said: Value| {
        let own = own.map(|id| crate::types::RecipientId::parse(id).unwrap());
        let change = |issuer: &mut IssuerConfig| {
            issuer.may_assert.recipients = may;
            issuer.recipient = own;
        };
        let principal = read(change, said).await;
        principal.identity.recipient.map_or("none".to_owned(), |id| id.to_string())
    };
    let mailer = || json!({ "recipient": "mailer" });
    for (may, own, said, expected) in [
        (Allowed::default(), None, mailer(), "none"),
        (only(&["mailer"]), None, mailer(), "mailer"),
        (only(&["other"]), None, mailer(), "none"),
        (Allowed::Any, None, json!({}), "none"),
        (Allowed::default(), Some("desk"), json!({}), "desk"),
        (Allowed::default(), Some("desk"), mailer(), "none"),
        (only(&["mailer"]), Some("desk"), mailer(), "mailer"),
        (Allowed::Any, Some("desk"), json!({ "recipient": ["mailer"] }), "none"),
        (Allowed::Any, Some("desk"), json!({ "recipient": "not one" }), "none"),
        // A member that is null says nothing.
        (Allowed::Any, Some("desk"), json!({ "recipient": null }), "desk"),
    ] {
        let told = format!("{may:?} {own:?} {said}");
        assert_eq!(recipient(may, own, said).await, expected, "{told}");
    }
}

//! Which published keys are used.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::authn::Algorithm;
use crate::authn::key_set::KeySet;

use super::Signer;

fn parse(keys: &Value) -> Result<KeySet, String> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &Algorithm::ALL)
}

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    jwk[member] = value;
    jwk
}

#[test]
fn keys_that_are_not_for_signatures_or_too_weak_are_passed_over() {
    let (ec, ed) = (Signer::es256().jwk("k"), Signer::eddsa().jwk("k"));
    let rsa = Signer::rs256().jwk("k");
    let number = |bits: usize| {
        let mut bytes = vec![0xff; bits / 8];
        bytes[0] = 0x80;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    for (jwk, used) in [
        (ec.clone(), true),
        (ed.clone(), true),
        (rsa.clone(), true),
        (with(ec.clone(), "use", json!("sig")), true),
        (with(ec.clone(), "use", json!("enc")), false),
        (with(ec.clone(), "use", json!(["sig"])), false),
        (with(ec.clone(), "key_ops", json!(["verify"])), true),
        (with(ec.clone(), "key_ops", json!(["encrypt"])), false),
        (with(ec.clone(), "key_ops", json!("verify")), false),
        (with(ec.clone(), "alg", json!("ES256")), true),
        (with(ec.clone(), "alg", json!("ES384")), false),
        (with(rsa.clone(), "alg", json!("PS256")), false),
        (with(rsa.clone(), "alg", json!("HS256")), false),
        (with(ec.clone(), "crv", json!("P-384")), false),
        (with(ec.clone(), "x", json!("AAAA")), false),
        (with(ec.clone(), "x", ec["y"].clone()), false),
        (with(ec.clone(), "kid", json!(7)), false),
        (with(ec.clone(), "kid", json!("")), false),
        (with(ed.clone(), "crv", json!("Ed448")), false),
        (with(ed, "x", json!("AAAA")), false),
        (with(ec, "kty", json!("oct")), false),
        (with(rsa.clone(), "n", json!(number(1024))), false),
        (with(rsa.clone(), "n", json!(number(2040))), false),
        (with(rsa.clone(), "n", json!(number(2048))), true),
        (with(rsa.clone(), "n", json!(number(8200))), false),
        (with(rsa.clone(), "n", json!(format!("AA{}", number(2048)))), false),
        (with(rsa.clone(), "e", json!("AQ")), false),
        (with(rsa.clone(), "e", json!("Ag")), false),
        (with(rsa.clone(), "e", json!("Aw")), true),
        (with(rsa.clone(), "e", json!("AQAAAAAB")), false),
        (with(rsa, "e", json!("AQAB=")), false),
    ] {
        let set = parse(&json!([jwk])).unwrap();
        assert_eq!(set.len(), usize::from(used), "{jwk}: {:?}", set.skipped);
        assert_eq!(set.skipped.len(), usize::from(!used));
    }
}

#[test]
fn a_key_set_that_cannot_be_trusted_is_refused_whole() {
    let jwk = Signer::es256().jwk("k");
    assert!(parse(&json!([with(jwk.clone(), "d", json!("AAAA"))])).is_err(), "a private key");
    assert!(parse(&json!([{ "kty": "oct", "k": "AAAA" }, jwk])).is_err(), "a secret");
    assert!(parse(&json!([jwk, Signer::eddsa().jwk("k")])).is_err(), "one name, two keys");
    assert!(parse(&json!([7])).is_err(), "no object");
    assert!(parse(&json!({})).is_err(), "no array");
    assert!(parse(&vec![jwk.clone(); 65].into()).is_err(), "too many");
    let twice = format!(r#"{{"keys":[{jwk}],"keys":[]}}"#);
    assert!(KeySet::parse(twice.as_bytes(), &Algorithm::ALL).is_err(), "a member twice");
    assert!(parse(&json!([])).is_ok_and(|set| set.len() == 0), "every key withdrawn");
}

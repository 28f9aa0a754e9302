//! Compact signatures over JSON: JWS (RFC 7515) by Ed25519 alone (RFC 8037), and key sets.
//!
//! Which algorithm counts is said here, never by what is checked: there is one, and a header that
//! names another is refused before a key is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::crypto::Signer;
use crate::crypto::Verifier;
use crate::crypto::sha256;

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JwsFault {
    /// Not three parts of base64url with two dots between them.
    #[error("it is no compact JWS: three parts of base64url with dots between them")]
    Form,
    /// The header is no JSON object of `alg`, `typ` and `kid`, each once.
    #[error("its header is not one that is written here: `alg`, `typ` and `kid`, each once")]
    Header,
    /// The header names another algorithm.
    #[error("its algorithm is not EdDSA, the only one that counts here")]
    Algorithm,
    /// The header names another type.
    #[error("it is of another type than what is checked")]
    Type,
    /// The header names no key, or one that is not in the set.
    #[error("the key that it names is not in the key set")]
    Key,
    /// The signature does not belong to header, payload and key.
    #[error("its signature does not verify: it was changed, or another key signed it")]
    Signature,
}

/// A key set cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no key set (RFC 7517) with an Ed25519 key in it")]
pub struct NoKeySet;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

/// The public keys of a set, by their ids.
#[derive(Clone, Debug, Default)]
pub struct JwsKeys(Vec<(String, Verifier)>);

impl JwsKeys {
    /// Reads a JWK set. Keys of other kinds in it are passed over; an Ed25519 key that cannot be
    /// used, or whose id another has too, makes the set unreadable.
    pub fn parse(text: &[u8]) -> Result<Self, NoKeySet> {
        let set: Value = serde_json::from_slice(text).map_err(|_| NoKeySet)?;
        let mut found = Vec::<(String, Verifier)>::new();
        for key in set.get("keys").and_then(Value::as_array).ok_or(NoKeySet)? {
            let text = |name: &str| key.get(name).and_then(Value::as_str);
            if (text("kty"), text("crv")) != (Some("OKP"), Some("Ed25519")) {
                continue;
            }
            let kid = text("kid").ok_or(NoKeySet)?;
            if found.iter().any(|(known, _)| known == kid) {
                return Err(NoKeySet);
            }
            let x = URL_SAFE_NO_PAD.decode(text("x").ok_or(NoKeySet)?).map_err(|_| NoKeySet)?;
            let x: [u8; 32] = x.try_into().map_err(|_| NoKeySet)?;
            found.push((kid.to_owned(), Verifier::from_bytes(&x).map_err(|_| NoKeySet)?));
        }
        if found.is_empty() { Err(NoKeySet) } else { Ok(Self(found)) }
    }

    /// The payload of a compact JWS of type `typ` that one of these keys has signed.
    pub fn open(&self, compact: &str, typ: &str) -> Result<Vec<u8>, JwsFault> {
        let parts = Parts::read(compact)?;
        let header: Header = serde_json::from_slice(&parts.header).map_err(|_| JwsFault::Header)?;
        if header.alg != ALGORITHM {
            return Err(JwsFault::Algorithm);
        }
        if header.typ.as_deref() != Some(typ) {
            return Err(JwsFault::Type);
        }
        let named = |(kid, _): &&(String, Verifier)| header.kid.as_deref() == Some(kid);
        let (_, key) = self.0.iter().find(named).ok_or(JwsFault::Key)?;
        parts.check(key)?;
        Ok(parts.payload)
    }
}

/// The compact JWS of `payload`, of type `typ`.
pub fn sign(signer: &Signer, typ: &str, payload: &[u8]) -> String {
    let kid = thumbprint(signer.verifier());
    let header = json!({ "alg": ALGORITHM, "typ": typ, "kid": kid }).to_string();
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = signer.sign(text.as_bytes());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

/// A public key as a set of one (RFC 7517 §5, RFC 8037 §2).
pub fn key_set(key: Verifier) -> Value {
    json!({ "keys": [{
        "kty": "OKP",
        "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode(key.to_bytes()),
        "kid": thumbprint(key),
        "use": "sig",
        "alg": ALGORITHM,
    }] })
}

/// The id of a key: its thumbprint (RFC 7638 §3, RFC 8037 appendix A.3).
pub fn thumbprint(key: Verifier) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.to_bytes());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(sha256(members.as_bytes()))
}

/// A compact JWS, taken apart and not believed yet.
struct Parts<'a> {
    signed: &'a str,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: [u8; 64],
}

impl<'a> Parts<'a> {
    fn read(compact: &'a str) -> Result<Self, JwsFault> {
        let (signed, signature) = compact.rsplit_once('.').ok_or(JwsFault::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsFault::Form)?;
        // Strict: no padding, no other alphabet, no bits that mean nothing.
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsFault::Form);
        let signature = bytes(signature)?.try_into().map_err(|_| JwsFault::Form)?;
        Ok(Self { signed, header: bytes(header)?, payload: bytes(payload)?, signature })
    }

    fn check(&self, key: &Verifier) -> Result<(), JwsFault> {
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| JwsFault::Signature)
    }
}

/// RFC 8037 §3.1. RFC 9864 also names it `Ed25519`, which older tools do not read.
const ALGORITHM: &str = "EdDSA";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Secret;

    const TYPE: &str = "consent-receipt+jwt";

    fn signer(byte: u8) -> Signer {
        Signer::from_seed(&Secret::new([byte; 32]))
    }

    fn keys(signer: &Signer) -> JwsKeys {
        JwsKeys::parse(key_set(signer.verifier()).to_string().as_bytes()).unwrap()
    }

    fn forged(header: &str, signer: &Signer) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(b"{}"));
        let signature = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// RFC 8037 appendix A: key, thumbprint, signature, and its check.
    #[test]
    fn the_published_example_comes_out_the_same() {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let signer = Signer::from_seed(&Secret::new(seed.try_into().unwrap()));
        let set = key_set(signer.verifier());
        assert_eq!(set["keys"][0]["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(signer.verifier()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7\
                         sVvpAr_MuM0KAg";
        assert_eq!(URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())), signature);
        let compact = format!("{signed}.{signature}");
        let parts = Parts::read(&compact).unwrap();
        assert_eq!(parts.payload, b"Example of Ed25519 signing");
        assert_eq!(parts.check(&signer.verifier()), Ok(()));
        // A receipt it is not: it names neither type nor key.
        assert_eq!(keys(&signer).open(&compact, TYPE), Err(JwsFault::Type));
    }

    #[test]
    fn what_was_signed_opens_with_its_keys_and_as_its_type_alone() {
        let compact = sign(&signer(1), TYPE, b"{\"a\":1}");
        assert_eq!(keys(&signer(1)).open(&compact, TYPE), Ok(b"{\"a\":1}".to_vec()));
        assert_eq!(keys(&signer(2)).open(&compact, TYPE), Err(JwsFault::Key));
        assert_eq!(keys(&signer(1)).open(&compact, "jwt"), Err(JwsFault::Type));
        // Another key under the same id.
        let mut set = key_set(signer(2).verifier());
        set["keys"][0]["kid"] = thumbprint(signer(1).verifier()).into();
        let keys = JwsKeys::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(keys.open(&compact, TYPE), Err(JwsFault::Signature));
    }

    /// Every byte exchanged for every other one.
    #[test]
    fn no_byte_can_be_changed() {
        let compact = sign(&signer(1), TYPE, b"{\"state\":\"Given\"}");
        let keys = keys(&signer(1));
        assert!(keys.open(&compact, TYPE).is_ok());
        for place in 0..compact.len() {
            for byte in 0..=127_u8 {
                let mut changed = compact.clone().into_bytes();
                changed[place] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(keys.open(&changed, TYPE).is_ok(), changed == compact, "{changed}");
            }
        }
        for end in 0..compact.len() {
            assert!(keys.open(compact.get(..end).unwrap(), TYPE).is_err());
        }
        for more in ["=", "A", ".", " ", "\n", ".e30"] {
            assert!(keys.open(&format!("{compact}{more}"), TYPE).is_err(), "{more:?}");
            assert!(keys.open(&format!("{more}{compact}"), TYPE).is_err(), "{more:?}");
        }
    }

    #[test]
    fn the_header_chooses_nothing() {
        let signer = signer(1);
        let (kid, set) = (thumbprint(signer.verifier()), keys(&signer));
        for (header, wanted) in [
            (format!(r#"{{"alg":"none","typ":"{TYPE}","kid":"{kid}"}}"#), JwsFault::Algorithm),
            (format!(r#"{{"alg":"HS256","typ":"{TYPE}","kid":"{kid}"}}"#), JwsFault::Algorithm),
            (format!(r#"{{"alg":"eddsa","typ":"{TYPE}","kid":"{kid}"}}"#), JwsFault::Algorithm),
            (format!(r#"{{"alg":"EdDSA","typ":"{TYPE}"}}"#), JwsFault::Key),
            (format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","kid":""}}"#), JwsFault::Key),
            (format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), JwsFault::Type),
            (format!(r#"{{"typ":"{TYPE}","kid":"{kid}"}}"#), JwsFault::Header),
            (
                format!(r#"{{"alg":"none","alg":"EdDSA","typ":"{TYPE}","kid":"{kid}"}}"#),
                JwsFault::Header,
            ),
            (
                format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","kid":"{kid}","crit":["b64"]}}"#),
                JwsFault::Header,
            ),
            (
                format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","kid":"{kid}","jwk":{{}}}}"#),
                JwsFault::Header,
            ),
            ("[]".to_owned(), JwsFault::Header),
        ] {
            assert_eq!(set.open(&forged(&header, &signer), TYPE), Err(wanted), "{header}");
        }
        // The public key as the secret of an HMAC, the signature left out: neither has the form.
        let text = sign(&signer, TYPE, b"{}");
        let (signed, _) = text.rsplit_once('.').unwrap();
        let public = signer.verifier().to_bytes();
        let mac = crate::crypto::hmac_sha256(&public, signed.as_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac);
        assert_eq!(set.open(&format!("{signed}.{mac}"), TYPE), Err(JwsFault::Form));
        assert_eq!(set.open(&format!("{signed}."), TYPE), Err(JwsFault::Form));
    }

    #[test]
    fn a_key_set_has_keys_that_can_be_told_apart() {
        let one = key_set(signer(1).verifier())["keys"][0].clone();
        let small = {
            let mut key = one.clone();
            key["x"] = URL_SAFE_NO_PAD.encode([0; 32]).into();
            key
        };
        let other = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "r" });
        let read =
            |keys: Value| JwsKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).is_ok();
        assert!(read(json!([one, other])));
        for wrong in [json!([]), json!([other]), json!([one, one]), json!([small]), json!({})] {
            assert!(!read(wrong.clone()), "{wrong}");
        }
        for wrong in ["", "[]", "{}", "not json"] {
            assert!(JwsKeys::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_refused(text in ".{0,120}") {
            prop_assert!(keys(&signer(1)).open(&text, TYPE).is_err());
        }

        #[test]
        fn every_payload_comes_back(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let compact = sign(&signer(3), TYPE, &payload);
            prop_assert_eq!(keys(&signer(3)).open(&compact, TYPE), Ok(payload));
        }
    }
}

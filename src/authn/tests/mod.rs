//! Tests of recognising callers.

mod cache;
mod certificates;
mod claims;
mod dev;
mod fetched;
mod key_sets;
mod tokens;
mod vectors;

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::clock::ManualClock;
use crate::types::Timestamp;

use super::Algorithm;
use super::Allowed;
use super::Authenticator;
use super::AuthnConfig;
use super::AuthnError;
use super::AuthnMetrics;
use super::IssuerConfig;
use super::JwksSource;
use super::Principal;

pub(super) const NOW_S: u64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://id.example";

/// A private key of one kind.
pub(super) enum Signer {
    EdDsa(signature::Ed25519KeyPair),
    Es256(signature::EcdsaKeyPair),
    Rs256(signature::RsaKeyPair),
}

impl Signer {
    pub(super) fn es256() -> Self {
        Self::Es256(
            signature::EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        )
    }

    pub(super) fn eddsa() -> Self {
        Self::EdDsa(signature::Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn rs256() -> Self {
        Self::Rs256(signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(super) fn alg(&self) -> &'static str {
        match self {
            Self::EdDsa(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::EdDsa(pair) => {
                let x = b64(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid })
            }
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid })
            }
            Self::Rs256(pair) => {
                let public: aws_lc_rs::rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                json!({ "kty": "RSA", "n": b64(&public.n), "e": b64(&public.e), "kid": kid })
            }
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = &signature::RSA_PKCS1_SHA256;
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with exactly this header and these claims, signed as this key signs.
    pub(super) fn raw(&self, header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(super) fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.alg(), "typ": "JWT", "kid": kid });
        self.raw(&header.to_string(), &claims.to_string())
    }
}

/// Claims that are believed for five minutes, and `more` beside or instead of them.
pub(super) fn claims(more: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "privet", "sub": "agent-7", "iat": NOW_S, "exp": NOW_S + 300,
    });
    let Value::Object(more) = more else { panic!("claims are an object") };
    for (name, value) in more {
        match value {
            // A claim that is to be missing.
            Value::Null => drop(claims.as_object_mut().unwrap().remove(&name)),
            value => claims[name] = value,
        }
    }
    claims
}

/// An issuer with a key set in a file, on a clock that stands still.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) metrics: AuthnMetrics,
    pub(super) auth: Authenticator,
    jwks: PathBuf,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) fn new(keys: &[Value], change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let jwks = dir.path().join("jwks.json");
        std::fs::write(&jwks, json!({ "keys": keys }).to_string()).unwrap();
        let mut issuer = IssuerConfig::new(ISSUER, "privet", JwksSource::File(jwks.clone()));
        issuer.algorithms = Algorithm::ALL.to_vec();
        issuer.may_assert.roles = Allowed::Any;
        change(&mut issuer);
        let config = AuthnConfig { issuers: vec![issuer], ..AuthnConfig::default() };
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(NOW_S)));
        let metrics = AuthnMetrics::default();
        let auth = Authenticator::new(config, clock.clone(), metrics.clone()).unwrap();
        Self { clock, metrics, auth, jwks, _dir: dir }
    }

    /// The settings of an issuer with this key set.
    pub(super) fn issuer(&self) -> IssuerConfig {
        let mut issuer = IssuerConfig::new(ISSUER, "privet", JwksSource::File(self.jwks.clone()));
        issuer.algorithms = Algorithm::ALL.to_vec();
        issuer
    }

    pub(super) fn publish(&self, keys: &[Value]) {
        std::fs::write(&self.jwks, json!({ "keys": keys }).to_string()).unwrap();
    }

    pub(super) fn publish_text(&self, text: &str) {
        std::fs::write(&self.jwks, text).unwrap();
    }

    pub(super) async fn ask(&self, token: &str) -> Result<Arc<Principal>, AuthnError> {
        self.auth.token(token).await
    }

    /// The short reason, or `believed`.
    pub(super) async fn verdict(&self, token: &str) -> &'static str {
        self.ask(token).await.map_or_else(|error| error.reason(), |_| "believed")
    }
}

//! A development issuer: a key pair in a folder, and tokens for trying things out.

use std::fmt;
use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::net::read_secret;
use crate::types::Timestamp;

use super::AuthnError;
use super::IssuerConfig;

/// A key pair that signs tokens for development. Its key says so in its name, so that a gateway
/// that serves others can refuse it.
pub struct DevIssuer {
    key: EncodingKey,
    kid: String,
}

/// What a minted token should say.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Who it is for (`sub`).
    pub owner: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Purposes; the token names none when empty.
    pub purposes: Vec<String>,
    /// The person it is, as the store knows them.
    pub subject_id: Option<String>,
    /// The region, as two letters.
    pub region: Option<String>,
    /// Whom the caller passes data to.
    pub recipient: Option<String>,
    /// Whether a second factor was shown just now.
    pub mfa: bool,
    /// A ticket's number.
    pub ticket: Option<String>,
    /// Other claims, by the name the issuer's settings give them.
    pub claims: Vec<(String, Vec<String>)>,
    /// How long it is valid, in seconds.
    pub ttl_s: u64,
}

impl DevIssuer {
    /// The private key's file.
    pub const KEY_FILE: &str = "dev-issuer.key";
    /// The public key set's file.
    pub const JWKS_FILE: &str = "jwks.json";

    /// Makes an ES256 key pair in `dir`: the private key for its owner only, and the key set.
    /// Refuses to replace either.
    pub fn create(dir: &Path) -> Result<Self, AuthnError> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|_| AuthnError::Mint { what: "no key could be made" })?;
        let pem = Zeroizing::new(pair.serialize_pem());
        let (issuer, jwk) = Self::from_pair(&pair, &pem)?;
        write_new(&dir.join(Self::KEY_FILE), pem.as_bytes(), 0o600)?;
        let jwks = json!({ "keys": [jwk] }).to_string();
        write_new(&dir.join(Self::JWKS_FILE), jwks.as_bytes(), 0o644)?;
        Ok(issuer)
    }

    /// Reads the private key that [`create`](Self::create) wrote into `dir`.
    pub fn open(dir: &Path) -> Result<Self, AuthnError> {
        let pem = read_secret(&dir.join(Self::KEY_FILE), MAX_KEY_FILE)
            .map_err(|source| AuthnError::KeySetRead { issuer: "development".into(), source })?;
        let wrong = AuthnError::Mint { what: "the development key is not a P-256 key in PEM" };
        let Ok(pem) = std::str::from_utf8(&pem) else { return Err(wrong) };
        let Ok(pair) = rcgen::KeyPair::from_pem(pem) else { return Err(wrong) };
        Self::from_pair(&pair, pem).map(|(issuer, _)| issuer)
    }

    /// Signs a token that `issuer` reads as `wanted`: each fact is put where the settings look for
    /// it.
    pub fn mint(
        &self,
        issuer: &IssuerConfig,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<String, AuthnError> {
        let mut claims = Map::new();
        claims.insert("iss".into(), issuer.name.as_str().into());
        claims.insert("aud".into(), issuer.audience.as_str().into());
        claims.insert("sub".into(), wanted.owner.as_str().into());
        claims.insert("iat".into(), now.unix_s().into());
        claims.insert("exp".into(), now.unix_s().saturating_add(wanted.ttl_s).into());
        for (fact, value) in facts(wanted) {
            let path = issuer.claims.get(fact).map(String::as_str);
            place(&mut claims, path.map_or_else(|| usual_path(fact), Ok)?, value)?;
        }
        if wanted.mfa {
            let path = issuer.claims.get("mfa").ok_or(UNMAPPED)?;
            match path.rsplit_once(':') {
                Some((path, value)) => place(&mut claims, path, value.into())?,
                None => place(&mut claims, path, true.into())?,
            }
            claims.insert("auth_time".into(), now.unix_s().into());
        }
        let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| AuthnError::Mint { what: "the signature failed" })
    }

    fn from_pair(pair: &rcgen::KeyPair, pem: &str) -> Result<(Self, Value), AuthnError> {
        let wrong = AuthnError::Mint { what: "the development key is not a P-256 key in PEM" };
        let point = pair.public_key_raw();
        let (Some([4]), Some(x), Some(y), 65) =
            (point.get(..1), point.get(1..33), point.get(33..65), point.len())
        else {
            return Err(wrong);
        };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638: the members in this order, without spaces.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let print = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()));
        let kid = format!("{KID_PREFIX}{print}");
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig",
        });
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|_| wrong)?;
        Ok((Self { key, kid }, jwk))
    }
}

impl fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevIssuer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What the names of development keys start with.
pub(super) const KID_PREFIX: &str = "privet-dev-";

fn facts(wanted: &Wanted) -> Vec<(&str, Value)> {
    let mut facts = Vec::new();
    if !wanted.roles.is_empty() {
        facts.push(("roles", wanted.roles.clone().into()));
    }
    if !wanted.purposes.is_empty() {
        facts.push(("purposes", wanted.purposes.clone().into()));
    }
    let single = [
        ("subject", &wanted.subject_id),
        ("region", &wanted.region),
        ("recipient", &wanted.recipient),
        ("ticket", &wanted.ticket),
    ];
    for (fact, value) in single {
        facts.extend(value.as_ref().map(|value| (fact, value.as_str().into())));
    }
    let others = wanted.claims.iter();
    facts.extend(others.map(|(name, words)| (name.as_str(), words.clone().into())));
    facts
}

/// Where a fact stands that the settings do not map.
fn usual_path(fact: &str) -> Result<&str, AuthnError> {
    if matches!(fact, "roles" | "purposes" | "ticket" | "recipient") {
        Ok(fact)
    } else {
        Err(UNMAPPED)
    }
}

/// Puts `value` at a path, making the objects on the way.
fn place(claims: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), AuthnError> {
    // A name with a slash is a whole name, such as a URL: its dots part nothing.
    match path.split_once('.').filter(|_| !path.contains('/')) {
        None => {
            claims.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let inner = claims.entry(first).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else {
                return Err(AuthnError::Mint { what: "two claims need the same place" });
            };
            place(inner, rest, value)
        }
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AuthnError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|source| AuthnError::Write { path: path.to_owned(), source })
}

const UNMAPPED: AuthnError =
    AuthnError::Mint { what: "the issuer's `claims` have no place for a fact that was asked for" };
const MAX_KEY_FILE: u64 = 64 * 1024;

//! An issuer's public keys (RFC 7517), each bound to one algorithm.

use std::collections::BTreeSet;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::Algorithm;
use super::json::Json;
use super::json::Map;
use super::token;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Keys that were passed over, and why.
    pub(super) skipped: Vec<String>,
}

/// A key that verifies signatures of one algorithm.
#[derive(Debug)]
pub(super) struct Key {
    /// The name by which tokens ask for it.
    pub(super) kid: Option<Box<str>>,
    /// The only algorithm it is used with.
    pub(super) algorithm: Algorithm,
    /// The key.
    pub(super) key: DecodingKey,
}

/// Why no key fits a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyMiss {
    /// A key may exist that is not known here yet.
    UnknownKid,
    /// Asking the issuer again would not help.
    Unfit(&'static str),
}

impl KeySet {
    /// Reads a key set. Keys that are not for signatures or not strong enough are passed over;
    /// private or shared keys spoil the whole set, because whoever published them lost them.
    pub(super) fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, String> {
        let set = Json::parse_map(bytes).ok_or("it is not one JSON object without duplicates")?;
        let Some(Json::List(members)) = set.get("keys") else {
            return Err("it has no array `keys`".into());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let mut found = Self::default();
        for (index, member) in members.iter().enumerate() {
            let Json::Map(member) = member else {
                return Err(format!("key {} is not an object", index + 1));
            };
            if let Some(name) = SECRET_MEMBERS.iter().find(|name| member.contains_key(**name)) {
                return Err(format!(
                    "key {} holds secret key material (`{name}`); replace that key, it is public now",
                    index + 1
                ));
            }
            match read_key(member, allowed) {
                Ok(key) => found.keys.push(key),
                Err(why) => found.skipped.push(format!("key {}: {why}", index + 1)),
            }
        }
        let mut kids = BTreeSet::new();
        match found.keys.iter().filter_map(|key| key.kid.as_deref()).all(|kid| kids.insert(kid)) {
            true => Ok(found),
            false => Err("two keys have the same `kid`".into()),
        }
    }

    /// The key a token is to be verified with. A token without a `kid` is verified only when
    /// exactly one key fits.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&Key, KeyMiss> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                (Some(_), Some(_)) => Err(KeyMiss::Unfit("it names no key, and several fit")),
                (None, _) => Err(KeyMiss::Unfit("it names no key, and none has its algorithm")),
            };
        };
        let key = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid));
        match key.ok_or(KeyMiss::UnknownKid)? {
            key if key.algorithm == algorithm => Ok(key),
            _ => Err(KeyMiss::Unfit("the key it names is for another algorithm")),
        }
    }

    /// How many keys are usable.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The names of the usable keys.
    pub(super) fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }
}

/// Whether `bytes` read as a key set; for fuzzing. Checks that every key that was read can be
/// found under its name and no other algorithm.
pub fn reads_as_key_set(bytes: &[u8]) -> bool {
    let Ok(set) = KeySet::parse(bytes, &Algorithm::ALL) else { return false };
    for key in &set.keys {
        if let Some(kid) = &key.kid {
            let fitting = Algorithm::ALL.into_iter().filter(|a| set.find(*a, Some(kid)).is_ok());
            assert_eq!(fitting.collect::<Vec<_>>(), [key.algorithm], "a key of two algorithms");
        }
    }
    true
}

fn read_key(member: &Map, allowed: &[Algorithm]) -> Result<Key, &'static str> {
    for_signatures(member)?;
    let kid = match member.get("kid") {
        None => None,
        Some(kid) => {
            Some(kid.text().filter(|kid| token::is_kid(kid)).ok_or("its `kid` is not usable")?)
        }
    };
    let text = |name| member.get(name).and_then(Json::text);
    let (algorithm, key) = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => (Algorithm::Es256, read_p256(member)?),
        (Some("OKP"), Some("Ed25519")) => (Algorithm::EdDsa, read_ed25519(member)?),
        (Some("RSA"), _) => (Algorithm::Rs256, read_rsa(member)?),
        _ => return Err("its type is not EC with P-256, OKP with Ed25519, or RSA"),
    };
    if member.get("alg").is_some_and(|alg| alg.text() != Some(algorithm.as_str())) {
        return Err("it is for another algorithm");
    }
    if !allowed.contains(&algorithm) {
        return Err("its algorithm is not listed under `algorithms`");
    }
    Ok(Key { kid: kid.map(Box::from), algorithm, key })
}

fn for_signatures(member: &Map) -> Result<(), &'static str> {
    if member.get("use").is_some_and(|usage| usage.text() != Some("sig")) {
        return Err("its `use` is not `sig`");
    }
    let verifies = match member.get("key_ops") {
        None => true,
        Some(Json::List(operations)) => {
            operations.iter().any(|operation| operation.text() == Some("verify"))
        }
        Some(_) => false,
    };
    if verifies { Ok(()) } else { Err("its `key_ops` do not hold `verify`") }
}

fn read_p256(member: &Map) -> Result<DecodingKey, &'static str> {
    let (x, y) = (bytes(member, "x")?, bytes(member, "y")?);
    if x.len() != 32 || y.len() != 32 {
        return Err("its coordinates are not 32 bytes each");
    }
    let point = [&[4][..], &x, &y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .map_err(|_| "its coordinates are not a point of the curve")?;
    // The name is the library's: it takes the point itself.
    Ok(DecodingKey::from_ec_der(&point))
}

fn read_ed25519(member: &Map) -> Result<DecodingKey, &'static str> {
    let x = bytes(member, "x")?;
    if x.len() != 32 {
        return Err("its `x` is not 32 bytes");
    }
    Ok(DecodingKey::from_ed_der(&x))
}

fn read_rsa(member: &Map) -> Result<DecodingKey, &'static str> {
    let (n, e) = (bytes(member, "n")?, bytes(member, "e")?);
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if n.first().is_none_or(|first| *first == 0) || n.last().is_none_or(|last| last % 2 == 0) {
        return Err("its modulus is not odd without leading zeros");
    }
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err("its modulus does not have 2048 to 8192 bits");
    }
    // Exponents of 3 and above, odd, at most 32 bits: what issuers use, and quick to verify.
    let exponent = e
        .iter()
        .try_fold(0_u32, |sum, byte| sum.checked_mul(256).map(|sum| sum + u32::from(*byte)));
    match exponent {
        Some(exponent) if exponent >= 3 && exponent % 2 == 1 => {
            Ok(DecodingKey::from_rsa_raw_components(&n, &e))
        }
        _ => Err("its exponent is not odd, at least 3 and at most 32 bits"),
    }
}

fn bytes(member: &Map, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = member.get(name).and_then(Json::text).ok_or("a number of it is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a number of it is not base64url")
}

/// Members of private and shared keys (RFC 7518 §6).
const SECRET_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const MAX_KEYS: usize = 64;
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;

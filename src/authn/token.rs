//! Reading a token before anything in it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;

use super::Algorithm;
use super::AuthnError;
use super::json::Json;
use super::json::Map;
use super::key_set::Key;
use super::key_set::KeyMiss;
use super::key_set::KeySet;

/// A token that is well formed and asks for nothing this gateway does not do. Nothing in it is
/// believed yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// Its header and signature.
    pub(super) signed: Signed<'a>,
    /// What it claims.
    pub(super) claims: Map,
}

/// A signed text, whatever it says.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    /// The algorithm its header names.
    pub(super) algorithm: Algorithm,
    /// The key its header names.
    pub(super) kid: Option<Box<str>>,
    /// The bytes the signature is over.
    message: &'a str,
    /// The signature in base64url.
    signature: &'a str,
    payload: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads the compact form.
    pub(super) fn read(text: &'a str) -> Result<Self, AuthnError> {
        let signed = Signed::read(text)?;
        let claims = Json::parse_map(&signed.payload)
            .ok_or_else(|| malformed("its claims are not one JSON object without duplicates"))?;
        Ok(Self { signed, claims })
    }

    /// The issuer it names.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Json::text)
    }
}

impl<'a> Signed<'a> {
    /// Reads the compact form (RFC 7515 §7.1).
    pub(super) fn read(text: &'a str) -> Result<Self, AuthnError> {
        if text.len() > MAX_TOKEN {
            return Err(malformed("it is longer than 16384 bytes"));
        }
        let parts = text.rsplit_once('.').and_then(|(message, signature)| {
            message.split_once('.').map(|(header, payload)| (message, header, payload, signature))
        });
        let Some((message, header, payload, signature)) = parts else {
            return Err(malformed("it does not have three parts"));
        };
        if signature.is_empty() {
            return Err(malformed("it is not signed"));
        }
        decode(signature)?;
        let (algorithm, kid) = read_header(&decode(header)?)?;
        // Also refuses a fourth part: `.` is not a base64url character.
        let payload = decode(payload)?;
        Ok(Self { algorithm, kid, message, signature, payload })
    }

    /// Finds the key that is to verify it.
    pub(super) fn key<'k>(&self, keys: &'k KeySet) -> Result<&'k Key, KeyMiss> {
        keys.find(self.algorithm, self.kid.as_deref())
    }

    /// Whether the signature is `key`'s, under the key's own algorithm.
    pub(super) fn is_by(&self, key: &Key) -> bool {
        let algorithm = match key.algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        };
        let message = self.message.as_bytes();
        // An error is a signature that cannot even be read.
        crypto::verify(self.signature, message, &key.key, algorithm).unwrap_or(false)
    }
}

/// Whether `bytes` read as a token; for fuzzing. Checks that what was read is all there was: the
/// parts encode to the same text again.
pub fn reads_as_token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(token) = Token::read(text) else { return false };
    let again: Vec<String> = text
        .split('.')
        .map(|part| decode(part).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default())
        .collect();
    assert_eq!(again.join("."), text, "two texts for one token");
    assert_eq!(format!("{}.{}", token.signed.message, token.signed.signature), text);
    true
}

fn read_header(bytes: &[u8]) -> Result<(Algorithm, Option<Box<str>>), AuthnError> {
    let header = Json::parse_map(bytes)
        .ok_or_else(|| malformed("its header is not one JSON object without duplicates"))?;
    for (name, why) in REFUSED_MEMBERS {
        if header.contains_key(*name) {
            return Err(malformed(why));
        }
    }
    let typed = match header.get("typ") {
        None => true,
        Some(typ) => {
            typ.text().is_some_and(|typ| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ)))
        }
    };
    if !typed {
        return Err(malformed("its `typ` is neither `JWT` nor `at+jwt`"));
    }
    let algorithm = header
        .get("alg")
        .and_then(Json::text)
        .and_then(Algorithm::parse)
        .ok_or_else(|| malformed("its `alg` is not ES256, EdDSA or RS256"))?;
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.text().filter(|kid| is_kid(kid)).ok_or_else(|| {
            malformed("its `kid` is not text of 1 to 256 bytes without control characters")
        })?),
    };
    Ok((algorithm, kid.map(Box::from)))
}

/// Whether text can name a key. It is only ever compared with the names in a key set, never used
/// as a path or a query.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=MAX_KID).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Reads base64url, refusing padding, other alphabets and stray last bits, so that one token has
/// one text.
fn decode(part: &str) -> Result<Vec<u8>, AuthnError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is not base64url"))
}

fn malformed(what: &'static str) -> AuthnError {
    AuthnError::Malformed { what }
}

/// Header members that change what a signature means or bring a key along. None is ever followed.
const REFUSED_MEMBERS: &[(&str, &str)] = &[
    ("b64", "it has the header `b64`"),
    ("crit", "it has the header `crit`, whose extensions are not supported"),
    ("cty", "it has the header `cty`: tokens inside tokens are not read"),
    ("enc", "it is encrypted"),
    ("jku", "it brings the address of its own key set (`jku`)"),
    ("jwk", "it brings its own key (`jwk`)"),
    ("x5c", "it brings its own certificates (`x5c`)"),
    ("x5u", "it brings the address of its own certificates (`x5u`)"),
    ("zip", "it is compressed"),
];

const TYPES: &[&str] = &["JWT", "at+jwt", "application/at+jwt"];

/// The longest token that is read, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_KID: usize = 256;

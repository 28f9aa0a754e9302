//! Sealed values as text: the envelope that stands in a store where a value would.
//!
//! `pvt1_` and base64url without padding of version (1) ‖ suite (1) ‖ kid (16) ‖ nonce (12) ‖
//! ciphertext ‖ tag (16). The suite is AES-256-GCM with a hedged nonce; what is authenticated
//! beside the value is where it belongs: tenant, the name it is sealed as, its type, and the key.

use std::borrow::Cow;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::KeyInit;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use super::mac::Mac;
use super::mac::derive;
use super::mac::length_prefixed;
use super::mac::length_prefixed_len;
use super::seal::Gcm;
use super::secret::Secret;
use super::subject::Kid;
use super::subject::SubjectKey;

/// What a sealed value is. It is authenticated and not stored, so that `"42"` never comes back as
/// the number 42.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueKind {
    /// The characters of a string, unescaped.
    Text,
    /// A number, digit by digit as it was written.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A container that is one value, as JSON.
    Json,
}

impl ValueKind {
    /// Every kind, in the order in which opening tries them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Boolean, Self::Json];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "json",
        }
    }
}

/// A text is no envelope that this release reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvelopeFault {
    /// It does not begin as one.
    #[error("the value is not sealed")]
    Plain,
    /// Not canonical base64url, or too short.
    #[error("the sealed value is damaged")]
    Damaged,
    /// Of another version or suite.
    #[error(
        "the sealed value is of version {version} and suite {suite}, which this release does not open"
    )]
    Suite {
        /// The version byte.
        version: u8,
        /// The suite byte.
        suite: u8,
    },
    /// It was not made with this key in this place, or was changed.
    #[error("the sealed value does not open in this place")]
    Forged,
}

/// An envelope whose form is right. Nothing says yet that its content is.
#[derive(Debug)]
pub struct Envelope {
    kid: Kid,
    nonce: [u8; NONCE_LEN],
    /// Ciphertext and tag.
    body: Vec<u8>,
}

impl Envelope {
    /// Whether a text claims to be an envelope. A hint only: the catalog says where one stands.
    pub fn is_claimed(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads the form of an envelope, which has exactly one spelling.
    pub fn parse(text: &str) -> Result<Self, EnvelopeFault> {
        let encoded = text.strip_prefix(PREFIX).ok_or(EnvelopeFault::Plain)?;
        // The decoder refuses padding, other alphabets, white space and bits left over.
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| EnvelopeFault::Damaged)?;
        let Some(([version, suite], rest)) = bytes.split_first_chunk::<2>() else {
            return Err(EnvelopeFault::Damaged);
        };
        if (*version, *suite) != (VERSION, SUITE) {
            return Err(EnvelopeFault::Suite { version: *version, suite: *suite });
        }
        let (kid, rest) = rest.split_first_chunk::<16>().ok_or(EnvelopeFault::Damaged)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(EnvelopeFault::Damaged)?;
        if body.len() < TAG_LEN {
            return Err(EnvelopeFault::Damaged);
        }
        let (kid, nonce) = (Kid(*kid), *nonce);
        bytes.drain(..HEAD_LEN);
        Ok(Self { kid, nonce, body: bytes })
    }

    /// The key that a text claims to be sealed with, without looking at the rest of it.
    pub fn claimed_kid(text: &str) -> Option<Kid> {
        // 24 characters are 18 bytes: version, suite and the key.
        let encoded = text.strip_prefix(PREFIX)?.get(..24)?;
        let mut bytes = [0; 18];
        URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        let [VERSION, SUITE, kid @ ..] = bytes else { return None };
        Some(Kid(kid))
    }

    /// The key it says it was sealed with.
    pub const fn kid(&self) -> Kid {
        self.kid
    }
}

/// How many characters the envelope of a value of `plain` bytes has.
pub const fn envelope_len(plain: usize) -> usize {
    let bytes = 2 + 16 + NONCE_LEN + plain + TAG_LEN;
    PREFIX.len() + (bytes * 4).div_ceil(3)
}

/// How many bytes a value may have whose envelope has at most so many characters.
pub const fn plain_len(envelope: usize) -> usize {
    let bytes = envelope.saturating_sub(PREFIX.len()) * 3 / 4;
    bytes.saturating_sub(2 + 16 + NONCE_LEN + TAG_LEN)
}

/// The key that seals one kind of field of one person.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct FieldKey {
    kid: Kid,
    cipher: Gcm,
    /// Derived when something is sealed: most calls only open.
    hedge: Option<Mac>,
    /// What is authenticated beside a text, which most values are.
    text: Vec<u8>,
    /// How much of that is the tenant and the name, which all types share.
    place: usize,
}

impl FieldKey {
    /// To open values.
    pub fn opening(key: &SubjectKey, kid: Kid, tenant: &str, sealed_as: &str) -> Self {
        let parts: [&[u8]; 3] = [b"privet/field/v1", tenant.as_bytes(), sealed_as.as_bytes()];
        let cipher = Gcm::new(derive(key.secret(), &parts).expose().into());
        let kind = ValueKind::Text.as_str().as_bytes();
        let text = length_prefixed(&[tenant.as_bytes(), sealed_as.as_bytes(), kind, &kid.0]);
        let place = text.len() - length_prefixed_len(&[kind, &kid.0]);
        Self { kid, cipher, hedge: None, text, place }
    }

    /// To open and seal values.
    pub fn sealing(key: &SubjectKey, kid: Kid, tenant: &str, sealed_as: &str) -> Self {
        let parts: [&[u8]; 3] = [b"privet/hedge/v1", tenant.as_bytes(), sealed_as.as_bytes()];
        let hedge: Secret = derive(key.secret(), &parts);
        Self { hedge: Some(Mac::new(&hedge)), ..Self::opening(key, kid, tenant, sealed_as) }
    }

    /// Opens a value: what it is, and its bytes.
    pub fn open(
        &self,
        envelope: &Envelope,
    ) -> Result<(ValueKind, Zeroizing<Vec<u8>>), EnvelopeFault> {
        let mut plain = Zeroizing::new(Vec::with_capacity(envelope.body.len()));
        let kind = self.open_into(envelope, &mut plain)?;
        Ok((kind, plain))
    }

    /// Appends the bytes of a value, and says what it is. Nothing is appended when it does not open.
    pub fn open_into(
        &self,
        envelope: &Envelope,
        out: &mut Vec<u8>,
    ) -> Result<ValueKind, EnvelopeFault> {
        if envelope.kid != self.kid {
            return Err(EnvelopeFault::Forged);
        }
        let (body, tag) =
            envelope.body.split_last_chunk::<TAG_LEN>().ok_or(EnvelopeFault::Damaged)?;
        let start = out.len();
        for kind in ValueKind::ALL {
            // Anew for each: a cipher that had begun to decrypt must not go on from there.
            out.extend_from_slice(body);
            let plain = out.get_mut(start..).unwrap_or_default();
            if self.decrypt(&envelope.nonce, &self.context(kind), plain, tag) {
                return Ok(kind);
            }
            out.get_mut(start..).unwrap_or_default().zeroize();
            out.truncate(start);
        }
        Err(EnvelopeFault::Forged)
    }

    /// Appends the envelope of a value. `random` is fresh randomness. Fails, and appends nothing,
    /// for a key that only opens.
    pub fn seal(
        &self,
        kind: ValueKind,
        plain: &[u8],
        random: &[u8; 16],
        out: &mut Vec<u8>,
    ) -> Result<(), EnvelopeFault> {
        let hedge = self.hedge.as_ref().ok_or(EnvelopeFault::Forged)?;
        let context = self.context(kind);
        let code = hedge.of_parts(&[random, &context, plain]);
        let nonce = code.first_chunk::<NONCE_LEN>().ok_or(EnvelopeFault::Forged)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_LEN + plain.len() + TAG_LEN));
        bytes.extend_from_slice(&[VERSION, SUITE]);
        bytes.extend_from_slice(&self.kid.0);
        bytes.extend_from_slice(nonce);
        bytes.extend_from_slice(plain);
        let body = bytes.get_mut(HEAD_LEN..).unwrap_or_default();
        let tag = self.encrypt(nonce, &context, body).ok_or(EnvelopeFault::Forged)?;
        bytes.extend_from_slice(&tag);
        out.extend_from_slice(PREFIX.as_bytes());
        let start = out.len();
        out.resize(start + (bytes.len() * 4).div_ceil(3), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let written = URL_SAFE_NO_PAD.encode_slice(bytes.as_slice(), room).unwrap_or_default();
        out.truncate(start + written);
        Ok(())
    }

    /// Decrypts in place when the tag is right.
    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        context: &[u8],
        body: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> bool {
        let (nonce, tag) = (nonce.into(), tag.into());
        self.cipher.decrypt_inout_detached(nonce, context, body.into(), tag).is_ok()
    }

    /// Encrypts in place and gives the tag.
    fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        context: &[u8],
        body: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        self.cipher.encrypt_inout_detached(nonce.into(), context, body.into()).ok().map(Into::into)
    }

    /// What is authenticated beside a value.
    fn context(&self, kind: ValueKind) -> Cow<'_, [u8]> {
        if kind == ValueKind::Text {
            return Cow::Borrowed(&self.text);
        }
        let mut context = self.text.get(..self.place).unwrap_or_default().to_vec();
        context.extend(length_prefixed(&[kind.as_str().as_bytes(), &self.kid.0]));
        Cow::Owned(context)
    }
}

const PREFIX: &str = "pvt1_";
const VERSION: u8 = 1;
const SUITE: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEAD_LEN: usize = 2 + 16 + NONCE_LEN;

#[cfg(test)]
impl FieldKey {
    /// Uses `key` for the cipher as it is, so that published answers can be compared.
    pub(super) fn with_cipher_key(key: &[u8; 32]) -> Self {
        let cipher = Gcm::new(key.into());
        Self { kid: Kid([0; 16]), cipher, hedge: None, text: Vec::new(), place: 0 }
    }

    /// The plaintext of a published answer.
    pub(super) fn published(
        &self,
        nonce: &[u8],
        aad: &[u8],
        ct: &[u8],
        tag: &[u8],
    ) -> Option<Vec<u8>> {
        let mut body = ct.to_vec();
        let (nonce, tag) = (nonce.try_into().unwrap(), tag.try_into().unwrap());
        self.decrypt(nonce, aad, &mut body, tag).then_some(body)
    }

    /// The ciphertext and tag of a published answer.
    pub(super) fn publish(&self, nonce: &[u8], aad: &[u8], plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut body = plain.to_vec();
        let tag = self.encrypt(nonce.try_into().unwrap(), aad, &mut body).unwrap();
        (body, tag.to_vec())
    }
}

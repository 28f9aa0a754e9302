//! SHA-256, HMAC-SHA-256, and keys derived with HKDF-Expand.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac as _;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA-256 of `message` under `key` of any length.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    Mac::keyed(key).of(&[message])
}

/// Each part after its length as four big-endian bytes, so that no two lists of parts give the
/// same text: ("ab", "c") and ("a", "bc") differ.
pub fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(length_prefixed_len(parts));
    for part in parts {
        text.extend_from_slice(&prefix(part));
        text.extend_from_slice(part);
    }
    text
}

/// How long [`length_prefixed`] makes parts.
pub(super) fn length_prefixed_len(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len() + 4).sum()
}

/// A key derived from `key` for the use that `info` names: HKDF-Expand with SHA-256 over the
/// length-prefixed parts. There is no extract step because every [`Secret`] is uniform already.
pub fn derive(key: &Secret, info: &[&[u8]]) -> Secret {
    // INVARIANT: for one block of output HKDF-Expand is HMAC(key, info ‖ 0x01) (RFC 5869 §2.3).
    let mut mac = Mac::keyed(key.expose()).0;
    for part in info {
        mac.update(&prefix(part));
        mac.update(part);
    }
    mac.update(&[1]);
    Secret::new(mac.finalize().into_bytes().into())
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// HMAC-SHA-256 with its key already absorbed: cheaper than [`hmac_sha256`] from the second use.
/// The state is wiped on drop.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct Mac(Hmac<Sha256>);

impl Mac {
    /// Absorbs a key.
    pub fn new(key: &Secret) -> Self {
        Self::keyed(key.expose())
    }

    fn keyed(key: &[u8]) -> Self {
        match Hmac::new_from_slice(key) {
            Ok(mac) => Self(mac),
            // HMAC takes a key of every length; the signature is the trait's.
            Err(_) => Self(Hmac::new(&Default::default())),
        }
    }

    /// The code of the concatenation of `pieces`.
    pub fn of(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        mac.finalize().into_bytes().into()
    }

    /// The code of `parts`, each after its length (see [`length_prefixed`]).
    pub fn of_parts(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&prefix(part));
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The first 16 bytes of [`Self::of_parts`].
    pub fn short(&self, parts: &[&[u8]]) -> [u8; 16] {
        first_16(&self.of_parts(parts))
    }
}

/// The first half of a code.
pub(super) fn first_16(code: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
    half
}

fn prefix(part: &[u8]) -> [u8; 4] {
    // Nothing hashed here comes near 4 GiB; if it did, the cut length would still be followed by
    // the whole part, so the text stays as long as what was hashed.
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

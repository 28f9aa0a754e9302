//! Sealing a short secret with AES-256-GCM.

use aes::Aes256Enc;
use aes_gcm::AesGcm;
use aes_gcm::aead::Aead;
use aes_gcm::aead::KeyInit;
use aes_gcm::aead::Payload;
use aes_gcm::aead::consts::U12;
use zeroize::Zeroizing;

use super::mac::Mac;
use super::mac::derive;
use super::secret::Secret;

/// Bytes that sealing adds: a nonce of 12 and a tag of 16.
pub const SEAL_OVERHEAD: usize = NONCE_LEN + 16;

/// The sealed bytes were not made with this key and context, or are damaged. One error for every
/// cause: a finer one would tell an attacker which part to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the sealed value does not open with this key in this place")]
pub struct Unsealable;

/// AES-256-GCM. The mode only ever encrypts blocks, so the keys that decrypt them are not made.
pub(super) type Gcm = AesGcm<Aes256Enc, U12>;

/// A key that seals: nonce (12) ‖ ciphertext ‖ tag (16).
///
/// The nonce is hedged: HMAC under a derived key over random ‖ context ‖ plaintext. A random
/// source that repeats itself, such as that of a restored virtual machine, then repeats a nonce
/// only for the same plaintext in the same context.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct SealKey {
    cipher: Gcm,
    hedge: Mac,
}

impl SealKey {
    /// Derives the cipher key and the hedge key from `key`, so that neither is `key` itself.
    pub fn new(key: &Secret) -> Self {
        let cipher_key = derive(key, &[b"privet/seal/v1", b"cipher"]);
        let hedge = derive(key, &[b"privet/seal/v1", b"hedge"]);
        Self { cipher: Gcm::new(cipher_key.expose().into()), hedge: Mac::new(&hedge) }
    }

    /// Seals `plaintext`. `context` says where the sealed value belongs; opening it anywhere else
    /// fails. `random` is fresh randomness.
    pub fn seal(
        &self,
        plaintext: &[u8],
        context: &[u8],
        random: &[u8; 16],
    ) -> Result<Vec<u8>, Unsealable> {
        let code = self.hedge.of_parts(&[random, context, plaintext]);
        let (nonce, _) = code.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable)?;
        let sealed = self
            .cipher
            .encrypt(nonce.into(), Payload { msg: plaintext, aad: context })
            .map_err(|_| Unsealable)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Self::seal`] made with the same key and context.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable)?;
        self.cipher
            .decrypt(nonce.into(), Payload { msg: body, aad: context })
            .map(Zeroizing::new)
            .map_err(|_| Unsealable)
    }
}

const NONCE_LEN: usize = 12;

#[cfg(test)]
impl SealKey {
    /// Uses `key` for the cipher as it is, so that published answers can be compared.
    pub(super) fn with_cipher_key(key: &[u8; 32]) -> Self {
        Self { cipher: Gcm::new(key.into()), hedge: Mac::new(&Secret::new([0; 32])) }
    }
}

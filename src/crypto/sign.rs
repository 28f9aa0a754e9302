//! Ed25519 signatures.

use ed25519_dalek::Signature;
use ed25519_dalek::Signer as _;
use ed25519_dalek::SigningKey;
use ed25519_dalek::VerifyingKey;

use super::secret::Secret;

/// The signature does not belong to this message and key, or one of them is malformed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A private Ed25519 key. Wiped on drop.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct Signer(SigningKey);

impl Signer {
    /// The key of a 32-byte seed (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// Signs `message`. Never verifies against a public key given by someone else.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The public half.
    pub fn verifier(&self) -> Verifier {
        Verifier(self.0.verifying_key())
    }
}

/// A public Ed25519 key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verifier(VerifyingKey);

impl Verifier {
    /// Reads the 32 bytes of a public key; refuses points that are not on the curve and keys of
    /// small order, under which one signature fits many messages.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadSignature> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadSignature)?;
        if key.is_weak() { Err(BadSignature) } else { Ok(Self(key)) }
    }

    /// The 32 bytes of the key.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Checks `signature` over `message`, strictly: no malleable or small-order values.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

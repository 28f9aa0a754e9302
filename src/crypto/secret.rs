//! Key bytes that cannot be printed and are wiped when dropped.

use zeroize::Zeroize;
use zeroize::ZeroizeOnDrop;

/// 256 secret bits. Wiped on drop; has no `Clone`, no `Debug`, no `Display` and no serialised form
/// (`hygiene` holds every key type to that).
#[expect(missing_debug_implementations, reason = "it is a key")]
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes 32 bytes that are uniformly random or came out of a key derivation.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a secret from exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes themselves. Named so that a reviewer can search for every use.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

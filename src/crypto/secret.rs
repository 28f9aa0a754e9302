//! Key bytes that print nothing and are wiped when dropped.

use std::fmt;

use zeroize::Zeroize;
use zeroize::ZeroizeOnDrop;

/// 256 secret bits. Wiped on drop; has no `Clone`, no `Display`, no serialised form, and its
/// `Debug` shows no byte.
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

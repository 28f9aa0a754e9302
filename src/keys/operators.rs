//! The second factors of operators, sealed in the operators file.
//!
//! The key is derived from the slot `tokens`, which can be opened without the subject keys: the
//! command line seals while the gateway runs and holds those.

use zeroize::Zeroizing;

use super::config::KeysConfig;
use super::error::KeysError;
use super::files;
use super::ring::FIRST;
use super::ring::KeyRing;
use super::root;
use super::slots::Slot;
use super::slots::Slots;
use crate::crypto::Mac;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::Unsealable;
use crate::crypto::length_prefixed;

/// Seals what proves an operator's second factor.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct OperatorSecrets(SealKey);

impl OperatorSecrets {
    /// Opens the root key and one slot, and nothing that a running gateway holds.
    pub async fn read(config: &KeysConfig) -> Result<Self, KeysError> {
        // The root key and the slot are of one time.
        let _alone = files::lock(&config.dir)?;
        let slots = Slots::new(&config.dir, &config.tenant, root::open(&config.root).await?);
        let tokens = slots.open(Slot::Tokens, FIRST).await?;
        Ok(Self::derived(&Mac::new(&tokens)))
    }

    pub(super) fn derived(tokens: &Mac) -> Self {
        let key = Secret::new(tokens.of_parts(&[b"privet/operator totp/v1"]));
        Self(SealKey::new(&key))
    }

    /// Seals `secret` for the operator `name`; opened for another name it does not open.
    pub fn seal(
        &self,
        name: &str,
        secret: &[u8],
        random: &[u8; 16],
    ) -> Result<Vec<u8>, Unsealable> {
        self.0.seal(secret, &context(name), random)
    }

    /// Opens what was sealed for the operator `name`.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        self.0.open(sealed, &context(name))
    }
}

impl KeyRing {
    /// What opens the second factors of operators.
    pub fn operator_secrets(&self) -> OperatorSecrets {
        OperatorSecrets::derived(self.tokens())
    }
}

fn context(name: &str) -> Vec<u8> {
    length_prefixed(&[b"privet/operator/v1", name.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_factor_opens_for_its_operator_and_its_keys_alone() {
        let of = |byte| OperatorSecrets::derived(&Mac::new(&Secret::new([byte; 32])));
        let sealed = of(1).seal("ada", &[7; 20], &[0; 16]).unwrap();
        assert_eq!(of(1).open("ada", &sealed).unwrap().as_slice(), [7; 20]);
        assert!(of(1).open("ben", &sealed).is_err());
        assert!(of(2).open("ada", &sealed).is_err());
        assert!(of(1).open("ada", &sealed[1..]).is_err());
    }
}

//! Slots: one long-lived key each, sealed by the root key, in a file of its own.
//!
//! A file of its own can be overwritten and unlinked; that is how an epoch ends.

use std::path::Path;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::KeysError;
use super::files;
use crate::clock::Entropy;
use crate::crypto::KeyState;
use crate::crypto::SEAL_OVERHEAD;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::crypto::length_prefixed;

/// What a slot's key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    /// Signs the checkpoints of the audit log.
    Audit,
    /// Wraps the subject keys of one epoch.
    Epoch,
    /// Makes blind indexes.
    Index,
    /// Makes pseudonyms.
    Pseudonyms,
    /// Turns subject ids into the keys of their records.
    Records,
    /// Names the owners of credentials in the audit log.
    Tokens,
}

impl Slot {
    pub(super) const ALL: [Self; 6] =
        [Self::Audit, Self::Epoch, Self::Index, Self::Pseudonyms, Self::Records, Self::Tokens];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Epoch => "epoch",
            Self::Index => "index",
            Self::Pseudonyms => "pseudonyms",
            Self::Records => "records",
            Self::Tokens => "tokens",
        }
    }
}

/// The slots of one installation, and the key that opens them.
pub(super) struct Slots<'a> {
    folder: PathBuf,
    tenant: &'a str,
    seal: SealKey,
}

impl<'a> Slots<'a> {
    pub(super) fn new(dir: &Path, tenant: &'a str, root: &Secret) -> Self {
        let seal = SealKey::new(&derive(root, &[b"privet/root/v1", b"slots"]));
        Self { folder: folder(dir), tenant, seal }
    }

    /// Opens the key `number` of a slot.
    pub(super) fn open(&self, slot: Slot, number: u32) -> Result<Secret, KeysError> {
        let path = self.path(slot, number);
        let text = files::read(&path)?;
        let header = header(slot, number, KeyState::Active);
        let secret = text.strip_prefix(&header).and_then(|sealed| {
            let sealed = URL_SAFE_NO_PAD.decode(sealed.strip_suffix('\n')?).ok()?;
            let exact = sealed.len() == 32 + SEAL_OVERHEAD;
            let plain = exact.then(|| self.seal.open(&sealed, &self.context(&header)).ok())??;
            Secret::from_slice(&plain)
        });
        secret.ok_or(KeysError::Slot { path })
    }

    /// Makes the key `number` of a slot.
    pub(super) fn create(
        &self,
        slot: Slot,
        number: u32,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        files::create_folder(&self.folder)?;
        let path = self.path(slot, number);
        let secret = random_secret(entropy)?;
        let header = header(slot, number, KeyState::Active);
        let mut random = [0; 16];
        entropy.fill(&mut random).map_err(KeysError::Entropy)?;
        let sealed = self.seal.seal(secret.expose(), &self.context(&header), &random);
        let sealed = sealed.map_err(|_| KeysError::Slot { path: path.clone() })?;
        files::create(&path, &format!("{header}{}\n", URL_SAFE_NO_PAD.encode(sealed)))
    }

    pub(super) fn path(&self, slot: Slot, number: u32) -> PathBuf {
        self.folder.join(format!("{}-{number}.key", slot.as_str()))
    }

    fn context(&self, header: &str) -> Vec<u8> {
        length_prefixed(&[self.tenant.as_bytes(), header.as_bytes()])
    }
}

/// The folder of slots below the keys' folder.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("slots")
}

/// A fresh key.
pub(super) fn random_secret(entropy: &dyn Entropy) -> Result<Secret, KeysError> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    entropy.fill(bytes.as_mut_slice()).map_err(KeysError::Entropy)?;
    Ok(Secret::new(*bytes))
}

fn header(slot: Slot, number: u32, state: KeyState) -> String {
    let (slot, state) = (slot.as_str(), state.code());
    format!("privet-slot/v1\nuse {slot}\nnumber {number}\nstate {state}\nsealed ")
}

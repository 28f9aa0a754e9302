//! Slots: one long-lived key each, wrapped by the root key, in a file of its own.
//!
//! A file of its own can be overwritten and unlinked; that is how an epoch ends.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::KeysError;
use super::files;
use super::root::Place;
use super::root::Root;
use crate::clock::Entropy;
use crate::crypto::KeyState;
use crate::crypto::Secret;
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
    /// Names the erased in the ledger of tombstones, and chains its entries.
    Ledger,
    /// Makes pseudonyms.
    Pseudonyms,
    /// Turns subject ids into the keys of their records.
    Records,
    /// Names the owners of credentials in the audit log.
    Tokens,
}

impl Slot {
    pub(super) const ALL: [Self; 7] = [
        Self::Audit,
        Self::Epoch,
        Self::Index,
        Self::Ledger,
        Self::Pseudonyms,
        Self::Records,
        Self::Tokens,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Epoch => "epoch",
            Self::Index => "index",
            Self::Ledger => "ledger",
            Self::Pseudonyms => "pseudonyms",
            Self::Records => "records",
            Self::Tokens => "tokens",
        }
    }
}

/// The slots of one installation, and who opens them.
pub(super) struct Slots {
    folder: PathBuf,
    tenant: String,
    root: Arc<dyn Root>,
}

impl Slots {
    pub(super) fn new(dir: &Path, tenant: &str, root: Arc<dyn Root>) -> Self {
        Self { folder: folder(dir), tenant: tenant.to_owned(), root }
    }

    /// The word of whoever holds the root key.
    pub(super) fn provider(&self) -> &'static str {
        self.root.kind()
    }

    /// Opens the key `number` of a slot.
    pub(super) async fn open(&self, slot: Slot, number: u32) -> Result<Secret, KeysError> {
        let path = self.path(slot, number);
        let text = files::read(&path)?;
        let header = header(slot, number, KeyState::Active);
        let wrapped = text.strip_prefix(&header).and_then(|sealed| sealed.strip_suffix('\n'));
        let place = self.place(slot, number, &header);
        let key = match wrapped {
            Some(wrapped) => self.root.unwrap(&place, wrapped).await?,
            None => None,
        };
        key.ok_or(KeysError::Slot { path })
    }

    /// Makes the key `number` of a slot.
    pub(super) async fn create(
        &self,
        slot: Slot,
        number: u32,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        files::create_folder(&self.folder)?;
        let secret = random_secret(entropy)?;
        let header = header(slot, number, KeyState::Active);
        let mut random = [0; 16];
        entropy.fill(&mut random).map_err(KeysError::Entropy)?;
        let place = self.place(slot, number, &header);
        let wrapped = self.root.wrap(&place, &secret, &random).await?;
        files::create(&self.path(slot, number), &format!("{header}{wrapped}\n"))
    }

    /// Ends the provider's own key of an epoch. The slot's file is another matter.
    pub(super) async fn destroy(&self, epoch: u32) -> Result<(), KeysError> {
        self.root.destroy(epoch).await
    }

    pub(super) fn path(&self, slot: Slot, number: u32) -> PathBuf {
        self.folder.join(format!("{}-{number}.key", slot.as_str()))
    }

    fn place(&self, slot: Slot, number: u32, header: &str) -> Place {
        let context = length_prefixed(&[self.tenant.as_bytes(), header.as_bytes()]);
        Place { slot, number, context }
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

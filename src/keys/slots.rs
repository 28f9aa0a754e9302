//! Slots: one long-lived key each, wrapped by the root key, in a file of its own.
//!
//! A file of its own can be overwritten and unlinked; that is how an epoch ends.

use std::fs;
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

/// A slot as it stands on disk.
pub(super) struct Stored {
    pub(super) place: Place,
    /// What the root key made of the slot's key.
    pub(super) wrapped: String,
    header: String,
    path: PathBuf,
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

    /// The same slots, opened by another holder of the root key.
    pub(super) fn held_by(&self, root: Arc<dyn Root>) -> Self {
        Self { folder: self.folder.clone(), tenant: self.tenant.clone(), root }
    }

    /// Whoever opens them.
    pub(super) fn root(&self) -> Arc<dyn Root> {
        Arc::clone(&self.root)
    }

    /// Opens the key `number` of a slot.
    pub(super) async fn open(&self, slot: Slot, number: u32) -> Result<Secret, KeysError> {
        let stored = self.read(slot, number)?;
        let key = self.root.unwrap(&stored.place, &stored.wrapped).await?;
        key.ok_or(KeysError::Slot { path: stored.path })
    }

    fn read(&self, slot: Slot, number: u32) -> Result<Stored, KeysError> {
        let path = self.path(slot, number);
        let text = files::read(&path)?;
        let header = header(slot, number, KeyState::Active);
        let wrapped = text.strip_prefix(&header).and_then(|sealed| sealed.strip_suffix('\n'));
        match wrapped {
            Some(wrapped) => {
                let (wrapped, place) = (wrapped.to_owned(), self.place(slot, number, &header));
                Ok(Stored { place, wrapped, header, path })
            }
            None => Err(KeysError::Slot { path }),
        }
    }

    /// Every slot there is. Refuses a file that this release does not know.
    pub(super) fn stored(&self) -> Result<Vec<Stored>, KeysError> {
        let mut found = Vec::new();
        for path in self.files()?.into_iter().filter(|path| !is_fresh(path)) {
            let named = path.file_name().and_then(|name| parse(name.to_str()?));
            let Some((slot, number)) = named else { return Err(KeysError::Stranger { path }) };
            found.push(self.read(slot, number)?);
        }
        Ok(found)
    }

    /// Wraps every slot by the newest root key, and has each opened by it, as it stands on disk
    /// then. Says how many were wrapped anew. Once it is done no file here holds what an older
    /// root key wrapped; before, each holds what one of both did.
    pub(super) async fn rewrap(&self, entropy: &dyn Entropy) -> Result<u32, KeysError> {
        let mut rewrapped = 0;
        for stored in self.stored()? {
            if self.root.is_newest(&stored.place, &stored.wrapped).await? {
                continue;
            }
            let Stored { place, wrapped, header, path } = stored;
            let key = self.root.unwrap(&place, &wrapped).await?;
            let key = key.ok_or_else(|| KeysError::Slot { path: path.clone() })?;
            let wrapped = self.wrap(&place, &key, entropy).await?;
            files::exchange(&path, &format!("{header}{wrapped}\n"), entropy)?;
            rewrapped += 1;
        }
        for Stored { place, wrapped, path, .. } in self.stored()? {
            if !self.root.is_newest(&place, &wrapped).await? {
                return Err(KeysError::Slot { path });
            }
        }
        self.sweep(entropy)?;
        Ok(rewrapped)
    }

    /// Destroys what a kill has left of slots that were made or replaced.
    pub(super) fn sweep(&self, entropy: &dyn Entropy) -> Result<(), KeysError> {
        let left = self.files()?.into_iter().filter(|path| is_fresh(path));
        left.into_iter().try_for_each(|path| files::shred(&path, entropy))
    }

    fn files(&self) -> Result<Vec<PathBuf>, KeysError> {
        let entries = fs::read_dir(&self.folder).map_err(KeysError::io("read", &self.folder))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<Result<_, _>>().map_err(KeysError::io("read", &self.folder))
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
        let place = self.place(slot, number, &header);
        let wrapped = self.wrap(&place, &secret, entropy).await?;
        files::create(&self.path(slot, number), &format!("{header}{wrapped}\n"))
    }

    async fn wrap(
        &self,
        place: &Place,
        key: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<String, KeysError> {
        let mut random = [0; 16];
        entropy.fill(&mut random).map_err(KeysError::Entropy)?;
        self.root.wrap(place, key, &random).await
    }

    /// Ends the provider's own key of an epoch. The slot's file is another matter.
    pub(super) async fn destroy(&self, epoch: u32) -> Result<(), KeysError> {
        self.root.destroy(epoch).await
    }

    pub(super) fn path(&self, slot: Slot, number: u32) -> PathBuf {
        self.folder.join(name(slot, number))
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

fn name(slot: Slot, number: u32) -> String {
    format!("{}-{number}.key", slot.as_str())
}

/// Reads what [`name`] made.
fn parse(text: &str) -> Option<(Slot, u32)> {
    let (word, number) = text.strip_suffix(".key")?.rsplit_once('-')?;
    let slot = Slot::ALL.into_iter().find(|slot| slot.as_str() == word)?;
    let number = number.parse().ok()?;
    (name(slot, number) == text).then_some((slot, number))
}

/// Whether a file is one that was about to take the place of a slot, or had just left it.
fn is_fresh(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "new")
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

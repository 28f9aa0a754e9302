//! A root key in a file, sealed by a passphrase. It is open in memory while the ring is.
//!
//! While one root key takes the place of another there are two files, sealed by the same
//! passphrase: `PATH` holds the one in force and `PATH.next` the other. Which of them is the newer
//! only the slots can tell; whatever both hold opens, with either in force.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::Answer;
use super::Change;
use super::Place;
use super::Root;
use crate::clock::Entropy;
use crate::crypto;
use crate::crypto::KdfCost;
use crate::crypto::RootFileError;
use crate::crypto::SEAL_OVERHEAD;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::keys::error::KeysError;
use crate::keys::files;
use crate::keys::slots::Stored;
use crate::keys::slots::random_secret;

/// The root key in force, and while it is being replaced the other one.
pub(super) struct FileRoot {
    path: PathBuf,
    passphrase_file: PathBuf,
    /// Wraps, and opens.
    first: Arc<Opened>,
    /// Opens.
    second: Option<Arc<Opened>>,
}

/// The key that wraps slots, derived from a root key.
struct Opened {
    seal: SealKey,
    /// Derived from the root key, and tells nothing of it.
    name: String,
}

impl Opened {
    fn new(root: &Secret) -> Self {
        let name = derive(root, &[b"privet/root/v1", b"name"]);
        let name = name.expose().iter().take(NAME_LEN).map(|byte| format!("{byte:02x}")).collect();
        Self { seal: SealKey::new(&derive(root, &[b"privet/root/v1", b"slots"])), name }
    }

    fn seal(&self, place: &Place, key: &Secret, random: &[u8; 16]) -> Option<String> {
        let sealed = self.seal.seal(key.expose(), &place.context, random).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn unseal(&self, place: &Place, wrapped: &str) -> Option<Secret> {
        let sealed = URL_SAFE_NO_PAD.decode(wrapped).ok()?;
        let exact = sealed.len() == 32 + SEAL_OVERHEAD;
        let plain = exact.then(|| self.seal.open(&sealed, &place.context).ok())??;
        Secret::from_slice(&plain)
    }
}

impl FileRoot {
    /// Blocks for the time of one key derivation; of two, while the root key is being replaced.
    pub(super) fn open(path: &Path, passphrase_file: &Path) -> Result<Self, KeysError> {
        let (first, next) = (unseal(path, passphrase_file)?, next_file(path));
        let second = next.exists().then(|| unseal(&next, passphrase_file)).transpose()?;
        Ok(Self {
            path: path.to_path_buf(),
            passphrase_file: passphrase_file.to_path_buf(),
            first: Arc::new(first),
            second: second.map(Arc::new),
        })
    }

    /// Reads the files again: what was opened at the start may have been replaced since.
    async fn reopen(&self) -> Result<Self, KeysError> {
        let (path, passphrase_file) = (self.path.clone(), self.passphrase_file.clone());
        let opened = tokio::task::spawn_blocking(move || Self::open(&path, &passphrase_file));
        opened.await.unwrap_or(Err(KeysError::Interrupted))
    }

    /// Whether some slot opens with the second key alone.
    fn needs_second(&self, stored: &[Stored]) -> bool {
        let by = |key: &Opened, slot: &Stored| key.unseal(&slot.place, &slot.wrapped).is_some();
        self.second.as_ref().is_some_and(|second| {
            stored.iter().any(|slot| !by(&self.first, slot) && by(second, slot))
        })
    }

    /// Destroys every file of a root key but the one in force.
    fn discard(&self, entropy: &dyn Entropy) -> Result<(), KeysError> {
        let (next, gone) = (next_file(&self.path), files::beside(&self.path, ".old"));
        for left in [&gone, &files::beside(&self.path, ".new"), &files::beside(&next, ".new")] {
            files::shred(left, entropy)?;
        }
        // Under its own name it would be opened at a start, also when it is half overwritten.
        if next.exists() {
            files::rename(&next, &gone)?;
        }
        files::shred(&gone, entropy)
    }

    async fn successor(&self, change: Change<'_>) -> Result<Arc<dyn Root>, KeysError> {
        let found = self.reopen().await?;
        if found.first.name != change.from {
            // An earlier call came to its end, but for the file of the one before.
            if found.needs_second(change.stored) {
                return Err(KeysError::Slot { path: found.path });
            }
            found.discard(change.entropy)?;
            return Ok(Arc::new(Self { second: None, ..found }));
        }
        if !found.needs_second(change.stored) {
            // Without a slot nobody knows whose key it is.
            found.discard(change.entropy)?;
            let sealed = self.make(change.cost, change.entropy).await?;
            files::create(&next_file(&self.path), &sealed)?;
        }
        // As it will be opened at the next start.
        let Self { first, second, path, passphrase_file } = self.reopen().await?;
        let next = second.ok_or_else(|| KeysError::Missing { path: next_file(&path) })?;
        Ok(Arc::new(Self { path, passphrase_file, first: next, second: Some(first) }))
    }

    async fn make(&self, cost: KdfCost, entropy: &dyn Entropy) -> Result<String, KeysError> {
        let (root, random) = fresh(entropy)?;
        let (path, passphrase_file) = (next_file(&self.path), self.passphrase_file.clone());
        let sealed = tokio::task::spawn_blocking(move || {
            seal(&root, (&path, &read_passphrase(&passphrase_file)?), cost, &random)
        });
        sealed.await.unwrap_or(Err(KeysError::Interrupted))
    }
}

impl Root for FileRoot {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn wrap<'a>(
        &'a self,
        place: &'a Place,
        key: &'a Secret,
        random: &'a [u8; 16],
    ) -> Answer<'a, String> {
        let wrapped = self.first.seal(place, key, random).ok_or(KeysError::Wrap);
        Box::pin(async { wrapped })
    }

    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>> {
        let second = || self.second.as_ref()?.unseal(place, wrapped);
        let key = self.first.unseal(place, wrapped).or_else(second);
        Box::pin(async { Ok(key) })
    }

    /// An epoch's key stands in its slot alone: unlinking the slot ends it.
    fn destroy(&self, _epoch: u32) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn name(&self, _stored: &[Stored]) -> String {
        self.first.name.clone()
    }

    fn is_newest<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, bool> {
        let is = self.first.unseal(place, wrapped).is_some();
        Box::pin(async move { Ok(is) })
    }

    fn next<'a>(self: Arc<Self>, change: Change<'a>) -> Answer<'a, Arc<dyn Root>> {
        Box::pin(async move { self.successor(change).await })
    }

    fn finish(self: Arc<Self>, entropy: &dyn Entropy) -> Answer<'_, Arc<dyn Root>> {
        Box::pin(async move {
            if self.second.is_none() {
                return Ok(self as Arc<dyn Root>);
            }
            files::swap(&next_file(&self.path), &self.path)?;
            self.discard(entropy)?;
            let (path, passphrase_file) = (self.path.clone(), self.passphrase_file.clone());
            let first = Arc::clone(&self.first);
            Ok(Arc::new(Self { path, passphrase_file, first, second: None }) as Arc<dyn Root>)
        })
    }

    fn settle(&self, stored: &[Stored], entropy: &dyn Entropy) -> Result<(), KeysError> {
        if self.needs_second(stored) {
            tracing::warn!("the root key was not replaced to the end: `privet key rotate root`");
            return Ok(());
        }
        self.discard(entropy)
    }
}

/// Makes a root key and seals it at `cost`, unless there is one.
pub(super) fn create(
    path: &Path,
    passphrase_file: &Path,
    slots: &Path,
    cost: KdfCost,
    entropy: &dyn Entropy,
) -> Result<(), KeysError> {
    if path.exists() {
        return Ok(());
    }
    if slots.exists() {
        return Err(KeysError::Lost { path: path.to_path_buf() });
    }
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    let passphrase = read_passphrase(passphrase_file)?;
    let (root, random) = fresh(entropy)?;
    files::create(path, &seal(&root, (path, &passphrase), cost, &random)?)
}

/// Seals the root key by the second passphrase instead of the first. Done again after a kill, it
/// finds that it is done.
pub(super) fn change_passphrase(
    path: &Path,
    (old_file, new_file): (&Path, &Path),
    cost: KdfCost,
    entropy: &dyn Entropy,
) -> Result<(), KeysError> {
    let next = next_file(path);
    if next.exists() {
        return Err(KeysError::RootUnderWay { path: next });
    }
    let new = read_passphrase(new_file)?;
    let root = match unseal_root(path, &read_passphrase(old_file)?) {
        Err(KeysError::Root { source: RootFileError::Unsealable, path: at }) => {
            let done = unseal_root(path, &new).is_ok();
            let refused = KeysError::Root { path: at, source: RootFileError::Unsealable };
            done.then_some(()).ok_or(refused)?;
            return files::shred(&files::beside(path, ".new"), entropy);
        }
        root => root?,
    };
    let (_, random) = fresh(entropy)?;
    files::exchange(path, &seal(&root, (path, &new), cost, &random)?, entropy)
}

/// Whether key and passphrase are there and for nobody else to read. Derives nothing.
pub(super) fn examine(path: &Path, passphrase_file: &Path) -> Result<(), KeysError> {
    files::read(path)?;
    read_passphrase(passphrase_file).map(drop)
}

fn fresh(entropy: &dyn Entropy) -> Result<(Secret, [u8; 32]), KeysError> {
    let root = random_secret(entropy)?;
    let mut random = [0; 32];
    entropy.fill(&mut random).map_err(KeysError::Entropy)?;
    Ok((root, random))
}

fn seal(
    root: &Secret,
    (path, passphrase): (&Path, &str),
    cost: KdfCost,
    random: &[u8; 32],
) -> Result<String, KeysError> {
    crypto::seal_root(root, passphrase.trim_end_matches(LINE_END).as_bytes(), cost, random)
        .map_err(|source| KeysError::Root { path: path.to_path_buf(), source })
}

fn unseal(path: &Path, passphrase_file: &Path) -> Result<Opened, KeysError> {
    // The key's file first: of a new site both may be missing, and this one says what to do.
    files::read(path)?;
    Ok(Opened::new(&unseal_root(path, &read_passphrase(passphrase_file)?)?))
}

fn unseal_root(path: &Path, passphrase: &str) -> Result<Secret, KeysError> {
    let text = files::read(path)?;
    crypto::open_root(&text, passphrase.trim_end_matches(LINE_END).as_bytes())
        .map_err(|source| KeysError::Root { path: path.to_path_buf(), source })
}

fn read_passphrase(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let passphrase = files::read(path)?;
    if passphrase.trim_end_matches(LINE_END).len() < MIN_PASSPHRASE {
        return Err(KeysError::Passphrase { path: path.to_path_buf() });
    }
    Ok(passphrase)
}

/// Where the other root key is while one is replaced.
fn next_file(path: &Path) -> PathBuf {
    files::beside(path, ".next")
}

const MIN_PASSPHRASE: usize = 12;
const LINE_END: [char; 2] = ['\r', '\n'];
/// Bytes of a root key's name.
const NAME_LEN: usize = 8;

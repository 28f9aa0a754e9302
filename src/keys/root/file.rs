//! A root key in a file, sealed by a passphrase. It is open in memory while the ring is.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::Answer;
use super::Place;
use super::Root;
use crate::clock::Entropy;
use crate::crypto;
use crate::crypto::KdfCost;
use crate::crypto::SEAL_OVERHEAD;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::keys::error::KeysError;
use crate::keys::files;
use crate::keys::slots::random_secret;

/// The key that wraps slots, derived from the root key.
pub(super) struct FileRoot(SealKey);

impl FileRoot {
    /// Blocks for the time of one key derivation.
    pub(super) fn open(path: &Path, passphrase_file: &Path) -> Result<Self, KeysError> {
        let text = files::read(path)?;
        let passphrase = read_passphrase(passphrase_file)?;
        let root = crypto::open_root(&text, passphrase.trim_end_matches(LINE_END).as_bytes())
            .map_err(|source| KeysError::Root { path: path.to_path_buf(), source })?;
        Ok(Self(SealKey::new(&derive(&root, &[b"privet/root/v1", b"slots"]))))
    }

    fn seal(&self, place: &Place, key: &Secret, random: &[u8; 16]) -> Option<String> {
        let sealed = self.0.seal(key.expose(), &place.context, random).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn unseal(&self, place: &Place, wrapped: &str) -> Option<Secret> {
        let sealed = URL_SAFE_NO_PAD.decode(wrapped).ok()?;
        let exact = sealed.len() == 32 + SEAL_OVERHEAD;
        let plain = exact.then(|| self.0.open(&sealed, &place.context).ok())??;
        Secret::from_slice(&plain)
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
        let wrapped = self.seal(place, key, random).ok_or(KeysError::Wrap);
        Box::pin(async { wrapped })
    }

    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>> {
        let key = self.unseal(place, wrapped);
        Box::pin(async { Ok(key) })
    }

    /// An epoch's key stands in its slot alone: unlinking the slot ends it.
    fn destroy(&self, _epoch: u32) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
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
    let root = random_secret(entropy)?;
    let mut random = [0; 32];
    entropy.fill(&mut random).map_err(KeysError::Entropy)?;
    let sealed =
        crypto::seal_root(&root, passphrase.trim_end_matches(LINE_END).as_bytes(), cost, &random);
    let sealed = sealed.map_err(|source| KeysError::Root { path: path.to_path_buf(), source })?;
    files::create(path, &sealed)
}

/// Whether key and passphrase are there and for nobody else to read. Derives nothing.
pub(super) fn examine(path: &Path, passphrase_file: &Path) -> Result<(), KeysError> {
    files::read(path)?;
    read_passphrase(passphrase_file).map(drop)
}

fn read_passphrase(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let passphrase = files::read(path)?;
    if passphrase.trim_end_matches(LINE_END).len() < MIN_PASSPHRASE {
        return Err(KeysError::Passphrase { path: path.to_path_buf() });
    }
    Ok(passphrase)
}

const MIN_PASSPHRASE: usize = 12;
const LINE_END: [char; 2] = ['\r', '\n'];

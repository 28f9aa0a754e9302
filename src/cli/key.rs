//! `privet key`: the keys that everything is sealed with.

use std::path::Path;

use crate::clock::SystemEntropy;
use crate::crypto::KdfCost;
use crate::keys::KeyRing;
use crate::keys::RootProvider;

use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::serve;

/// Makes whatever keys are missing, and says which. Where all are there, opens each and changes
/// nothing.
pub(super) fn init(config: &Path) -> Result<(), Failure> {
    let keys = check::load(config)?.config.keys;
    let made = serve::block_on(async {
        let made = KeyRing::init(&keys, KdfCost::DEFAULT, &SystemEntropy).await;
        made.map_err(|error| Failure::caused(Exit::Failed, &error))
    })?;
    for file in &made.files {
        tell(&format!("made {}", file.display()));
    }
    if made.indexes_lost {
        tell(
            "warning: the key of blind indexes was missing and is a new one: records are not found \
             by the indexes that stores hold until `privet store backfill SET --reindex` has made \
             them anew. If you have a copy of the missing file, put it back instead.",
        );
    }
    let holder = match &keys.root {
        RootProvider::File { path, .. } => format!("`{}`", path.display()),
        RootProvider::OpenBao(bao) => format!("`{}` at `{}`", bao.key, bao.url),
        RootProvider::Pkcs11(token) => {
            format!("`{}` on the token `{}`", token.key_label, token.token_label)
        }
    };
    data(&format!(
        "ok: every key is there and opens with {holder}\nBack up `{}`, apart from whatever holds \
         the root key.\n",
        keys.dir.display()
    ))
}

/// Seals the root key's file by the passphrase in `new_file`.
pub(super) fn passphrase(config: &Path, new_file: &Path) -> Result<(), Failure> {
    let keys = check::load(config)?.config.keys;
    KeyRing::change_passphrase(&keys, new_file, KdfCost::DEFAULT, &SystemEntropy)
        .map_err(|error| Failure::caused(Exit::Failed, &error))?;
    let RootProvider::File { path, passphrase_file } = &keys.root else { return Ok(()) };
    data(&format!(
        "ok: `{}` opens with the new passphrase\nBefore the next start, put that into `{}`.\n\
         Copies of the older file still open with the older passphrase: `privet key rotate root` \
         makes them worthless.\n",
        path.display(),
        passphrase_file.display()
    ))
}

//! `privet key`: the keys that everything is sealed with.

use std::path::Path;

use crate::clock::SystemEntropy;
use crate::crypto::KdfCost;
use crate::keys::KeyRing;
use crate::keys::RootProvider;

use super::check;
use super::exit::{Exit, Failure, data};
use super::serve;

/// Makes whatever keys are missing. Where all are there, opens each and changes nothing.
pub(super) fn init(config: &Path) -> Result<(), Failure> {
    let keys = check::load(config)?.config.keys;
    serve::block_on(async {
        let made = KeyRing::init(&keys, KdfCost::DEFAULT, &SystemEntropy).await;
        made.map_err(|error| Failure::caused(Exit::Failed, &error))
    })?;
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

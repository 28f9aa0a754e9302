//! Replacing the root key by the next, while traffic goes on.
//!
//! 1. The next root key is made, beside the one in force.
//! 2. Each slot is wrapped by it, in a file that takes the place of the older one in one step.
//! 3. It is put in force. Where the one before is a file, that is destroyed.
//!
//! Slots say by which of both they were wrapped, or one after the other is tried: killed at any
//! point, the next start opens all of them, and doing it again goes on where it stopped. Nothing
//! below the slots changes, so nobody who reads or writes meanwhile is held up.

use std::path::Path;

use super::config::KeysConfig;
use super::error::KeysError;
use super::files;
use super::home::Files;
use super::home::Home;
use super::ring::KeyRing;
use super::root;
use super::root::Change;
use crate::clock::Entropy;
use crate::crypto::KdfCost;

/// What replacing the root key came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Renewed {
    /// The name of the root key in force.
    pub name: String,
    /// How many slots were wrapped anew by this call.
    pub slots: u32,
    /// What is left to do at the provider to end the one before.
    pub left_to_do: Option<&'static str>,
}

impl KeyRing {
    /// The name of the root key in force: what tells it from those before and after it. No secret.
    pub fn root_name(&self) -> Result<String, KeysError> {
        let slots = self.in_files()?.slots();
        Ok(slots.root().name(&slots.stored()?))
    }

    /// Replaces the root key named `from`. Where that was done already, or in part, the rest is.
    /// `cost` is what a sealed file will cost to open. After an error everything opens, now and
    /// after a restart; call it again.
    ///
    /// Dropped half way, it goes on by itself.
    pub async fn renew_root(&self, from: &str, cost: KdfCost) -> Result<Renewed, KeysError> {
        let (ring, from) = (self.clone(), from.to_owned());
        let work = tokio::spawn(async move { ring.renew_root_here(&from, cost).await });
        work.await.unwrap_or(Err(KeysError::Interrupted))
    }

    pub(super) async fn renew_root_here(
        &self,
        from: &str,
        cost: KdfCost,
    ) -> Result<Renewed, KeysError> {
        let home = self.in_files()?;
        // No epoch begins or ends meanwhile, so no slot comes or goes.
        let _one = self.0.epochs.rolling.lock().await;
        let _alone = files::lock(&home.dir)?;
        let entropy = self.0.entropy.as_ref();
        let slots = home.slots();
        let stored = slots.stored()?;
        let change = Change { from, stored: &stored, cost, entropy };
        let next = slots.held_by(slots.root().next(change).await?);
        let rewrapped = next.rewrap(entropy).await?;
        // From here on a new slot is wrapped by the next root key: it can no longer be lost, since
        // every other slot needs it too.
        home.hold(slots.held_by(next.root()));
        let root = next.root().finish(entropy).await?;
        let done = slots.held_by(root);
        let name = done.root().name(&done.stored()?);
        let left_to_do = done.root().left_to_do();
        home.hold(done);
        Ok(Renewed { name, slots: rewrapped, left_to_do })
    }

    /// Destroys what a kill has left of a root key that was being replaced.
    pub(super) fn settle(&self) -> Result<(), KeysError> {
        self.in_files().map_or(Ok(()), |home| home.settle(self.0.entropy.as_ref()))
    }

    /// Seals the root key's file by the passphrase in `new_file`, at `cost`. The file of the
    /// configured passphrase is left as it is; until it says the same, nothing opens at a start.
    /// Done again, it finds that it is done. Blocks for the time of three key derivations.
    pub fn change_passphrase(
        config: &KeysConfig,
        new_file: &Path,
        cost: KdfCost,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        let _alone = files::lock(&config.dir)?;
        root::change_passphrase(&config.root, new_file, cost, entropy)
    }

    fn in_files(&self) -> Result<&Files, KeysError> {
        match &self.0.home {
            Home::Files(files) => Ok(files),
            Home::Memory => Err(KeysError::NoRoot),
        }
    }
}

//! Asks whoever holds the root key whether it still opens the epoch, and wipes the keys when
//! there was no word for too long.

use std::time::Duration;

use tokio::time::Instant;

use super::error::KeysError;
use super::home::Home;
use super::ring::FIRST;
use super::ring::KeyRing;
use super::slots::Slot;
use crate::types::told;

/// What whoever holds unwrapped keys outside the ring is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LockChange {
    /// The ring is locked: let go of every key.
    Locked,
    /// The ring is about to be open again: forget what was found out while it was not.
    Unlocking,
}

impl KeyRing {
    /// Confirms the provider well before the time is up, for ever; at once over where the root key
    /// is in this process. `changed` is called when the ring locks and before it opens again.
    pub async fn keep(self, changed: impl Fn(LockChange) + Send + Sync) {
        let Some(cached) = self.0.lock.cached() else { return };
        let calm = (cached / 4).min(CALM);
        let (mut pause, mut answers) = (calm, true);
        loop {
            let attempt = async {
                tokio::time::sleep(pause).await;
                self.confirm(&changed).await
            };
            let open = self.0.lock.is_open();
            let asked = tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.0.lock.until()), if open => {
                    None
                }
                asked = attempt => Some(asked),
            };
            if !self.0.lock.is_open() {
                // Again at each attempt: an epoch may have been put in force meanwhile.
                self.0.epochs.current().wipe();
                self.0.values.wipe();
                self.0.metrics.locked.set(1);
                if open {
                    tracing::error!(
                        "no word from the root key's provider for too long: keys are locked"
                    );
                    changed(LockChange::Locked);
                }
            }
            pause = match asked {
                Some(Ok(())) => {
                    answers = true;
                    calm
                }
                Some(Err(error)) => {
                    self.0.metrics.unconfirmed.inc();
                    // Once for a silence, however long it takes.
                    if std::mem::replace(&mut answers, false) {
                        let (error, cached_s) = (told(&error), cached.as_secs());
                        tracing::warn!(
                            error,
                            cached_s,
                            "the root key's provider does not answer; keys lock when it is silent too long"
                        );
                    }
                    RETRY.min(calm)
                }
                None => Duration::ZERO,
            };
        }
    }

    /// Whether values can be opened and sealed at the moment.
    pub fn is_usable(&self) -> bool {
        self.0.lock.is_open()
    }

    /// Has the provider unwrap the key of the epoch in force, and compares.
    async fn confirm(&self, changed: &(impl Fn(LockChange) + Sync)) -> Result<(), KeysError> {
        let Home::Files(files) = &self.0.home else { return Ok(()) };
        let asked = Instant::now();
        let epoch = self.0.epochs.current();
        let slots = files.slots();
        let key = match slots.open(Slot::Epoch, epoch.number).await {
            // The next epoch is in force, and its key came from the provider.
            Err(_) if self.0.epochs.current().number != epoch.number => return Ok(()),
            key => key?,
        };
        if !epoch.is(&key) {
            return Err(KeysError::Slot { path: slots.path(Slot::Epoch, epoch.number) });
        }
        if self.0.values.is_locked() {
            let index = slots.open(Slot::Index, FIRST).await?;
            if !self.0.values.unlock(&index, slots.open(Slot::Pseudonyms, FIRST).await?) {
                return Err(KeysError::Slot { path: slots.path(Slot::Pseudonyms, FIRST) });
            }
        }
        if epoch.is_locked() {
            epoch.unlock(key);
        }
        if self.0.lock.is_open() {
            self.0.lock.confirm(asked);
            return Ok(());
        }
        changed(LockChange::Unlocking);
        self.0.lock.confirm(asked);
        if !self.0.lock.is_open() {
            // The answer was on its way for longer than it counts.
            return Err(KeysError::Unavailable);
        }
        self.0.metrics.locked.set(0);
        tracing::info!("the root key's provider answers: keys are open again");
        Ok(())
    }
}

/// Often enough to tell of trouble long before the time is up.
const CALM: Duration = Duration::from_secs(60);
/// Between attempts after one that failed.
const RETRY: Duration = Duration::from_secs(5);

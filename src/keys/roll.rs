//! Replacing an epoch by the next, while traffic goes on.
//!
//! 1. A new slot and a new engine are made.
//! 2. Every row is copied, its key wrapped anew; what changes meanwhile is copied again.
//! 3. The gate for changes closes, for the last changes alone.
//! 4. `current` names the new epoch. From here on there is no way back.
//! 5. The gate opens on the new epoch; the old one is destroyed: provider's key, slot, folder.
//!
//! Killed before 4, the next start finds the old epoch whole and destroys the new one; killed
//! after it, the other way round. People who were erased before 2 began are never copied, so once
//! 5 is done nothing that this process ever wrote can open what was theirs.

use std::sync::atomic::Ordering;

use super::epoch::BARRIER;
use super::epoch::Epoch;
use super::erase::MARK;
use super::erase::person;
use super::erase::remembered;
use super::error::KeysError;
use super::log_keys::UNLINKED;
use super::log_keys::kept_of;
use super::pending::KIDS;
use super::pending::kid_of;
use super::pending::owner;
use super::ring::KeyRing;
use super::subject_keys::RecordKey;
use crate::crypto::KeyGeneration;
use crate::crypto::LogKey;
use crate::crypto::PendingKey;
use crate::crypto::RecordFault;
use crate::crypto::SubjectKeyRecord;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateStore;
use crate::state::Tx;

/// What a roll came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rolled {
    /// The number of the epoch that is in force now.
    pub epoch: u32,
    /// How many rows were copied.
    pub copied: u64,
    /// How many tombstones are beyond recall now: no file of this site holds what could open
    /// anything of those people.
    pub covered: u64,
}

impl KeyRing {
    /// Replaces the epoch in force by the next and destroys it. `progress` hears how many rows
    /// have been copied. After an error the old epoch is in force, unless the error came when
    /// it was being destroyed: that is made good by the next roll, and at the next start.
    ///
    /// Dropped half way, it goes on by itself.
    pub async fn roll(
        &self,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Rolled, KeysError> {
        let ring = self.clone();
        let work = tokio::spawn(async move { ring.roll_here(&progress).await });
        let done = work.await.unwrap_or(Err(KeysError::Interrupted));
        match &done {
            Ok(_) => self.0.metrics.rolls.inc(),
            Err(_) => self.0.metrics.roll_failures.inc(),
        };
        done
    }

    pub(super) async fn roll_here(
        &self,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Rolled, KeysError> {
        let _one = self.0.epochs.rolling.lock().await;
        self.0.epochs.check_open()?;
        let (entropy, home) = (self.0.entropy.as_ref(), &self.0.home);
        let old = self.0.epochs.current();
        let number = old.number.checked_add(1).ok_or(KeysError::Epoch { epoch: old.number })?;
        self.0.epochs.copied.store(0, Ordering::SeqCst);
        // What an earlier roll could not destroy.
        home.destroy_others(old.number, entropy).await?;
        let mut copy = Copy { ring: self, old: &old, copied: 0, progress };
        let switched = match home.make(number, entropy, &self.0.metrics.engine).await {
            Ok((key, engine)) => {
                self.0.steps.done().await;
                copy.fill_and_switch(Epoch::new(number, key, engine)).await
            }
            Err(error) => Err(error),
        };
        let copied = copy.copied;
        let covered = match switched {
            Ok(covered) => covered,
            Err(error) => {
                // Of an epoch that may be in force at the next start nothing goes.
                if !matches!(error, KeysError::Closed)
                    && let Err(error) = home.destroy(number, entropy).await
                {
                    tracing::warn!(%error, "what is left of an epoch goes at the next start");
                }
                return Err(error);
            }
        };
        self.0.steps.done().await;
        // Nobody uses it any more; closing it waits for its writer.
        let closed = tokio::task::spawn_blocking(move || drop(old));
        closed.await.map_err(|_| KeysError::Interrupted)?;
        home.destroy_others(number, entropy).await?;
        self.0.steps.done().await;
        self.0.epochs.current().covered.store(covered, Ordering::SeqCst);
        Ok(Rolled { epoch: number, copied, covered })
    }

    /// Reads how many tombstones the epoch in force is beyond; called once, when what is left of
    /// the one before it has been destroyed.
    pub(super) async fn read_covered(&self) -> Result<(), KeysError> {
        let epoch = self.0.epochs.current();
        let covered = covered(&epoch.engine).await?;
        epoch.covered.store(covered, Ordering::SeqCst);
        Ok(())
    }
}

/// How many tombstones these subject keys are beyond.
pub(super) async fn covered(engine: &Engine) -> Result<u64, KeysError> {
    let found = engine.get(COVERED).await.map_err(KeysError::State)?;
    let count = match found {
        Some(found) => found.value.as_slice().try_into().map_err(|_| KeysError::Row)?,
        None => [0; 8],
    };
    Ok(u64::from_be_bytes(count))
}

/// A roll under way.
struct Copy<'a> {
    ring: &'a KeyRing,
    old: &'a Epoch,
    copied: u64,
    progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl Copy<'_> {
    /// Fills the new epoch, and puts it in force. Gives the number of tombstones it is beyond.
    async fn fill_and_switch(&mut self, new: Epoch) -> Result<u64, KeysError> {
        let ring = self.ring;
        let (covered, mut seen) = self.fill(&new).await?;
        let alone = ring.0.epochs.alone().await?;
        ring.0.steps.done().await;
        let last = self.old.settle().await?;
        while seen < last {
            seen = self.catch_up(&new, seen).await?;
        }
        let mut tx = Tx::new();
        tx.put(COVERED, covered.to_be_bytes().to_vec(), Expect::Any);
        put(&new.engine, tx).await?;
        // Erasures wait at the gate, so what both have carried out is the same.
        if remembered(&new.engine).await? != remembered(&self.old.engine).await? {
            return Err(KeysError::Row);
        }
        ring.0.steps.done().await;
        if let Err(error) = ring.0.home.commit(new.number) {
            if matches!(error, KeysError::Closed) {
                // Whatever is written to the old epoch now might be gone at the next start.
                ring.0.epochs.close(alone);
            }
            return Err(error);
        }
        ring.0.steps.done().await;
        ring.0.epochs.switch(alone, new).await;
        ring.0.metrics.epoch.set(i64::from(self.old.number) + 1);
        Ok(covered)
    }

    /// Copies every row. Gives the number of tombstones that were there before, and the revision
    /// of the old epoch up to which the new one is the same.
    async fn fill(&mut self, new: &Epoch) -> Result<(u64, Rev), KeysError> {
        let ring = self.ring;
        // Of those erased before this line nothing is copied.
        let covered = ring.0.ledger.high_water().count;
        let mut seen = self.old.settle().await?;
        let mut after = None::<Vec<u8>>;
        loop {
            let page = self.old.engine.scan(b"", after.as_deref(), PAGE).await;
            let page = page.map_err(KeysError::State)?;
            let mut tx = Tx::new();
            for item in &page.items {
                self.carry(new, &item.key, Some(&item.value.value), &mut tx)?;
            }
            put(&new.engine, tx).await?;
            ring.0.steps.done().await;
            self.copied += u64::try_from(page.items.len()).unwrap_or(0);
            ring.0.epochs.copied.store(self.copied, Ordering::SeqCst);
            (self.progress)(self.copied);
            // After each page, so that the list of changes never grows beyond what is kept of it.
            seen = self.catch_up(new, seen).await?;
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok((covered, seen));
            }
        }
    }

    /// Copies what was changed after `seen`, and gives the revision it has seen then.
    async fn catch_up(&self, new: &Epoch, mut seen: Rev) -> Result<Rev, KeysError> {
        loop {
            let changes = self.old.engine.changes(seen, PAGE).await.map_err(KeysError::State)?;
            let Some(last) = changes.last() else { return Ok(seen) };
            seen = last.rev;
            let mut keys: Vec<_> = changes.into_iter().flat_map(|change| change.keys).collect();
            keys.sort_unstable();
            keys.dedup();
            for keys in keys.chunks(PAGE) {
                let mut tx = Tx::new();
                for key in keys {
                    let found = self.old.engine.get(key).await.map_err(KeysError::State)?;
                    self.carry(new, key, found.as_ref().map(|found| &*found.value), &mut tx)?;
                }
                put(&new.engine, tx).await?;
            }
        }
    }

    /// What becomes of a row in the new epoch. A row that nobody knows stops the roll: what it
    /// holds might be wrapped by the epoch that is about to be destroyed.
    fn carry(
        &self,
        new: &Epoch,
        key: &[u8],
        value: Option<&[u8]>,
        tx: &mut Tx,
    ) -> Result<(), KeysError> {
        if [BARRIER, COVERED, UNLINKED].contains(&key) {
            return Ok(());
        }
        let Some(value) = value else {
            tx.delete(key, Expect::Any);
            return Ok(());
        };
        let carried = if let Some(record) = person(key) {
            self.is_alive(&record).then(|| self.subject(new, &record, value)).transpose()?
        } else if let Some(kid) = kid_of(key) {
            self.pending(new, kid, value)?
        } else if key.starts_with(KIDS) {
            let owner = owner(value).ok_or(KeysError::Row)?;
            self.is_alive(&owner).then(|| value.to_vec())
        } else if let Some(record) = kept_of(key) {
            self.ring.carry_kept((self.old, new), &record, value)?
        } else if key == MARK {
            Some(value.to_vec())
        } else {
            return Err(KeysError::Row);
        };
        match carried {
            Some(value) => tx.put(key, value, Expect::Any),
            None => tx.delete(key, Expect::Any),
        }
        Ok(())
    }

    fn is_alive(&self, record: &RecordKey) -> bool {
        !self.ring.0.ledger.has(record)
    }

    /// A person's keys, wrapped by the new epoch.
    fn subject(&self, new: &Epoch, at: &RecordKey, value: &[u8]) -> Result<Vec<u8>, KeysError> {
        let record = SubjectKeyRecord::decode(value).map_err(KeysError::Record)?;
        if record.epoch != self.old.number {
            return Err(KeysError::Epoch { epoch: record.epoch });
        }
        let domain = match &record.domain {
            Some(domain) => domain.clone(),
            None => self.domain_of(at, &record)?,
        };
        let (from, before) = self.ring.place(self.old, &domain, at)?;
        let (to, after) = self.ring.place(new, &domain, at)?;
        let mut generations = Vec::with_capacity(record.generations.len());
        for generation in &record.generations {
            let key = generation.unwrap(&from, &before).map_err(KeysError::Record)?;
            let place = (generation.number, generation.state);
            let wrapped = KeyGeneration::wrap(&key, place, &to, &after, &self.ring.hedge()?);
            generations.push(wrapped.map_err(KeysError::Record)?);
        }
        let log = match &record.log {
            Some(log) => {
                let log = LogKey::unwrap(log, &from, &before).map_err(KeysError::Record)?;
                let hedge = self.ring.hedge()?;
                Some(log.wrap(&to, &after, &hedge).map_err(KeysError::Record)?)
            }
            None => None,
        };
        let epoch = new.number;
        Ok(SubjectKeyRecord { epoch, domain: Some(domain), log, generations }.encode())
    }

    /// Records of the first version do not say their domain: it is the one under which they open.
    fn domain_of(&self, at: &RecordKey, record: &SubjectKeyRecord) -> Result<String, KeysError> {
        let first = record.generations.first().ok_or(KeysError::Row)?;
        let opens = |domain: &String| {
            let Ok((with, context)) = self.ring.place(self.old, domain, at) else { return false };
            first.unwrap(&with, &context).is_ok()
        };
        self.old.domains().into_iter().find(opens).ok_or(KeysError::Record(RecordFault::Unsealable))
    }

    /// A key that waits for its person, wrapped by the new epoch; nothing of one that has died:
    /// it ends with the old one.
    fn pending(
        &self,
        new: &Epoch,
        kid: crate::crypto::Kid,
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, KeysError> {
        let pending = PendingKey::decode(value).map_err(KeysError::Record)?;
        if self.ring.is_dead(&pending) {
            return Ok(None);
        }
        if pending.epoch != self.old.number {
            return Err(KeysError::Epoch { epoch: pending.epoch });
        }
        let tenant = &*self.ring.0.tenant;
        let key = pending.unwrap(&kid, (&*self.old.pending()?, tenant));
        let key = key.map_err(KeysError::Record)?;
        let place = (new.number, pending.made_ms, pending.set.as_str());
        let wrapped =
            PendingKey::wrap(&key, place, (&*new.pending()?, tenant), &self.ring.hedge()?);
        Ok(Some(wrapped.map_err(KeysError::Record)?.encode()))
    }
}

async fn put(engine: &Engine, tx: Tx) -> Result<(), KeysError> {
    if !tx.is_empty() {
        engine.commit(tx).await.map_err(KeysError::State)?;
    }
    Ok(())
}

/// Where a test may stop the work, as a kill would.
#[derive(Default)]
pub(super) struct Steps {
    #[cfg(test)]
    stop: std::sync::Mutex<Option<Stop>>,
}

#[cfg(test)]
struct Stop {
    left: u32,
    reached: std::sync::Arc<tokio::sync::Notify>,
}

#[cfg(not(test))]
impl Steps {
    /// A step is done.
    pub(super) fn done(&self) -> impl Future<Output = ()> + use<> {
        std::future::ready(())
    }
}

#[cfg(test)]
impl Steps {
    /// Stops the work for ever after `left` more steps, and tells.
    pub(super) fn stop_after(&self, left: u32) -> std::sync::Arc<tokio::sync::Notify> {
        let reached = std::sync::Arc::new(tokio::sync::Notify::new());
        let stop = Stop { left, reached: std::sync::Arc::clone(&reached) };
        *self.stop.lock().unwrap() = Some(stop);
        reached
    }

    pub(super) async fn done(&self) {
        let reached = {
            let mut stop = self.stop.lock().unwrap();
            let Some(stop) = stop.as_mut() else { return };
            stop.left = stop.left.saturating_sub(1);
            if stop.left > 0 {
                return;
            }
            std::sync::Arc::clone(&stop.reached)
        };
        reached.notify_one();
        std::future::pending::<()>().await;
    }
}

/// The row that says how many tombstones are older than the epoch.
const COVERED: &[u8] = b"mark/covered";
/// How many rows are copied in one commit.
const PAGE: usize = 512;

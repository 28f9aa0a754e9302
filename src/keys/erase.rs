//! Destroying a person's key, and making sure that it stays destroyed.
//!
//! The tombstone comes first: once it is on disk the person counts as erased, whatever the rest
//! of the state says, and whatever older copy of it is put back.

use std::sync::Arc;

use super::error::KeysError;
use super::ledger::HighWater;
use super::ledger::MAX_REQUEST;
use super::ledger::Tombstone;
use super::pending::KIDS;
use super::pending::kid_key;
use super::pending::owner;
use super::ring::KeyRing;
use super::subject_keys::RecordKey;
use super::subject_keys::SUBJECTS;
use super::subject_keys::Subject;
use super::subject_keys::storage_key;
use crate::crypto::SubjectKeyRecord;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Item;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::Timestamp;
use crate::types::told;

/// What an erasure came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destroyed {
    /// How many generations of the key were removed; 0 when there was none any more.
    pub keys: usize,
    /// How far the ledger has come.
    pub high_water: HighWater,
    /// Since when the person counts as erased.
    pub at: Timestamp,
    /// Until when it can be told, by two people together, which entries of the audit log were
    /// about the person; nothing when nobody can.
    pub kept_until: Option<Timestamp>,
}

impl KeyRing {
    /// Destroys a person's key: writes the tombstone, then removes every row of theirs. Needs no
    /// root key. Erasing twice is fine. An error leaves open how far it came; a tombstone that was
    /// written is honoured, and calling again completes the rest.
    ///
    /// Dropped half way, it goes on by itself. Cards have a method of the same name that also
    /// removes what is kept about the person elsewhere: call that.
    pub async fn erase(
        &self,
        subject: &Subject<'_>,
        request: &str,
    ) -> Result<Destroyed, KeysError> {
        self.erase_keeping(subject, request, 0).await
    }

    /// As [`Self::erase`], but keeps the person's log key for `unlink_after_ms`, when it can be
    /// read: the erasure comes first.
    pub async fn erase_keeping(
        &self,
        subject: &Subject<'_>,
        request: &str,
        unlink_after_ms: u64,
    ) -> Result<Destroyed, KeysError> {
        let request: String = request.chars().filter(|c| !c.is_control()).collect();
        let request = request.get(..request.floor_char_boundary(MAX_REQUEST)).unwrap_or_default();
        let (ring, record, request) = (self.clone(), subject.record, request.to_owned());
        let keep = (subject.domain.as_str().to_owned(), unlink_after_ms);
        let work = tokio::spawn(async move { ring.erase_now((record, request), keep).await });
        work.await.unwrap_or(Err(KeysError::Interrupted))
    }

    pub(super) async fn erase_now(
        &self,
        (record, request): (RecordKey, String),
        (domain, unlink_after_ms): (String, u64),
    ) -> Result<Destroyed, KeysError> {
        // Alone: whoever was about to make or link a key of this person has done so, and is
        // removed; whoever comes after finds the tombstone.
        let epoch = self.0.epochs.alone().await?;
        epoch.settle().await?;
        let found = epoch.engine.get(&storage_key(&record)).await.map_err(KeysError::State)?;
        // A record that cannot be read names no kid, and goes all the same.
        let kids = found.map(|found| SubjectKeyRecord::decode(&found.value));
        let kids = kids.and_then(Result::ok).map_or_else(Vec::new, |record| {
            record.generations.iter().map(|generation| generation.kid).collect()
        });
        self.0.steps.done().await;
        let at = self.0.clock.now();
        if unlink_after_ms > 0 {
            let kept = self.keep_log_key(&epoch, (&domain, &record), at.plus_ms(unlink_after_ms));
            if let Err(error) = kept.await {
                let error = told(&error);
                tracing::warn!(
                    error,
                    "a log key cannot be kept; its person is erased all the same"
                );
            }
        }
        if !self.0.ledger.has(&record) {
            let subject = self.0.ledger.hash(&record);
            let tombstone = Tombstone { time: at, subject, kids: kids.clone(), request };
            let ring = Arc::clone(&self.0);
            let written = tokio::task::spawn_blocking(move || ring.ledger.append(&tombstone));
            written.await.unwrap_or(Err(KeysError::Interrupted))?;
        }
        self.0.steps.done().await;
        self.keep_mark().await?;
        let high_water = self.0.ledger.high_water();
        let mut tx = Tx::new();
        tx.delete(&storage_key(&record), Expect::Any);
        for kid in &kids {
            tx.delete(&kid_key(kid), Expect::Any);
        }
        tx.put(MARK, high_water.encode(), Expect::Any);
        epoch.engine.commit(tx).await.map_err(KeysError::State)?;
        self.0.steps.done().await;
        let kept_until = self.kept_end(&epoch, &record).await?;
        Ok(Destroyed { keys: kids.len(), high_water, at, kept_until })
    }

    /// Writes down elsewhere how far the ledger has come, where that is asked for.
    pub(super) async fn keep_mark(&self) -> Result<(), KeysError> {
        if self.0.kept.is_none() {
            return Ok(());
        }
        let ring = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let now = ring.ledger.high_water();
            ring.kept.as_ref().map_or(Ok(()), |kept| kept.keep(now))
        });
        written.await.unwrap_or(Err(KeysError::Interrupted))
    }

    /// How far the ledger of tombstones has come.
    pub fn high_water(&self) -> HighWater {
        self.0.ledger.high_water()
    }

    /// Refuses when the ledger is older than `known`, or another than the one it speaks of.
    pub fn require(&self, known: HighWater) -> Result<(), KeysError> {
        self.0.ledger.require(known)
    }

    /// When the oldest tombstone was written, or log key destroyed, whose person's key, sealed by an epoch that is still
    /// there, may stand in an older copy of the files.
    pub fn oldest_unshredded(&self) -> Option<Timestamp> {
        let covered = self.0.epochs.current().covered.load(std::sync::atomic::Ordering::SeqCst);
        self.0.ledger.oldest_after(covered).into_iter().chain(self.oldest_unlinked()).min()
    }

    /// Whether a row of the state, which stands under the key of somebody's records, is about
    /// somebody who was erased.
    pub fn is_erased_record(&self, record: &RecordKey) -> bool {
        self.0.ledger.has(record)
    }

    /// Carries out the erasures that the subject keys have forgotten: an older copy of them was
    /// put back, or the process was killed half way.
    pub(super) async fn replay(&self) -> Result<(), KeysError> {
        let epoch = self.0.epochs.alone().await?;
        let high_water = self.0.ledger.high_water();
        if remembered(&epoch.engine).await? == high_water {
            return Ok(());
        }
        tracing::warn!("the subject keys are older than the ledger of tombstones; erasing again");
        for prefix in [SUBJECTS, KIDS] {
            remove(&epoch.engine, prefix, |item| {
                let of = if prefix == KIDS { owner(&item.value.value) } else { person(&item.key) };
                of.is_none_or(|record| self.0.ledger.has(&record))
            })
            .await?;
        }
        let mut tx = Tx::new();
        tx.put(MARK, high_water.encode(), Expect::Any);
        epoch.engine.commit(tx).await.map_err(KeysError::State)?;
        Ok(())
    }
}

/// Removes every row under `prefix` that is `doomed`.
async fn remove(
    engine: &Engine,
    prefix: &[u8],
    doomed: impl Fn(&Item) -> bool + Send,
) -> Result<(), KeysError> {
    let mut after = None::<Vec<u8>>;
    loop {
        let page = engine.scan(prefix, after.as_deref(), PAGE).await.map_err(KeysError::State)?;
        let mut tx = Tx::new();
        page.items.iter().filter(|item| doomed(item)).for_each(|item| {
            tx.delete(&item.key, Expect::Any);
        });
        if !tx.is_empty() {
            engine.commit(tx).await.map_err(KeysError::State)?;
        }
        after = page.items.last().map(|item| item.key.clone());
        if !page.more {
            return Ok(());
        }
    }
}

/// How many tombstones have been carried out among these subject keys.
pub(super) async fn remembered(engine: &Engine) -> Result<HighWater, KeysError> {
    match engine.get(MARK).await.map_err(KeysError::State)? {
        Some(found) => HighWater::decode(&found.value).ok_or(KeysError::Row),
        None => Ok(HighWater::NONE),
    }
}

/// The person of a row of subject keys.
pub(super) fn person(key: &[u8]) -> Option<RecordKey> {
    owner(key.strip_prefix(SUBJECTS)?)
}

/// The row that says how many tombstones have been carried out.
pub(super) const MARK: &[u8] = b"mark/tombstones";
const PAGE: usize = 512;

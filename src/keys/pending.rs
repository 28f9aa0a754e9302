//! Keys for people whose id is not known yet: the store gives it when it answers a create.
//!
//! ```text
//! pending/<kid>  a key that belongs to nobody yet
//! kid/<kid>      whose it became: one person's, once and for ever
//! ```

use std::sync::Arc;

use super::epoch::Epoch;
use super::error::KeysError;
use super::ring::KeyRing;
use super::seals::SubjectKeys;
use super::subject_keys::RecordKey;
use super::subject_keys::Subject;
use super::subject_keys::storage_key;
use crate::crypto::KeyState;
use crate::crypto::Kid;
use crate::crypto::PendingKey;
use crate::crypto::SubjectKey;
use crate::crypto::SubjectKeyRecord;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::Timestamp;

/// A fresh key for a record whose person has no id yet.
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct Pending {
    /// Its id, by which it is linked later.
    pub kid: Kid,
    /// Seals the values of the record.
    pub keys: Arc<SubjectKeys>,
}

/// A key that waits for its person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Awaiting {
    /// The data set its record was made in.
    pub set: String,
    /// When it was made.
    pub made: Timestamp,
}

impl KeyRing {
    /// Makes `count` (at most 1,024) keys for records of `set` whose people are not known yet, in
    /// one durable commit. Each dies after 24 hours unless [`Self::link`] gives it to somebody.
    pub async fn pending_create(&self, set: &str, count: usize) -> Result<Vec<Pending>, KeysError> {
        let epoch = self.0.epochs.changing().await?;
        let with = (&*epoch.pending()?, &*self.0.tenant);
        let place = (epoch.number, self.0.clock.now().unix_ms(), set);
        let mut tx = Tx::new();
        let mut made = Vec::with_capacity(count);
        for _ in 0..count {
            let key = self.fresh_key()?;
            let kid = key.kid();
            let row = PendingKey::wrap(&key, place, with, &self.hedge()?);
            tx.put(&pending_key(&kid), row.map_err(KeysError::Record)?.encode(), Expect::Absent);
            let keys = vec![(kid, KeyState::Active, key)];
            made.push(Pending {
                kid,
                keys: Arc::new(SubjectKeys::new(Arc::clone(&self.0.tenant), keys)),
            });
        }
        if !tx.is_empty() {
            epoch.engine.commit(tx).await.map_err(KeysError::State)?;
        }
        Ok(made)
    }

    /// Gives a pending key to a person, in one transaction; whoever is first has it. True when it
    /// is the person's now, or was before. False when it is somebody else's or nobody's, when it
    /// has died, or when the person was erased: then nothing changed.
    ///
    /// A person who has no key yet gets it as their first, which names them in the audit log; to
    /// others it only opens what it has sealed. Cards have `link_key`, which makes the person's
    /// card first: call that.
    pub async fn link(&self, kid: Kid, subject: &Subject<'_>) -> Result<bool, KeysError> {
        for _ in 0..ATTEMPTS {
            let epoch = self.0.epochs.changing().await?;
            if self.is_erased(subject) {
                return Ok(false);
            }
            if let Some(owner) = epoch.engine.get(&kid_key(&kid)).await.map_err(KeysError::State)? {
                return Ok(owner.value == subject.record.0);
            }
            match self.link_once(&epoch, kid, subject).await {
                Err(KeysError::State(StateError::Conflict { .. })) => {}
                done => return done,
            }
        }
        Err(KeysError::Contended)
    }

    async fn link_once(
        &self,
        epoch: &Epoch,
        kid: Kid,
        subject: &Subject<'_>,
    ) -> Result<bool, KeysError> {
        let found = epoch.engine.get(&pending_key(&kid)).await.map_err(KeysError::State)?;
        let Some(found) = found else { return Ok(false) };
        let pending = PendingKey::decode(&found.value).map_err(KeysError::Record)?;
        if pending.epoch != epoch.number {
            return Err(KeysError::Epoch { epoch: pending.epoch });
        }
        if self.is_dead(&pending) {
            return Ok(false);
        }
        let key = pending.unwrap(&kid, (&*epoch.pending()?, &self.0.tenant));
        let key = key.map_err(KeysError::Record)?;
        let (record, expect) = match self.read(epoch, &subject.record).await? {
            Some((record, version)) => {
                let state = KeyState::DecryptOnly;
                (
                    self.with_generation(epoch, subject, record, (&key, state))?,
                    Expect::Version(version),
                )
            }
            None => {
                let first = self.wrap(epoch, subject, &key, (1, KeyState::Active))?;
                (self.record(epoch, subject, None, vec![first]), Expect::Absent)
            }
        };
        let mut tx = Tx::new();
        tx.put(&kid_key(&kid), subject.record.0.to_vec(), Expect::Absent);
        tx.delete(&pending_key(&kid), Expect::Version(found.version));
        tx.put(&storage_key(&subject.record), record.encode(), expect);
        epoch.engine.commit(tx).await.map_err(KeysError::State)?;
        Ok(true)
    }

    /// The record with one generation more, and with the name of the first kept by itself.
    pub(super) fn with_generation(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
        mut record: SubjectKeyRecord,
        (key, state): (&SubjectKey, KeyState),
    ) -> Result<SubjectKeyRecord, KeysError> {
        if record.generations.len() >= MAX_GENERATIONS {
            return Err(KeysError::Generations { limit: MAX_GENERATIONS });
        }
        if record.log.is_none()
            && let Some(first) = record.generations.first()
        {
            let log = self.open_generation(epoch, subject, &record, first)?.log_key();
            let (with, context) = self.place(epoch, subject.domain.as_str(), &subject.record)?;
            let log = log.wrap(&with, &context, &self.hedge()?).map_err(KeysError::Record)?;
            record.log = Some(log);
        }
        let number = record.generations.last().map_or(1, |last| last.number.saturating_add(1));
        let mut generations = record.generations;
        generations.push(self.wrap(epoch, subject, key, (number, state))?);
        Ok(self.record(epoch, subject, record.log, generations))
    }

    /// What is known of a pending key: nothing once it was linked or has died.
    pub async fn find_pending(&self, kid: Kid) -> Result<Option<Awaiting>, KeysError> {
        let epoch = self.0.epochs.used().await;
        let found = epoch.engine.get(&pending_key(&kid)).await.map_err(KeysError::State)?;
        let Some(found) = found else { return Ok(None) };
        let pending = PendingKey::decode(&found.value).map_err(KeysError::Record)?;
        let made = Timestamp::from_unix_ms(pending.made_ms);
        Ok((!self.is_dead(&pending)).then_some(Awaiting { set: pending.set, made }))
    }

    /// Removes the pending keys that nobody claimed in 24 hours, and says how many. What they
    /// sealed is closed for ever. Call it at start and every hour.
    pub async fn sweep_pending(&self) -> Result<u64, KeysError> {
        let (mut swept, mut after) = (0, None::<Vec<u8>>);
        loop {
            let epoch = self.0.epochs.changing().await?;
            let page = epoch.engine.scan(PENDING, after.as_deref(), PAGE).await;
            let page = page.map_err(KeysError::State)?;
            let mut tx = Tx::new();
            for item in &page.items {
                let pending = PendingKey::decode(&item.value.value).map_err(KeysError::Record)?;
                if self.is_dead(&pending) {
                    tx.delete(&item.key, Expect::Any);
                }
            }
            let dead = u64::try_from(tx.len()).unwrap_or(0);
            if dead > 0 {
                epoch.engine.commit(tx).await.map_err(KeysError::State)?;
                self.0.metrics.pending_died.inc_by(dead);
                swept += dead;
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(swept);
            }
        }
    }

    /// Whether nobody may claim it any more.
    pub(super) fn is_dead(&self, pending: &PendingKey) -> bool {
        self.0.clock.now().ms_since(Timestamp::from_unix_ms(pending.made_ms)) >= PENDING_MS
    }
}

/// Where a pending key stands.
fn pending_key(kid: &Kid) -> Vec<u8> {
    [PENDING, &kid.0].concat()
}

/// Where it stands whose key it became.
pub(super) fn kid_key(kid: &Kid) -> Vec<u8> {
    [KIDS, &kid.0].concat()
}

/// The kid of a row of pending keys.
pub(super) fn kid_of(key: &[u8]) -> Option<Kid> {
    key.strip_prefix(PENDING)?.try_into().ok().map(Kid)
}

/// The person that a row of `kid/` names.
pub(super) fn owner(value: &[u8]) -> Option<RecordKey> {
    value.try_into().ok().map(RecordKey)
}

/// What the rows of pending keys start with.
pub(super) const PENDING: &[u8] = b"pending/";
/// What the rows of linked keys start with.
pub(super) const KIDS: &[u8] = b"kid/";
/// How long a create may wait for its answer to be read.
const PENDING_MS: u64 = 24 * 3_600 * 1_000;
/// How many rows are looked at, and how many removed, at once.
const PAGE: usize = 512;
/// As many as fit into a value: 81 bytes each.
pub(super) const MAX_GENERATIONS: usize = 48;
/// How often a change starts again because somebody else was faster.
pub(super) const ATTEMPTS: usize = 64;

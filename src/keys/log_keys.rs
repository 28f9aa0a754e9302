//! The log keys of erased people, where the organisation keeps them for a stated time. A log key
//! tells which entries of the audit log are about its person, and opens nothing.
//!
//! They stand apart from the keys of people, sealed by a key of their own that their end is part
//! of, and in the engine of their epoch: a roll leaves behind those whose time is over, so that no
//! older copy of the files brings them back.

use std::sync::atomic::Ordering;

use super::epoch::Epoch;
use super::error::KeysError;
use super::pending::owner;
use super::ring::KeyRing;
use super::subject_keys::RecordKey;
use super::subject_keys::Subject;
use super::subject_keys::Wrapped;
use super::subject_keys::name;
use crate::crypto::LogKey;
use crate::crypto::RecordFault;
use crate::crypto::SubjectKeyRecord;
use crate::crypto::WrapContext;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::SubjectToken;
use crate::types::Timestamp;

/// What an erased person is called in the audit log, for as long as that is kept.
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct KeptName {
    /// The name.
    pub token: SubjectToken,
    /// When nobody can tell it any more.
    pub until: Timestamp,
    key: LogKey,
}

impl KeptName {
    /// Ties a text to the person without naming them: once the key is gone nobody can tell whom.
    pub fn tie(&self, text: &str) -> [u8; 16] {
        self.key.mac().short(&[b"privet/legal-claim/v1", text.as_bytes()])
    }
}

/// A log key as it is stored: version (1) ‖ epoch (4) ‖ until, in ms (8) ‖ wrapped (60) ‖ domain
/// (the rest); integers are big-endian.
struct Row {
    epoch: u32,
    until: Timestamp,
    wrapped: Wrapped,
    domain: String,
}

impl Row {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.until.unix_ms().to_be_bytes());
        bytes.extend(self.wrapped);
        bytes.extend(self.domain.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, epoch @ ..], rest) = bytes.split_first_chunk::<5>()? else { return None };
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (wrapped, domain) = rest.split_first_chunk()?;
        Some(Self {
            epoch: u32::from_be_bytes(*epoch),
            until: Timestamp::from_unix_ms(u64::from_be_bytes(*until)),
            wrapped: *wrapped,
            domain: std::str::from_utf8(domain).ok()?.to_owned(),
        })
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

impl KeyRing {
    /// Keeps the log key of a person whose keys are about to be destroyed. False when there is
    /// none: the person was erased before, or was never met.
    pub(super) async fn keep_log_key(
        &self,
        epoch: &Epoch,
        (domain, record): (&str, &RecordKey),
        until: Timestamp,
    ) -> Result<bool, KeysError> {
        let Some((found, _)) = self.read(epoch, record).await? else { return Ok(false) };
        let key = self.log_key(epoch, (domain, record), &found)?;
        let row = self.kept_row(epoch, (domain, record), (&key, until))?;
        let mut tx = Tx::new();
        tx.put(&kept_key(record), row.encode(), Expect::Any);
        epoch.engine.commit(tx).await.map_err(KeysError::State)?;
        Ok(true)
    }

    /// What an erased person is called in the audit log; `None` when that is not kept, or no more.
    /// Two people must have agreed that it is asked.
    pub async fn kept_name(&self, subject: &Subject<'_>) -> Result<Option<KeptName>, KeysError> {
        let epoch = self.0.epochs.used().await;
        let found = epoch.engine.get(&kept_key(&subject.record)).await.map_err(KeysError::State)?;
        let Some(found) = found else { return Ok(None) };
        let row = Row::decode(&found.value).ok_or(KeysError::Row)?;
        if row.is_over(self.0.clock.now()) {
            return Ok(None);
        }
        let key = self.open_kept(&epoch, &subject.record, &row)?;
        Ok(Some(KeptName { token: name(subject, &key), until: row.until, key }))
    }

    /// Until when the log key of an erased person is kept, if it is.
    pub async fn kept_until(&self, subject: &Subject<'_>) -> Result<Option<Timestamp>, KeysError> {
        let epoch = self.0.epochs.used().await;
        self.kept_end(&epoch, &subject.record).await
    }

    /// Whether the log key of anybody who was erased is kept. One that cannot be read counts.
    pub async fn keeps_log_keys(&self) -> Result<bool, KeysError> {
        let epoch = self.0.epochs.used().await;
        let now = self.0.clock.now();
        let mut after = None::<Vec<u8>>;
        loop {
            let page = epoch.engine.scan(KEPT, after.as_deref(), PAGE).await;
            let page = page.map_err(KeysError::State)?;
            let is_kept = |bytes: &[u8]| Row::decode(bytes).is_none_or(|row| !row.is_over(now));
            if page.items.iter().any(|item| is_kept(&item.value.value)) {
                return Ok(true);
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(false);
            }
        }
    }

    pub(super) async fn kept_end(
        &self,
        epoch: &Epoch,
        record: &RecordKey,
    ) -> Result<Option<Timestamp>, KeysError> {
        let found = epoch.engine.get(&kept_key(record)).await.map_err(KeysError::State)?;
        let row = found.map(|found| Row::decode(&found.value).ok_or(KeysError::Row)).transpose()?;
        Ok(row.map(|row| row.until).filter(|until| self.0.clock.now() < *until))
    }

    /// Destroys the log keys whose time is over, and says how many. What older copies of the files
    /// hold of them goes with the next roll.
    pub async fn sweep_kept(&self) -> Result<usize, KeysError> {
        // Never beside a roll, which would carry the row over and remove it there.
        let Ok(_still) = self.0.epochs.rolling.try_lock() else { return Ok(0) };
        let epoch = self.0.epochs.changing().await?;
        let now = self.0.clock.now();
        let (mut after, mut count) = (None::<Vec<u8>>, 0);
        loop {
            let page = epoch.engine.scan(KEPT, after.as_deref(), PAGE).await;
            let page = page.map_err(KeysError::State)?;
            let mut tx = Tx::new();
            for item in &page.items {
                // One that cannot be read names nobody, and goes as well.
                if Row::decode(&item.value.value).is_none_or(|row| row.is_over(now)) {
                    tx.delete(&item.key, Expect::Any);
                    count += 1;
                }
            }
            if !tx.is_empty() {
                if epoch.unlinked.load(Ordering::SeqCst) == 0 {
                    tx.put(UNLINKED, now.unix_ms().to_be_bytes().to_vec(), Expect::Any);
                }
                epoch.engine.commit(tx).await.map_err(KeysError::State)?;
                // Nobody else sweeps: the gate of rolls is held.
                if epoch.unlinked.load(Ordering::SeqCst) == 0 {
                    epoch.unlinked.store(now.unix_ms(), Ordering::SeqCst);
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(count);
            }
        }
    }

    /// When the first log key was destroyed that an older copy of the files may still hold.
    pub(super) fn oldest_unlinked(&self) -> Option<Timestamp> {
        let at = self.0.epochs.current().unlinked.load(Ordering::SeqCst);
        (at > 0).then(|| Timestamp::from_unix_ms(at))
    }

    /// Reads what [`Self::oldest_unlinked`] tells; called once at start.
    pub(super) async fn read_unlinked(&self) -> Result<(), KeysError> {
        let epoch = self.0.epochs.current();
        let found = epoch.engine.get(UNLINKED).await.map_err(KeysError::State)?;
        let at = match found {
            Some(found) => found.value.as_slice().try_into().map_err(|_| KeysError::Row)?,
            None => [0; 8],
        };
        epoch.unlinked.store(u64::from_be_bytes(at), Ordering::SeqCst);
        Ok(())
    }

    /// A kept log key, wrapped by the next epoch; `None` when its time is over.
    pub(super) fn carry_kept(
        &self,
        (old, new): (&Epoch, &Epoch),
        record: &RecordKey,
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, KeysError> {
        let row = Row::decode(value).ok_or(KeysError::Row)?;
        if row.is_over(self.0.clock.now()) {
            return Ok(None);
        }
        let key = self.open_kept(old, record, &row)?;
        let row = self.kept_row(new, (&row.domain, record), (&key, row.until))?;
        Ok(Some(row.encode()))
    }

    fn kept_row(
        &self,
        epoch: &Epoch,
        (domain, record): (&str, &RecordKey),
        (key, until): (&LogKey, Timestamp),
    ) -> Result<Row, KeysError> {
        let at = self.kept_place(epoch, domain, record)?;
        let with = epoch.kept(until.unix_ms())?;
        let wrapped = key.wrap(&with, &at, &self.hedge()?).map_err(KeysError::Record)?;
        Ok(Row { epoch: epoch.number, until, wrapped, domain: domain.to_owned() })
    }

    fn open_kept(&self, epoch: &Epoch, record: &RecordKey, row: &Row) -> Result<LogKey, KeysError> {
        if row.epoch != epoch.number {
            return Err(KeysError::Epoch { epoch: row.epoch });
        }
        let at = self.kept_place(epoch, &row.domain, record)?;
        let with = epoch.kept(row.until.unix_ms())?;
        LogKey::unwrap(&row.wrapped, &with, &at).map_err(KeysError::Record)
    }

    fn kept_place<'a>(
        &'a self,
        epoch: &Epoch,
        domain: &'a str,
        record: &'a RecordKey,
    ) -> Result<WrapContext<'a>, KeysError> {
        if !self.is_usable() {
            return Err(KeysError::Unavailable);
        }
        Ok(WrapContext { tenant: &self.0.tenant, domain, record: &record.0, epoch: epoch.number })
    }

    /// The key that names a person in the audit log.
    fn log_key(
        &self,
        epoch: &Epoch,
        (domain, record): (&str, &RecordKey),
        found: &SubjectKeyRecord,
    ) -> Result<LogKey, KeysError> {
        let (with, context) = self.place(epoch, domain, record)?;
        let key = match (&found.log, found.generations.first()) {
            (Some(log), _) => LogKey::unwrap(log, &with, &context),
            (None, Some(first)) => first.unwrap(&with, &context).map(|key| key.log_key()),
            (None, None) => Err(RecordFault::Length),
        };
        key.map_err(KeysError::Record)
    }
}

/// The person of a row of kept log keys.
pub(super) fn kept_of(key: &[u8]) -> Option<RecordKey> {
    owner(key.strip_prefix(KEPT)?)
}

fn kept_key(record: &RecordKey) -> Vec<u8> {
    [KEPT, &record.0].concat()
}

/// What the rows of kept log keys start with.
const KEPT: &[u8] = b"log/";
/// The row that says when the first log key was destroyed in this epoch. It is not carried over.
pub(super) const UNLINKED: &[u8] = b"mark/unlinked";
const VERSION: u8 = 1;
const PAGE: usize = 512;

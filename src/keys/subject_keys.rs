//! Subject keys: one per person and domain, in the folder of their epoch.

use std::fmt;
use std::sync::Arc;

use super::epoch::Epoch;
use super::error::KeysError;
use super::ring::KeyRing;
use super::seals::SubjectKeys;
use crate::crypto::KeyGeneration;
use crate::crypto::KeyState;
use crate::crypto::LogKey;
use crate::crypto::Mac;
use crate::crypto::RecordFault;
use crate::crypto::SealKey;
use crate::crypto::SubjectKey;
use crate::crypto::SubjectKeyRecord;
use crate::crypto::WrapContext;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::Reference;
use crate::types::SubjectToken;

/// Stands for a subject in files: HMAC of domain and id. Nobody gets from it to the id without
/// the key and a guess.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordKey(pub [u8; 32]);

/// A subject whose key is wanted.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The space of its id.
    pub domain: &'a DomainId,
    /// Its id, in the store's own spelling.
    pub id: &'a str,
    /// What [`KeyRing::record_key`] makes of both.
    pub record: RecordKey,
}

/// What a person's keys come to.
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct Held {
    /// Their name in the audit log.
    pub token: SubjectToken,
    /// What opens and seals their values.
    pub keys: Arc<SubjectKeys>,
    log: Mac,
}

impl Held {
    /// What the audit log writes for a version of the person's card: 48 bits of an HMAC under
    /// their log key. The version itself would tie their entries to older copies of the state.
    pub fn version_tag(&self, version: u64) -> u64 {
        let parts = [b"privet/card-version/v1".as_slice(), &version.to_be_bytes()];
        let [a, b, c, d, e, f, ..] = self.log.short(&parts);
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl Held {
    /// What cards of people they may act for call them: an HMAC under their log key, so that it
    /// means nobody once that is destroyed, and is not their name in the log either.
    pub fn reference(&self) -> Reference {
        Reference(self.log.short(&[b"privet/representative/v1"]))
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(..)")
    }
}

impl KeyRing {
    /// The key under which records about a subject stand.
    pub fn record_key(&self, domain: &DomainId, id: &str) -> RecordKey {
        let parts = [b"privet/record/v1", domain.as_str().as_bytes(), id.as_bytes()];
        RecordKey(self.0.records.of_parts(&parts))
    }

    /// The subject, with the key of its records.
    pub fn subject<'a>(&self, domain: &'a DomainId, id: &'a str) -> Subject<'a> {
        Subject { domain, id, record: self.record_key(domain, id) }
    }

    /// The subject's keys, when the subject has any. The erased have none, whatever is stored.
    pub async fn held(&self, subject: &Subject<'_>) -> Result<Option<Held>, KeysError> {
        let epoch = self.0.epochs.used().await;
        match self.read(&epoch, &subject.record).await? {
            Some((record, _)) => self.unwrap(&epoch, subject, &record).map(Some),
            None => Ok(None),
        }
    }

    /// Makes a key for each subject, all in one durable commit. `None` when any of them already
    /// has a key or was erased: then nothing was made. At most 1,024 subjects, each once.
    pub async fn create(&self, subjects: &[Subject<'_>]) -> Result<Option<Vec<Held>>, KeysError> {
        let epoch = self.0.epochs.changing().await?;
        if subjects.iter().any(|subject| self.is_erased(subject)) {
            return Ok(None);
        }
        let mut tx = Tx::new();
        let mut made = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let (record, held) = self.new_record(&epoch, subject)?;
            made.push(held);
            tx.put(&storage_key(&subject.record), record.encode(), Expect::Absent);
        }
        match epoch.engine.commit(tx).await {
            Ok(_) => Ok(Some(made)),
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(KeysError::State(error)),
        }
    }

    /// Whether the ledger of tombstones has the person.
    pub fn is_erased(&self, subject: &Subject<'_>) -> bool {
        self.0.ledger.has(&subject.record)
    }

    /// The record of a person who was not erased, and its version.
    pub(super) async fn read(
        &self,
        epoch: &Epoch,
        record: &RecordKey,
    ) -> Result<Option<(SubjectKeyRecord, Rev)>, KeysError> {
        if self.0.ledger.has(record) {
            return Ok(None);
        }
        let found = epoch.engine.get(&storage_key(record)).await.map_err(KeysError::State)?;
        let Some(found) = found else { return Ok(None) };
        let record = SubjectKeyRecord::decode(&found.value).map_err(KeysError::Record)?;
        Ok(Some((record, found.version)))
    }

    fn new_record(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
    ) -> Result<(SubjectKeyRecord, Held), KeysError> {
        let key = self.fresh_key()?;
        let generation = self.wrap(epoch, subject, &key, (1, KeyState::Active))?;
        let log = key.log_key();
        let token = name(subject, &log);
        let record = self.record(epoch, subject, None, vec![generation.clone()]);
        let keys = vec![(generation.kid, generation.state, key)];
        let keys = Arc::new(SubjectKeys::new(Arc::clone(&self.0.tenant), keys));
        Ok((record, Held { token, keys, log: log.mac() }))
    }

    /// A record of this epoch.
    pub(super) fn record(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
        log: Option<Wrapped>,
        generations: Vec<KeyGeneration>,
    ) -> SubjectKeyRecord {
        let domain = Some(subject.domain.as_str().to_owned());
        SubjectKeyRecord { epoch: epoch.number, domain, log, generations }
    }

    /// Unwraps every generation, and tells the person's name.
    pub(super) fn unwrap(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
        record: &SubjectKeyRecord,
    ) -> Result<Held, KeysError> {
        let mut keys = Vec::with_capacity(record.generations.len());
        for generation in &record.generations {
            let key = self.open_generation(epoch, subject, record, generation)?;
            keys.push((generation.kid, generation.state, key));
        }
        let log = match &record.log {
            Some(log) => {
                let (with, context) =
                    self.place(epoch, subject.domain.as_str(), &subject.record)?;
                LogKey::unwrap(log, &with, &context).map_err(KeysError::Record)?
            }
            None => {
                let first = keys.first().map(|(_, _, key)| key.log_key());
                first.ok_or(KeysError::Record(RecordFault::Length))?
            }
        };
        let token = name(subject, &log);
        let keys = Arc::new(SubjectKeys::new(Arc::clone(&self.0.tenant), keys));
        Ok(Held { token, keys, log: log.mac() })
    }

    /// Unwraps one generation of a subject's record.
    pub(super) fn open_generation(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
        record: &SubjectKeyRecord,
        generation: &KeyGeneration,
    ) -> Result<SubjectKey, KeysError> {
        if record.epoch != epoch.number {
            return Err(KeysError::Epoch { epoch: record.epoch });
        }
        let domain = subject.domain.as_str();
        if record.domain.as_ref().is_some_and(|said| said != domain) {
            return Err(KeysError::Record(RecordFault::Unsealable));
        }
        let (with, context) = self.place(epoch, domain, &subject.record)?;
        generation.unwrap(&with, &context).map_err(KeysError::Record)
    }

    /// Wraps a generation for a subject's record.
    pub(super) fn wrap(
        &self,
        epoch: &Epoch,
        subject: &Subject<'_>,
        key: &SubjectKey,
        as_generation: (u32, KeyState),
    ) -> Result<KeyGeneration, KeysError> {
        let (with, context) = self.place(epoch, subject.domain.as_str(), &subject.record)?;
        KeyGeneration::wrap(key, as_generation, &with, &context, &self.hedge()?)
            .map_err(KeysError::Record)
    }

    /// The key that wraps, and what it binds the keys of a record to.
    pub(super) fn place<'a>(
        &'a self,
        epoch: &Epoch,
        domain: &'a str,
        record: &'a RecordKey,
    ) -> Result<(Arc<SealKey>, WrapContext<'a>), KeysError> {
        if !self.is_usable() {
            return Err(KeysError::Unavailable);
        }
        let context =
            WrapContext { tenant: &self.0.tenant, domain, record: &record.0, epoch: epoch.number };
        Ok((epoch.domain(domain)?, context))
    }

    /// A subject key that nobody has.
    pub(super) fn fresh_key(&self) -> Result<SubjectKey, KeysError> {
        let mut random = zeroize::Zeroizing::new([0; 32]);
        self.0.entropy.fill(random.as_mut_slice()).map_err(KeysError::Entropy)?;
        Ok(SubjectKey::new(*random))
    }

    /// Fresh randomness for a nonce.
    pub(super) fn hedge(&self) -> Result<[u8; 16], KeysError> {
        let mut random = [0; 16];
        self.0.entropy.fill(&mut random).map_err(KeysError::Entropy)?;
        Ok(random)
    }
}

/// What a person is called in the audit log: 16 bytes of an HMAC under their log key.
pub(super) fn name(subject: &Subject<'_>, key: &LogKey) -> SubjectToken {
    let parts =
        [b"privet/subject-token/v1", subject.domain.as_str().as_bytes(), subject.id.as_bytes()];
    SubjectToken(key.mac().short(&parts))
}

/// Where the keys of a person stand.
pub(super) fn storage_key(record: &RecordKey) -> Vec<u8> {
    [SUBJECTS, &record.0].concat()
}

/// What the rows of subject keys start with.
pub(super) const SUBJECTS: &[u8] = b"subject/";
/// A key under the seal of its epoch.
pub(super) type Wrapped = [u8; 60];

#[cfg(test)]
impl KeyRing {
    /// The subject's name in the audit log, when the subject has a key.
    pub(super) async fn token(
        &self,
        subject: &Subject<'_>,
    ) -> Result<Option<SubjectToken>, KeysError> {
        Ok(self.held(subject).await?.map(|held| held.token))
    }

    /// The newest generation of a subject's key as it stands in a row.
    pub(crate) async fn wrapped_key(&self, subject: &Subject<'_>) -> Wrapped {
        let epoch = self.0.epochs.used().await;
        let (record, _) = self.read(&epoch, &subject.record).await.unwrap().unwrap();
        record.generations.last().unwrap().wrapped
    }

    /// The bytes of a subject's key.
    pub(super) async fn subject_secret(&self, subject: &Subject<'_>) -> Vec<u8> {
        let epoch = self.0.epochs.used().await;
        let (record, _) = self.read(&epoch, &subject.record).await.unwrap().unwrap();
        let newest = record.generations.last().unwrap();
        self.open_generation(&epoch, subject, &record, newest).unwrap().expose().to_vec()
    }
}

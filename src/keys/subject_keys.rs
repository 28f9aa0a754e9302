//! Subject keys: one per person and domain, in the folder of their epoch.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;

use super::error::KeysError;
use super::ring::FIRST;
use super::ring::KeyRing;
use super::seals::SubjectKeys;
use crate::crypto::KeyGeneration;
use crate::crypto::RecordFault;
use crate::crypto::SealKey;
use crate::crypto::SubjectKey;
use crate::crypto::SubjectKeyRecord;
use crate::crypto::WrapContext;
use crate::crypto::derive;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
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

    /// The subject's keys, when the subject has any.
    pub async fn held(&self, subject: &Subject<'_>) -> Result<Option<Held>, KeysError> {
        match self.read(subject).await? {
            Some(record) => self.unwrap(subject, &record).map(Some),
            None => Ok(None),
        }
    }

    /// Makes a key for each subject, all in one durable commit. `None` when any of them already has a key: then nothing was made.
    /// At most 1,024 subjects, each once.
    pub async fn create(&self, subjects: &[Subject<'_>]) -> Result<Option<Vec<Held>>, KeysError> {
        let mut tx = Tx::new();
        let mut made = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let (record, held) = self.new_record(subject)?;
            made.push(held);
            tx.put(&storage_key(&subject.record), record.encode(), Expect::Absent);
        }
        match self.0.subjects.commit(tx).await {
            Ok(_) => Ok(Some(made)),
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(KeysError::State(error)),
        }
    }

    async fn read(&self, subject: &Subject<'_>) -> Result<Option<SubjectKeyRecord>, KeysError> {
        let found = self.0.subjects.get(&storage_key(&subject.record)).await;
        match found.map_err(KeysError::State)? {
            Some(found) => {
                SubjectKeyRecord::decode(&found.value).map(Some).map_err(KeysError::Record)
            }
            None => Ok(None),
        }
    }

    fn new_record(&self, subject: &Subject<'_>) -> Result<(SubjectKeyRecord, Held), KeysError> {
        let mut random = zeroize::Zeroizing::new([0; 48]);
        self.0.entropy.fill(random.as_mut_slice()).map_err(KeysError::Entropy)?;
        let mut hedge = [0; 16];
        let mut key = zeroize::Zeroizing::new([0; 32]);
        let (first, second) = random.split_at(32);
        key.copy_from_slice(first);
        hedge.copy_from_slice(second);
        let key = SubjectKey::new(*key);
        let generation =
            KeyGeneration::wrap(&key, 1, &self.wrapping(subject), &self.context(subject), &hedge);
        let generation = generation.map_err(KeysError::Record)?;
        let token = name(subject, &key);
        let keys = vec![(generation.kid, generation.state, key)];
        let keys = Arc::new(SubjectKeys::new(Arc::clone(&self.0.tenant), keys));
        let record = SubjectKeyRecord { epoch: FIRST, generations: vec![generation] };
        Ok((record, Held { token, keys }))
    }

    /// Unwraps every generation. The first names the person, so that the name outlives rotation.
    fn unwrap(&self, subject: &Subject<'_>, record: &SubjectKeyRecord) -> Result<Held, KeysError> {
        if record.epoch != FIRST {
            return Err(KeysError::Epoch { epoch: record.epoch });
        }
        let (with, context) = (self.wrapping(subject), self.context(subject));
        let open = |generation: &KeyGeneration| {
            let key = generation.unwrap(&with, &context)?;
            Ok((generation.kid, generation.state, key))
        };
        let keys: Result<Vec<_>, RecordFault> = record.generations.iter().map(open).collect();
        let keys = keys.map_err(KeysError::Record)?;
        let first = keys.first().map(|(_, _, key)| name(subject, key));
        let token = first.ok_or(KeysError::Record(RecordFault::Length))?;
        let keys = Arc::new(SubjectKeys::new(Arc::clone(&self.0.tenant), keys));
        Ok(Held { token, keys })
    }

    /// The key that wraps the subject keys of a domain. Derived once and kept: deriving it costs
    /// more than using it.
    fn wrapping(&self, subject: &Subject<'_>) -> Arc<SealKey> {
        let domains = self.0.domains.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = domains.get(subject.domain) {
            return Arc::clone(key);
        }
        drop(domains);
        let domain = subject.domain.as_str().as_bytes();
        let key = derive(&self.0.epoch, &[b"privet/domain/v1", domain]);
        let key = Arc::new(SealKey::new(&key));
        let mut domains = self.0.domains.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(domains.entry(subject.domain.clone()).or_insert(key))
    }

    fn context<'a>(&'a self, subject: &'a Subject<'_>) -> WrapContext<'a> {
        WrapContext {
            tenant: &self.0.tenant,
            domain: subject.domain.as_str(),
            record: &subject.record.0,
            epoch: FIRST,
        }
    }
}

/// What a person is called in the audit log: 16 bytes of an HMAC under their log key.
fn name(subject: &Subject<'_>, key: &SubjectKey) -> SubjectToken {
    let parts =
        [b"privet/subject-token/v1", subject.domain.as_str().as_bytes(), subject.id.as_bytes()];
    SubjectToken(key.log_key().short(&parts))
}

fn storage_key(record: &RecordKey) -> Vec<u8> {
    [b"subject/".as_slice(), &record.0].concat()
}

#[cfg(test)]
impl KeyRing {
    /// The subject's name in the audit log, when the subject has a key.
    pub(super) async fn token(
        &self,
        subject: &Subject<'_>,
    ) -> Result<Option<SubjectToken>, KeysError> {
        Ok(self.held(subject).await?.map(|held| held.token))
    }

    /// The bytes of a subject's key.
    pub(super) async fn subject_secret(&self, subject: &Subject<'_>) -> Vec<u8> {
        let record = self.read(subject).await.unwrap().unwrap();
        let (with, context) = (self.wrapping(subject), self.context(subject));
        record.generations[0].unwrap(&with, &context).unwrap().expose().to_vec()
    }
}

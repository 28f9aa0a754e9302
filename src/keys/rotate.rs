//! A person's next key, and the end of those before it.

use super::error::KeysError;
use super::pending::ATTEMPTS;
use super::pending::kid_key;
use super::ring::KeyRing;
use super::subject_keys::Held;
use super::subject_keys::Subject;
use super::subject_keys::storage_key;
use crate::crypto::KeyState;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;

impl KeyRing {
    /// Makes the next generation of a person's key: it seals from now on, and all of them open.
    /// Nothing when the person has no key. Cards that are at hand hold the keys of before: call
    /// the method of the same name that they have.
    pub async fn rotate(&self, subject: &Subject<'_>) -> Result<Option<Held>, KeysError> {
        for _ in 0..ATTEMPTS {
            let epoch = self.0.epochs.changing().await?;
            let Some((record, version)) = self.read(&epoch, &subject.record).await? else {
                return Ok(None);
            };
            let key = self.fresh_key()?;
            let active = (&key, KeyState::Active);
            let mut record = self.with_generation(&epoch, subject, record, active)?;
            let newest = record.generations.pop();
            for at in 0..record.generations.len() {
                let Some(older) =
                    record.generations.get(at).filter(|g| g.state == KeyState::Active)
                else {
                    continue;
                };
                let key = self.open_generation(&epoch, subject, &record, older)?;
                let place = (older.number, KeyState::DecryptOnly);
                let wrapped = self.wrap(&epoch, subject, &key, place)?;
                record.generations.get_mut(at).into_iter().for_each(|slot| *slot = wrapped.clone());
            }
            record.generations.extend(newest);
            let held = self.unwrap(&epoch, subject, &record)?;
            let mut tx = Tx::new();
            tx.put(&storage_key(&subject.record), record.encode(), Expect::Version(version));
            match epoch.engine.commit(tx).await {
                Ok(_) => return Ok(Some(held)),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(KeysError::State(error)),
            }
        }
        Err(KeysError::Contended)
    }

    /// Destroys every generation of a person's key but the one that seals, and says how many.
    /// What is still sealed by one of them is closed for ever: call it once everything of the
    /// person has been sealed anew. Copies of the files open until the next roll. The person's
    /// name in the audit log stays: it has a wrapped key of its own.
    pub async fn destroy_old(&self, subject: &Subject<'_>) -> Result<usize, KeysError> {
        for _ in 0..ATTEMPTS {
            let epoch = self.0.epochs.changing().await?;
            let Some((mut record, version)) = self.read(&epoch, &subject.record).await? else {
                return Ok(0);
            };
            let sealing = record.generations.iter().rev().find(|g| g.state == KeyState::Active);
            let Some(newest) = sealing.map(|newest| newest.number) else { return Ok(0) };
            let (kept, old): (Vec<_>, Vec<_>) =
                record.generations.into_iter().partition(|g| g.number == newest);
            if old.is_empty() {
                return Ok(0);
            }
            record.generations = kept;
            let mut tx = Tx::new();
            for generation in &old {
                tx.delete(&kid_key(&generation.kid), Expect::Any);
            }
            tx.put(&storage_key(&subject.record), record.encode(), Expect::Version(version));
            match epoch.engine.commit(tx).await {
                Ok(_) => return Ok(old.len()),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(KeysError::State(error)),
            }
        }
        Err(KeysError::Contended)
    }
}

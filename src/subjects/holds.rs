//! Placing holds, releasing them, and whether anybody's data must be kept.

use super::accord;
use super::card::Facts;
use super::cards::ATTEMPTS;
use super::cards::Cards;
use super::cards::storage_key;
use super::changes::Change;
use super::erase::CARDS;
use super::erase::spawned;
use super::error::SubjectsError;
use super::hold::Hold;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;

impl Cards {
    /// Places a hold on a person's data and gives it an id. From then on every look-up shows it,
    /// and neither their data nor their key goes until it has ended or is released.
    ///
    /// # Errors
    /// When the person was erased, or has too many holds.
    pub async fn add_hold(
        &self,
        domain: &DomainId,
        id: &str,
        mut hold: Hold,
    ) -> Result<Hold, SubjectsError> {
        let fresh = accord::fresh_id(self.0.keys.entropy());
        hold.id = fresh.map_err(|_| SubjectsError::Interrupted)?.into();
        self.change(domain, id, Change::Hold(hold.clone())).await?;
        Ok(hold)
    }

    /// Releases a hold; nothing when there is none of that id. `person` may be left out but for
    /// holds of an earlier release. From then on every look-up shows the change.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn release_hold(
        &self,
        hold: &str,
        person: Option<(&DomainId, &str)>,
    ) -> Result<Option<Hold>, SubjectsError> {
        if !accord::is_id(hold) {
            return Ok(None);
        }
        let record = match person {
            Some((domain, id)) => self.0.keys.record_key(domain, id),
            None => match self.holder(hold).await? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        let (cards, hold) = (self.clone(), Box::<str>::from(hold));
        spawned(async move { cards.release_now(&hold, &record).await }).await
    }

    async fn release_now(
        &self,
        hold: &str,
        record: &RecordKey,
    ) -> Result<Option<Hold>, SubjectsError> {
        for _ in 0..ATTEMPTS {
            let Some((mut facts, version)) = self.stored(record).await? else { return Ok(None) };
            let Some(at) = facts.holds.iter().position(|it| *it.id == *hold) else {
                return Ok(None);
            };
            let released = facts.holds.remove(at);
            let mut tx = Tx::new();
            tx.put(&storage_key(record), facts.encode()?, Expect::Version(Rev(version)));
            tx.delete(&index_key(hold), Expect::Any);
            let writing = self.0.changes.read().await;
            let done = self.0.state.commit(tx).await;
            drop(writing);
            // After a failure too: it may have been made all the same.
            self.0.cache.forget_holders(hold);
            match done {
                Ok(_) => {
                    self.0.metrics.changed.inc();
                    return Ok(Some(released));
                }
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(SubjectsError::State(error)),
            }
        }
        Err(SubjectsError::Contended)
    }

    /// Holds on anybody's data, those that have run out among them, at most `most`; and whether
    /// there are more.
    ///
    /// # Errors
    /// When cards cannot be read.
    pub async fn holds(&self, most: usize) -> Result<(Vec<Hold>, bool), SubjectsError> {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.0.state.scan(HOLDS, after.as_deref(), PAGE).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                let id = item.key.strip_prefix(HOLDS).unwrap_or_default();
                let Some(record) = item.value.value.first_chunk::<32>() else { continue };
                let card = self.stored(&RecordKey(*record)).await?;
                let holds = card.map(|(facts, _)| facts.holds).unwrap_or_default();
                found.extend(holds.into_iter().find(|hold| hold.id.as_bytes() == id));
                if found.len() > most {
                    found.truncate(most);
                    return Ok((found, true));
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok((found, false));
            }
        }
    }

    /// Whose hold it is.
    async fn holder(&self, hold: &str) -> Result<Option<RecordKey>, SubjectsError> {
        let found = self.0.state.get(&index_key(hold)).await.map_err(SubjectsError::State)?;
        let record = found.as_ref().and_then(|found| found.value.first_chunk::<32>());
        Ok(record.map(|record| RecordKey(*record)))
    }

    /// Whether what the log calls anybody who was erased is kept for legal claims.
    pub async fn keeps_log_keys(&self) -> Result<bool, SubjectsError> {
        self.0.keys.keeps_log_keys().await.map_err(SubjectsError::Keys)
    }

    /// Whether somebody is under a legal hold. Looks at every card; one that cannot be read is an
    /// error, for it could be theirs.
    pub async fn anybody_held(&self) -> Result<bool, SubjectsError> {
        let (now, mut after) = (self.0.keys.now(), None::<Vec<u8>>);
        loop {
            let page = self.0.state.scan(CARDS, after.as_deref(), PAGE).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                if Facts::decode(&item.value.value)?.is_held(now) {
                    return Ok(true);
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(false);
            }
        }
    }
}

/// Where it stands in the state whose hold it is.
pub(super) fn index_key(hold: &str) -> Vec<u8> {
    [HOLDS, hold.as_bytes()].concat()
}

/// What the rows start with that say whose hold it is.
const HOLDS: &[u8] = b"hold/";
/// Cards that are looked at together.
const PAGE: usize = 500;

//! A person's key: given by a create, replaced by the next, destroyed.

use super::card::Facts;
use super::cards::ATTEMPTS;
use super::cards::Cards;
use super::cards::storage_key;
use super::error::SubjectsError;
use super::hold::Hold;
use super::holds::index_key;
use crate::crypto::Kid;
use crate::keys::Destroyed;
use crate::keys::HighWater;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::SubjectId;

impl Cards {
    /// Destroys a person's key and what is kept about them: the tombstone first, then the rows of
    /// the key, the card, and everything else that stands under their records. From then on they
    /// count as erased, whatever older copy is put back. Erasing twice is fine; a person on hold
    /// is refused. Needs no root key. `request` names who asked for it; no id and no name.
    ///
    /// An error leaves open how far it came: call it again.
    pub async fn erase(
        &self,
        domain: &DomainId,
        id: &str,
        request: &str,
    ) -> Result<Destroyed, SubjectsError> {
        let (cards, domain, id) = (self.clone(), domain.clone(), checked(id)?);
        let request = request.to_owned();
        spawned(async move { cards.erase_now(&domain, &id, &request).await }).await
    }

    async fn erase_now(
        &self,
        domain: &DomainId,
        id: &str,
        request: &str,
    ) -> Result<Destroyed, SubjectsError> {
        let subject = self.0.keys.subject(domain, id);
        // Nobody may put the person on hold between the question and the tombstone.
        let _alone = self.0.changes.write().await;
        let facts = self.stored(&subject.record).await?.map(|(facts, _)| facts);
        if facts.as_ref().is_some_and(|facts| facts.is_held(self.0.keys.now())) {
            return Err(SubjectsError::Held);
        }
        // Those that have run out.
        let holds = facts.map(|facts| facts.holds).unwrap_or_default();
        let after = self.0.unlink_after_ms;
        let done = self.0.keys.erase_keeping(&subject, request, after).await;
        // After a failure too: the tombstone may be there all the same.
        self.0.cache.changed(domain, id);
        let destroyed = done.map_err(SubjectsError::Keys)?;
        let removed = self.forget(&subject.record, &holds, destroyed.high_water).await;
        self.0.cache.changed(domain, id);
        removed.map(|()| destroyed)
    }

    /// Removes what the state keeps under a person's records.
    async fn forget(
        &self,
        record: &RecordKey,
        holds: &[Hold],
        mark: HighWater,
    ) -> Result<(), SubjectsError> {
        // The card first: a batch that waits to keep a token of theirs keeps none without it. The
        // mark last: whatever a crash leaves undone is done at the next start.
        let mut tx = Tx::new();
        tx.delete(&storage_key(record), Expect::Any);
        holds.iter().for_each(|hold| tx.delete(&index_key(&hold.id), Expect::Any));
        self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
        self.forget_tokens(record).await?;
        self.part_consents(record).await?;
        let mut tx = Tx::new();
        tx.put(MARK, mark.encode(), Expect::Any);
        self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
        Ok(())
    }

    /// Compares the state with the ledger of tombstones, and removes again what an older copy of
    /// the state has brought back. Call it before anything is served.
    pub async fn replay(&self) -> Result<(), SubjectsError> {
        let _alone = self.0.changes.write().await;
        let found = self.0.state.get(MARK).await.map_err(SubjectsError::State)?;
        let known = match found {
            Some(found) => HighWater::decode(&found.value).ok_or(SubjectsError::Damaged)?,
            None => HighWater::NONE,
        };
        self.0.keys.require(known).map_err(SubjectsError::Keys)?;
        let now = self.0.keys.high_water();
        if known == now {
            return Ok(());
        }
        tracing::warn!("the state is older than the ledger of tombstones; erasing again");
        self.remove_erased_cards().await?;
        for record in self.people_with_tokens().await? {
            if self.0.keys.is_erased_record(&record) {
                self.forget_tokens(&record).await?;
            }
        }
        for record in self.people_with_consents().await? {
            if self.0.keys.is_erased_record(&record) {
                self.part_consents(&record).await?;
            }
        }
        let mut tx = Tx::new();
        tx.put(MARK, now.encode(), Expect::Any);
        self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
        Ok(())
    }

    /// Removes the cards of those whose key is destroyed.
    async fn remove_erased_cards(&self) -> Result<(), SubjectsError> {
        let is_erased = |key: &[u8]| {
            let record = key.strip_prefix(CARDS).and_then(|rest| rest.first_chunk::<32>());
            record.is_some_and(|record| self.0.keys.is_erased_record(&RecordKey(*record)))
        };
        let mut after = None::<Vec<u8>>;
        loop {
            let page = self.0.state.scan(CARDS, after.as_deref(), PAGE).await;
            let page = page.map_err(SubjectsError::State)?;
            let mut tx = Tx::new();
            for item in page.items.iter().filter(|item| is_erased(&item.key)) {
                tx.delete(&item.key, Expect::Any);
                let holds = Facts::decode(&item.value.value).map(|facts| facts.holds);
                let rows = holds.unwrap_or_default();
                rows.iter().for_each(|hold| tx.delete(&index_key(&hold.id), Expect::Any));
            }
            if !tx.is_empty() {
                self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Gives a pending key to a person, who gets a card if there is none; see [`KeyRing::link`].
    /// From then on every look-up shows a card with that key.
    ///
    /// [`KeyRing::link`]: crate::keys::KeyRing::link
    pub async fn link_key(
        &self,
        kid: Kid,
        domain: &DomainId,
        id: &str,
    ) -> Result<bool, SubjectsError> {
        let (cards, domain, id) = (self.clone(), domain.clone(), checked(id)?);
        spawned(async move {
            let subject = cards.0.keys.subject(&domain, &id);
            for _ in 0..ATTEMPTS {
                // The card first: a key without one means that a card was lost.
                if cards.make_card(&subject).await? {
                    let linked = cards.0.keys.link(kid, &subject).await;
                    cards.0.cache.changed(&domain, &id);
                    return linked.map_err(SubjectsError::Keys);
                }
            }
            Err(SubjectsError::Contended)
        })
        .await
    }

    /// Makes the next generation of a person's key: it seals from now on, and all of them open.
    /// False when the person has no key. From then on every look-up shows a card with that key.
    pub async fn rotate_key(&self, domain: &DomainId, id: &str) -> Result<bool, SubjectsError> {
        let (cards, domain, id) = (self.clone(), domain.clone(), checked(id)?);
        spawned(async move {
            let rotated = cards.0.keys.rotate(&cards.0.keys.subject(&domain, &id)).await;
            cards.0.cache.changed(&domain, &id);
            rotated.map(|held| held.is_some()).map_err(SubjectsError::Keys)
        })
        .await
    }

    /// Destroys the generations of a person's key that no longer seal, and says how many. What
    /// they sealed and was not sealed anew is closed for ever.
    pub async fn destroy_old_keys(
        &self,
        domain: &DomainId,
        id: &str,
    ) -> Result<usize, SubjectsError> {
        let (cards, domain, id) = (self.clone(), domain.clone(), checked(id)?);
        spawned(async move {
            let destroyed = cards.0.keys.destroy_old(&cards.0.keys.subject(&domain, &id)).await;
            cards.0.cache.changed(&domain, &id);
            destroyed.map_err(SubjectsError::Keys)
        })
        .await
    }
}

fn checked(id: &str) -> Result<Box<str>, SubjectsError> {
    match SubjectId::parse(id) {
        Ok(_) => Ok(id.into()),
        Err(_) => Err(SubjectsError::Invalid { what: "the subject id" }),
    }
}

/// On a task of its own: if the caller goes away in the middle, the change may still be made, and
/// then the card in memory must still be forgotten.
pub(super) async fn spawned<T: Send + 'static>(
    work: impl Future<Output = Result<T, SubjectsError>> + Send + 'static,
) -> Result<T, SubjectsError> {
    tokio::spawn(work).await.map_err(|_| SubjectsError::Interrupted)?
}

/// What the rows of cards start with.
pub(super) const CARDS: &[u8] = b"card/";
/// The row that says how many tombstones the state has carried out.
const MARK: &[u8] = b"mark/tombstones";
const PAGE: usize = 512;

//! Reading the ledger: a person's records, one record, all of them.

use std::collections::BTreeMap;

use super::error::ConsentError;
use super::ids::RecordId;
use super::model::ConsentRecord;
use super::model::ConsentVersion;
use super::notices::Notices;
use super::rows;
use super::rows::Head;
use super::rows::Named;
use super::rows::Owner;
use super::rows::Raw;
use super::standing::Moment;
use super::standing::Standing;
use super::standing::standing;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;
use crate::subjects::cards::storage_key;
use crate::types::DomainId;
use crate::types::Timestamp;

/// Everything the ledger has about one person.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) records: Vec<ConsentRecord>,
    /// What records call them, and the version of the row that says so.
    pub(super) named: Option<(Named, Rev)>,
    /// Whether a record was changed or removed by somebody else.
    pub(super) is_broken: bool,
    /// When the last version was recorded.
    pub(super) last: Timestamp,
}

/// Part of all records, in the order they were made.
#[derive(Debug, Default)]
pub struct ConsentPage {
    /// Those whose versions follow from each other.
    pub records: Vec<ConsentRecord>,
    /// Those whose versions do not: somebody changed or removed one.
    pub broken: Vec<RecordId>,
    /// What to ask for next; nothing when these were the last.
    pub next: Option<RecordId>,
}

impl Cards {
    /// All consent records of a person, the oldest first; none for somebody who was erased.
    ///
    /// # Errors
    /// [`ConsentError::Broken`] when one of them was tampered with. The person's answers then
    /// count as unknown.
    pub async fn consents_of(
        &self,
        domain: &DomainId,
        id: &str,
    ) -> Result<Vec<ConsentRecord>, ConsentError> {
        let record = self.0.keys.record_key(domain, id);
        let person = self.person(&record).await?;
        if person.is_broken {
            self.close_broken(&record, None).await?;
            return Err(ConsentError::Broken);
        }
        Ok(person.records)
    }

    /// A consent record. Those of the erased are still there, and name nobody.
    ///
    /// # Errors
    /// When there is none, or it was tampered with.
    pub async fn consent(&self, id: RecordId) -> Result<ConsentRecord, ConsentError> {
        let (versions, hash) = self.versions(id).await?;
        rows::record(&versions, hash).ok_or(ConsentError::Broken)
    }

    /// Every version of a consent record, the first first.
    ///
    /// # Errors
    /// When there is none, or it was tampered with.
    pub async fn consent_history(&self, id: RecordId) -> Result<Vec<ConsentVersion>, ConsentError> {
        self.versions(id).await.map(|(versions, _)| versions)
    }

    /// Whether a record is about this person.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn is_consent_of(
        &self,
        record: RecordId,
        domain: &DomainId,
        id: &str,
    ) -> Result<bool, ConsentError> {
        let owner = self.head(record).await?.map(|head| head.owner);
        Ok(owner == Some(Owner::Person(self.0.keys.record_key(domain, id))))
    }

    /// At most `limit` records (and never more than 256) after `after`, of everybody, the erased
    /// among them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn all_consents(
        &self,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<ConsentPage, ConsentError> {
        let after = after.map(rows::index_key);
        let found = self.0.state.scan(rows::INDEX, after.as_deref(), limit.clamp(1, PAGE)).await;
        let found = found.map_err(SubjectsError::State)?;
        let mut page = ConsentPage::default();
        for item in &found.items {
            let id = item.key.strip_prefix(rows::INDEX).and_then(|id| id.try_into().ok());
            let id = RecordId(id.ok_or(SubjectsError::Damaged)?);
            match self.consent(id).await {
                Ok(record) => page.records.push(record),
                Err(ConsentError::Broken) => page.broken.push(id),
                // Its person is being erased at this moment.
                Err(ConsentError::NotFound) => {}
                Err(error) => return Err(error),
            }
            page.next = found.more.then_some(id);
        }
        Ok(page)
    }

    /// How a person's consent to a question stood at a moment. Before the first record that is
    /// unknown, also of those whose card has an answer from before there were records.
    ///
    /// # Errors
    /// When the state cannot be read. Records that were tampered with are no error: all answers of
    /// their person are unknown.
    pub async fn consent_at(
        &self,
        domain: &DomainId,
        id: &str,
        question: &str,
        moment: Moment,
    ) -> Result<Standing, ConsentError> {
        let record = self.0.keys.record_key(domain, id);
        let person = self.person(&record).await?;
        if person.is_broken {
            self.close_broken(&record, None).await?;
            return Ok(Standing::UNKNOWN);
        }
        let notices = self.notices().await?;
        Ok(standing(&person.records, &notices, question, moment))
    }

    /// [`Self::consent_at`] a moment by what was known then: whether it was allowed.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn allows_at(
        &self,
        domain: &DomainId,
        id: &str,
        question: &str,
        at: Timestamp,
    ) -> Result<bool, ConsentError> {
        let standing = self.consent_at(domain, id, question, Moment::then(at)).await?;
        Ok(standing.allows())
    }

    /// Everything about one person.
    pub(super) async fn person(&self, record: &RecordKey) -> Result<Person, SubjectsError> {
        let card = async || {
            let found = self.0.state.get(&storage_key(record)).await;
            found.map_err(SubjectsError::State).map(|found| found.map(|found| found.version))
        };
        for _ in 0..ATTEMPTS {
            let before = card().await?;
            let person = self.person_once(record).await?;
            // Rows are read one after the other. Whoever adds some writes the card as well.
            if !person.is_broken || card().await? == before {
                return Ok(person);
            }
        }
        Err(SubjectsError::Contended)
    }

    async fn person_once(&self, record: &RecordKey) -> Result<Person, SubjectsError> {
        let owner = Owner::Person(*record);
        let raw = self.raw(&owner.prefix(), &owner.prefix()).await?;
        let mut person = Person::default();
        if let Some(found) =
            self.0.state.get(&rows::ref_key(record)).await.map_err(SubjectsError::State)?
        {
            let named = Named::decode(&found.value).ok_or(SubjectsError::Damaged)?;
            person.named = Some((named, found.version));
        }
        let mut by_record: BTreeMap<RecordId, Vec<Raw>> = BTreeMap::new();
        raw.into_iter().for_each(|row| by_record.entry(row.record).or_default().push(row));
        for (id, raw) in &by_record {
            let head = self.head(*id).await?.filter(|head| head.owner == owner);
            let read = rows::versions(raw, head).zip(head);
            match read.and_then(|(versions, head)| rows::record(&versions, head.hash)) {
                Some(read) => {
                    person.last = person.last.max(read.created_at);
                    person.records.push(read);
                }
                None => person.is_broken = true,
            }
        }
        let known = person.named.map_or(0, |(named, _)| named.records);
        let is_theirs = |record: &ConsentRecord| {
            person.named.is_some_and(|(named, _)| named.person == record.subject_ref)
        };
        person.is_broken |=
            usize::try_from(known) != Ok(by_record.len()) || !person.records.iter().all(is_theirs);
        Ok(person)
    }

    pub(super) async fn head(&self, id: RecordId) -> Result<Option<Head>, SubjectsError> {
        let found = self.0.state.get(&rows::index_key(id)).await.map_err(SubjectsError::State)?;
        found.map(|found| Head::decode(&found.value).ok_or(SubjectsError::Damaged)).transpose()
    }

    async fn versions(
        &self,
        id: RecordId,
    ) -> Result<(Vec<ConsentVersion>, super::Digest), ConsentError> {
        for _ in 0..ATTEMPTS {
            let head = self.head(id).await?.ok_or(ConsentError::NotFound)?;
            let raw = self.raw(&head.owner.prefix(), &head.owner.record(id)).await?;
            if let Some(versions) = rows::versions(&raw, Some(head)) {
                return Ok((versions, head.hash));
            }
            // It may have grown, or moved, between the two.
            if self.head(id).await? == Some(head) {
                self.0.metrics.consents_broken.inc();
                tracing::error!(record = %id, "a consent record was tampered with");
                if let Owner::Person(record) = &head.owner {
                    self.close_broken(record, None).await?;
                }
                return Err(ConsentError::Broken);
            }
        }
        Err(SubjectsError::Contended.into())
    }

    /// The rows whose keys start with `from`, which starts with `prefix`.
    pub(super) async fn raw(&self, prefix: &[u8], from: &[u8]) -> Result<Vec<Raw>, SubjectsError> {
        let (mut raw, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.0.state.scan(from, after.as_deref(), PAGE).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                rows::gather(&mut raw, prefix, &item.key, &item.value.value)?;
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(raw);
            }
        }
    }

    /// Takes every answer that rests on the ledger off the card of a person whose records were
    /// tampered with, and the answer to `question`: what cannot be proved allows nothing.
    pub(super) async fn close_broken(
        &self,
        record: &RecordKey,
        question: Option<&str>,
    ) -> Result<(), SubjectsError> {
        for _ in 0..ATTEMPTS {
            let Some((mut facts, version)) = self.stored(record).await? else { return Ok(()) };
            if !self.person(record).await?.is_broken {
                return Ok(());
            }
            let before = facts.clone();
            facts.consents.retain(|name, answer| {
                !answer.is_recorded() && question.is_none_or(|question| question != &**name)
            });
            if facts == before {
                return Ok(());
            }
            self.0.metrics.consents_broken.inc();
            tracing::error!("consent records were tampered with; the person's answers are closed");
            let mut tx = Tx::new();
            tx.put(&storage_key(record), facts.encode()?, Expect::Version(Rev(version)));
            let done = self.commit_card(tx, record).await;
            match done {
                Ok(_) => return Ok(()),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(SubjectsError::State(error)),
            }
        }
        Err(SubjectsError::Contended)
    }

    /// Commits what changes a card, and has it looked up anew whatever comes of it.
    pub(super) async fn commit_card(&self, tx: Tx, record: &RecordKey) -> Result<Rev, StateError> {
        let writing = self.0.changes.read().await;
        let done = self.0.state.commit(tx).await;
        drop(writing);
        // After a failure too: it may have been made all the same.
        self.0.cache.changed_record(record);
        done
    }

    /// The notices that are registered.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn notices(&self) -> Result<std::sync::Arc<Notices>, SubjectsError> {
        self.0.notices.get(&self.0.state).await
    }
}

const PAGE: usize = 256;
const ATTEMPTS: usize = 8;

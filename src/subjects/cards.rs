//! Looking up cards, and making them for people seen for the first time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::RwLock;

use super::cache::Cache;
use super::cache::Ticket;
use super::card::Card;
use super::card::Facts;
use super::config::SubjectsConfig;
use super::consent::Notices;
use super::consent::Registry;
use super::erase::CARDS;
use super::error::SubjectsError;
use super::exports::Exports;
use super::metrics::SubjectsMetrics;
use super::vault::Kept;
use crate::keys::Held;
use crate::keys::KeyRing;
use crate::keys::KeysError;
use crate::keys::LockChange;
use crate::keys::RecordKey;
use crate::keys::Subject;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;

/// The cards of all subjects. Clones share them.
#[derive(Clone)]
pub struct Cards(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) keys: KeyRing,
    pub(super) state: Engine,
    pub(super) cache: Cache,
    pub(super) metrics: SubjectsMetrics,
    pub(super) kept: Kept,
    /// The notices that consent was given under.
    pub(super) notices: Registry,
    /// Whose data left their country.
    pub(super) exports: Exports,
    pub(super) unlink_after_ms: u64,
    /// Held by whoever writes a card; an erasure waits for them and keeps others away.
    pub(super) changes: RwLock<()>,
}

/// What was found about one subject.
struct Known {
    ticket: Ticket,
    held: Option<Held>,
    /// The stored part of the card, and its version.
    facts: Option<(Facts, u64)>,
    /// Read after the ticket was taken: who registers a notice has all cards looked up anew.
    notices: Arc<Notices>,
}

impl Cards {
    /// Cards kept in `state`, for subjects whose keys are in `keys`.
    pub fn open(keys: KeyRing, state: Engine, config: &SubjectsConfig) -> Self {
        let cache = Cache::new(config.cached_cards);
        let metrics = SubjectsMetrics::default();
        let (kept, changes) = (Kept::default(), RwLock::new(()));
        let exports = Exports::new(state.clone());
        let unlink_after_ms = config.unlink_after_ms;
        let notices = Registry::default();
        Self(Arc::new(Shared {
            keys,
            state,
            cache,
            metrics,
            kept,
            exports,
            unlink_after_ms,
            notices,
            changes,
        }))
    }

    /// The card, when it is in memory: no waiting, one read lock of one shard.
    pub fn cached(&self, domain: &DomainId, id: &str) -> Option<Arc<Card>> {
        self.0.cache.get(domain, id)
    }

    /// Goes up with every change of a card, before whoever made it is told. Cards got after this
    /// was asked are those in force for as long as it stays the same.
    pub fn changes(&self) -> u64 {
        self.0.cache.changes()
    }

    /// The card of each wanted subject, in the same order. People seen for the first time get a
    /// key and a card: one durable commit each for all of them together. `None` for what is not
    /// a subject id, and for a person whose card is lost: nothing is known, so nothing opens.
    ///
    /// An error means that no card of the batch may be relied on.
    pub async fn cards(
        &self,
        wanted: &[(&DomainId, &str)],
        out: &mut Vec<Option<Arc<Card>>>,
    ) -> Result<(), SubjectsError> {
        out.clear();
        out.extend(wanted.iter().map(|(domain, id)| self.cached(domain, id)));
        // Each missing subject once, with the places that want it.
        let mut missing: BTreeMap<(&DomainId, &str), Vec<usize>> = BTreeMap::new();
        for (place, (key, found)) in wanted.iter().zip(out.iter()).enumerate() {
            if found.is_none() && SubjectId::parse(key.1).is_ok() {
                missing.entry(*key).or_default().push(place);
            }
        }
        let missing: Vec<_> = missing.into_iter().collect();
        for part in missing.chunks(PART) {
            let subjects: Vec<Subject<'_>> =
                part.iter().map(|((domain, id), _)| self.0.keys.subject(domain, id)).collect();
            let found = Box::pin(self.load_or_create(&subjects)).await?;
            for ((_, places), card) in part.iter().zip(found) {
                for place in places {
                    if let Some(slot) = out.get_mut(*place) {
                        slot.clone_from(&card);
                    }
                }
            }
        }
        Ok(())
    }

    /// The card of a person who has one. Nobody gets a card or a key by being asked about.
    pub async fn find(
        &self,
        domain: &DomainId,
        id: &str,
    ) -> Result<Option<Arc<Card>>, SubjectsError> {
        if let Some(card) = self.cached(domain, id) {
            return Ok(Some(card));
        }
        let subject = self.0.keys.subject(domain, id);
        let known = self.look(&subject).await?;
        let erased = |(facts, _): &(Facts, u64)| facts.status.contains(SubjectStatus::Erased);
        // A card without a key is one in the making, unless its person was erased.
        let is_whole = known.held.is_some() || known.facts.as_ref().is_some_and(erased);
        Ok(if is_whole { self.keep(&subject, known) } else { None })
    }

    /// Whose data left their country this year.
    pub fn exports(&self) -> &Exports {
        &self.0.exports
    }

    /// Counters.
    pub fn metrics(&self) -> &SubjectsMetrics {
        &self.0.metrics
    }

    /// Has whoever holds the root key confirm it, for ever, and follows the lock of the keys: once
    /// they are locked, cards at hand keep the names of people in the audit log and what stands
    /// against the use of their data, and let go of keys; before they are open again, all are
    /// forgotten.
    pub async fn keep_keys(self) {
        let (keys, shared) = (self.0.keys.clone(), self.0);
        let follow = move |change| match change {
            LockChange::Locked => shared.cache.forget_keys(),
            LockChange::Unlocking => shared.cache.forget_all(),
        };
        keys.keep(follow).await;
    }

    /// Whether cards and keys can still be made.
    pub fn writable(&self) -> bool {
        self.0.state.writable() && self.0.keys.writable()
    }

    /// Reads the cards of different subjects, and makes those that are new. Starts again when
    /// somebody else makes one of them at the same time.
    pub(super) async fn load_or_create(
        &self,
        subjects: &[Subject<'_>],
    ) -> Result<Vec<Option<Arc<Card>>>, SubjectsError> {
        for _ in 0..ATTEMPTS {
            let mut known = Vec::with_capacity(subjects.len());
            for subject in subjects {
                known.push(self.look(subject).await?);
            }
            // Cards first. A crash in between leaves a card without a key, which the next look
            // completes; a key without a card always means that a card was lost.
            if self.make_cards(subjects, &mut known).await?
                && self.make_keys(subjects, &mut known).await?
            {
                let each = subjects.iter().zip(known);
                return Ok(each.map(|(subject, known)| self.keep(subject, known)).collect());
            }
        }
        Err(SubjectsError::Contended)
    }

    /// The key is read before the card, because it is made after it: a key that is there with no
    /// card to be found is then never a card in the making.
    async fn look(&self, subject: &Subject<'_>) -> Result<Known, SubjectsError> {
        let ticket = self.0.cache.ticket(subject.id);
        let notices = self.0.notices.get(&self.0.state).await?;
        if self.0.keys.is_erased(subject) {
            // Whatever is stored. No version of theirs was ever higher.
            let facts = Facts { status: Statuses::ERASED, ..Facts::default() };
            let facts = Some((facts, self.0.state.rev().0));
            return Ok(Known { ticket, held: None, facts, notices });
        }
        let held = self.0.keys.held(subject).await.map_err(SubjectsError::Keys)?;
        let facts = self.stored(&subject.record).await?;
        Ok(Known { ticket, held, facts, notices })
    }

    /// The stored part of a card, and its version.
    pub(super) async fn stored(
        &self,
        record: &RecordKey,
    ) -> Result<Option<(Facts, u64)>, SubjectsError> {
        match self.0.state.get(&storage_key(record)).await.map_err(SubjectsError::State)? {
            Some(stored) => Ok(Some((Facts::decode(&stored.value)?, stored.version.0))),
            None => Ok(None),
        }
    }

    /// Makes the card of a person who has none; false when somebody else did meanwhile.
    pub(super) async fn make_card(&self, subject: &Subject<'_>) -> Result<bool, SubjectsError> {
        let known = self.look(subject).await?;
        self.make_cards(&[*subject], &mut [known]).await
    }

    /// Makes the cards of those who have neither key nor card; false when somebody else did.
    async fn make_cards(
        &self,
        subjects: &[Subject<'_>],
        known: &mut [Known],
    ) -> Result<bool, SubjectsError> {
        let _change = self.0.changes.read().await;
        let mut tx = Tx::new();
        let blank = Facts::default().encode()?;
        let is_new = |known: &Known| known.held.is_none() && known.facts.is_none();
        for (subject, _) in subjects.iter().zip(known.iter()).filter(|(_, known)| is_new(known)) {
            tx.put(&storage_key(&subject.record), blank.clone(), Expect::Absent);
        }
        let count = tx.len();
        if count == 0 {
            return Ok(true);
        }
        if !self.0.keys.is_usable() {
            // A card would be left that has no key.
            return Err(SubjectsError::Keys(KeysError::Unavailable));
        }
        let mut new = subjects.iter().zip(known.iter()).filter(|(_, known)| is_new(known));
        if new.any(|(subject, _)| self.0.keys.is_erased(subject)) {
            // Erased since they were looked at.
            return Ok(false);
        }
        let rev = match self.0.state.commit(tx).await {
            Ok(rev) => rev,
            Err(StateError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(SubjectsError::State(error)),
        };
        for known in known.iter_mut().filter(|known| is_new(known)) {
            known.facts = Some((Facts::default(), rev.0));
        }
        self.0.metrics.created.inc_by(u64::try_from(count).unwrap_or(0));
        Ok(true)
    }

    /// Makes the keys of those who have a card but no key; false when somebody else did. The
    /// erased stay without one.
    async fn make_keys(
        &self,
        subjects: &[Subject<'_>],
        known: &mut [Known],
    ) -> Result<bool, SubjectsError> {
        let wants_key = |known: &Known| {
            let living = |(facts, _): &(Facts, u64)| !facts.status.contains(SubjectStatus::Erased);
            known.held.is_none() && known.facts.as_ref().is_some_and(living)
        };
        let pairs = subjects.iter().zip(known.iter());
        let new: Vec<Subject<'_>> =
            pairs.filter(|(_, known)| wants_key(known)).map(|(subject, _)| *subject).collect();
        if new.is_empty() {
            return Ok(true);
        }
        let Some(made) = self.0.keys.create(&new).await.map_err(SubjectsError::Keys)? else {
            return Ok(false);
        };
        let without = known.iter_mut().filter(|known| wants_key(known));
        without.zip(made).for_each(|(known, held)| known.held = Some(held));
        Ok(true)
    }

    fn keep(&self, subject: &Subject<'_>, known: Known) -> Option<Arc<Card>> {
        let Some((facts, version)) = known.facts else {
            self.0.metrics.orphaned.inc();
            tracing::warn!("a subject has a key but no card; their records stay closed");
            return None;
        };
        self.0.metrics.loaded.inc();
        let card = facts.into_card(subject.record, known.held, version, &known.notices);
        let card = Arc::new(card);
        self.0.cache.loaded(subject.domain, subject.id, &card, known.ticket);
        Some(card)
    }
}

/// Where the card of a subject stands in the state.
pub(super) fn storage_key(record: &RecordKey) -> Vec<u8> {
    [CARDS, &record.0].concat()
}

impl fmt::Debug for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cards(..)")
    }
}

/// How many people get a key and a card in one commit.
const PART: usize = 512;
/// How often a look-up or a change starts again because somebody else was faster.
pub(super) const ATTEMPTS: usize = 64;

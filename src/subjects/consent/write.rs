//! Recording consent: a version of a record and the answer on the card, in one transaction.

use serde::Deserialize;
use serde::Serialize;

use super::bounds;
use super::error::ConsentError;
use super::ids::Digest;
use super::ids::RecordId;
use super::ids::SubjectRef;
use super::ids::hex;
use super::machine;
use super::model::ConsentChange;
use super::model::ConsentRecord;
use super::model::ConsentVersion;
use super::model::NewConsent;
use super::model::NewEvent;
use super::model::SCHEMA;
use super::once::Once;
use super::read::Person;
use super::rows;
use super::rows::Head;
use super::rows::Named;
use super::rows::Owner;
use super::standing;
use super::standing::Moment;
use super::words::ConsentState;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;
use crate::subjects::card::Answer;
use crate::subjects::card::Facts;
use crate::subjects::card::MAX_NAMES;
use crate::subjects::cards::ATTEMPTS;
use crate::subjects::cards::storage_key;
use crate::subjects::erase::spawned;
use crate::types::DomainId;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

/// Who records something, where the audit log has it, and what they call the attempt.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filing {
    /// The token of the operator, or of the caller whose browser said it.
    pub by: String,
    /// The index of the entry in the audit log.
    pub audit_seq: Option<u64>,
    /// The idempotency key: within 24 hours and more, the same operator with the same key and the
    /// same body gets the first answer again, and nothing is recorded twice.
    pub idempotency_key: Option<String>,
}

/// What was recorded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The record.
    pub record_id: RecordId,
    /// What records call the person.
    pub subject_ref: SubjectRef,
    /// The version that was added.
    pub version: u32,
    /// Its SHA-256.
    pub version_hash: Digest,
    /// When it was recorded.
    #[serde(with = "super::time")]
    pub created_at: Timestamp,
    /// Whether it had been recorded before, under the same idempotency key.
    #[serde(default, skip)]
    pub repeated: bool,
}

/// What is to be recorded.
#[derive(Clone)]
pub(super) enum Work {
    New(Box<NewConsent>),
    Event(RecordId, Box<NewEvent>),
}

/// A version that is about to be written.
struct Draft {
    record: ConsentRecord,
    version: ConsentVersion,
    named: Named,
}

impl Cards {
    /// Makes a consent record. From then on every look-up shows the answers in it. Whoever was
    /// never met gets a card.
    ///
    /// # Errors
    /// When it breaks a limit or a rule, when the person was erased, or when keys or state are not
    /// available. An error of the state leaves open whether it was recorded: repeat it with its
    /// idempotency key.
    pub async fn record_consent(
        &self,
        domain: &DomainId,
        id: &str,
        new: NewConsent,
        filing: Filing,
    ) -> Result<Recorded, ConsentError> {
        SubjectId::parse(id).map_err(|_| SubjectsError::Invalid { what: "the subject id" })?;
        let filing = Filing {
            idempotency_key: filing.idempotency_key.or_else(|| new.idempotency_key.clone()),
            ..filing
        };
        let checked = new.check().and_then(|()| filing.check());
        self.counted(checked)?;
        let (cards, domain, id) = (self.clone(), domain.clone(), Box::<str>::from(id));
        let done = spawned(async move {
            let subject = cards.0.keys.subject(&domain, &id);
            let made = cards.card_of(&subject).await;
            let work = Work::New(Box::new(new));
            Ok(match made {
                Ok(_) => cards.write_consent(&subject.record, &work, &filing).await,
                Err(error) => Err(error.into()),
            })
        });
        self.counted(done.await?)
    }

    /// Adds an event to a consent record. From then on every look-up shows what it comes to. Works
    /// while the keys are locked.
    ///
    /// # Errors
    /// As [`Self::record_consent`]; and when the state cannot follow the one that holds.
    pub async fn consent_event(
        &self,
        record: RecordId,
        new: NewEvent,
        filing: Filing,
    ) -> Result<Recorded, ConsentError> {
        self.counted(filing.check())?;
        let cards = self.clone();
        let done = spawned(async move {
            let owner = cards.head(record).await?.map(|head| head.owner);
            let work = Work::Event(record, Box::new(new));
            Ok(match owner {
                Some(Owner::Person(person)) => cards.write_consent(&person, &work, &filing).await,
                Some(Owner::Past(_)) => Err(SubjectsError::Erased.into()),
                None => Err(ConsentError::NotFound),
            })
        });
        self.counted(done.await?)
    }

    /// What a record may call a guardian who is known by an id: keyed, so that nobody can tell the
    /// id from it.
    pub fn guardian_ref(&self, domain: &DomainId, id: &str) -> String {
        let record = self.0.keys.record_key(domain, id);
        // Not the key of their own rows, which tells whose they are.
        let name =
            super::canonical::of_bytes(&[b"privet/guardian/v1", record.0.as_slice()].concat());
        let short = name.0.first_chunk::<16>().map_or_else(String::new, |name| hex(name));
        format!("key:{short}")
    }

    /// Counts what was refused.
    pub(super) fn counted<T>(&self, done: Result<T, ConsentError>) -> Result<T, ConsentError> {
        if done.is_err() {
            self.0.metrics.consents_refused.inc();
        }
        done
    }

    async fn write_consent(
        &self,
        owner: &RecordKey,
        work: &Work,
        filing: &Filing,
    ) -> Result<Recorded, ConsentError> {
        for _ in 0..ATTEMPTS {
            let (facts, version) = self.facts_of(owner).await?;
            if let Some(done) = self.write_once(owner, (facts, version), work, filing).await? {
                return Ok(done);
            }
        }
        Err(SubjectsError::Contended.into())
    }

    /// What the card of a person says who has one.
    pub(super) async fn facts_of(&self, owner: &RecordKey) -> Result<(Facts, u64), SubjectsError> {
        if self.0.keys.is_erased_record(owner) {
            return Err(SubjectsError::Erased);
        }
        let (facts, version) = self.stored(owner).await?.ok_or(SubjectsError::Orphaned)?;
        if facts.status.contains(SubjectStatus::Erased) {
            return Err(SubjectsError::Erased);
        }
        Ok((facts, version))
    }

    /// One attempt; `None` when something changed meanwhile.
    pub(super) async fn write_once(
        &self,
        owner: &RecordKey,
        (facts, card): (Facts, u64),
        work: &Work,
        filing: &Filing,
    ) -> Result<Option<Recorded>, ConsentError> {
        let once = match Once::new(&self.0.keys, work, filing)? {
            None => None,
            Some(once) => match self.done_before(owner, &once).await? {
                Some(done) => return Ok(Some(done)),
                None => Some(once),
            },
        };
        let mut person = self.person(owner).await?;
        if person.is_broken {
            self.close_broken(owner, work.closes()).await?;
            return Err(ConsentError::Broken);
        }
        let draft = self.draft(&person, work, filing).await?;
        let mut tx = Tx::new();
        let done = put_draft(&mut tx, owner, &person, &draft)?;
        person.records.retain(|record| record.record_id != draft.record.record_id);
        person.records.push(draft.record);
        let facts = answered(facts, &person.records, done.created_at)?;
        tx.put(&storage_key(owner), facts.encode()?, Expect::Version(Rev(card)));
        if let Some(once) = once {
            self.remember(&mut tx, &once, &done).await?;
        }
        match self.commit_card(tx, owner).await {
            Ok(_) => {
                self.0.metrics.consents_recorded.inc();
                self.0.metrics.changed.inc();
                Ok(Some(done))
            }
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(SubjectsError::State(error).into()),
        }
    }

    async fn draft(
        &self,
        person: &Person,
        work: &Work,
        filing: &Filing,
    ) -> Result<Draft, ConsentError> {
        // Each version of a person's has a time of its own, so that what was known when is clear.
        let now = self.0.keys.now().max(person.last.plus_ms(1));
        let random = |bytes: &mut [u8]| {
            let filled = self.0.keys.entropy().fill(bytes);
            filled.map_err(|_| ConsentError::Subjects(SubjectsError::Interrupted))
        };
        let named = match person.named {
            Some((named, _)) => named,
            None => {
                let mut fresh = [0; 16];
                random(&mut fresh)?;
                Named { person: SubjectRef(fresh), records: 0 }
            }
        };
        match work {
            Work::New(new) => {
                let notices = self.notices().await?;
                if new.notice.as_ref().is_some_and(|n| !notices.knows(n, new.language.as_deref())) {
                    return Err(ConsentError::NoticeDiffers);
                }
                let mut tail = [0; 10];
                random(&mut tail)?;
                let new = first(person, new, now, self.keyed(filing))?;
                let id = RecordId::new(now, tail);
                let named = Named { records: named.records.saturating_add(1), ..named };
                let change =
                    ConsentChange::Created { subject_ref: named.person, consent: Box::new(new) };
                make(None, (id, change), named, (now, filing))
            }
            Work::Event(id, event) => {
                let record = person.records.iter().find(|record| record.record_id == *id);
                let record = record.ok_or(ConsentError::NotFound)?;
                let event = next(person, record, event, now)?;
                let change = ConsentChange::Event(Box::new(event));
                make(Some(record), (*id, change), named, (now, filing))
            }
        }
    }
}

impl Filing {
    fn check(&self) -> Result<(), ConsentError> {
        self.idempotency_key
            .as_deref()
            .map_or(Ok(()), |key| bounds::idempotency_key("idempotency_key", key))
    }
}

impl Work {
    /// The question whose answer this would close, when it is one.
    fn closes(&self) -> Option<&str> {
        let events = match self {
            Self::New(new) => new.events.as_slice(),
            Self::Event(_, event) => std::slice::from_ref(&**event),
        };
        let mut closing = events.iter().filter(|event| !event.state.allows());
        closing.next().map(|event| event.purpose_key.as_str())
    }
}

/// A record that can be the person's next, with its events in their places in time.
fn first(
    person: &Person,
    new: &NewConsent,
    now: Timestamp,
    key: Option<String>,
) -> Result<NewConsent, ConsentError> {
    let gives = new.events.iter().any(|event| event.state.allows());
    if gives && person.records.len() >= MAX_RECORDS {
        return Err(too_many());
    }
    if let Some(old) = new.supersedes
        && !person.records.iter().any(|record| record.record_id == old)
    {
        return Err(ConsentError::invalid("supersedes", "is no record of this person"));
    }
    let mut new = NewConsent { idempotency_key: key, ..new.clone() };
    let events = std::mem::take(&mut new.events);
    for event in events {
        let event = timed(&event, now)?;
        machine::step(state_at(&new.events, &event, now), event.state, &event.entity_id)?;
        new.events.push(event);
    }
    Ok(new)
}

/// An event that can be the record's next.
fn next(
    person: &Person,
    record: &ConsentRecord,
    event: &NewEvent,
    now: Timestamp,
) -> Result<NewEvent, ConsentError> {
    event.check_in("", &record.consent)?;
    let event = timed(event, now)?;
    let events: Vec<NewEvent> = record.events.iter().map(|event| event.event.clone()).collect();
    machine::step(state_at(&events, &event, now), event.state, &event.entity_id)?;
    if event.state.allows() {
        if record.version >= MAX_VERSIONS {
            return Err(too_many());
        }
        let has_answer = |other: &ConsentRecord| {
            other.consent.supersedes == Some(record.record_id)
                && other.events.iter().any(|of| {
                    of.event.purpose_key == event.purpose_key && standing::is_answer(of.event.state)
                })
        };
        if person.records.iter().any(has_answer) {
            return Err(ConsentError::Superseded);
        }
    }
    Ok(event)
}

/// The event with its time. What was said a moment ago by a clock that is ahead was said now.
fn timed(event: &NewEvent, now: Timestamp) -> Result<NewEvent, ConsentError> {
    let time = event.time.unwrap_or(now);
    if time > now.plus_ms(MAX_AHEAD_MS) {
        return Err(ConsentError::invalid("time", "lies in the future"));
    }
    Ok(NewEvent { time: Some(time.min(now)), ..event.clone() })
}

/// The state of the event's purpose when it happens, by the events of its record.
pub(super) fn state_at(
    events: &[NewEvent],
    event: &NewEvent,
    now: Timestamp,
) -> Option<ConsentState> {
    let time = |event: &NewEvent| event.time.unwrap_or(now);
    let mut before: Vec<&NewEvent> = events
        .iter()
        .filter(|other| other.purpose_key == event.purpose_key && time(other) <= time(event))
        .collect();
    before.sort_by_key(|event| time(event));
    let last = before.last()?;
    let is_over = last.valid_until.is_some_and(|until| until <= time(event));
    Some(if last.state.allows() && is_over { ConsentState::Expired } else { last.state })
}

fn make(
    before: Option<&ConsentRecord>,
    (record_id, change): (RecordId, ConsentChange),
    named: Named,
    (now, filing): (Timestamp, &Filing),
) -> Result<Draft, ConsentError> {
    let version = ConsentVersion {
        schema_version: SCHEMA.to_owned(),
        record_id,
        version: before.map_or(0, |record| record.version).saturating_add(1),
        prev_version_hash: before.map(|record| record.version_hash),
        created_at: now,
        created_by: filing.by.clone(),
        audit_seq: filing.audit_seq,
        change,
    };
    let hash = super::canonical::digest(&version).ok_or(SubjectsError::Damaged)?;
    let record = match (before, &version.change) {
        (None, _) => rows::record(std::slice::from_ref(&version), hash),
        (Some(record), ConsentChange::Event(event)) => {
            let mut events = record.events.clone();
            events.push(rows::recorded((**event).clone(), &version));
            Some(ConsentRecord {
                events,
                version: version.version,
                prev_version_hash: version.prev_version_hash,
                version_hash: hash,
                created_at: now,
                created_by: version.created_by.clone(),
                audit_seq: version.audit_seq,
                ..record.clone()
            })
        }
        (Some(_), ConsentChange::Created { .. }) => None,
    };
    Ok(Draft { record: record.ok_or(SubjectsError::Damaged)?, version, named })
}

/// The rows of a version, of its record's place in the index, and of what records call the person.
fn put_draft(
    tx: &mut Tx,
    owner: &RecordKey,
    person: &Person,
    draft: &Draft,
) -> Result<Recorded, ConsentError> {
    let id = draft.version.record_id;
    let hash = rows::put_version(tx, &Owner::Person(*owner), &draft.version)?;
    let head = Head { owner: Owner::Person(*owner), version: draft.version.version, hash };
    let is_first = draft.version.version == 1;
    // That nobody else wrote is for the version of the card to say.
    tx.put(
        &rows::index_key(id),
        head.encode(),
        if is_first { Expect::Absent } else { Expect::Any },
    );
    if is_first {
        let expect = person.named.map_or(Expect::Absent, |(_, version)| Expect::Version(version));
        tx.put(&rows::ref_key(owner), draft.named.encode(), expect);
    }
    Ok(Recorded {
        record_id: id,
        subject_ref: draft.named.person,
        version: draft.version.version,
        version_hash: hash,
        created_at: draft.version.created_at,
        repeated: false,
    })
}

/// What the card says once the records say this. An answer from before there were records stays
/// until a record answers the question.
fn answered(
    mut facts: Facts,
    records: &[ConsentRecord],
    now: Timestamp,
) -> Result<Facts, SubjectsError> {
    let questions = records.iter().flat_map(|record| record.consent.process.iter());
    for question in questions.map(|process| process.purpose_key.as_str()) {
        let Some((record, event)) = standing::decider(records, question, Moment::then(now)) else {
            continue;
        };
        match event.event.state {
            ConsentState::Given | ConsentState::RenewedGiven => {
                let answer = Answer::recorded(&record.consent, &event.event);
                facts.consents.insert(question.into(), answer);
            }
            ConsentState::Requested | ConsentState::RequestDeferred => {
                facts.consents.retain(|name, answer| &**name != question || !answer.is_recorded());
            }
            ConsentState::Unknown => drop(facts.consents.remove(question)),
            // What is not on the card is closed as well: a full card keeps nobody from saying no.
            _ if facts.consents.contains_key(question) || facts.consents.len() < MAX_NAMES => {
                facts.consents.insert(question.into(), Answer::Refused);
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn too_many() -> ConsentError {
    ConsentError::TooMany { records: MAX_RECORDS, versions: MAX_VERSIONS }
}

/// The most records of a person in which something is given.
const MAX_RECORDS: usize = 256;
/// The most versions of a record by which something is given.
const MAX_VERSIONS: u32 = 1_000;
/// How far the clock of whoever reports an event may be ahead: five minutes.
const MAX_AHEAD_MS: u64 = 300_000;

//! An answer without a notice, of an operator or a browser: a small record, or an event of one.

use super::bounds;
use super::error::ConsentError;
use super::ids::RecordId;
use super::machine;
use super::model::ConsentRecord;
use super::model::Evidence;
use super::model::NewConsent;
use super::model::NewEvent;
use super::model::Process;
use super::read::Person;
use super::standing;
use super::standing::Moment;
use super::words::Channel;
use super::words::ConsentState;
use super::words::ConsentType;
use super::words::Entity;
use super::write::Filing;
use super::write::Work;
use super::write::state_at;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;
use crate::subjects::card::Facts;
use crate::subjects::cards::ATTEMPTS;
use crate::subjects::cards::storage_key;
use crate::subjects::erase::spawned;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::SubjectId;
use crate::types::Timestamp;

/// How an answer without a notice came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    /// An operator was told.
    Operator,
    /// The person's browser sends `Sec-GPC: 1`.
    Signal,
}

impl Said {
    /// The `method` of its events.
    const fn method(self) -> &'static str {
        match self {
            Self::Operator => METHOD,
            Self::Signal => "gpc",
        }
    }

    fn evidence(self) -> Option<Evidence> {
        match self {
            Self::Operator => None,
            Self::Signal => Some(Evidence { gpc: Some(true), ..Evidence::default() }),
        }
    }
}

impl Cards {
    /// Sets a person's answer to the question `name`; [`Consent::Unknown`] takes it off the card.
    /// Returns the card's new version; from then on every look-up shows the change. Nothing is
    /// recorded when the answer stands already.
    ///
    /// # Errors
    /// As [`Self::record_consent`].
    pub async fn set_consent(
        &self,
        domain: &DomainId,
        id: &str,
        name: &str,
        consent: Consent,
    ) -> Result<u64, SubjectsError> {
        let filing = Filing { by: "operator".into(), ..Filing::default() };
        self.say_consent((domain, id), (name, consent), Said::Operator, filing).await
    }

    /// [`Self::set_consent`], telling how it was said and who records it.
    ///
    /// # Errors
    /// As [`Self::record_consent`].
    pub async fn say_consent(
        &self,
        (domain, id): (&DomainId, &str),
        (name, consent): (&str, Consent),
        said: Said,
        filing: Filing,
    ) -> Result<u64, SubjectsError> {
        SubjectId::parse(id).map_err(|_| SubjectsError::Invalid { what: "the subject id" })?;
        if !bounds::is_question(name) {
            let what = "the name of the consent or opt-out";
            return self.counted(Err(SubjectsError::Invalid { what }.into())).map_err(plain);
        }
        let (cards, domain, id) = (self.clone(), domain.clone(), Box::<str>::from(id));
        let name = Box::<str>::from(name);
        let done = spawned(async move {
            let subject = cards.0.keys.subject(&domain, &id);
            Ok(match cards.card_of(&subject).await {
                Ok(_) => cards.say(&subject.record, (&name, consent), said, &filing).await,
                Err(error) => Err(error.into()),
            })
        });
        self.counted(done.await?).map_err(plain)
    }

    async fn say(
        &self,
        owner: &RecordKey,
        (name, consent): (&str, Consent),
        said: Said,
        filing: &Filing,
    ) -> Result<u64, ConsentError> {
        for _ in 0..ATTEMPTS {
            let (facts, version) = self.facts_of(owner).await?;
            let person = self.person(owner).await?;
            if person.is_broken {
                let closes = !matches!(consent, Consent::Given { .. });
                self.close_broken(owner, closes.then_some(name)).await?;
                return Err(ConsentError::Broken);
            }
            let now = self.0.keys.now().max(person.last.plus_ms(1));
            let done = match plan(&person, (name, consent), said, now) {
                Plan::Stands if !takes_off(&facts, name, consent) => return Ok(version),
                Plan::Stands => self.take_off(owner, (facts, version), name).await?,
                Plan::Do(work) => {
                    let written = self.write_once(owner, (facts, version), &work, filing).await?;
                    match written {
                        Some(_) => self.stored(owner).await?.map(|(_, version)| version),
                        None => None,
                    }
                }
            };
            if let Some(version) = done {
                return Ok(version);
            }
        }
        Err(SubjectsError::Contended.into())
    }

    /// Takes an answer off the card that no record speaks of.
    async fn take_off(
        &self,
        owner: &RecordKey,
        (mut facts, version): (Facts, u64),
        name: &str,
    ) -> Result<Option<u64>, SubjectsError> {
        facts.consents.remove(name);
        let mut tx = Tx::new();
        tx.put(&storage_key(owner), facts.encode()?, Expect::Version(Rev(version)));
        match self.commit_card(tx, owner).await {
            Ok(rev) => {
                self.0.metrics.changed.inc();
                Ok(Some(rev.0))
            }
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(SubjectsError::State(error)),
        }
    }
}

enum Plan {
    /// The records say so already.
    Stands,
    Do(Work),
}

/// Whether the card has an answer from before there were records, and is to have none.
fn takes_off(facts: &Facts, name: &str, consent: Consent) -> bool {
    consent == Consent::Unknown && facts.consents.contains_key(name)
}

/// What is to be recorded so that the answer is this one.
fn plan(person: &Person, (name, consent): (&str, Consent), how: Said, now: Timestamp) -> Plan {
    let event = |name, state, entity| event(how, name, state, entity);
    let decider = standing::decider(&person.records, name, Moment::then(now));
    let stands = decider.map(|(_, event)| (event.event.state, event.event.valid_until));
    let until = match consent {
        // The last moment that a record can name.
        Consent::Given { until, .. } => until.map(|until| until.min(LAST)),
        _ => None,
    };
    match consent {
        Consent::Given { .. } => {
            let given = |state| NewEvent {
                kind: Some(ConsentType::Expressed),
                valid_until: until,
                ..event(name, state, Entity::Subject)
            };
            let own = decider.filter(|(record, _)| is_small(record));
            let follows = own.and_then(|(record, _)| {
                let events = [ConsentState::Given, ConsentState::RenewedGiven].map(given);
                events.into_iter().find_map(|event| follow(record, event, now))
            });
            match stands {
                Some((state, valid)) if own.is_some() && state.allows() && valid == until => {
                    Plan::Stands
                }
                _ => Plan::Do(follows.unwrap_or_else(|| small(name, given(ConsentState::Given)))),
            }
        }
        Consent::Refused => match stands {
            Some((ConsentState::Refused | ConsentState::Withdrawn, _)) => Plan::Stands,
            _ => {
                let said = |state| event(name, state, Entity::Subject);
                let follows = decider.and_then(|(record, _)| {
                    let events = [ConsentState::Withdrawn, ConsentState::Refused].map(said);
                    events.into_iter().find_map(|event| follow(record, event, now))
                });
                Plan::Do(follows.unwrap_or_else(|| small(name, said(ConsentState::Refused))))
            }
        },
        Consent::Unknown => {
            let unknown = event(name, ConsentState::Unknown, Entity::Other("operator".into()));
            match decider.and_then(|(record, _)| follow(record, unknown, now)) {
                Some(work) if stands.is_some_and(|(s, _)| s != ConsentState::Unknown) => {
                    Plan::Do(work)
                }
                _ => Plan::Stands,
            }
        }
    }
}

/// The event as the record's next, if it can be.
fn follow(record: &ConsentRecord, event: NewEvent, now: Timestamp) -> Option<Work> {
    let events: Vec<NewEvent> = record.events.iter().map(|event| event.event.clone()).collect();
    let from = state_at(&events, &NewEvent { time: Some(now), ..event.clone() }, now);
    machine::step(from, event.state, &event.entity_id).ok()?;
    let id: RecordId = record.record_id;
    Some(Work::Event(id, Box::new(event)))
}

/// A record of one question and one event: what an operator was told or a browser sent.
fn small(name: &str, event: NewEvent) -> Work {
    Work::New(Box::new(NewConsent {
        process: vec![Process { purpose_key: name.to_owned(), ..Process::default() }],
        channel: Some(Channel::Api),
        events: vec![event],
        ..NewConsent::default()
    }))
}

/// Whether a record is of operators alone: with no notice, about one question.
fn is_small(record: &ConsentRecord) -> bool {
    let consent = &record.consent;
    consent.notice.is_none()
        && consent.process.len() == 1
        && record.events.iter().all(|event| event.event.method.as_deref() == Some(METHOD))
}

fn event(said: Said, name: &str, state: ConsentState, entity_id: Entity) -> NewEvent {
    NewEvent {
        purpose_key: name.to_owned(),
        state,
        kind: None,
        time: None,
        valid_until: None,
        entity_id,
        method: Some(said.method().to_owned()),
        evidence: said.evidence(),
    }
}

/// The error as callers know it who ask for a card alone.
fn plain(error: ConsentError) -> SubjectsError {
    match error {
        ConsentError::Subjects(error) => error,
        ConsentError::Broken => SubjectsError::Damaged,
        _ => SubjectsError::Invalid { what: "the name of the consent or opt-out" },
    }
}

const METHOD: &str = "operator";
/// 9999-12-30T22:00:00Z, the last time that is read back in every time zone.
const LAST: Timestamp = Timestamp::from_unix_ms(253_402_207_200_000);

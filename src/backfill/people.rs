//! The people of records that move: what is known of them, and what opens their values.

use std::borrow::Cow;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::jobs::StepError;
use crate::keys::SubjectKeys;
use crate::proxy::people::scalar;
use crate::subjects::Card;
use crate::subjects::Cards;
use crate::transform::Batch;
use crate::transform::Holder;
use crate::types::DomainId;
use crate::types::Statuses;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;
use crate::types::Timestamp;
use crate::types::told;

use super::page::NO_KEYS;

/// The people of a batch of records, `per_record` for each.
#[derive(Debug)]
pub(super) struct People {
    per_record: usize,
    /// Nothing where the record does not say who it is.
    found: Vec<Option<Person>>,
}

/// A person whom a record names.
#[derive(Clone, Debug)]
enum Person {
    Known(Arc<Card>),
    /// Nobody has met them yet.
    New,
}

/// Whether people who are met for the first time get a card and a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Newcomers {
    Looked,
    Made,
}

impl People {
    /// Looks up everybody.
    ///
    /// # Errors
    /// When cards or keys cannot be read or made.
    pub(super) async fn find(
        cards: &Cards,
        (set, batch): (&DataSet, &Batch),
        newcomers: Newcomers,
    ) -> Result<Self, StepError> {
        let failed = |error| {
            tracing::warn!(error = told(&error), "people of records that move cannot be looked up");
            StepError::Again("subject cards or keys cannot be read or made")
        };
        let records = 0..batch.len();
        let ids: Vec<(&DomainId, Option<Cow<'_, str>>)> = records
            .flat_map(|record| {
                set.subjects
                    .iter()
                    .map(move |subject| (&subject.domain, scalar(batch, record, subject.field)))
            })
            .collect();
        let mut found = Vec::with_capacity(ids.len());
        if newcomers == Newcomers::Looked {
            for (domain, id) in &ids {
                found.push(match id {
                    Some(id) => Some(match cards.find(domain, id).await.map_err(failed)? {
                        Some(card) => Person::Known(card),
                        None => Person::New,
                    }),
                    None => None,
                });
            }
        } else {
            // What is no id, and a person whose card is lost, is nobody.
            let wanted: Vec<_> =
                ids.iter().map(|(domain, id)| (*domain, id.as_deref().unwrap_or(""))).collect();
            let mut made = Vec::new();
            cards.cards(&wanted, &mut made).await.map_err(failed)?;
            found.extend(made.into_iter().map(|card| card.map(Person::Known)));
        }
        // Without their keys they would look like people who were erased, and be passed over.
        let is_locked = |person: &Person| match person {
            Person::Known(card) => card.keys.as_ref().is_some_and(|keys| keys.is_locked()),
            _ => false,
        };
        if found.iter().flatten().any(is_locked) {
            return Err(StepError::Again(NO_KEYS));
        }
        Ok(Self { per_record: set.subjects.len(), found })
    }

    fn of(&self, record: usize) -> &[Option<Person>] {
        let first = record * self.per_record;
        self.found.get(first..first + self.per_record).unwrap_or_default()
    }

    /// What a conversion needs to know of a record's people.
    pub(super) fn holders(&self, record: usize) -> Vec<Holder> {
        let holder = |person: &Option<Person>| match person {
            None => Holder::Nobody,
            Some(Person::New) => Holder::New,
            Some(Person::Known(card)) if card.status.contains(SubjectStatus::Erased) => {
                Holder::Erased
            }
            Some(Person::Known(card)) => {
                let newest = card.keys.as_ref().and_then(|keys| keys.sealing());
                newest.map_or(Holder::Erased, Holder::Known)
            }
        };
        self.of(record).iter().map(holder).collect()
    }

    /// Their keys.
    pub(super) fn keys(&self, record: usize) -> Vec<Option<Arc<SubjectKeys>>> {
        let keys = |person: &Option<Person>| match person {
            Some(Person::Known(card)) => card.keys.clone(),
            _ => None,
        };
        self.of(record).iter().map(keys).collect()
    }

    /// Their names in the audit log.
    pub(super) fn tokens(&self, record: usize) -> impl Iterator<Item = SubjectToken> {
        self.of(record).iter().filter_map(|person| match person {
            Some(Person::Known(card)) => Some(card.token),
            _ => None,
        })
    }

    /// The name in the audit log of the person whom a field is about.
    pub(super) fn owner(
        &self,
        record: usize,
        (set, field): (&DataSet, FieldIx),
    ) -> Option<SubjectToken> {
        match self.of(record).get(set.owner(field)?)? {
            Some(Person::Known(card)) => Some(card.token),
            _ => None,
        }
    }

    /// What a report says of a record's people; whoever is several things at once is each of them.
    pub(super) fn words(
        &self,
        record: usize,
        now: Timestamp,
    ) -> impl Iterator<Item = &'static str> {
        self.of(record).iter().flat_map(move |person| {
            let (word, status) = match person {
                None => (Some("nobody"), None),
                Some(Person::New) => (Some("new"), None),
                Some(Person::Known(card)) => (None, Some(card.statuses(now))),
            };
            let each = status.into_iter().flat_map(Statuses::each).map(SubjectStatus::as_str);
            word.into_iter().chain(each)
        })
    }
}

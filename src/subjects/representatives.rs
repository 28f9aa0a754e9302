//! Naming who may act for a person, and what a caller's own card says.

use serde::Deserialize;
use serde::Serialize;

use super::accord;
use super::card::Card;
use super::cards::Cards;
use super::changes::Change;
use super::error::SubjectsError;
use crate::types::DomainId;
use crate::types::OwnCard;
use crate::types::Reference;
use crate::types::Representative;
use crate::types::RepresentativeKind;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;
use crate::types::told;

/// A person in one domain.
pub type Person<'a> = (&'a DomainId, &'a str);

impl Cards {
    /// Names `by` as somebody who may act for `person` until then. What stands on the card of
    /// `person` is a reference made with a key of `by`, which ends with that key. Naming them again
    /// as the same replaces what was.
    ///
    /// Returns the new version of the card of `person`; from then on every look-up shows it.
    ///
    /// # Errors
    /// When one of them was erased, `by` is dead, they are the same, or there are too many.
    pub async fn add_representative(
        &self,
        person: Person<'_>,
        by: Person<'_>,
        (kind, until, proof): (RepresentativeKind, Timestamp, &str),
    ) -> Result<u64, SubjectsError> {
        if person == by {
            return Err(SubjectsError::Invalid { what: "a representative of themselves" });
        }
        if !accord::says(proof) {
            return Err(SubjectsError::Invalid { what: "the proof" });
        }
        if until <= self.0.keys.now() {
            return Err(SubjectsError::Invalid { what: "the end, which has passed," });
        }
        SubjectId::parse(by.1).map_err(|_| SubjectsError::Invalid { what: "the subject id" })?;
        let mut found = Vec::new();
        self.cards(&[by], &mut found).await?;
        let card = found.pop().flatten().ok_or(SubjectsError::Orphaned)?;
        let is_gone =
            card.status == Statuses::ERASED || card.status.contains(SubjectStatus::Deceased);
        let Some(who) = card.reference.filter(|_| !is_gone) else {
            return Err(SubjectsError::Invalid { what: "an erased or deceased representative" });
        };
        // Theirs first: without it the other does not count.
        self.change(by.0, by.1, Change::ActsUntil(until)).await?;
        let named = Representative { who, kind, until, proof: proof.trim().into() };
        self.change(person.0, person.1, Change::Name(named)).await
    }

    /// Takes back that `by` may act for `person`, as whatever; false when nothing said so.
    ///
    /// # Errors
    /// When cards cannot be read or written.
    pub async fn remove_representative(
        &self,
        person: Person<'_>,
        by: Person<'_>,
    ) -> Result<bool, SubjectsError> {
        let Some(who) = self.find(by.0, by.1).await?.and_then(|card| card.reference) else {
            return Ok(false);
        };
        let Some(before) = self.find(person.0, person.1).await? else { return Ok(false) };
        let version = self.change(person.0, person.1, Change::Unname(who)).await?;
        Ok(version != before.version)
    }

    /// What a caller's own card says of them. Nobody gets a card by asking; one that cannot be read
    /// lets nobody act for others.
    pub async fn standing(&self, domain: &DomainId, id: &str) -> OwnCard {
        let found = match self.cached(domain, id) {
            Some(card) => Some(card),
            None => self.find(domain, id).await.unwrap_or_else(|error| {
                tracing::warn!(error = told(&error), "the card of a caller cannot be read");
                None
            }),
        };
        found.map_or_else(OwnCard::default, |card| card.standing(self.0.keys.now()))
    }
}

impl Card {
    /// What it says of its person as a caller.
    pub fn standing(&self, now: Timestamp) -> OwnCard {
        let is_dead = self.status.contains(SubjectStatus::Deceased);
        let acts = self.acts_until.is_some_and(|until| now < until) && !is_dead;
        OwnCard { who: self.reference.filter(|_| acts), is_dead }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredRepresentative {
    who: [u8; 16],
    kind: Box<str>,
    /// In milliseconds since 1970.
    until: u64,
    proof: Box<str>,
}

impl From<&Representative> for StoredRepresentative {
    fn from(named: &Representative) -> Self {
        Self {
            who: named.who.0,
            kind: named.kind.as_str().into(),
            until: named.until.unix_ms(),
            proof: named.proof.clone(),
        }
    }
}

impl StoredRepresentative {
    pub(super) fn read(self) -> Option<Representative> {
        Some(Representative {
            who: Reference(self.who),
            kind: RepresentativeKind::parse(&self.kind)?,
            until: Timestamp::from_unix_ms(self.until),
            proof: self.proof,
        })
    }
}

/// How many may act for one person.
pub const MAX_REPRESENTATIVES: usize = 8;

//! A card, and how it is stored.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::consent::Entity;
use super::consent::NewConsent;
use super::consent::NewEvent;
use super::consent::Notices;
use super::consent::tags;
use super::error::SubjectsError;
use super::hold::Hold;
use super::hold::StoredHold;
use super::representatives::MAX_REPRESENTATIVES;
use super::representatives::StoredRepresentative;
use crate::keys::Held;
use crate::keys::RecordKey;
use crate::keys::SubjectKeys;
use crate::policy::CardFacts;
use crate::types::Consent;
use crate::types::ConsentForm;
use crate::types::Reference;
use crate::types::Representative;
use crate::types::Statuses;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;
use crate::types::Timestamp;

/// What Privet keeps about a person in one domain.
#[derive(Clone)]
pub struct Card {
    /// Under what their records stand.
    pub record: RecordKey,
    /// The person's name in the audit log; zeros once the key is destroyed.
    pub token: SubjectToken,
    /// What opens and seals their values; nothing once it is destroyed. While the ring is locked it
    /// opens and seals nothing.
    pub keys: Option<Arc<SubjectKeys>>,
    /// What stands against the use of their data, but for holds; see [`statuses`](Self::statuses).
    pub status: Statuses,
    /// The holds on their data; those that have run out may still be among them.
    pub holds: Vec<Hold>,
    /// Who may act for them.
    pub representatives: Vec<Representative>,
    /// Until when they may act for anybody else, at most.
    pub acts_until: Option<Timestamp>,
    /// What the cards of people they act for call them; nothing once their key is destroyed.
    pub reference: Option<Reference>,
    /// Their answers, by the name of the question. What is not there is unknown. One under a
    /// notice that gives way to another lapses then.
    pub consents: BTreeMap<Box<str>, Consent>,
    /// What they have opted out of.
    pub opt_outs: BTreeSet<Box<str>>,
    /// Rises with every change.
    pub version: u64,
    /// What the audit log writes for that version; see [`Held::version_tag`].
    pub logged_version: u64,
}

impl Card {
    /// What stands against the use of their data at `now`.
    pub fn statuses(&self, now: Timestamp) -> Statuses {
        let is_held = self.holds.iter().any(|hold| hold.is_open(now));
        if is_held { self.status.with(SubjectStatus::Held) } else { self.status }
    }

    /// What a verdict at `now` needs to know of them.
    pub fn facts(&self, now: Timestamp) -> CardFacts<'_> {
        CardFacts {
            status: self.statuses(now),
            consents: &self.consents,
            opt_outs: &self.opt_outs,
            representatives: &self.representatives,
        }
    }
}

/// Shows nothing of the person.
impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The part of a card that is stored; the name comes from the key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) status: Statuses,
    pub(super) consents: BTreeMap<Box<str>, Answer>,
    pub(super) opt_outs: BTreeSet<Box<str>>,
    pub(super) holds: Vec<Hold>,
    pub(super) representatives: Vec<Representative>,
    pub(super) acts_until: Option<Timestamp>,
}

impl Facts {
    /// Whether a hold keeps the person's data at `now`.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.holds.iter().any(|hold| hold.is_open(now))
    }

    pub(super) fn into_card(
        self,
        record: RecordKey,
        held: Option<Held>,
        version: u64,
        notices: &Notices,
    ) -> Card {
        let Self { status, consents, opt_outs, holds, representatives, acts_until } = self;
        let reference = held.as_ref().map(Held::reference);
        let logged_version = held.as_ref().map_or(0, |held| held.version_tag(version));
        let (token, keys) = held.map_or((NAMELESS, None), |held| (held.token, Some(held.keys)));
        let consents = consents.into_iter().map(|(name, answer)| (name, answer.consent(notices)));
        let consents = consents.collect();
        Card {
            record,
            token,
            keys,
            status,
            holds,
            representatives,
            acts_until,
            reference,
            consents,
            opt_outs,
            version,
            logged_version,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, SubjectsError> {
        let limit = MAX_NAMES;
        if self.consents.len() > limit || self.opt_outs.len() > limit {
            return Err(SubjectsError::TooMany { limit });
        }
        for (count, limit) in
            [(self.holds.len(), MAX_HOLDS), (self.representatives.len(), MAX_REPRESENTATIVES)]
        {
            if count > limit {
                return Err(SubjectsError::TooMany { limit });
            }
        }
        let stored = Stored {
            v: VERSION,
            status: self.status.to_string().into(),
            consents: self.consents.clone(),
            opt_outs: self.opt_outs.clone(),
            holds: self.holds.iter().map(StoredHold::from).collect(),
            representatives: self.representatives.iter().map(StoredRepresentative::from).collect(),
            acts_until: self.acts_until.map(Timestamp::unix_ms),
        };
        serde_json::to_vec(&stored).map_err(|_| SubjectsError::Damaged)
    }

    /// Reads a stored card; what is not understood is refused, never skipped: it might be what
    /// stands against the use.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SubjectsError> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_| SubjectsError::Damaged)?;
        let status = Statuses::parse(&stored.status);
        let (VERSION, Some(status)) = (stored.v, status) else {
            return Err(SubjectsError::Damaged);
        };
        let mut holds: Vec<Hold> = stored.holds.into_iter().map(Hold::from).collect();
        if status.contains(SubjectStatus::Held) {
            holds.push(Hold::of_a_status());
        }
        let named = stored.representatives.into_iter().map(StoredRepresentative::read);
        let named: Option<Vec<Representative>> = named.collect();
        Ok(Self {
            status: status.without(SubjectStatus::Held),
            consents: stored.consents,
            opt_outs: stored.opt_outs,
            holds,
            representatives: named.ok_or(SubjectsError::Damaged)?,
            acts_until: stored.acts_until.map(Timestamp::from_unix_ms),
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    status: Box<str>,
    consents: BTreeMap<Box<str>, Answer>,
    opt_outs: BTreeSet<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<StoredHold>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    representatives: Vec<StoredRepresentative>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acts_until: Option<u64>,
}

/// An answer as it is stored.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum Answer {
    /// Until when, in milliseconds since 1970. From before there were consent records.
    Given(Option<u64>),
    Refused,
    /// What a consent record gives: until when, the form in bits, and short digests of the id of
    /// its notice and of the notice's version; 0 of none.
    #[serde(rename = "r")]
    Recorded(Option<u64>, u8, u32, u64),
}

impl Answer {
    /// What a consent record gives.
    pub(super) fn recorded(consent: &NewConsent, event: &NewEvent) -> Self {
        let by_guardian = event.entity_id == Entity::Guardian;
        let form = u8::from(consent.separate) | u8::from(by_guardian) << 1;
        let notice = consent.notice.as_ref();
        let (id, version) = notice.map_or((0, 0), |shown| tags(&shown.id, &shown.version));
        Self::Recorded(event.valid_until.map(Timestamp::unix_ms), form, id, version)
    }

    /// Whether it rests on a consent record that gives.
    pub(super) const fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(..))
    }

    fn consent(self, notices: &Notices) -> Consent {
        match self {
            Self::Given(until) => Consent::given(until.map(Timestamp::from_unix_ms)),
            Self::Refused => Consent::Refused,
            Self::Recorded(until, form, id, version) => {
                let until = until.map(Timestamp::from_unix_ms);
                let outdated = notices.tagged_outdated_from(id, version);
                let until = until.into_iter().chain(outdated).min();
                let form = ConsentForm { separate: form & 1 != 0, by_guardian: form & 2 != 0 };
                Consent::Given { until, form }
            }
        }
    }
}

/// The most consents, and the most opt-outs, of one card.
pub const MAX_NAMES: usize = 24;
/// The most holds on one person's data.
pub const MAX_HOLDS: usize = 16;
const VERSION: u8 = 1;
/// What the erased are called in the audit log.
const NAMELESS: SubjectToken = SubjectToken([0; 16]);

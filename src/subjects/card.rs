//! A card, and how it is stored.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::error::SubjectsError;
use crate::keys::Held;
use crate::keys::SubjectKeys;
use crate::types::Consent;
use crate::types::Statuses;
use crate::types::SubjectToken;
use crate::types::Timestamp;

/// What Privet keeps about a person in one domain.
#[derive(Clone)]
pub struct Card {
    /// The person's name in the audit log; zeros once the key is destroyed.
    pub token: SubjectToken,
    /// What opens and seals their values; nothing once it is destroyed. While the ring is locked it
    /// opens and seals nothing.
    pub keys: Option<Arc<SubjectKeys>>,
    /// What stands against the use of their data.
    pub status: Statuses,
    /// Their answers, by the name of the question. What is not there is unknown.
    pub consents: BTreeMap<Box<str>, Consent>,
    /// What they have opted out of.
    pub opt_outs: BTreeSet<Box<str>>,
    /// Rises with every change.
    pub version: u64,
    /// What the audit log writes for that version; see [`Held::version_tag`].
    pub logged_version: u64,
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
    pub(super) consents: BTreeMap<Box<str>, Consent>,
    pub(super) opt_outs: BTreeSet<Box<str>>,
}

impl Facts {
    pub(super) fn into_card(self, held: Option<Held>, version: u64) -> Card {
        let Self { status, consents, opt_outs } = self;
        let logged_version = held.as_ref().map_or(0, |held| held.version_tag(version));
        let (token, keys) = held.map_or((NAMELESS, None), |held| (held.token, Some(held.keys)));
        Card { token, keys, status, consents, opt_outs, version, logged_version }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, SubjectsError> {
        let limit = MAX_NAMES;
        if self.consents.len() > limit || self.opt_outs.len() > limit {
            return Err(SubjectsError::TooMany { limit });
        }
        let consents = self.consents.iter().filter_map(|(name, consent)| {
            let stored = match consent {
                Consent::Given { until } => Answer::Given(until.map(Timestamp::unix_ms)),
                Consent::Refused => Answer::Refused,
                Consent::Unknown => return None,
            };
            Some((name.clone(), stored))
        });
        let stored = Stored {
            v: VERSION,
            status: self.status.to_string().into(),
            consents: consents.collect(),
            opt_outs: self.opt_outs.clone(),
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
        let consents = stored.consents.into_iter().map(|(name, answer)| match answer {
            Answer::Given(until) => {
                (name, Consent::Given { until: until.map(Timestamp::from_unix_ms) })
            }
            Answer::Refused => (name, Consent::Refused),
        });
        Ok(Self { status, consents: consents.collect(), opt_outs: stored.opt_outs })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    status: Box<str>,
    consents: BTreeMap<Box<str>, Answer>,
    opt_outs: BTreeSet<Box<str>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Answer {
    /// Until when, in milliseconds since 1970.
    Given(Option<u64>),
    Refused,
}

/// The most consents, and the most opt-outs, of one card.
pub const MAX_NAMES: usize = 24;
const VERSION: u8 = 1;
/// What the erased are called in the audit log.
const NAMELESS: SubjectToken = SubjectToken([0; 16]);

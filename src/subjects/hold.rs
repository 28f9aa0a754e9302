//! A legal hold, and how it is stored.

use serde::Deserialize;
use serde::Serialize;

use super::accord;
use super::error::SubjectsError;
use crate::types::Timestamp;

/// Keeps one person's data, and their key, whatever else is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// 32 hexadecimal digits.
    pub id: Box<str>,
    /// The number or name of the case.
    pub case: Box<str>,
    /// Why the data is kept.
    pub why: Box<str>,
    /// The operator who placed it; nobody knows of one that an earlier release placed.
    pub by: Option<Box<str>>,
    /// When it was placed.
    pub placed: Timestamp,
    /// Before, and not at; `None`: until it is released.
    pub until: Option<Timestamp>,
}

impl Hold {
    /// A hold to be placed at `now` by an operator.
    ///
    /// # Errors
    /// When it says too little or too much, or would have ended already.
    pub fn new(
        (by, now): (&str, Timestamp),
        (case, why): (&str, &str),
        until: Option<Timestamp>,
    ) -> Result<Self, SubjectsError> {
        if !accord::says(case) || !accord::says(why) {
            return Err(SubjectsError::Invalid { what: "the case or the reason of the hold" });
        }
        if until.is_some_and(|until| until <= now) {
            return Err(SubjectsError::Invalid { what: "the end of the hold, which has passed," });
        }
        let (case, why, by) = (case.trim().into(), why.trim().into(), Some(by.into()));
        Ok(Self { id: "".into(), case, why, by, placed: now, until })
    }

    /// Whether it keeps anything at `now`. One that has run out ends by itself.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What an earlier release, where `held` was a status, knew of a hold.
    pub(super) fn of_a_status() -> Self {
        Self {
            id: EARLIER.into(),
            case: "not recorded".into(),
            why: "the status `held` of an earlier release".into(),
            by: None,
            placed: Timestamp::from_unix_ms(0),
            until: None,
        }
    }
}

/// The id of holds that were a status; only together with a person it says which one.
const EARLIER: &str = "00000000000000000000000000000000";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredHold {
    id: Box<str>,
    case: Box<str>,
    why: Box<str>,
    by: Option<Box<str>>,
    /// In milliseconds since 1970.
    placed: u64,
    until: Option<u64>,
}

impl From<&Hold> for StoredHold {
    fn from(hold: &Hold) -> Self {
        let Hold { id, case, why, by, placed, until } = hold.clone();
        let (placed, until) = (placed.unix_ms(), until.map(Timestamp::unix_ms));
        Self { id, case, why, by, placed, until }
    }
}

impl From<StoredHold> for Hold {
    fn from(stored: StoredHold) -> Self {
        let StoredHold { id, case, why, by, placed, until } = stored;
        let (placed, until) = (Timestamp::from_unix_ms(placed), until.map(Timestamp::from_unix_ms));
        Self { id, case, why, by, placed, until }
    }
}

//! What two people agree on: one asks, another approves, the first uses it in time.

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Entropy;
use crate::clock::EntropyError;
use crate::jobs::same_person;
use crate::types::Timestamp;

/// A request of one operator that another must agree to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Accord {
    /// The number or name of the case.
    pub case: String,
    /// Why it is needed.
    pub why: String,
    /// Who asked.
    pub requested_by: String,
    /// Until when it may be approved and used, in milliseconds since 1970.
    pub expires: u64,
    /// Who agreed.
    pub approved_by: Option<String>,
}

/// A request cannot be made, approved or used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccordError {
    /// Something happened to it at the same time, or before.
    #[error("the request was approved or used already, or changed at the same moment")]
    Conflict,
    /// Its time is over.
    #[error("the request has expired; make another")]
    Expired,
    /// It says too little, or takes too long.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody made it.
    #[error("there is no such request")]
    NotFound,
    /// Another operator made it.
    #[error("the answer is for whoever made the request")]
    NotYours,
    /// Who asked cannot agree.
    #[error("whoever made the request cannot approve it: a second person must")]
    Own,
    /// Nobody agreed yet.
    #[error("the request waits for another operator to approve it")]
    Unapproved,
}

impl Accord {
    /// Asked for by an operator; `valid_for` in milliseconds.
    ///
    /// # Errors
    /// When it says too little or too much, or takes too long.
    pub(super) fn new(
        (by, now, valid_for): (&str, Timestamp, u64),
        (case, why): (&str, &str),
    ) -> Result<Self, AccordError> {
        if !says(case) || !says(why) {
            return Err(AccordError::Invalid("`case` and `why` take 1 to 300 bytes of text"));
        }
        if !(1..=MAX_VALID_MS).contains(&valid_for) {
            return Err(AccordError::Invalid("a request is valid for at most 24 hours"));
        }
        Ok(Self {
            case: case.to_owned(),
            why: why.to_owned(),
            requested_by: by.to_owned(),
            expires: now.unix_ms().saturating_add(valid_for),
            approved_by: None,
        })
    }

    /// Writes down that `by` agrees.
    ///
    /// # Errors
    /// When it is too late, or not for that operator to say.
    pub(super) fn approve(&mut self, by: &str, now: Timestamp) -> Result<(), AccordError> {
        self.require_open(now)?;
        if same_person(&self.requested_by, by) {
            return Err(AccordError::Own);
        }
        if self.approved_by.is_some() {
            return Err(AccordError::Conflict);
        }
        self.approved_by = Some(by.to_owned());
        Ok(())
    }

    /// Whether it may be used by `by` as far as time and people go.
    ///
    /// # Errors
    /// When it is somebody else's, expired, or not agreed to by a second person.
    pub(super) fn require(&self, by: &str, now: Timestamp) -> Result<(), AccordError> {
        if self.requested_by != by {
            return Err(AccordError::NotYours);
        }
        self.require_open(now)?;
        match &self.approved_by {
            None => Err(AccordError::Unapproved),
            Some(approver) if same_person(approver, by) => Err(AccordError::Own),
            Some(_) => Ok(()),
        }
    }

    fn require_open(&self, now: Timestamp) -> Result<(), AccordError> {
        if now.unix_ms() >= self.expires { Err(AccordError::Expired) } else { Ok(()) }
    }
}

/// Whether a text says something, and not too much of it.
pub(super) fn says(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.trim().len()) && !text.chars().any(char::is_control)
}

/// The id of a new request: 32 hexadecimal digits. Ids are typed on command lines, where what
/// begins with `-` is an option.
///
/// # Errors
/// Without randomness.
pub(super) fn fresh_id(entropy: &dyn Entropy) -> Result<String, EntropyError> {
    let mut random = [0; 16];
    entropy.fill(&mut random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

/// Whether a text could be the id of a request.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const MAX_TEXT: usize = 300;
const MAX_VALID_MS: u64 = 24 * 60 * 60 * 1_000;

//! One approval or broken glass: what is stored, and what may come of it next.

use serde::Deserialize;
use serde::Serialize;

use crate::policy::Clearance;
use crate::policy::ClearanceKind;
use crate::subjects::Accord;
use crate::subjects::AccordError;
use crate::subjects::SubjectsError;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::Timestamp;

use super::People;

/// Something that was asked for, approved, or taken in an emergency.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    v: u8,
    /// `approval` or `break_glass`.
    kind: String,
    /// The grant.
    pub grant: String,
    /// For this purpose alone.
    pub purpose: Option<String>,
    /// Who uses it, as the log calls them.
    pub actor: String,
    /// The names by which its user is known to be the same person.
    people: Vec<String>,
    /// The role that approves or reviews.
    pub role: String,
    /// Who asked, for which case, why, and who agreed.
    pub accord: Accord,
    /// When it was asked for, in milliseconds since 1970, as are all times here.
    pub asked_at: u64,
    from: Option<u64>,
    until: Option<u64>,
    /// Who approved, as the log calls them.
    pub approver: Option<String>,
    ended: Option<Ended>,
    /// By when a broken glass must have been reviewed.
    review_due: Option<u64>,
    /// What came of the review.
    pub review: Option<Review>,
    /// Whether it was told that nobody reviewed it in time.
    told_overdue: bool,
}

/// How something ended before its time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    /// `refused` or `revoked`.
    how: String,
    by: String,
    at: u64,
}

/// What somebody found who looked at a broken glass afterwards.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Who looked at it.
    pub by: String,
    /// When.
    pub at: u64,
    /// Whether it was right to break it.
    pub finding: Finding,
    /// In their words.
    pub note: String,
}

/// Whether it was right to break glass.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It was.
    Justified,
    /// It was not.
    Unjustified,
}

impl Finding {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApprovalState {
    /// Nobody approved or refused it yet.
    Waiting,
    /// It counts.
    InForce,
    /// Its time is over.
    Over,
    /// Nobody approved it in time.
    Expired,
    /// Somebody said no.
    Refused,
    /// It was taken back.
    Revoked,
}

impl ApprovalState {
    /// The word on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InForce => "in_force",
            Self::Over => "over",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
        }
    }
}

/// How the review of a broken glass stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReviewState {
    /// There is none to be made: it is an approval.
    None,
    /// It is still to be made.
    Due,
    /// It should have been made.
    Overdue,
    /// It was made.
    Done,
}

impl ReviewState {
    /// The word on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Done => "done",
        }
    }
}

/// Something cannot be asked for, approved, taken back or reviewed.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Time or people do not allow it.
    #[error(transparent)]
    Accord(#[from] AccordError),
    /// It is an approval, which nobody reviews, or a broken glass, which nobody approves.
    #[error("{0}")]
    Kind(&'static str),
    /// It has ended or is not in force.
    #[error("it is not in force or waiting any more")]
    Ended,
    /// It was reviewed.
    #[error("it was reviewed already")]
    Reviewed,
    /// The same person broke glass before, and nobody looked at it in time.
    #[error("a broken glass of yours was not reviewed in time: it must be reviewed first")]
    Overdue,
    /// One person has only so many.
    #[error("you have {0} requests or clearances that wait or are in force; let some end first")]
    TooMany(usize),
    /// State or keys are not available.
    #[error("the approvals cannot be read or written")]
    Subjects(#[source] SubjectsError),
}

/// What a row is made from.
pub(super) struct New<'a> {
    pub(super) kind: ClearanceKind,
    pub(super) grant: &'a RuleId,
    pub(super) purpose: Option<&'a PurposeId>,
    pub(super) role: &'a RoleId,
    pub(super) who: &'a People,
}

impl Approval {
    /// Asked for, and not in force yet.
    pub(super) fn new(
        new: &New<'_>,
        about: (&str, &str),
        now: Timestamp,
    ) -> Result<Self, ApprovalError> {
        Ok(Self {
            v: VERSION,
            kind: new.kind.as_str().to_owned(),
            grant: new.grant.to_string(),
            purpose: new.purpose.map(ToString::to_string),
            actor: new.who.actor.clone(),
            people: new.who.names.clone(),
            role: new.role.to_string(),
            accord: Accord::new((&new.who.owner, now, WAITS_MS), about)?,
            asked_at: now.unix_ms(),
            from: None,
            until: None,
            approver: None,
            ended: None,
            review_due: None,
            review: None,
            told_overdue: false,
        })
    }

    /// The same in force from now on, and to be reviewed in time, both in seconds.
    pub(super) fn broken(mut self, (for_s, review_s): (u64, u64), now: Timestamp) -> Self {
        self.open(for_s, now);
        self.review_due = Some(now.plus_ms(review_s.saturating_mul(1000)).unix_ms());
        self
    }

    fn open(&mut self, for_s: u64, now: Timestamp) {
        self.from = Some(now.unix_ms());
        self.until = Some(now.plus_ms(for_s.saturating_mul(1000)).unix_ms());
    }

    /// Writes down that somebody else agrees: from now on it counts, for `for_s` seconds.
    pub(super) fn approve(
        &mut self,
        by: &People,
        for_s: u64,
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        self.require_waiting(now)?;
        self.require_other(by)?;
        self.accord.approve(&by.owner, now)?;
        self.approver = Some(by.actor.clone());
        self.open(for_s, now);
        Ok(())
    }

    /// Writes down that somebody else says no.
    pub(super) fn refuse(&mut self, by: &People, now: Timestamp) -> Result<(), ApprovalError> {
        self.require_waiting(now)?;
        self.require_other(by)?;
        self.end("refused", by, now);
        Ok(())
    }

    /// Takes it back, whoever may.
    pub(super) fn revoke(&mut self, by: &People, now: Timestamp) -> Result<(), ApprovalError> {
        match self.state(now) {
            ApprovalState::Waiting | ApprovalState::InForce => {
                self.end("revoked", by, now);
                Ok(())
            }
            _ => Err(ApprovalError::Ended),
        }
    }

    /// Writes down what somebody else found.
    pub(super) fn review(
        &mut self,
        by: &People,
        (finding, note): (Finding, &str),
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        if self.review_due.is_none() {
            return Err(ApprovalError::Kind("an approval is not reviewed; a broken glass is"));
        }
        if self.review.is_some() {
            return Err(ApprovalError::Reviewed);
        }
        self.require_other(by)?;
        let says = (1..=MAX_NOTE).contains(&note.trim().len());
        if !says || note.chars().any(char::is_control) {
            return Err(AccordError::Invalid("`note` takes 1 to 1000 bytes of text").into());
        }
        let (by, at) = (by.owner.clone(), now.unix_ms());
        self.review = Some(Review { by, at, finding, note: note.to_owned() });
        Ok(())
    }

    /// Writes down that the missing review was told; false when it was, or need not be.
    pub(super) fn tell_overdue(&mut self, now: Timestamp) -> bool {
        let is_news = self.review_state(now) == ReviewState::Overdue && !self.told_overdue;
        self.told_overdue |= is_news;
        is_news
    }

    fn end(&mut self, how: &str, by: &People, now: Timestamp) {
        let (how, by, at) = (how.to_owned(), by.owner.clone(), now.unix_ms());
        self.ended = Some(Ended { how, by, at });
    }

    fn require_waiting(&self, now: Timestamp) -> Result<(), ApprovalError> {
        if self.kind() != ClearanceKind::Approval {
            return Err(ApprovalError::Kind("a broken glass is not approved; it is reviewed"));
        }
        match self.state(now) {
            ApprovalState::Waiting => Ok(()),
            ApprovalState::Expired => Err(AccordError::Expired.into()),
            _ => Err(AccordError::Conflict.into()),
        }
    }

    fn require_other(&self, by: &People) -> Result<(), ApprovalError> {
        if self.is_of(by) { Err(AccordError::Own.into()) } else { Ok(()) }
    }

    /// Whether somebody is the person it was asked for by, under whatever name.
    pub fn is_of(&self, who: &People) -> bool {
        self.actor == who.actor || self.people.iter().any(|name| who.names.contains(name))
    }

    /// Which of the two it is. What cannot be read is the one that counts for less.
    pub fn kind(&self) -> ClearanceKind {
        ClearanceKind::parse(&self.kind).unwrap_or(ClearanceKind::Approval)
    }

    /// How it stands.
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        let now = now.unix_ms();
        match (&self.ended, self.from.zip(self.until)) {
            (Some(ended), _) if ended.how == "refused" => ApprovalState::Refused,
            (Some(_), _) => ApprovalState::Revoked,
            (None, Some((_, until))) if now < until => ApprovalState::InForce,
            (None, Some(_)) => ApprovalState::Over,
            (None, None) if now >= self.accord.expires => ApprovalState::Expired,
            (None, None) => ApprovalState::Waiting,
        }
    }

    /// How its review stands.
    pub fn review_state(&self, now: Timestamp) -> ReviewState {
        match (self.review_due, &self.review) {
            (None, _) => ReviewState::None,
            (Some(_), Some(_)) => ReviewState::Done,
            (Some(due), None) if now.unix_ms() >= due => ReviewState::Overdue,
            (Some(_), None) => ReviewState::Due,
        }
    }

    /// From when and until when it counts or counted.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, until) = self.from.zip(self.until)?;
        let until = self.ended.as_ref().map_or(until, |ended| ended.at.min(until));
        Some((Timestamp::from_unix_ms(from), Timestamp::from_unix_ms(until)))
    }

    /// By when it must have been reviewed.
    pub fn review_due(&self) -> Option<Timestamp> {
        self.review_due.map(Timestamp::from_unix_ms)
    }

    /// Who ended it before its time, and when.
    pub fn ended(&self) -> Option<(&str, Timestamp)> {
        let ended = self.ended.as_ref()?;
        Some((&ended.by, Timestamp::from_unix_ms(ended.at)))
    }

    /// What the data path takes it for; nothing when it was never in force, or was taken back.
    pub(super) fn clearance(&self, id: &str) -> Option<Clearance> {
        if self.ended.is_some() {
            return None;
        }
        let (from, until) = self.times()?;
        let purpose = match &self.purpose {
            Some(purpose) => Some(PurposeId::parse(purpose).ok()?),
            None => None,
        };
        Some(Clearance {
            id: id.into(),
            kind: self.kind(),
            grant: RuleId::parse(&self.grant).ok()?,
            purpose,
            role: RoleId::parse(&self.role).ok()?,
            from,
            until,
        })
    }

    /// Whether nobody needs it any more: the log tells what it was.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        let ended = self.times().map(|(_, until)| until.unix_ms());
        let last = ended.unwrap_or(self.accord.expires).max(self.asked_at);
        let last = self.review.as_ref().map_or(last, |review| last.max(review.at));
        let is_open = matches!(self.review_state(now), ReviewState::Due | ReviewState::Overdue);
        !is_open && now.ms_since(Timestamp::from_unix_ms(last)) > KEPT_MS
    }

    /// Reads a row; what is not understood is refused, never skipped.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ApprovalError> {
        let row: Option<Self> = serde_json::from_slice(bytes).ok();
        let whole = |row: &Self| row.v == VERSION && ClearanceKind::parse(&row.kind).is_some();
        row.filter(whole).ok_or(ApprovalError::Subjects(SubjectsError::Damaged))
    }
}

const VERSION: u8 = 1;
const MAX_NOTE: usize = 1000;
const HOUR_MS: u64 = 3_600_000;
/// How long a request may wait for its approval.
const WAITS_MS: u64 = 24 * HOUR_MS;
/// How long what has ended stays on the list.
const KEPT_MS: u64 = 90 * 24 * HOUR_MS;

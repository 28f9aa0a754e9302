//! What is known of a record, and what was decided about it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::types::Capacities;
use crate::types::Consent;
use crate::types::Region;
use crate::types::Representative;
use crate::types::RuleId;
use crate::types::Statuses;
use crate::types::Timestamp;

use super::View;
use super::verdict::Trace;

/// What is known of one record.
#[derive(Clone, Copy, Debug)]
pub struct RecordFacts<'a> {
    /// The people it is about, in the order of the data set's `subjects`.
    pub subjects: &'a [RecordSubject<'a>],
    /// Whose law holds; `None`: unknown, which closes.
    pub region: Option<Region>,
    /// The values of [`Permit::fact_fields`](super::Permit::fact_fields), in their order; `None`: missing or no scalar.
    pub values: &'a [Option<Cow<'a, str>>],
    /// When the record is judged.
    pub now: Timestamp,
}

/// One person a record is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordSubject<'a> {
    /// The id; `None`: missing or no scalar, which closes.
    pub id: Option<&'a str>,
    /// What is known of the person; `None`: nothing, which closes.
    pub card: Option<CardFacts<'a>>,
}

/// What is known of one person.
#[derive(Clone, Copy, Debug)]
pub struct CardFacts<'a> {
    /// What stands against the use of their data.
    pub status: Statuses,
    /// Their answers by consent name.
    pub consents: &'a BTreeMap<Box<str>, Consent>,
    /// What they opted out of.
    pub opt_outs: &'a BTreeSet<Box<str>>,
    /// Who may act for them.
    pub representatives: &'a [Representative],
}

/// What was decided about one record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict<'s> {
    /// The record is skipped in a list and is the store's own 404 as a single read.
    LeaveOut {
        /// Why; for the audit log and tests, never for the caller.
        because: Because<'s>,
    },
    /// The record leaves in these views.
    Release {
        /// One view a field, by `FieldIx`.
        views: &'s [View],
        /// Whether a personal field is shown in clear.
        in_clear: bool,
    },
}

/// What was decided about writing one record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteVerdict<'s> {
    /// The record may not be written. Whether the caller may learn that it is there is for the
    /// verdict about reading it to say.
    LeaveOut {
        /// Why; for the audit log and tests, never for the caller.
        because: Because<'s>,
    },
    /// The record may be made or removed, or these fields of it may be set.
    Allow {
        /// By `FieldIx`; all `false` where a record is removed.
        writable: &'s [bool],
    },
}

/// Why a record was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Because<'s> {
    /// The purpose rests on consent, and there is none.
    Consent,
    /// The person's key was destroyed.
    Erased,
    /// The person's data is held: it may be neither changed nor removed.
    Held,
    /// No grant covers this record.
    NoGrant,
    /// The person objected, and the purpose rests on a ground that this takes away.
    Objected,
    /// This limit.
    Limit(&'s RuleId),
    /// Nobody knows whom the record is about.
    UnknownSubject,
}

impl<'s> Because<'s> {
    /// The limit's id, or the word for the reason.
    pub fn as_str(self) -> &'s str {
        match self {
            Self::Consent => "consent",
            Self::Erased => "erased",
            Self::Held => "held",
            Self::NoGrant => "no_grant",
            Self::Objected => "objected",
            Self::Limit(rule) => rule.as_str(),
            Self::UnknownSubject => "unknown_subject",
        }
    }
}

/// Room for one verdict, used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Views put together for one record.
    pub(super) views: Vec<View>,
    /// Views of several judgements joined.
    pub(super) joined: Vec<View>,
    /// Fields that may be set, of several judgements joined.
    pub(super) writable: Vec<bool>,
    /// The same of one judgement.
    pub(super) settable: Vec<bool>,
    /// Which rules spoke, by side.
    pub(super) trace: [Trace; 2],
}

impl Scratch {
    /// Room that grows with the first verdict.
    pub fn new() -> Self {
        Self::default()
    }

    /// In which capacities the caller acted for somebody else where the last record was allowed.
    pub fn acted_as(&self) -> Capacities {
        let [one, other] = self.trace;
        one.acted.or(other.acted)
    }
}

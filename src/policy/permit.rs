//! Proof that a call was decided.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::Reference;
use crate::types::Region;
use crate::types::RuleId;
use crate::types::SubjectId;
use crate::types::Timestamp;

use super::Clearance;
use super::ClearanceKind;
use super::PolicySet;
use super::Scratch;
use super::View;
use super::compile::Cell;
use super::compile::ConsentRule;
use super::compile::Effect;
use super::compile::Left;
use super::compile::ObjectionRule;
use super::compile::Plan;

/// Proof that a call was decided. Only [`decide()`](super::decide()) makes one, and it is no copy of
/// another: what asks a store for data takes a permit.
pub struct Permit {
    pub(super) policy: Arc<PolicySet>,
    pub(super) set: Arc<DataSet>,
    pub(super) set_at: usize,
    pub(super) purpose: PurposeId,
    pub(super) purpose_at: usize,
    pub(super) action: Action,
    pub(super) side: Side,
    /// Of the second credential: a record must pass both.
    pub(super) other: Option<Side>,
    pub(super) grants: Vec<RuleId>,
    /// The most that any record shows, where no table holds it.
    pub(super) widest: Option<Plan>,
    pub(super) fact_fields: Vec<FieldIx>,
    /// The fields the call selects records by.
    pub(super) selects: Box<[FieldIx]>,
    pub(super) bulk: Vec<BulkLimit>,
    pub(super) standing: Standing,
}

/// For how long a permit counts by itself, and what of it was cleared.
#[derive(Debug, Default)]
pub(super) struct Standing {
    until: Option<Timestamp>,
    under: Vec<(ClearanceKind, Arc<str>)>,
}

impl Standing {
    /// No longer than this.
    pub(super) fn until(&mut self, until: Option<Timestamp>) {
        self.until = [self.until, until].into_iter().flatten().min();
    }

    /// By this clearance, too.
    pub(super) fn under(&mut self, clearance: &Clearance) {
        let named = (clearance.kind, Arc::clone(&clearance.id));
        if !self.under.contains(&named) {
            self.under.push(named);
        }
    }
}

/// What one credential brings into a call.
#[derive(Debug)]
pub(super) struct Side {
    /// The cell; both sides have the same one.
    pub(super) cell: usize,
    /// The grants that cover every record.
    pub(super) always: u64,
    /// The grants that cover some.
    pub(super) sometimes: Vec<Sometimes>,
    /// The limits that may fall on records, with what is left of them.
    pub(super) limits: Vec<(usize, Left)>,
    /// The limits that cut every record.
    pub(super) cut: u64,
    /// What records show that only `always` and `cut` speak of, where no table holds it.
    pub(super) base: Option<Plan>,
    /// The person the caller is, with the subjects of a record that it may be, as bits.
    pub(super) person: Option<(u64, SubjectId)>,
    /// The recipient the caller passes data to, when it is one of the policy.
    pub(super) recipient: Option<usize>,
    /// Where data goes by it: the country that caller and recipient, as far as they are known, are
    /// both in.
    pub(super) place: Option<Region>,
    /// What cards of others call the caller, when one may name them.
    pub(super) who: Option<Reference>,
}

/// A grant that covers some records.
#[derive(Debug)]
pub(super) struct Sometimes {
    /// Its bit.
    pub(super) bit: u64,
    /// Whether only records about people to whom the caller stands in one of these capacities;
    /// none: whomever they are about.
    pub(super) as_subject: Capacities,
    /// Positions in the fact fields, and the values one of which must stand there.
    pub(super) rows: Vec<(usize, Vec<Box<str>>)>,
}

impl Side {
    /// The grants that cover any record.
    pub(super) fn all(&self) -> u64 {
        self.sometimes.iter().fold(self.always, |mask, grant| mask | grant.bit)
    }

    /// Whether one of the grants that cover some records can cover this one.
    fn covers_by_itself<'a>(
        &self,
        id: &impl Fn(usize) -> Option<Cow<'a, str>>,
        values: &[Option<Cow<'_, str>>],
    ) -> bool {
        let is_caller = |(bits, own): &(u64, SubjectId)| {
            let mut places = (0..64).filter(|at| bits & (1 << at) != 0);
            places.any(|at| id(at).is_some_and(|id| *id == *own.expose()))
        };
        let is_own = || self.person.as_ref().is_some_and(is_caller);
        // Who may act for a person stands on that person's card.
        let may_be_theirs = |capacities: Capacities| {
            capacities.is_none()
                || capacities.meets(Capacities::REPRESENTATIVE)
                || capacities.meets(Capacities::SELF) && is_own()
        };
        let mut grants = self.sometimes.iter();
        grants.any(|grant| grant.rows_hold(values) && may_be_theirs(grant.as_subject))
    }
}

impl Sometimes {
    /// Whether every row matches. A missing value matches nothing.
    pub(super) fn rows_hold(&self, values: &[Option<Cow<'_, str>>]) -> bool {
        self.rows.iter().all(|(at, wanted)| {
            let value = values.get(*at).and_then(Option::as_deref);
            value.is_some_and(|value| wanted.iter().any(|wanted| **wanted == *value))
        })
    }
}

impl Permit {
    /// The purpose the call is for.
    pub fn purpose(&self) -> &PurposeId {
        &self.purpose
    }

    /// The legal basis of the purpose where no region has its own.
    pub fn basis(&self) -> LegalBasis {
        self.policy.basis(self.purpose_at)
    }

    /// What is done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The data set's name.
    pub fn set_id(&self) -> &DataSetId {
        &self.set.id
    }

    /// The data set.
    pub fn set(&self) -> &Arc<DataSet> {
        &self.set
    }

    /// The grants that may cover records of this call.
    pub fn grants(&self) -> &[RuleId] {
        &self.grants
    }

    /// Whether the grants and clearances it rests on are still in force by the clock. What it was
    /// decided on may have been taken back besides, which only another decision tells.
    pub fn still_counts(&self, now: Timestamp) -> bool {
        self.standing.until.is_none_or(|until| now < until)
    }

    /// The clearances it rests on, by kind and id: whatever leaves under it is marked with them.
    pub fn under(&self) -> &[(ClearanceKind, Arc<str>)] {
        &self.standing.under
    }

    /// The hash of the policy that decided.
    pub fn policy_hash(&self) -> [u8; 32] {
        self.policy.hash()
    }

    /// The most that any record could show, by `FieldIx`.
    pub fn widest(&self) -> &[View] {
        if let Some(plan) = &self.widest {
            return &plan.views;
        }
        let plan = self.cell().and_then(|cell| cell.plan(self.side.all()));
        plan.map_or(&[], |plan| &*plan.views)
    }

    /// Whether every record that leaves shows every listed field as it is.
    pub fn shows_every_field(&self) -> bool {
        let sides = [Some(&self.side), self.other.as_ref()];
        let certain = sides.into_iter().flatten().all(|side| {
            let cuts = |(at, _): &(usize, Left)| {
                self.cell().and_then(|cell| cell.limits.get(*at)).is_none_or(|l| l.cuts())
            };
            side.sometimes.is_empty() && !side.limits.iter().any(cuts)
        });
        certain
            && self.set.subjects.len() <= 1
            && self.widest().iter().all(|view| *view == View::Show)
    }

    /// Whether some grant covers every record, whatever is in it.
    pub fn covers_every_record(&self) -> bool {
        self.sides().all(|side| side.always != 0)
    }

    /// Whether records may be left out of a list because of grants, limits, objections or missing consent. It
    /// depends on no record, so that telling it tells of none.
    ///
    /// Where not, still left out are records of people who are erased, or whom nobody knows.
    pub fn may_leave_out(&self) -> bool {
        let consent = self.policy.tables().consent.get(self.purpose_at);
        let asks = consent.is_none_or(ConsentRule::may_be_needed) && !self.set.subjects.is_empty();
        let objects = self.policy.tables().objection.get(self.purpose_at);
        let objects = objects.is_none_or(ObjectionRule::may_close) && !self.set.subjects.is_empty();
        let removes = |(at, _): &(usize, Left)| {
            self.cell().and_then(|cell| cell.limits.get(*at)).is_none_or(|limit| !limit.cuts())
        };
        let fields = 0..self.set.fields.len();
        asks || objects
            || !self.covers_every_record()
            || self.sides().any(|side| side.limits.iter().any(removes))
            || !fields.into_iter().any(|field| self.surely_shows(field))
    }

    /// Whether every record that a grant covers shows something of a field, whatever limits fall.
    fn surely_shows(&self, field: usize) -> bool {
        let Some(cell) = self.cell() else { return false };
        let view = |views: &[View]| views.get(field).copied().unwrap_or(View::Drop);
        let mut coarse: Option<View> = None;
        for side in self.sides() {
            let given = cell.chosen(side.always).any(|grant| view(&grant.views).reveals());
            let floors = cell.limits.iter().enumerate().filter_map(|(at, limit)| {
                let may_fall =
                    side.cut & (1 << at) != 0 || side.limits.iter().any(|(own, _)| *own == at);
                match &limit.effect {
                    Effect::Cut(floors) if may_fall => Some(view(floors)),
                    _ => None,
                }
            });
            let floors: Vec<View> = floors.collect();
            let granted = cell.chosen(side.all()).map(|grant| view(&grant.views));
            // Of two coarser forms nothing may be left where they meet.
            let meet = granted.chain(floors.iter().copied()).filter(|view| view.is_coarse());
            let mut meet = meet.into_iter();
            if !given
                || floors.iter().any(|floor| !floor.reveals())
                || meet.any(|view| *coarse.get_or_insert(view) != view)
            {
                return false;
            }
        }
        true
    }

    /// Whether grants can cover a record, as far as it tells by itself: `id` gives the id of the
    /// person at a place among the data set's subjects, `values` are those of
    /// [`fact_fields`](Self::fact_fields). Where not, its verdict is to leave it out.
    pub fn may_cover<'a>(
        &self,
        id: impl Fn(usize) -> Option<Cow<'a, str>>,
        values: &[Option<Cow<'_, str>>],
    ) -> bool {
        self.sides().all(|side| side.always != 0 || side.covers_by_itself(&id, values))
    }

    /// What each credential brings.
    pub(super) fn sides(&self) -> impl Iterator<Item = &Side> {
        std::iter::once(&self.side).chain(&self.other)
    }

    /// The fields whose raw values [`verdict()`](super::verdict()) needs, besides those of subjects
    /// and region.
    pub fn fact_fields(&self) -> &[FieldIx] {
        &self.fact_fields
    }

    /// The limits on how many people may be shown in clear.
    pub fn bulk(&self) -> &[BulkLimit] {
        &self.bulk
    }

    /// The rules that made the record just judged look as it does: its grants, and the limits that
    /// cut. For tests.
    pub(super) fn rules(&self, scratch: &Scratch) -> impl Iterator<Item = &RuleId> {
        let spoke = scratch.trace;
        let (grants, cuts) =
            spoke.iter().fold((0, 0), |(g, c), trace| (g | trace.grants, c | trace.cuts));
        let cell = self.cell();
        let grants = cell.into_iter().flat_map(move |cell| cell.chosen(grants)).map(|g| &g.id);
        let limits = cell.into_iter().flat_map(|cell| cell.limits.iter().enumerate());
        let cut = limits.filter(move |(at, _)| cuts & (1 << at) != 0).map(|(_, limit)| &limit.id);
        grants.chain(cut)
    }

    /// The cell of both sides.
    pub(super) fn cell(&self) -> Option<&Cell> {
        self.policy.tables().cell(self.side.cell)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("set", self.set_id())
            .field("purpose", &self.purpose)
            .field("action", &self.action)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// A limit on how many different people one credential owner may be shown in clear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BulkLimit {
    /// Its id.
    pub id: RuleId,
    /// More people than this break it.
    pub over: u32,
    /// The length of the sliding window, in seconds.
    pub within_s: u32,
    /// What happens then.
    pub then: BulkAction,
}

/// What happens when a [`BulkLimit`] is broken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BulkAction {
    /// Somebody is told.
    Alert,
    /// Nothing more leaves.
    Deny,
}

/// Why the law allows a purpose (GDPR article 6; PIPL article 13 knows no legitimate interest).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LegalBasis {
    /// The person agreed.
    Consent,
    /// A contract with the person needs it.
    Contract,
    /// A law demands it.
    LegalObligation,
    /// An interest that outweighs the person's.
    LegitimateInterest,
    /// A task in the public interest.
    PublicTask,
    /// Somebody's life depends on it.
    VitalInterests,
}

impl LegalBasis {
    /// Every basis.
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::LegitimateInterest,
        Self::PublicTask,
        Self::VitalInterests,
    ];

    /// The word used in policies and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::LegitimateInterest => "legitimate_interest",
            Self::PublicTask => "public_task",
            Self::VitalInterests => "vital_interests",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == text)
    }
}

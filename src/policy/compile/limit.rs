//! Limits in a cell, split into what the caller and what the record decides.

use crate::policy::BulkAction;
use crate::policy::BulkLimit;
use crate::policy::Identity;
use crate::policy::View;
use crate::policy::source::Limit;
use crate::policy::source::Model;
use crate::policy::source::Then;
use crate::policy::source::Unless;
use crate::policy::source::Whom;
use crate::types::Capacities;
use crate::types::Region;
use crate::types::RuleId;
use crate::types::Statuses;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::cell::Held;
use super::cell::HeldRoles;
use super::expand::spoken_of;
use super::transfer::Transfers;

/// A limit in a cell: of those that the purpose and the data set leave possible.
#[derive(Debug)]
pub(in crate::policy) struct CellLimit {
    pub(in crate::policy) id: RuleId,
    pub(in crate::policy) effect: Effect,
    /// `None`: everybody.
    pub(in crate::policy) roles: Option<HeldRoles>,
    pub(in crate::policy) caller_region: Vec<Region>,
    pub(in crate::policy) caller_region_not: Vec<Region>,
    pub(in crate::policy) whom: Whom,
    /// What must hold of the record.
    pub(in crate::policy) record: OfRecord,
    pub(in crate::policy) unless: Option<CellUnless>,
}

/// What a limit does.
#[derive(Debug)]
pub(in crate::policy) enum Effect {
    /// Counts.
    Bulk(BulkLimit),
    /// Shows fields no clearer than this; by field, [`View::Show`] where it does nothing.
    Cut(Box<[View]>),
    /// Refuses the call.
    Deny,
    /// Leaves the record out.
    LeaveOut,
}

/// What lifts a limit; every condition that is there must hold.
#[derive(Debug)]
pub(in crate::policy) struct CellUnless {
    pub(in crate::policy) roles: Option<HeldRoles>,
    pub(in crate::policy) caller_region: Vec<Region>,
    pub(in crate::policy) caller_region_not: Vec<Region>,
    pub(in crate::policy) whom: Whom,
    pub(in crate::policy) record: OfRecord,
}

/// Conditions on a record; every one that is there must hold.
#[derive(Debug, Default)]
pub(in crate::policy) struct OfRecord {
    pub(in crate::policy) status: Vec<SubjectStatus>,
    /// The opt-out of the call's purpose.
    pub(in crate::policy) opted_out: Option<Box<str>>,
    pub(in crate::policy) region: Vec<Region>,
    /// Whether its data may be passed to the recipient: for `unless` alone.
    pub(in crate::policy) transfer: bool,
}

/// What a credential brings for limits.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Caller<'a> {
    pub(in crate::policy) identity: &'a Identity,
    /// Its roles that claims give, as bits.
    pub(in crate::policy) claimed: u128,
    /// In which capacities it may stand to anybody.
    pub(in crate::policy) may_be: Capacities,
    /// Whom it passes data to, with that one's position.
    pub(in crate::policy) recipient: Option<(usize, &'a Transfers)>,
}

/// What is left of a limit once the caller is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Left {
    /// The capacities in one of which the caller must stand to the person; none: in any or none.
    pub(in crate::policy) if_subject: Capacities,
    /// What is left of its `unless`.
    pub(in crate::policy) unless: LeftUnless,
}

/// What is left of an `unless`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum LeftUnless {
    /// It cannot hold any more.
    Never,
    /// It holds when its conditions on the record do.
    Record,
    /// It holds when they do and the caller stands to the person in one of these capacities.
    RecordOfCaller(Capacities),
}

/// The limits that the purpose and the data set leave possible.
pub(super) fn of_cell(model: &Model, set: usize, purpose: usize) -> Vec<CellLimit> {
    model.limits.iter().filter_map(|limit| cell_limit(limit, model, set, purpose)).collect()
}

fn cell_limit(limit: &Limit, model: &Model, set: usize, purpose: usize) -> Option<CellLimit> {
    if !limit.purposes.is_empty() && !limit.purposes.contains(&purpose) {
        return None;
    }
    let data = model.sets.get(set)?;
    let opt_out = model.purposes.get(purpose)?.opt_out.as_deref();
    // Nobody can be opted out of a purpose that knows no opt-out, and a record about nobody has
    // no person whose status or answer could stand in the way.
    let nobody = data.subjects.is_empty();
    if limit.when.opted_out && (opt_out.is_none() || nobody)
        || !limit.when.status.is_empty() && nobody
        || spoken_of(&limit.when, data).next().is_none() && !data.fields.is_empty()
    {
        return None;
    }
    let unless = match &limit.unless {
        // A record of unknown region may be passed to nobody.
        Some(unless) if unless.transfer && data.region.is_none() => None,
        Some(unless) => cell_unless(unless, model, purpose, opt_out.filter(|_| !nobody), nobody),
        None => None,
    };
    let effect = match limit.then {
        Then::Deny => Effect::Deny,
        Then::LeaveOut => Effect::LeaveOut,
        Then::View(floor) => {
            let mut floors = vec![View::Show; data.fields.len()];
            for ix in spoken_of(&limit.when, data) {
                if let (Some(view), Some(field)) = (floors.get_mut(ix.index()), data.get(ix)) {
                    *view = floor.of(field);
                }
            }
            Effect::Cut(floors.into())
        }
        Then::Bulk { over, within_s, deny } => {
            let then = if deny { BulkAction::Deny } else { BulkAction::Alert };
            Effect::Bulk(BulkLimit { id: limit.id.clone(), over, within_s, then })
        }
    };
    Some(CellLimit {
        id: limit.id.clone(),
        effect,
        roles: (!limit.roles.is_empty()).then(|| HeldRoles::new(&limit.roles, model)),
        caller_region: limit.when.caller_region.clone(),
        caller_region_not: limit.when.caller_region_not.clone(),
        whom: limit.when.whom.clone(),
        record: OfRecord {
            status: limit.when.status.clone(),
            opted_out: opt_out.filter(|_| limit.when.opted_out).map(Box::from),
            region: limit.when.record_region.clone(),
            transfer: false,
        },
        unless,
    })
}

/// `None` when it can never hold.
fn cell_unless(
    unless: &Unless,
    model: &Model,
    purpose: usize,
    opt_out: Option<&str>,
    nobody: bool,
) -> Option<CellUnless> {
    if !unless.purposes.is_empty() && !unless.purposes.contains(&purpose)
        || unless.opted_out && opt_out.is_none()
        || !unless.status.is_empty() && nobody
    {
        return None;
    }
    Some(CellUnless {
        roles: (!unless.roles.is_empty()).then(|| HeldRoles::new(&unless.roles, model)),
        caller_region: unless.caller_region.clone(),
        caller_region_not: unless.caller_region_not.clone(),
        whom: unless.whom.clone(),
        record: OfRecord {
            status: unless.status.clone(),
            opted_out: opt_out.filter(|_| unless.opted_out).map(Box::from),
            region: unless.record_region.clone(),
            transfer: unless.transfer,
        },
    })
}

impl CellLimit {
    /// What is left of the limit for this caller; `None` when it cannot fall.
    pub(in crate::policy) fn left(&self, caller: Caller<'_>) -> Option<Left> {
        let held = self.roles.map_or(Held::Yes, |roles| caller.held(roles));
        if held == Held::No {
            return None;
        }
        // An unknown region makes `if` hold.
        if let Some(region) = caller.identity.region
            && (!self.caller_region.is_empty() && !self.caller_region.contains(&region)
                || self.caller_region_not.contains(&region))
        {
            return None;
        }
        // And so does an unknown recipient.
        if caller.recipient.is_some_and(|(at, to)| !self.whom.meets(at, to)) {
            return None;
        }
        let unless = self.unless.as_ref().map_or(LeftUnless::Never, |unless| unless.left(caller));
        let if_subject = match held {
            Held::AsSubject(capacities) => capacities,
            Held::No | Held::Yes => Capacities::NONE,
        };
        let left = Left { if_subject, unless };
        // An `unless` that holds for every record lifts the limit altogether.
        let lifted = unless == LeftUnless::Record
            && self.unless.as_ref().is_some_and(|unless| unless.record.is_empty());
        (!lifted).then_some(left)
    }

    /// Whether, for this caller, the limit falls on every record or none.
    pub(in crate::policy) fn is_certain(&self, left: Left) -> bool {
        left.if_subject.is_none() && left.unless == LeftUnless::Never && self.record.is_empty()
    }

    /// Whether the limit changes what a record shows, and not only whether it leaves.
    pub(in crate::policy) fn cuts(&self) -> bool {
        matches!(self.effect, Effect::Cut(_))
    }

    /// Whether the limit falls on a record.
    pub(in crate::policy) fn falls(&self, left: Left, record: &Known<'_>) -> bool {
        let is_other = !left.if_subject.is_none() && !left.if_subject.meets(record.caller);
        if is_other || !self.record.may_hold(record) {
            return false;
        }
        let lifted = match left.unless {
            LeftUnless::Never => false,
            LeftUnless::Record => true,
            LeftUnless::RecordOfCaller(capacities) => capacities.meets(record.caller),
        };
        !(lifted && self.unless.as_ref().is_some_and(|unless| unless.record.must_hold(record)))
    }
}

impl CellUnless {
    fn left(&self, caller: Caller<'_>) -> LeftUnless {
        let held = self.roles.map_or(Held::Yes, |roles| caller.held(roles));
        let wanted = !self.caller_region.is_empty() || !self.caller_region_not.is_empty();
        let placed = match caller.identity.region {
            // An unknown region makes `unless` fail.
            None => !wanted,
            Some(region) => {
                (self.caller_region.is_empty() || self.caller_region.contains(&region))
                    && !self.caller_region_not.contains(&region)
            }
        };
        // And so does an unknown recipient.
        let passed = match caller.recipient {
            None => self.whom.is_empty() && !self.record.transfer,
            Some((at, to)) => self.whom.meets(at, to),
        };
        match held {
            Held::No => LeftUnless::Never,
            _ if !placed || !passed => LeftUnless::Never,
            Held::AsSubject(capacities) => LeftUnless::RecordOfCaller(capacities),
            Held::Yes => LeftUnless::Record,
        }
    }
}

impl Caller<'_> {
    fn held(&self, roles: HeldRoles) -> Held {
        roles.held(self.claimed, self.may_be)
    }
}

impl Whom {
    /// Whether a recipient is one of those asked for.
    fn meets(&self, at: usize, recipient: &Transfers) -> bool {
        (self.is.is_empty() || self.is.contains(&at))
            && !self.is_not.contains(&at)
            && (self.kinds.is_empty() || self.kinds.contains(&recipient.kind))
    }
}

/// What is known of a record when limits are tested; `None`: unknown.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Known<'a> {
    /// In which capacities the caller stands to the person.
    pub(in crate::policy) caller: Capacities,
    pub(in crate::policy) status: Option<Statuses>,
    pub(in crate::policy) opt_outs: Option<&'a std::collections::BTreeSet<Box<str>>>,
    pub(in crate::policy) region: Option<Region>,
    /// Whom it would be passed to.
    pub(in crate::policy) recipient: Option<&'a Transfers>,
    pub(in crate::policy) now: Timestamp,
}

impl OfRecord {
    fn is_empty(&self) -> bool {
        self.status.is_empty()
            && self.opted_out.is_none()
            && self.region.is_empty()
            && !self.transfer
    }

    /// For `if`: what is unknown holds.
    fn may_hold(&self, record: &Known<'_>) -> bool {
        let status = record.status.is_none_or(|status| status.meets(&self.status));
        let out = |name: &str| record.opt_outs.is_none_or(|outs| outs.contains(name));
        let region = record.region.is_none_or(|region| self.region.contains(&region));
        (self.status.is_empty() || status)
            && self.opted_out.as_deref().is_none_or(out)
            && (self.region.is_empty() || region)
    }

    /// For `unless`: what is unknown does not hold.
    fn must_hold(&self, record: &Known<'_>) -> bool {
        let status = record.status.is_some_and(|status| status.meets(&self.status));
        let out = |name: &str| record.opt_outs.is_some_and(|outs| outs.contains(name));
        let region = record.region.is_some_and(|region| self.region.contains(&region));
        (self.status.is_empty() || status)
            && self.opted_out.as_deref().is_none_or(out)
            && (self.region.is_empty() || region)
            && (!self.transfer || record.may_be_passed())
    }
}

impl Known<'_> {
    /// Whether the record's data may be passed to the recipient of the call.
    fn may_be_passed(&self) -> bool {
        self.recipient.is_some_and(|to| to.holds(self.region, self.now))
    }
}

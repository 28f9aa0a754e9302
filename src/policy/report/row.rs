//! Everything a policy says of one field.

use crate::policy::View;
use crate::policy::compile::ConsentRule;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::DataSetId;
use crate::types::FieldPath;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::RuleId;

use super::Fact;
use super::Roles;

/// Everything a policy says of one field, for one purpose and action, or of records as a whole.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is there or is not")]
pub(in crate::policy) struct Row {
    pub(in crate::policy) key: RowKey,
    /// How grants open it, in the order in which later ones win where views cannot be compared.
    pub(in crate::policy) ways: Vec<Way>,
    /// How limits close it.
    pub(in crate::policy) cuts: Vec<Cut>,
    /// What the person must have agreed to.
    pub(in crate::policy) consent: Option<ConsentRule>,
    /// Whether nothing happens while the person's data is held.
    pub(in crate::policy) stops_when_held: bool,
    /// Whether anybody knows the country of a record.
    pub(in crate::policy) has_region: bool,
    /// Whether the field holds the id of a person whom records are about.
    pub(in crate::policy) is_own_id: bool,
    /// Whether the field is about a person, so that limits on how many people are shown count it.
    pub(in crate::policy) is_personal: bool,
}

/// Which field, purpose and action.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) struct RowKey {
    pub(in crate::policy) purpose: PurposeId,
    pub(in crate::policy) data: DataSetId,
    pub(in crate::policy) action: Action,
    pub(in crate::policy) kind: Kind,
    /// `None`: the record as a whole.
    pub(in crate::policy) field: Option<FieldPath>,
}

/// What may be done with the field.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) enum Kind {
    /// It is shown.
    Shown,
    /// Records may be made, changed or removed at all.
    Done,
    /// It may be set.
    Set,
    /// Records may be selected by it.
    Selects,
}

/// How one grant opens a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Way {
    pub(in crate::policy) grant: RuleId,
    /// `None`: the caller in question holds one.
    pub(in crate::policy) roles: Option<Roles>,
    /// All must hold.
    pub(in crate::policy) facts: Vec<Fact>,
    /// The form it shows the field in.
    pub(in crate::policy) view: View,
    /// Whether it lets the field be set, be selected by, or records be written.
    pub(in crate::policy) lets: bool,
}

/// How one limit closes a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct Cut {
    pub(in crate::policy) limit: RuleId,
    pub(in crate::policy) effect: Effect,
    /// All must hold, or be unknown.
    pub(in crate::policy) when: Vec<Fact>,
    /// It does not fall when all of these hold and are known.
    pub(in crate::policy) unless: Option<Vec<Fact>>,
}

/// What a limit does to a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Effect {
    /// The field is shown no clearer than this.
    Floor(View),
    /// The call is refused, or the record left out.
    Deny,
    /// The record is left out.
    LeaveOut,
    /// People who are shown are counted.
    Count { over: u32, within_s: u32, deny: bool },
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Form {
    /// The form in which the field is shown.
    View(View),
    /// Whether it may be done.
    May(bool),
}

impl Row {
    /// What the row says for callers who hold one role alone, which these ways of standing to the
    /// person give, or a claim if there are none; `None`: nothing is open to them.
    pub(in crate::policy) fn of_role(&self, role: &RoleId, gives: Capacities) -> Option<Self> {
        let is_claimed = gives.is_none();
        let has = |roles: &Roles| match is_claimed {
            true => roles.claimed.contains(role),
            false => roles.subject.meets(gives),
        };
        let mut row = self.clone();
        row.ways.retain(|way| way.roles.as_ref().is_none_or(has));
        for way in &mut row.ways {
            let ways = way.roles.take().map_or(gives, |roles| roles.subject.and(gives));
            if !is_claimed {
                way.facts.push(Fact::Stands(ways));
                way.facts.sort();
            }
        }
        // Of a role that is a condition on the record, only records that meet it count.
        let known = |fact: &Fact| match fact {
            Fact::Role(roles) if is_claimed => roles.claimed.contains(role),
            Fact::Role(roles) => gives.is_within(roles.subject),
            _ => false,
        };
        for cut in &mut row.cuts {
            // Who looks records up asks for other people's as well: there it stays open.
            let is_open = !is_claimed && row.key.kind == Kind::Selects;
            if is_open && matches!(cut.effect, Effect::Deny | Effect::Floor(_)) {
                continue;
            }
            cut.when.retain(|fact| !known(fact));
            if let Some(unless) = &mut cut.unless {
                unless.retain(|fact| !known(fact));
            }
        }
        row.cuts.retain(|cut| cut.unless.as_ref().is_none_or(|unless| !unless.is_empty()));
        (!row.ways.is_empty()).then_some(row)
    }

    /// Whether what the two rows say is the same, whatever the rules are called.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let ways = |row: &Self| {
            let ways = row.ways.iter();
            ways.map(|w| (w.roles.clone(), w.facts.clone(), w.view, w.lets)).collect::<Vec<_>>()
        };
        let cuts = |row: &Self| {
            let cuts = row.cuts.iter();
            cuts.map(|cut| (cut.effect, cut.when.clone(), cut.unless.clone())).collect::<Vec<_>>()
        };
        ways(self) == ways(other)
            && cuts(self) == cuts(other)
            && self.consent == other.consent
            && self.stops_when_held == other.stops_when_held
            && self.has_region == other.has_region
            && self.is_own_id == other.is_own_id
            && self.is_personal == other.is_personal
    }
}

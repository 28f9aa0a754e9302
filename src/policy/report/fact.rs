//! What may hold of callers, records and times, as data.

use std::sync::Arc;

use crate::catalog::DataSet;
use crate::policy::ClearanceKind;
use crate::policy::Clearing;
use crate::policy::PolicySet;
use crate::policy::compile::CellGrant;
use crate::policy::compile::CellLimit;
use crate::policy::compile::CellUnless;
use crate::policy::compile::HeldRoles;
use crate::policy::compile::OfRecord;
use crate::policy::compile::role_bit;
use crate::policy::source::Model;
use crate::policy::source::Needs;
use crate::policy::source::Whom;
use crate::types::Capacities;
use crate::types::FieldPath;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::World;

/// One thing that must hold for a grant to count, for a limit to fall, or for it to be lifted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) enum Fact {
    /// The caller holds one of these roles.
    Role(Roles),
    /// The caller is the person the record is about, or acts for them: in one of these ways.
    Stands(Capacities),
    /// The caller's second factor is at most this old, in seconds.
    Mfa(u64),
    /// The caller has a signed ticket.
    Ticket,
    /// The record's field equals, or is in, a signed claim of the caller.
    Row { field: FieldPath, claim: Box<str> },
    /// Not before.
    From(Timestamp),
    /// Before, and not at.
    Until(Timestamp),
    /// The person has one of these statuses.
    Status(Vec<SubjectStatus>),
    /// The person opted out of this.
    OptedOut(Box<str>),
    /// The record is of one of these countries.
    RecordRegion(Vec<Region>),
    /// The caller is in one of these countries.
    CallerRegion(Vec<Region>),
    /// The caller is in none of these countries.
    CallerRegionNot(Vec<Region>),
    /// Somebody approved the use of this grant, or the caller broke glass for it.
    Cleared(Cleared),
    /// The caller sent `Sec-GPC: 1`.
    Gpc,
    /// The recipient of the call is one of these, of all that the policy knows.
    Recipient { meets: Vec<RecipientId>, known: Vec<RecipientId> },
    /// The record's data may be passed to the recipient of the call.
    Transfer(Arc<[Passage]>),
}

/// An approval, or a broken glass.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) struct Cleared {
    pub(in crate::policy) kind: ClearanceKind,
    pub(in crate::policy) grant: RuleId,
    /// Who approves, or looks at it afterwards.
    pub(in crate::policy) role: RoleId,
    /// For how long it counts, in seconds.
    pub(in crate::policy) for_s: u64,
    /// Within how many seconds a broken glass must be looked at.
    pub(in crate::policy) review_within_s: u64,
}

/// Whose data may be passed to one recipient.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) struct Passage {
    pub(in crate::policy) to: RecipientId,
    /// The end of what binds it.
    pub(in crate::policy) bound_until: Timestamp,
    /// Of which countries, and until when.
    pub(in crate::policy) from: Vec<(Vec<Region>, Timestamp)>,
}

/// Roles as a rule names them.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::policy) struct Roles {
    /// Those that claims give.
    pub(in crate::policy) claimed: Vec<RoleId>,
    /// The ways of standing to the record's subject that give one.
    pub(in crate::policy) subject: Capacities,
}

impl Roles {
    pub(super) fn new(held: HeldRoles, model: &Model) -> Self {
        let named = model.roles.iter().enumerate();
        let named = named.filter(|(at, _)| held.claimed & role_bit(*at) != 0);
        let claimed = named.map(|(_, role)| role.id.clone()).collect();
        Self { claimed, subject: held.subject }
    }

    /// Whether claims alone give one of them.
    pub(super) fn claimed_in(&self, world: &World) -> bool {
        self.claimed.iter().any(|role| world.roles.contains(role))
    }

    /// Whether the caller of a world holds one of them.
    pub(super) fn held_in(&self, world: &World) -> bool {
        self.claimed_in(world) || self.subject.meets(world.capacities())
    }

    /// Whether the caller of a world holds one of them for some person.
    pub(super) fn may_be_held_in(&self, world: &World) -> bool {
        self.claimed_in(world) || self.subject.meets(world.stands)
    }
}

impl Fact {
    /// Whether it holds in a world; `None`: nobody knows.
    pub(in crate::policy) fn holds(&self, world: &World) -> Option<bool> {
        let within =
            |regions: &[Region], of: Option<Region>| of.map(|region| regions.contains(&region));
        match self {
            Self::Role(roles) => Some(roles.held_in(world)),
            Self::Stands(in_one_of) => Some(in_one_of.meets(world.capacities())),
            Self::Mfa(within_s) => Some(world.mfa_age_s.is_some_and(|age| age <= *within_s)),
            Self::Ticket => Some(world.ticket),
            Self::Row { field, claim } => {
                Some(world.rows.contains(&(field.clone(), claim.clone())))
            }
            Self::From(from) => Some(*from <= world.now),
            Self::Until(until) => Some(world.now < *until),
            Self::Status(statuses) => Some(world.status.meets(statuses)),
            Self::OptedOut(name) => Some(world.opted_out.contains(name)),
            Self::RecordRegion(regions) => within(regions, world.record_region),
            Self::CallerRegion(regions) => within(regions, world.caller_region),
            Self::CallerRegionNot(regions) => {
                within(regions, world.caller_region).map(|inside| !inside)
            }
            Self::Cleared(Cleared { kind, grant, role, for_s, .. }) => {
                let key = (*kind, grant.clone(), role.clone());
                Some(world.cleared_age_s.get(&key).is_some_and(|age| age < for_s))
            }
            Self::Gpc => Some(world.gpc),
            Self::Recipient { meets, known } => {
                let recipient = world.recipient.as_ref().filter(|id| known.contains(id));
                recipient.map(|id| meets.contains(id))
            }
            // What is unknown may not be passed.
            Self::Transfer(passages) => Some(passages.iter().any(|passage| {
                world.recipient.as_ref() == Some(&passage.to)
                    && world.now < passage.bound_until
                    && passage.from.iter().any(|(regions, until)| {
                        world.now < *until
                            && world.record_region.is_some_and(|region| regions.contains(&region))
                    })
            })),
        }
    }

    /// Whether it depends on the record, and not on the caller and the time alone.
    pub(super) fn is_of_record(&self) -> bool {
        match self {
            Self::OptedOut(_)
            | Self::RecordRegion(_)
            | Self::Row { .. }
            | Self::Stands(_)
            | Self::Status(_)
            | Self::Transfer(_) => true,
            Self::CallerRegion(_)
            | Self::CallerRegionNot(_)
            | Self::Cleared(_)
            | Self::From(_)
            | Self::Gpc
            | Self::Mfa(_)
            | Self::Recipient { .. }
            | Self::Role(_)
            | Self::Ticket
            | Self::Until(_) => false,
        }
    }
}

/// What a grant asks for besides its roles.
pub(super) fn of_grant(grant: &CellGrant, set: &DataSet) -> Vec<Fact> {
    let mut facts = Vec::new();
    // Taken apart, so that a need that is added cannot be forgotten here.
    let Needs { mfa_within_s, ticket, clearing } = &grant.needs;
    facts.extend(mfa_within_s.map(Fact::Mfa));
    facts.extend(ticket.then_some(Fact::Ticket));
    facts.extend(clearing.as_ref().map(|clearing| {
        let Clearing { kind, role, for_s, review_within_s } = clearing;
        Fact::Cleared(Cleared {
            kind: *kind,
            grant: grant.id.clone(),
            role: role.clone(),
            for_s: *for_s,
            review_within_s: *review_within_s,
        })
    }));
    facts.extend(grant.rows.iter().filter_map(|(field, claim)| {
        let field = set.get(*field)?.path.clone();
        Some(Fact::Row { field, claim: claim.clone() })
    }));
    facts.extend(grant.valid.from.map(Fact::From));
    facts.extend(grant.valid.until.map(Fact::Until));
    facts.sort();
    facts
}

/// What conditions are read with.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) policy: &'a PolicySet,
    pub(super) passages: &'a Arc<[Passage]>,
}

/// What makes a limit fall.
pub(super) fn of_limit(limit: &CellLimit, known: Known<'_>) -> Vec<Fact> {
    let callers = (&limit.caller_region, &limit.caller_region_not, &limit.whom);
    conditions(limit.roles, callers, &limit.record, known)
}

/// What lifts a limit.
pub(super) fn of_unless(unless: &CellUnless, known: Known<'_>) -> Vec<Fact> {
    let CellUnless { roles, caller_region, caller_region_not, whom, record } = unless;
    conditions(*roles, (caller_region, caller_region_not, whom), record, known)
}

fn conditions(
    roles: Option<HeldRoles>,
    (inside, outside, whom): (&Vec<Region>, &Vec<Region>, &Whom),
    record: &OfRecord,
    Known { policy, passages }: Known<'_>,
) -> Vec<Fact> {
    let OfRecord { status, opted_out, region, transfer } = record;
    let some = |regions: &Vec<Region>| (!regions.is_empty()).then(|| sorted(regions));
    let mut facts = Vec::new();
    facts.extend(roles.map(|roles| Fact::Role(Roles::new(roles, policy.model()))));
    facts.extend((!status.is_empty()).then(|| Fact::Status(sorted(status))));
    facts.extend(opted_out.clone().map(Fact::OptedOut));
    facts.extend(some(region).map(Fact::RecordRegion));
    facts.extend(some(inside).map(Fact::CallerRegion));
    facts.extend(some(outside).map(Fact::CallerRegionNot));
    facts.extend((!whom.is_empty()).then(|| recipient(whom, policy)));
    facts.extend(transfer.then(|| Fact::Transfer(Arc::clone(passages))));
    facts.sort();
    facts
}

fn recipient(whom: &Whom, policy: &PolicySet) -> Fact {
    let Whom { is, is_not, kinds } = whom;
    let named = policy.model().recipients.iter().enumerate();
    let meets = named.filter(|(at, recipient)| {
        (is.is_empty() || is.contains(at))
            && !is_not.contains(at)
            && (kinds.is_empty() || kinds.contains(&recipient.kind))
    });
    let meets: Vec<RecipientId> = meets.map(|(_, recipient)| recipient.id.clone()).collect();
    let known = policy.model().recipients.iter().map(|recipient| recipient.id.clone());
    Fact::Recipient { meets: sorted(&meets), known: sorted(&known.collect::<Vec<_>>()) }
}

/// Whose data may be passed to whom.
pub(super) fn passages(policy: &PolicySet) -> Arc<[Passage]> {
    let each = policy.tables().recipients.iter().map(|recipient| {
        let (bound_until, mut from) = recipient.passages();
        from.sort();
        Passage { to: recipient.id.clone(), bound_until, from }
    });
    let mut passages: Vec<Passage> = each.collect();
    passages.sort();
    passages.into()
}

fn sorted<T: Clone + Ord>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort();
    list.dedup();
    list
}

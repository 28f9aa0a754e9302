//! What somebody may use for a while: a grant that another approved, or that they broke glass for.

use std::sync::Arc;

use crate::types::Capacities;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::Timestamp;

use super::Identity;
use super::PolicySet;
use super::compile::Held;
use super::compile::HeldRoles;
use super::source::Grant;

/// How somebody came by a [`Clearance`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ClearanceKind {
    /// Somebody else approved it.
    Approval,
    /// They broke glass in an emergency, and somebody else looks at it afterwards.
    BreakGlass,
}

impl ClearanceKind {
    /// The word in policies, refusals, entries and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::BreakGlass => "break_glass",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approval, Self::BreakGlass].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What one principal may use for a while. It comes from what was recorded and agreed, never from
/// what a caller sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clearance {
    /// By what it is named in the log and on pages.
    pub id: Arc<str>,
    /// How they came by it.
    pub kind: ClearanceKind,
    /// The grant.
    pub grant: RuleId,
    /// For this purpose alone; `None`: for all the grant has.
    pub purpose: Option<PurposeId>,
    /// The role that approved it, or that looks at it afterwards, as the policy said then.
    pub role: RoleId,
    /// From when.
    pub from: Timestamp,
    /// Until when, and not at that moment.
    pub until: Timestamp,
}

/// What a grant needs beside the token: an approval, or a broken glass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clearing {
    /// Which of the two.
    pub kind: ClearanceKind,
    /// The role that approves, or that looks at it afterwards.
    pub role: RoleId,
    /// For how long it counts, in seconds.
    pub for_s: u64,
    /// Within how many seconds a broken glass must be looked at; 0 for an approval.
    pub review_within_s: u64,
}

impl Clearing {
    /// What meets this need of a grant from now on, for the tests of a policy.
    pub(super) fn given(&self, grant: &RuleId, now: Timestamp) -> Clearance {
        Clearance {
            id: "of a test".into(),
            kind: self.kind,
            grant: grant.clone(),
            purpose: None,
            role: self.role.clone(),
            from: now,
            until: now.plus_ms(self.for_s.saturating_mul(1000)),
        }
    }

    /// The clearance of somebody that meets this need longest, and until when it does: of the kind
    /// and under the role that the policy names now, and for no longer than it says now.
    pub(super) fn met_by<'i>(
        &self,
        identity: &'i Identity,
        (grant, purpose): (&RuleId, &PurposeId),
        now: Timestamp,
    ) -> Option<(&'i Clearance, Timestamp)> {
        let fitting = identity.cleared.iter().filter(|it| {
            it.kind == self.kind
                && it.role == self.role
                && it.grant == *grant
                && it.purpose.as_ref().is_none_or(|only| only == purpose)
        });
        let longest = self.for_s.saturating_mul(1000);
        let until = |it: &Clearance| it.until.min(it.from.plus_ms(longest));
        let standing = fitting.filter(|it| it.from <= now && now < until(it));
        standing.map(|it| (it, until(it))).max_by_key(|(_, until)| *until)
    }
}

/// A grant that needs a clearance, for those who ask for one.
#[derive(Clone, Copy, Debug)]
pub struct Clearable<'a> {
    policy: &'a PolicySet,
    grant: &'a Grant,
    clearing: &'a Clearing,
}

impl PolicySet {
    /// The grant of that name, when it needs a clearance.
    pub fn clearable(&self, grant: &str) -> Option<Clearable<'_>> {
        let found = self.model().grants.iter().find(|known| known.id.as_str() == grant)?;
        let clearing = found.needs.clearing.as_ref()?;
        Some(Clearable { policy: self, grant: found, clearing })
    }

    /// The grants that need a clearance.
    pub fn clearables(&self) -> impl Iterator<Item = Clearable<'_>> {
        let needing = self.model().grants.iter();
        needing.filter_map(|grant| self.clearable(grant.id.as_str()))
    }
}

impl<'a> Clearable<'a> {
    /// The grant's name.
    pub fn grant(&self) -> &'a RuleId {
        &self.grant.id
    }

    /// What it needs.
    pub fn clearing(&self) -> &'a Clearing {
        self.clearing
    }

    /// How old a second factor may be, in seconds, when the grant needs one.
    pub fn mfa_within_s(&self) -> Option<u64> {
        self.grant.needs.mfa_within_s
    }

    /// The purposes it is for.
    pub fn purposes(&self) -> impl Iterator<Item = &'a PurposeId> {
        let (purposes, policy) = (&self.grant.purposes, self.policy);
        purposes.iter().filter_map(|at| policy.model().purposes.get(*at)).map(|it| &it.id)
    }

    /// Whether somebody holds one of its roles. Who may be the subject of a record does.
    pub fn is_for(&self, identity: &Identity) -> bool {
        let roles = HeldRoles::new(&self.grant.roles, self.policy.model());
        let claimed = self.policy.claimed(&identity.claims);
        let person = Capacities::SELF.or(Capacities::REPRESENTATIVE);
        let may_be = if identity.subject.is_some() { person } else { Capacities::NONE };
        roles.held(claimed, may_be) != Held::No
    }

    /// Whether the grant matches at this time.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.grant.valid.holds(now)
    }
}

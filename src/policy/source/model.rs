//! The model of policies as written. References are positions in the lists of [`Model`].

use std::sync::Arc;

use crate::catalog::Categories;
use crate::catalog::DataSet;
use crate::catalog::Router;
use crate::catalog::data_use::DataUse;
use crate::policy::Clearing;
use crate::policy::LegalBasis;
use crate::policy::View;
use crate::policy::transfer::MechanismKind;
use crate::policy::transfer::RecipientKind;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::CategoryId;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::Level;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::StoreId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;
use crate::types::ViewName;
use crate::types::doc::Localized;

use super::RegionGroups;

/// All policy files together.
#[derive(Debug, Default)]
pub(in crate::policy) struct Model {
    /// What the files say of themselves.
    pub(in crate::policy) heads: Vec<Head>,
    /// Why data is used.
    pub(in crate::policy) purposes: Vec<Purpose>,
    /// Who callers can be.
    pub(in crate::policy) roles: Vec<Role>,
    /// Countries with one name.
    pub(in crate::policy) groups: RegionGroups,
    /// Whom data is passed to.
    pub(in crate::policy) recipients: Vec<Recipient>,
    /// Named views.
    pub(in crate::policy) views: Vec<(ViewName, ViewSpec)>,
    /// What fields can be.
    pub(in crate::policy) categories: Categories,
    /// What there is to see.
    pub(in crate::policy) sets: Vec<Arc<DataSet>>,
    /// The routes of each store.
    pub(in crate::policy) routers: Vec<(StoreId, Router)>,
    /// What is allowed.
    pub(in crate::policy) grants: Vec<Grant>,
    /// What cuts down.
    pub(in crate::policy) limits: Vec<Limit>,
}

/// What a file says of itself.
#[derive(Debug, Default)]
pub(in crate::policy) struct Head {
    pub(in crate::policy) name: Option<Box<str>>,
    pub(in crate::policy) title: Option<Localized>,
    pub(in crate::policy) owner: Option<Box<str>>,
    /// When somebody must have looked at it again.
    pub(in crate::policy) review_by: Option<Timestamp>,
}

/// Why data is used.
#[derive(Debug)]
pub(in crate::policy) struct Purpose {
    pub(in crate::policy) id: PurposeId,
    pub(in crate::policy) title: Option<Localized>,
    pub(in crate::policy) basis: Basis,
    /// The consent question, where the basis is consent.
    pub(in crate::policy) consent: Option<Box<str>>,
    /// Where consent must have been asked for alone.
    pub(in crate::policy) separate: Separate,
    /// What a person can opt out of.
    pub(in crate::policy) opt_out: Option<Box<str>>,
    /// What the data is used for, in a word of fideslang.
    pub(in crate::policy) data_use: Option<DataUse>,
    /// Whether somebody who sends `Sec-GPC: 1` has opted out of it.
    pub(in crate::policy) gpc: bool,
    pub(in crate::policy) place: Place,
}

/// Where consent must have been asked for alone, for one purpose (单独同意, PIPL articles 23, 25, 26,
/// 29 and 39).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::policy) enum Separate {
    /// Nowhere.
    #[default]
    No,
    /// Everywhere.
    Everywhere,
    /// For records of these regions, and of an unknown one.
    In(Vec<Region>),
}

impl Separate {
    /// Whether consent for a record of this region must be.
    pub(in crate::policy) fn is_needed(&self, region: Option<Region>) -> bool {
        match (self, region) {
            (Self::No, _) => false,
            (Self::Everywhere, _) | (Self::In(_), None) => true,
            (Self::In(regions), Some(region)) => regions.contains(&region),
        }
    }
}

/// The legal basis, which may differ from law to law.
#[derive(Debug)]
pub(in crate::policy) struct Basis {
    pub(in crate::policy) default: LegalBasis,
    /// Records of these regions have their own; `None`: one basis for all.
    pub(in crate::policy) regions: Option<Vec<(Region, LegalBasis)>>,
}

/// Who a caller can be.
#[derive(Debug)]
pub(in crate::policy) struct Role {
    pub(in crate::policy) id: RoleId,
    pub(in crate::policy) holds: Holds,
    pub(in crate::policy) place: Place,
}

/// What makes a caller hold a role.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::policy) enum Holds {
    /// A claim has this value.
    Claim { claim: Box<str>, has: Box<str> },
    /// The caller is the record's subject, in the same domain, or acts for that person.
    Subject {
        /// As what; nothing unless the policy says so.
        or: Capacities,
    },
}

impl Holds {
    /// The ways of standing to a record's subject that give it; none: a claim does.
    pub(in crate::policy) fn gives(&self) -> Capacities {
        match self {
            Self::Claim { .. } => Capacities::NONE,
            Self::Subject { or } => Capacities::SELF.or(*or),
        }
    }
}

/// Whom data is passed to.
#[derive(Debug)]
pub(in crate::policy) struct Recipient {
    pub(in crate::policy) id: RecipientId,
    pub(in crate::policy) title: Option<Localized>,
    pub(in crate::policy) kind: RecipientKind,
    /// The processor that a sub-processor works for.
    pub(in crate::policy) parent: Option<(RecipientId, Place)>,
    pub(in crate::policy) country: Region,
    pub(in crate::policy) agreement: Agreement,
    pub(in crate::policy) mechanisms: Vec<Mechanism>,
    pub(in crate::policy) place: Place,
}

/// What binds a recipient.
#[derive(Debug)]
pub(in crate::policy) struct Agreement {
    pub(in crate::policy) reference: Box<str>,
    /// Before, and not at; `None`: without end.
    pub(in crate::policy) until: Option<Timestamp>,
    pub(in crate::policy) place: Place,
}

/// What allows that data of some countries is passed to a recipient in another.
#[derive(Debug)]
pub(in crate::policy) struct Mechanism {
    pub(in crate::policy) kind: MechanismKind,
    /// Which of the kind's cases, where it has some.
    pub(in crate::policy) case: Option<&'static str>,
    /// Whose law it satisfies.
    pub(in crate::policy) regions: Vec<Region>,
    /// Before, and not at; `None`: without end.
    pub(in crate::policy) until: Option<Timestamp>,
    pub(in crate::policy) reference: Option<Box<str>>,
    pub(in crate::policy) place: Place,
}

/// A view as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) enum ViewSpec {
    /// The same view on every field.
    Plain(View),
    /// Of a container, this child as it is and nothing else.
    Part { child: Box<str> },
}

/// What is allowed.
#[derive(Debug)]
pub(in crate::policy) struct Grant {
    pub(in crate::policy) id: RuleId,
    pub(in crate::policy) roles: Vec<usize>,
    pub(in crate::policy) purposes: Vec<usize>,
    pub(in crate::policy) sets: Vec<usize>,
    pub(in crate::policy) actions: Vec<Action>,
    pub(in crate::policy) gives: Gives,
    /// All must hold.
    pub(in crate::policy) rows: Vec<RowMatch>,
    pub(in crate::policy) find_by: Vec<(FieldPath, Place)>,
    /// What creations and updates may set: fields, and containers with all that is below them.
    pub(in crate::policy) writes: Vec<(FieldPath, Place)>,
    pub(in crate::policy) needs: Needs,
    pub(in crate::policy) valid: Valid,
    /// The grants whose views yield to this one's where neither contains the other.
    pub(in crate::policy) overrides: Vec<(RuleId, Place)>,
    pub(in crate::policy) place: Place,
}

/// One line of `fields`, `categories` or `levels`.
#[derive(Debug)]
pub(in crate::policy) struct Shown<T> {
    pub(in crate::policy) what: T,
    pub(in crate::policy) spec: ViewSpec,
    pub(in crate::policy) place: Place,
}

/// What a grant gives, by one of three keys. The most specific line counts for a field.
#[derive(Debug)]
pub(in crate::policy) enum Gives {
    /// By field or container.
    Fields(Vec<Shown<FieldPath>>),
    /// By category, with all below it.
    Categories(Vec<Shown<CategoryId>>),
    /// By level. Unlisted fields have none.
    Levels(Vec<Shown<Level>>),
}

/// The record's `field` equals, or is in, the caller's signed `claim`.
#[derive(Debug)]
pub(in crate::policy) struct RowMatch {
    pub(in crate::policy) field: FieldPath,
    pub(in crate::policy) claim: Box<str>,
    pub(in crate::policy) place: Place,
}

/// What a caller must bring for a grant to match.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Needs {
    /// A second factor at most this old.
    pub(in crate::policy) mfa_within_s: Option<u64>,
    /// A signed ticket.
    pub(in crate::policy) ticket: bool,
    /// Somebody's approval, or a broken glass.
    pub(in crate::policy) clearing: Option<Clearing>,
}

/// When a grant matches.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::policy) struct Valid {
    /// Not before.
    pub(in crate::policy) from: Option<Timestamp>,
    /// Before, and not at.
    pub(in crate::policy) until: Option<Timestamp>,
}

impl Valid {
    /// Whether a grant matches at this time.
    pub(in crate::policy) fn holds(self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// What cuts down.
#[derive(Debug)]
pub(in crate::policy) struct Limit {
    pub(in crate::policy) id: RuleId,
    /// Only callers with one of these; empty: all.
    pub(in crate::policy) roles: Vec<usize>,
    /// Only calls for one of these; empty: all.
    pub(in crate::policy) purposes: Vec<usize>,
    pub(in crate::policy) when: When,
    pub(in crate::policy) unless: Option<Unless>,
    pub(in crate::policy) then: Then,
    pub(in crate::policy) place: Place,
}

/// The `if` of a limit: every key that is there must hold, and an unknown fact holds.
#[derive(Debug, Default)]
pub(in crate::policy) struct When {
    pub(in crate::policy) status: Vec<SubjectStatus>,
    pub(in crate::policy) opted_out: bool,
    pub(in crate::policy) record_region: Vec<Region>,
    pub(in crate::policy) caller_region: Vec<Region>,
    pub(in crate::policy) caller_region_not: Vec<Region>,
    pub(in crate::policy) whom: Whom,
    /// Fields with one of these flags; for what falls on whole records, data sets with such a
    /// field.
    pub(in crate::policy) flags: Flags,
    /// Fields of these levels, and likewise.
    pub(in crate::policy) levels: Vec<Level>,
}

/// The `unless` of a limit: every key that is there must hold, and an unknown fact does not.
#[derive(Debug, Default)]
pub(in crate::policy) struct Unless {
    pub(in crate::policy) purposes: Vec<usize>,
    pub(in crate::policy) roles: Vec<usize>,
    pub(in crate::policy) status: Vec<SubjectStatus>,
    pub(in crate::policy) opted_out: bool,
    pub(in crate::policy) record_region: Vec<Region>,
    pub(in crate::policy) caller_region: Vec<Region>,
    pub(in crate::policy) caller_region_not: Vec<Region>,
    pub(in crate::policy) whom: Whom,
    /// Whether data of the record's region may be passed to the call's recipient.
    pub(in crate::policy) transfer: bool,
}

/// Conditions on the recipient of a call: every one that is there must hold.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Whom {
    pub(in crate::policy) is: Vec<usize>,
    pub(in crate::policy) is_not: Vec<usize>,
    pub(in crate::policy) kinds: Vec<RecipientKind>,
}

impl Whom {
    /// Whether nothing is asked.
    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.is.is_empty() && self.is_not.is_empty() && self.kinds.is_empty()
    }
}

/// What a limit does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Then {
    /// Once a caller was shown more than `over` people in clear within `within_s` seconds, tells
    /// somebody, or lets nothing more leave.
    Bulk { over: u32, within_s: u32, deny: bool },
    /// The call is refused; a record, where the condition depends on it, is left out.
    Deny,
    /// The record is left out.
    LeaveOut,
    /// The fields are shown no clearer than this.
    View(View),
}

//! The part of the decision that depends on the caller alone.

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Route;
use crate::types::Action;
use crate::types::RuleId;
use crate::types::Timestamp;

use super::Identity;
use super::Permit;

/// One call, before any record is known.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// For whom, when a second credential came along: the result is what both may see.
    pub on_behalf_of: Option<&'a Identity>,
    /// The purpose the call names. Without one the route's counts, then the credential's only one.
    pub purpose: Option<&'a str>,
    /// The data set asked for. It must be one of [`PolicySet::sets`](super::PolicySet::sets) of the same policy.
    pub set: &'a DataSet,
    /// The route that was taken.
    pub route: &'a Route,
    /// What is done.
    pub action: Action,
    /// The fields the call selects records by: path variables and `find_by` parameters in use.
    pub selects_by: &'a [FieldIx],
    /// When.
    pub now: Timestamp,
}

/// What was decided about a caller.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a call and taken apart at once")]
pub enum Decision {
    /// The store may be asked, and each record judged under this permit.
    Permit(Permit),
    /// Nothing leaves.
    Refuse(Refusal),
}

/// Why a call was refused. It speaks of the caller alone, so the caller may read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// The limit that refused, or the grant that came nearest.
    pub rule: Option<RuleId>,
    /// What would help: `purpose`, `mfa_within`, `ticket`, `find_by`, `rows`.
    pub missing: Vec<&'static str>,
}

/// The reasons of a [`Refusal`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RefusalReason {
    /// The credential is no longer valid.
    Expired,
    /// The call selects by a field that its caller may not see and no grant lists in `find_by`.
    FindBy,
    /// A limit refuses it.
    Limit,
    /// A grant matches but for its `needs`.
    NeedsUnmet,
    /// No grant covers it.
    NoGrant,
    /// No purpose was named.
    NoPurpose,
    /// The credential may not be used for that purpose.
    PurposeNotInToken,
    /// A grant matches but for its `rows`: the caller lacks the claim.
    RowsUnmet,
    /// No purpose has that name.
    UnknownPurpose,
    /// The data set is not one of this policy.
    UnknownSet,
}

impl RefusalReason {
    /// The word for problems, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::FindBy => "find_by",
            Self::Limit => "limit",
            Self::NeedsUnmet => "needs",
            Self::NoGrant => "no_grant",
            Self::NoPurpose => "no_purpose",
            Self::PurposeNotInToken => "purpose_not_in_token",
            Self::RowsUnmet => "rows",
            Self::UnknownPurpose => "unknown_purpose",
            Self::UnknownSet => "unknown_set",
        }
    }
}

//! The part of the decision that depends on the caller alone.

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Route;
use crate::types::Action;
use crate::types::OwnCard;
use crate::types::PurposeId;
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
    /// What is known of the people that the two credentials are, at the time of the call.
    pub standing: [OwnCard; 2],
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
    /// Whether the call carries a privacy signal: `Sec-GPC` with the value `1`.
    pub gpc: bool,
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
    /// What would help: `role`, `purpose`, `mfa_within`, `ticket`, `approval`, `break_glass`,
    /// `find_by`, `rows`.
    pub missing: Vec<&'static str>,
    /// The purpose the call was for, once it is known to be one of the policy.
    pub purpose: Option<PurposeId>,
    /// Why, and what would help, in words of the policy.
    pub detail: String,
    /// How old the second factor may be, in seconds, when a fresh one is among what is missing.
    pub(super) mfa_within_s: Option<u64>,
    /// The field the call may not select by.
    pub(super) field: Option<FieldIx>,
    /// Whether the second credential is the one that lacks something.
    pub(super) second: bool,
}

impl Refusal {
    /// A refusal for this reason, which says nothing more.
    pub fn new(reason: RefusalReason, missing: &[&'static str]) -> Self {
        Self {
            reason,
            rule: None,
            missing: missing.to_vec(),
            purpose: None,
            detail: String::new(),
            mfa_within_s: None,
            field: None,
            second: false,
        }
    }

    /// How old the second factor may be, in seconds, when a fresh one is among what is missing.
    pub const fn mfa_within_s(&self) -> Option<u64> {
        self.mfa_within_s
    }

    /// Whether it is the second credential that lacks something.
    pub const fn is_of_second(&self) -> bool {
        self.second
    }

    /// In these words.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.detail);
        self
    }
}

/// The reasons of a [`Refusal`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RefusalReason {
    /// The credential is no longer valid.
    Expired,
    /// The call selects by a field that its caller may not see and no grant lists in `find_by`.
    FindBy,
    /// The purpose is one that the caller's privacy signal opts out of.
    Gpc,
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
            Self::Gpc => "gpc",
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

    /// What a caller is told when nothing more is known.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Expired => "the credential has expired; get a new one",
            Self::FindBy => "records may not be selected by this field",
            Self::Gpc => {
                "`Sec-GPC: 1` opts out of selling, sharing and advertising, which this purpose is"
            }
            Self::Limit => "a limit refuses this call",
            Self::NeedsUnmet => "a grant covers this call, but not all it needs is there",
            Self::NoGrant => "no grant covers this call",
            Self::NoPurpose => {
                "the credential does not name one purpose alone; name one in `Privet-Purpose`"
            }
            Self::PurposeNotInToken => "the credential may not be used for this purpose",
            Self::RowsUnmet => "a grant covers this call, but a signed claim it needs is missing",
            Self::UnknownPurpose => {
                "no purpose of the policy has this name; name one of the policy, letter for letter, \
                 in `Privet-Purpose`"
            }
            Self::UnknownSet => "the data set is not in the policy",
        }
    }
}

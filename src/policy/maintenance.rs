//! Proof that two people agreed to change every record of a data set.

use std::fmt;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::types::DataSetId;

use super::PolicySet;

/// Proof that an operator asked for work on every record of a data set and, where records are
/// changed, that a second one agreed. It shows nobody anything: what is read under it goes back to
/// the store, or is counted. No decision about a call gives one, so no traffic comes by it.
///
/// ```compile_fail
/// # fn forged(set: std::sync::Arc<privet::catalog::DataSet>) {
/// let forged = privet::policy::Maintenance { set, policy: [0; 32], approver: None };
/// # }
/// ```
pub struct Maintenance {
    set: Arc<DataSet>,
    policy: [u8; 32],
    requester: Arc<str>,
    /// Nobody, where nothing may be changed.
    approver: Option<Arc<str>>,
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAgreed {
    /// The approver is the requester.
    #[error("the requester approved their own work")]
    Alone,
    /// The policy in force has no such data set.
    #[error("the policy in force has no such data set")]
    NoSet,
}

impl Maintenance {
    /// To look at every record of `set` and change none.
    ///
    /// # Errors
    /// When there is no such data set.
    pub fn survey(
        policy: &PolicySet,
        set: &DataSetId,
        requester: &Arc<str>,
    ) -> Result<Self, NotAgreed> {
        let found = policy.sets().iter().find(|known| known.id == *set).ok_or(NotAgreed::NoSet)?;
        let (set, requester) = (Arc::clone(found), Arc::clone(requester));
        Ok(Self { set, policy: policy.hash(), requester, approver: None })
    }

    /// To change every record of `set`, as one person asked and another approved.
    ///
    /// # Errors
    /// When there is no such data set, or both are one person.
    pub fn agreed(
        policy: &PolicySet,
        set: &DataSetId,
        (requester, approver): (&Arc<str>, &Arc<str>),
    ) -> Result<Self, NotAgreed> {
        // A second name that differs only in its letters' case is no second person.
        if requester.eq_ignore_ascii_case(approver) {
            return Err(NotAgreed::Alone);
        }
        let survey = Self::survey(policy, set, requester)?;
        Ok(Self { approver: Some(Arc::clone(approver)), ..survey })
    }

    /// The data set.
    pub const fn set(&self) -> &Arc<DataSet> {
        &self.set
    }

    /// The hash of the policy under which it was agreed.
    pub const fn policy_hash(&self) -> [u8; 32] {
        self.policy
    }

    /// The operator who asked.
    pub const fn requester(&self) -> &Arc<str> {
        &self.requester
    }

    /// The operator who agreed; nobody where nothing may be changed.
    pub const fn approver(&self) -> Option<&Arc<str>> {
        self.approver.as_ref()
    }
}

impl fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may_write = self.approver.is_some();
        let mut shown = f.debug_struct("Maintenance");
        shown.field("set", &self.set.id).field("may_write", &may_write).finish_non_exhaustive()
    }
}

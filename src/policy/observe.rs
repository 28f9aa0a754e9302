//! Calls that pass whatever was decided, because the policy is only observed in their data set.

use std::fmt;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::types::Action;
use crate::types::Timestamp;

use super::Call;
use super::Decision;
use super::Permit;
use super::PolicySet;
use super::RefusalReason;
use super::decide;

/// What lets a store be asked about a data set: that a call was permitted, or that the policy is
/// only observed there. There are no others.
pub trait Pass: sealed::Sealed {
    /// The data set.
    fn set(&self) -> &Arc<DataSet>;

    /// What is done.
    fn action(&self) -> Action;
}

mod sealed {
    /// Who implements it may ask a store: only this module says who does.
    #[expect(unnameable_types, reason = "nobody else may implement it")]
    pub trait Sealed {}
}

impl sealed::Sealed for Permit {}

impl Pass for Permit {
    fn set(&self) -> &Arc<DataSet> {
        Self::set(self)
    }

    fn action(&self) -> Action {
        Self::action(self)
    }
}

/// Proof that a call goes to a data set in which the policy is only observed: see
/// [`observe()`]. It is no [`Permit`], and no verdict can be had with it.
///
/// ```compile_fail
/// # use privet::policy::Observation;
/// let forged = Observation { until: privet::types::Timestamp::from_unix_s(0) };
/// ```
/// ```compile_fail
/// # use privet::policy::{Observation, RecordFacts, Scratch, verdict};
/// fn judged(observation: &Observation, facts: &RecordFacts<'_>, scratch: &mut Scratch) {
///     let _verdict = verdict(observation, facts, scratch);
/// }
/// ```
pub struct Observation {
    policy: Arc<PolicySet>,
    set: Arc<DataSet>,
    action: Action,
    until: Timestamp,
}

impl sealed::Sealed for Observation {}

impl Pass for Observation {
    fn set(&self) -> &Arc<DataSet> {
        &self.set
    }

    fn action(&self) -> Action {
        self.action
    }
}

impl Observation {
    /// The data set.
    pub fn set(&self) -> &Arc<DataSet> {
        &self.set
    }

    /// The hash of the policy that is observed.
    pub fn policy_hash(&self) -> [u8; 32] {
        self.policy.hash()
    }

    /// When the policy comes into force.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation").field("set", &self.set.id).finish_non_exhaustive()
    }
}

/// Decides a call to a data set in which the policy is only observed: the proof that it is, and
/// what was decided. Nothing where the policy is in force, when it comes into force by `call.now`,
/// or when the credential has expired: who calls is never only observed.
pub fn observe(call: &Call<'_>, policy: &Arc<PolicySet>) -> Option<(Observation, Decision)> {
    let set = policy.sets().iter().find(|set| std::ptr::eq(Arc::as_ptr(set), call.set))?;
    let until = set.observed_until(call.now)?;
    let decision = decide(call, policy);
    if matches!(&decision, Decision::Refuse(it) if it.reason == RefusalReason::Expired) {
        return None;
    }
    let (policy, set) = (Arc::clone(policy), Arc::clone(set));
    Some((Observation { policy, set, action: call.action, until }, decision))
}

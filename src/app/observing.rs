//! Tells which data sets are only observed: at the start, in `/readyz`, at every reload.

use crate::api::Check;
use crate::policy::PolicySet;
use crate::types::Timestamp;

/// Warns of every data set in which the policy is only observed.
pub(super) fn warn(policy: &PolicySet, now: Timestamp) {
    for set in policy.sets() {
        if let Some(until) = set.observed_until(now) {
            tracing::warn!(
                data_set = %set.id,
                %until,
                "the policy is only observed here: callers get what the store answers"
            );
        }
    }
}

/// One line for each of them, as long as it is.
pub(super) fn checks(policy: &PolicySet, now: Timestamp) -> Vec<Check> {
    let observed = policy.sets().iter().filter_map(|set| Some((set, set.observed_until(now)?)));
    let told = observed.map(|(set, until)| {
        let days = until.ms_since(now).div_ceil(DAY_MS);
        let days = if days == 1 { "1 more day".to_owned() } else { format!("{days} more days") };
        Check::noted("observe", format!("{} is only observed for {days}, until {until}", set.id))
    });
    told.collect()
}

const DAY_MS: u64 = 86_400_000;

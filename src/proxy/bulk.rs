//! How many different people one credential owner was shown, in sliding windows.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::policy::BulkAction;
use crate::policy::BulkLimit;
use crate::types::RuleId;
use crate::types::SubjectToken;

/// Owners are spread over this many locks; a lock is taken once a batch.
const SHARDS: usize = 64;
/// Owners remembered per lock; when that many have a window open, others are refused.
const OWNERS_PER_SHARD: usize = 4096;
/// Places of those who were seen again that a window keeps before it is tidied.
const SPARE: usize = 64;

/// What the limits say to a batch.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    /// A limit with `then: deny` was passed: nothing may leave.
    pub(crate) denied_by: Option<RuleId>,
    /// Limits with `then: alert` that were passed and have not been reported in their window.
    pub(crate) alerts: Vec<RuleId>,
}

/// The windows of every credential owner.
///
/// INVARIANT: exact for the question asked. Of each window only the `over + 1` people seen last
/// are kept: more than `over` were seen inside the window if and only if all of these were.
#[derive(Debug)]
pub(crate) struct Bulk {
    hasher: RandomState,
    shards: Box<[Shard]>,
}

type Shard = Mutex<HashMap<Arc<str>, Windows>>;
type Windows = HashMap<RuleId, Window>;

#[derive(Debug, Default)]
struct Window {
    last_seen: HashMap<SubjectToken, u64>,
    /// In the order of time. Who was seen again later stands here more than once: only the last
    /// place, which `last_seen` names, counts.
    by_time: VecDeque<(u64, SubjectToken)>,
    alerted_ms: Option<u64>,
    /// Length of the window, kept so that old owners can be forgotten without their limits.
    within_ms: u64,
}

impl Bulk {
    /// Nobody has been shown anything.
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Whether a `then: deny` limit is passed already, so that the store need not be asked.
    pub(crate) fn denied(&self, owner: &str, limits: &[BulkLimit], now_ms: u64) -> Option<RuleId> {
        if !limits.iter().any(|limit| limit.then == BulkAction::Deny) {
            return None;
        }
        let mut owners = self.shard(owner).lock().unwrap_or_else(PoisonError::into_inner);
        let windows = owners.get_mut(owner)?;
        let passed = |limit: &&BulkLimit| {
            limit.then == BulkAction::Deny
                && windows
                    .get_mut(&limit.id)
                    .is_some_and(|window| window.count(now_ms) > over(limit))
        };
        limits.iter().find(passed).map(|limit| limit.id.clone())
    }

    /// Counts people who are about to be shown in clear. They count whether or not the batch then
    /// leaves: who tries and is refused has used up the limit.
    pub(crate) fn count(
        &self,
        owner: &Arc<str>,
        limits: &[BulkLimit],
        shown: &[SubjectToken],
        now_ms: u64,
    ) -> Count {
        let mut result = Count::default();
        if limits.is_empty() || shown.is_empty() {
            return result;
        }
        let mut owners = self.shard(owner).lock().unwrap_or_else(PoisonError::into_inner);
        if !owners.contains_key(owner) && owners.len() >= OWNERS_PER_SHARD {
            owners.retain(|_, windows| windows.values_mut().any(|it| it.is_open(now_ms)));
            if owners.len() >= OWNERS_PER_SHARD {
                result.denied_by = limits.first().map(|limit| limit.id.clone());
                return result;
            }
        }
        let windows = owners.entry(Arc::clone(owner)).or_default();
        for limit in limits {
            let window = windows.entry(limit.id.clone()).or_default();
            window.within_ms = u64::from(limit.within_s).saturating_mul(1000);
            shown.iter().for_each(|who| window.see(*who, now_ms, over(limit) + 1));
            if window.count(now_ms) <= over(limit) {
                continue;
            }
            match limit.then {
                BulkAction::Deny => {
                    result.denied_by.get_or_insert_with(|| limit.id.clone());
                }
                BulkAction::Alert if window.may_alert(now_ms) => {
                    result.alerts.push(limit.id.clone())
                }
                BulkAction::Alert => {}
            }
        }
        result
    }

    fn shard(&self, owner: &str) -> &Shard {
        let spread = usize::try_from(self.hasher.hash_one(owner) % 64).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "there are 64 shards")]
        &self.shards[spread]
    }
}

fn over(limit: &BulkLimit) -> usize {
    usize::try_from(limit.over).unwrap_or(usize::MAX - 1)
}

impl Window {
    fn see(&mut self, who: SubjectToken, now_ms: u64, keep: usize) {
        // Threads ask the clock before they take the lock.
        let now_ms = self.by_time.back().map_or(now_ms, |(last, _)| now_ms.max(*last));
        if self.last_seen.insert(who, now_ms) == Some(now_ms) {
            return;
        }
        self.by_time.push_back((now_ms, who));
        while self.last_seen.len() > keep {
            self.forget_oldest();
        }
        if self.by_time.len() > self.last_seen.len() * 2 + SPARE {
            let last_seen = &self.last_seen;
            self.by_time.retain(|(at, who)| last_seen.get(who) == Some(at));
        }
    }

    fn count(&mut self, now_ms: u64) -> usize {
        let out = |at: u64, within: u64| now_ms.saturating_sub(at) >= within;
        while self.by_time.front().is_some_and(|(at, _)| out(*at, self.within_ms)) {
            self.forget_oldest();
        }
        self.last_seen.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((at, who)) = self.by_time.pop_front()
            && self.last_seen.get(&who) == Some(&at)
        {
            self.last_seen.remove(&who);
        }
    }

    fn is_open(&mut self, now_ms: u64) -> bool {
        self.count(now_ms) > 0
    }

    fn may_alert(&mut self, now_ms: u64) -> bool {
        let due =
            self.alerted_ms.is_none_or(|before| now_ms.saturating_sub(before) >= self.within_ms);
        if due {
            self.alerted_ms = Some(now_ms);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn limit(id: &str, over: u32, within_s: u32, then: BulkAction) -> BulkLimit {
        BulkLimit { id: RuleId::parse(id).unwrap(), over, within_s, then }
    }

    fn people(from: u8, to: u8) -> Vec<SubjectToken> {
        (from..to).map(|n| SubjectToken([n; 16])).collect()
    }

    #[test]
    fn the_same_person_counts_once_and_the_window_slides() {
        let (bulk, owner) = (Bulk::new(), Arc::from("o"));
        let limits = [limit("stop", 3, 10, BulkAction::Deny)];
        let denied =
            |shown: &[SubjectToken], at| bulk.count(&owner, &limits, shown, at).denied_by.is_some();
        assert!(!denied(&people(0, 3), 0));
        assert!(!denied(&people(0, 3), 1_000), "seen again, not more people");
        assert!(denied(&people(3, 4), 2_000), "the fourth");
        assert!(bulk.denied("o", &limits, 2_000).is_some());
        assert!(bulk.denied("o", &limits, 10_999).is_some(), "the first three were seen at 1 s");
        assert!(bulk.denied("o", &limits, 11_000).is_none());
        assert!(bulk.denied("other", &limits, 2_000).is_none());
    }

    #[test]
    fn an_alert_comes_once_in_a_window() {
        let (bulk, owner) = (Bulk::new(), Arc::from("o"));
        let limits = [limit("watch", 1, 10, BulkAction::Alert)];
        let alerts =
            |shown: &[SubjectToken], at| bulk.count(&owner, &limits, shown, at).alerts.len();
        assert_eq!(alerts(&people(0, 1), 0), 0);
        assert_eq!(alerts(&people(1, 2), 1), 1);
        assert_eq!(alerts(&people(2, 9), 2), 0);
        assert_eq!(alerts(&people(9, 20), 10_001), 1);
    }

    /// Beside a naive count over the whole history.
    #[test]
    fn keeping_the_last_seen_answers_as_keeping_all_would() {
        let (bulk, owner) = (Bulk::new(), Arc::from("o"));
        let limits = [limit("stop", 4, 1, BulkAction::Deny)];
        let mut history: Vec<(u64, u8)> = Vec::new();
        let mut seed = 7_u64;
        for step in 0..5_000_u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let who = u8::try_from((seed >> 33) % 12).unwrap();
            let now = step * 97;
            history.push((now, who));
            let seen: BTreeSet<u8> =
                history.iter().filter(|(at, _)| now - at < 1_000).map(|(_, w)| *w).collect();
            let counted = bulk.count(&owner, &limits, &people(who, who + 1), now);
            assert_eq!(counted.denied_by.is_some(), seen.len() > 4, "step {step}");
        }
    }
}

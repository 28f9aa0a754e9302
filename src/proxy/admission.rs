//! How much one credential owner may ask for: calls at one time and calls in a second.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::config::PerPrincipal;

/// Owners are spread over this many locks.
const SHARDS: usize = 64;
/// Owners remembered per lock; more than this at one time are turned away.
const OWNERS_PER_SHARD: usize = 2048;
/// One call, in the unit the bucket counts in.
const CALL: u64 = 1000;

/// The owner has reached a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Busy {
    /// Too many calls under way.
    #[error("the credential owner has too many calls under way")]
    Concurrent,
    /// Too many calls started lately.
    #[error("the credential owner starts calls too fast")]
    Rate,
    /// Too many owners are calling at one time to keep count of another.
    #[error("more credential owners are calling than can be counted")]
    Owners,
}

/// Keeps count of every owner that is calling.
#[derive(Debug)]
pub(crate) struct Admissions {
    limits: PerPrincipal,
    hasher: RandomState,
    shards: Box<[Shard]>,
}

type Shard = Mutex<HashMap<Arc<str>, Owner>>;

#[derive(Debug)]
struct Owner {
    under_way: u32,
    /// Thousandths of a call that may be started now.
    bucket: u64,
    /// When `bucket` was last filled.
    filled_ms: u64,
}

impl Admissions {
    /// Nobody is calling yet.
    pub(crate) fn new(limits: PerPrincipal) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { limits, hasher: RandomState::new(), shards }
    }

    /// Lets `owner` start a call, `uptime_ms` being the time now.
    ///
    /// # Errors
    /// When a limit is reached.
    pub(crate) fn admit(
        self: &Arc<Self>,
        owner: &Arc<str>,
        uptime_ms: u64,
    ) -> Result<Admission, Busy> {
        let full = u64::from(self.limits.per_second).saturating_mul(CALL);
        let mut owners = self.shard(owner).lock().unwrap_or_else(PoisonError::into_inner);
        if !owners.contains_key(owner) && owners.len() >= OWNERS_PER_SHARD {
            owners.retain(|_, it| it.under_way > 0 || it.refill(full, uptime_ms) < full);
            if owners.len() >= OWNERS_PER_SHARD {
                return Err(Busy::Owners);
            }
        }
        let it = owners.entry(Arc::clone(owner)).or_insert(Owner {
            under_way: 0,
            bucket: full,
            filled_ms: uptime_ms,
        });
        if it.under_way >= self.limits.concurrent {
            return Err(Busy::Concurrent);
        }
        if it.refill(full, uptime_ms) < CALL {
            return Err(Busy::Rate);
        }
        it.bucket -= CALL;
        it.under_way += 1;
        Ok(Admission { admissions: Arc::clone(self), owner: Arc::clone(owner) })
    }

    fn shard(&self, owner: &str) -> &Shard {
        let spread = usize::try_from(self.hasher.hash_one(owner) % 64).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "there are 64 shards")]
        &self.shards[spread]
    }

    fn leave(&self, owner: &str) {
        let mut owners = self.shard(owner).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = owners.get_mut(owner) {
            it.under_way = it.under_way.saturating_sub(1);
        }
    }
}

impl Owner {
    fn refill(&mut self, full: u64, uptime_ms: u64) -> u64 {
        // `full` is what a second adds, in thousandths: so a millisecond adds `full / 1000`.
        let passed = uptime_ms.saturating_sub(self.filled_ms);
        let more = passed.saturating_mul(full / CALL);
        self.bucket = self.bucket.saturating_add(more).min(full);
        self.filled_ms = uptime_ms.max(self.filled_ms);
        self.bucket
    }
}

/// One call that was let in; over when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    admissions: Arc<Admissions>,
    owner: Arc<str>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.admissions.leave(&self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admissions(concurrent: u32, per_second: u32) -> Arc<Admissions> {
        Arc::new(Admissions::new(PerPrincipal { concurrent, per_second }))
    }

    #[test]
    fn calls_at_one_time_are_counted_per_owner() {
        let it = admissions(2, 100);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = it.admit(&a, 0).unwrap();
        let _second = it.admit(&a, 0).unwrap();
        assert_eq!(it.admit(&a, 0).unwrap_err(), Busy::Concurrent);
        assert!(it.admit(&b, 0).is_ok());
        drop(first);
        assert!(it.admit(&a, 0).is_ok());
    }

    #[test]
    fn the_bucket_fills_with_time_and_never_over() {
        let it = admissions(100, 2);
        let a: Arc<str> = "a".into();
        let starts = |at| it.admit(&a, at).is_ok();
        assert_eq!([starts(0), starts(0), starts(0)], [true, true, false]);
        assert!(!starts(499));
        assert!(starts(500));
        assert_eq!([starts(9_000), starts(9_000), starts(9_000)], [true, true, false]);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let it = admissions(100, 1);
        let a: Arc<str> = "a".into();
        assert!(it.admit(&a, 10_000).is_ok());
        assert_eq!(it.admit(&a, 0).unwrap_err(), Busy::Rate);
        assert!(it.admit(&a, 11_000).is_ok());
    }
}

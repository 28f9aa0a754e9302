//! Puts erasures beyond recall in time: ends the epoch whose keys older copies of the files may
//! still hold, and lets keys die that no record claimed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::policy::PolicySet;
use crate::subjects::Cards;
use crate::subjects::SubjectsConfig;
use crate::types::Timestamp;
use crate::types::told;

use super::start::StartError;

/// Makes good what an older copy of the files has forgotten; before anything listens.
pub(super) async fn prepare(
    keys: &KeyRing,
    cards: &Cards,
    policy: &PolicySet,
) -> Result<(), StartError> {
    cards.replay().await?;
    keys.know_domains(policy.domains());
    keys.sweep_pending().await?;
    Ok(())
}

/// What is kept of cards, and for how long.
pub(super) fn kept(config: &Config) -> SubjectsConfig {
    let unlink_after_ms = u64::try_from(config.unlink_after.as_millis()).unwrap_or(u64::MAX);
    SubjectsConfig { unlink_after_ms, ..SubjectsConfig::default() }
}

/// Rolls the epoch so that no tombstone is ever older than the bound without a roll after it.
/// What is due is read from the ledger on every look, so a restart forgets nothing.
pub(super) struct Shredder {
    keys: KeyRing,
    clock: Arc<dyn Clock>,
    bound: Duration,
    /// Rolls that failed since the last that did not.
    failures: u32,
    /// When to roll again after a failure.
    again: Option<Instant>,
    /// When pending keys are swept next.
    sweep: Instant,
}

impl Shredder {
    pub(super) fn new(keys: KeyRing, clock: Arc<dyn Clock>, bound: Duration) -> Self {
        let sweep = Instant::now() + SWEEP;
        Self { keys, clock, bound, failures: 0, again: None, sweep }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(self.pause()).await;
        }
    }

    async fn look(&mut self) {
        self.sweep_if_due().await;
        let oldest = self.keys.oldest_unshredded();
        let is_due = oldest.is_some_and(|oldest| self.is_due(oldest));
        if is_due && self.again.is_none_or(|again| Instant::now() >= again) {
            self.roll().await;
        }
        self.measure();
    }

    /// At half of the bound: the other half is for what goes wrong. A tombstone from the future
    /// says nothing of its age, since somebody has set the clock back.
    fn is_due(&self, oldest: Timestamp) -> bool {
        let now = self.clock.now();
        now.ms_since(oldest) >= millis(self.bound / 2)
            || oldest.ms_since(now) > millis(self.pause())
    }

    async fn roll(&mut self) {
        match self.keys.roll(|_| {}).await {
            Ok(rolled) => {
                (self.failures, self.again) = (0, None);
                let (epoch, copied) = (rolled.epoch, rolled.copied);
                tracing::info!(epoch, copied, "an epoch of keys was destroyed");
            }
            Err(error) => {
                let wait = self.pause().saturating_mul(1 << self.failures.min(MOST_DOUBLINGS));
                let wait = wait.min(self.bound / 8).min(LONGEST_WAIT);
                self.failures = self.failures.saturating_add(1);
                self.again = Some(Instant::now() + wait);
                let (failures, error) = (self.failures, told(&error));
                tracing::error!(error, failures, "erasures are due, but the epoch did not end");
            }
        }
    }

    fn measure(&self) {
        let metrics = self.keys.metrics();
        let count = self.keys.high_water().count;
        metrics.tombstones.set(i64::try_from(count).unwrap_or(i64::MAX));
        let age = self.keys.oldest_unshredded().map_or(0, |at| self.clock.now().ms_since(at));
        let left = i64::try_from(self.bound.as_secs()).unwrap_or(i64::MAX);
        metrics.shred_due.set(left.saturating_sub_unsigned(age / 1_000));
    }

    async fn sweep_if_due(&mut self) {
        if Instant::now() < self.sweep {
            return;
        }
        self.sweep = Instant::now() + SWEEP;
        if let Err(error) = self.keys.sweep_pending().await {
            tracing::warn!(error = told(&error), "keys that no record claimed were not swept");
        }
        match self.keys.sweep_kept().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "log keys of erased people were destroyed"),
            Err(error) => {
                tracing::error!(
                    error = told(&error),
                    "log keys whose time is over are still there"
                );
            }
        }
    }

    /// Several looks in each half of the bound.
    fn pause(&self) -> Duration {
        (self.bound / 16).min(LONGEST_PAUSE)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How long nobody looks at most; metrics are as old.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const MOST_DOUBLINGS: u32 = 16;
/// How often pending keys are swept.
const SWEEP: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::clock::SystemClock;
    use crate::clock::SystemEntropy;
    use crate::keys::tests::Installation;
    use crate::keys::tests::files;
    use crate::keys::tests::holds;
    use crate::state::Engine;
    use crate::state::FaultMoment;
    use crate::state::FaultPlan;
    use crate::state::MemoryStore;
    use crate::types::DomainId;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Shows the paused time of the runtime.
    #[derive(Debug)]
    struct Paused(Instant);

    impl Clock for Paused {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_s(1_800_000_000).plus_ms(self.uptime_ms())
        }

        fn uptime_ms(&self) -> u64 {
            millis(self.0.elapsed())
        }
    }

    fn ring() -> (KeyRing, Arc<dyn Clock>) {
        let clock: Arc<dyn Clock> = Arc::new(Paused(Instant::now()));
        (ring_on(MemoryStore::default(), &clock), clock)
    }

    fn ring_on(store: MemoryStore, clock: &Arc<dyn Clock>) -> KeyRing {
        let clock = Arc::clone(clock);
        let ring = KeyRing::ephemeral_at(Engine::Memory(store), Arc::new(SystemEntropy), clock);
        ring.unwrap()
    }

    async fn erase(keys: &KeyRing, id: &str) {
        let domain = DomainId::parse("person").unwrap();
        let subject = keys.subject(&domain, id);
        keys.create(&[keys.subject(&domain, id)]).await.unwrap();
        keys.erase(&subject, "request 1").await.unwrap();
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_epoch_ends_when_half_the_bound_has_passed_and_not_without_an_erasure() {
        let (keys, clock) = ring();
        let shredder = Shredder::new(keys.clone(), clock, HOUR * 24);
        let running = tokio::spawn(shredder.run());
        pass(HOUR * 100).await;
        let metrics = keys.metrics().clone();
        assert_eq!((metrics.rolls.get(), metrics.shred_due.get()), (0, 24 * 3_600));
        erase(&keys, "a").await;
        pass(HOUR).await;
        erase(&keys, "b").await;
        pass(HOUR * 10).await;
        let due = metrics.shred_due.get();
        assert!((13 * 3_600..=13 * 3_600 + 120).contains(&due), "{due}");
        assert_eq!((metrics.rolls.get(), metrics.tombstones.get()), (0, 2));
        pass(HOUR + HOUR / 30).await;
        // One roll is for everybody erased before it.
        assert_eq!((metrics.rolls.get(), keys.oldest_unshredded()), (1, None));
        pass(HOUR * 100).await;
        assert_eq!((metrics.rolls.get(), metrics.shred_due.get()), (1, 24 * 3_600));
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_due_after_a_restart_as_well() {
        let (keys, clock) = ring();
        erase(&keys, "a").await;
        for _ in 0..30 {
            // Nobody ever runs for as long as half of the bound.
            let shredder = Shredder::new(keys.clone(), Arc::clone(&clock), HOUR * 24);
            let running = tokio::spawn(shredder.run());
            pass(HOUR / 2).await;
            running.abort();
        }
        assert_eq!((keys.metrics().rolls.get(), keys.oldest_unshredded()), (1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_puts_nothing_off() {
        let (keys, _) = ring();
        erase(&keys, "a").await;
        let past = Arc::new(ManualClock::at(Timestamp::from_unix_s(1_700_000_000)));
        Shredder::new(keys.clone(), past, HOUR * 24).look().await;
        assert_eq!((keys.metrics().rolls.get(), keys.oldest_unshredded()), (1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_roll_that_failed_is_tried_again_after_longer_and_longer_waits() {
        let (store, clock) = (MemoryStore::default(), Paused(Instant::now()));
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let keys = ring_on(store.clone(), &clock);
        erase(&keys, "a").await;
        pass(HOUR * 12).await;
        let mut shredder = Shredder::new(keys.clone(), clock, HOUR * 24);
        let (metrics, minute) = (keys.metrics().clone(), HOUR / 60);
        let fault = || store.plan_fault(FaultPlan { call: 1, moment: FaultMoment::Before });
        // In minutes from the start: tried or not.
        for (at, fails) in [(0, true), (1, true), (2, false), (3, true), (6, false), (7, true)] {
            let start = HOUR * 12 + minute * at;
            pass(start.saturating_sub(Duration::from_millis(shredder.clock.uptime_ms()))).await;
            fault();
            let before = metrics.roll_failures.get();
            shredder.sweep = Instant::now() + HOUR;
            shredder.look().await;
            assert_eq!(metrics.roll_failures.get() - before, u64::from(fails), "minute {at}");
        }
        assert!(metrics.shred_due.get() < 12 * 3_600);
        assert_eq!((metrics.rolls.get(), keys.writable()), (0, true));
        pass(minute * 10).await;
        store.plan_fault(FaultPlan { call: u64::MAX, moment: FaultMoment::Before });
        shredder.look().await;
        assert_eq!((metrics.rolls.get(), keys.oldest_unshredded()), (1, None));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn after_the_bound_no_file_holds_the_wrapped_key_of_the_erased() {
        let installation = Installation::initialised().await;
        let folder = installation.config.dir.clone();
        let keys = installation.open().await.unwrap();
        let domain = DomainId::parse("person").unwrap();
        keys.create(&[keys.subject(&domain, "a")]).await.unwrap();
        let wrapped = keys.wrapped_key(&keys.subject(&domain, "a")).await;
        drop(keys);
        let anywhere = || files(&folder).iter().any(|(_, bytes)| holds(bytes, &wrapped));
        assert!(anywhere(), "the test looks for what was never there");
        let keys = installation.open().await.unwrap();
        keys.erase(&keys.subject(&domain, "a"), "request 1").await.unwrap();
        let later = SystemClock.now().plus_ms(millis(HOUR * 12));
        let clock = Arc::new(ManualClock::at(later));
        Shredder::new(keys.clone(), clock, HOUR * 24).look().await;
        assert_eq!((keys.metrics().rolls.get(), keys.oldest_unshredded()), (1, None));
        assert!(!anywhere());
        drop(keys);
        assert!(!anywhere());
        let keys = installation.open().await.unwrap();
        assert!(keys.held(&keys.subject(&domain, "a")).await.unwrap().is_none());
        assert!(!anywhere());
    }
}

//! For how long keys may be used without word from whoever holds the root key.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

/// Open until a moment that every word from the provider moves on. The moment counts by itself:
/// where nobody looks after the lock, it closes all the same.
pub(super) struct Lock {
    start: Instant,
    /// `None`: always open.
    cached: Option<Duration>,
    /// Milliseconds after `start`.
    until: AtomicU64,
}

impl Lock {
    /// Never closes: the root key is in this process.
    pub(super) fn open_for_ever() -> Self {
        Self { start: Instant::now(), cached: None, until: AtomicU64::new(0) }
    }

    /// Closes `cached` after the provider's last word, of which the first was just heard.
    pub(super) fn with(cached: Duration) -> Self {
        let lock = Self { start: Instant::now(), cached: Some(cached), until: AtomicU64::new(0) };
        lock.confirm(lock.start);
        lock
    }

    /// How long it stays open after each word; `None` where it never closes.
    pub(super) fn cached(&self) -> Option<Duration> {
        self.cached
    }

    pub(super) fn is_open(&self) -> bool {
        self.cached.is_none() || Instant::now() < self.until()
    }

    /// When it closes unless there is word before.
    pub(super) fn until(&self) -> Instant {
        self.start + Duration::from_millis(self.until.load(Ordering::SeqCst))
    }

    #[cfg(test)]
    pub(super) fn close(&self) {
        self.until.store(0, Ordering::SeqCst);
    }

    /// There was word. `asked` is when it was asked for: the answer may have been long on its way.
    pub(super) fn confirm(&self, asked: Instant) {
        let until = asked + self.cached.unwrap_or_default();
        let after = until.saturating_duration_since(self.start).as_millis();
        self.until.fetch_max(u64::try_from(after).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

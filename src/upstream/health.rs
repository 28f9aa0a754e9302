//! Which addresses of a store are worth calling.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::types::StoreId;

/// Failures in a row that set an address aside.
const EJECT_AFTER: u32 = 5;
/// Failed probes in a row that call an address down.
const DOWN_AFTER: u32 = 2;
/// How long the first time, in milliseconds; it doubles each time in a row.
const EJECT_MS: u64 = 5_000;
/// The longest time aside, in milliseconds.
const EJECT_MOST_MS: u64 = 60_000;

/// The health of one store, for `/readyz`.
#[derive(Clone, Debug)]
pub struct StoreHealth {
    /// The store.
    pub store: StoreId,
    /// Its addresses, as configured.
    pub addresses: Vec<AddressHealth>,
    /// Why the gateway has no token to show there, when it has none.
    pub trouble: Option<Arc<str>>,
}

impl StoreHealth {
    /// Whether any address is worth calling, and the gateway can show who it is.
    pub fn is_up(&self) -> bool {
        self.trouble.is_none() && self.addresses.iter().any(|a| a.state == AddressState::Up)
    }
}

/// The health of one address.
#[derive(Clone, Debug)]
pub struct AddressHealth {
    /// Its URL.
    pub url: String,
    /// Whether it is worth calling.
    pub state: AddressState,
    /// Calls under way, over all workers.
    pub calls: usize,
    /// Why its last health check failed, when it did.
    pub unwell: Option<Arc<String>>,
}

/// Whether an address is worth calling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressState {
    /// Its health check fails.
    Down,
    /// Set aside for a while after failures in a row.
    Ejected,
    /// Worth calling.
    Up,
}

/// What calls and probes have shown about one address. Times are milliseconds of the store's own
/// clock.
#[derive(Debug, Default)]
pub(super) struct Standing {
    calls: AtomicUsize,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// When it may be tried again; 0 when it is not set aside.
    back_at: AtomicU64,
    /// When it was last set aside or tried.
    tried_at: AtomicU64,
    failed_probes: AtomicU32,
    down: AtomicBool,
}

impl Standing {
    pub(super) fn state(&self, now: u64) -> AddressState {
        if self.down.load(Relaxed) {
            AddressState::Down
        } else if self.back_at.load(Relaxed) > now {
            AddressState::Ejected
        } else {
            AddressState::Up
        }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// When it may be tried where no other address is left: its time aside grows with every
    /// trial that fails, and nobody is helped by waiting that long for an only address. None when
    /// its health check fails, which goes on asking by itself.
    pub(super) fn trial_at(&self) -> Option<u64> {
        let soon = self.tried_at.load(Relaxed).saturating_add(EJECT_MS);
        let trial_at = self.back_at.load(Relaxed).min(soon);
        (!self.down.load(Relaxed)).then_some(trial_at)
    }

    /// Counts a call in, unless the address is set aside and somebody else just began to try it:
    /// until that call ends, or for an interval, others stay away.
    pub(super) fn enter(&self, now: u64) -> bool {
        let back_at = self.back_at.load(Relaxed);
        if back_at != 0 {
            let next = now.saturating_add(EJECT_MS);
            if self.back_at.compare_exchange(back_at, next, Relaxed, Relaxed).is_err() {
                return false;
            }
            self.tried_at.store(now, Relaxed);
        }
        self.calls.fetch_add(1, Relaxed);
        true
    }

    pub(super) fn leave(&self) {
        self.calls.fetch_sub(1, Relaxed);
    }

    /// A call was answered.
    pub(super) fn succeeded(&self) {
        // Read before writing: the line is shared by all workers, and this is the usual case.
        if self.failures.load(Relaxed) != 0 || self.back_at.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.ejections.store(0, Relaxed);
            self.back_at.store(0, Relaxed);
        }
    }

    /// A call failed; says whether that sets the address aside.
    pub(super) fn failed(&self, now: u64) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let on_trial = self.back_at.load(Relaxed) != 0;
        if failures < EJECT_AFTER && !on_trial {
            return false;
        }
        let times = self.ejections.fetch_add(1, Relaxed).min(16);
        let aside = (EJECT_MS << times).min(EJECT_MOST_MS);
        self.tried_at.store(now, Relaxed);
        self.back_at.store(now.saturating_add(aside), Relaxed);
        true
    }

    /// A probe was answered, or not.
    pub(super) fn probed(&self, well: bool) {
        if well {
            self.failed_probes.store(0, Relaxed);
            self.down.store(false, Relaxed);
            self.succeeded();
        } else if self.failed_probes.fetch_add(1, Relaxed).saturating_add(1) >= DOWN_AFTER {
            self.down.store(true, Relaxed);
        }
    }
}

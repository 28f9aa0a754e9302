//! Tokens that were verified in the last minutes.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::Principal;

/// A bounded map from the SHA-256 of a token to its principal. Split into shards, so that workers
/// rarely wait for each other. Only tokens that verified are in it.
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
}

/// A verified token.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    /// Which issuer's.
    pub(super) issuer: usize,
    /// The number of the key set it was verified with.
    pub(super) generation: u64,
    /// When it was verified; uptime.
    pub(super) verified_ms: u64,
    /// Whose it is.
    pub(super) principal: Arc<Principal>,
}

/// The SHA-256 of a token.
pub(super) type Digest = [u8; 32];

#[derive(Default)]
struct Shard {
    found: HashMap<Digest, Cached>,
    /// Oldest first. May name entries that are gone.
    order: VecDeque<Digest>,
}

impl Cache {
    /// An empty cache.
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The entry for a token.
    pub(super) fn find(&self, digest: &Digest) -> Option<Cached> {
        self.shard(digest)?.found.get(digest).cloned()
    }

    /// Remembers a token, forgetting the oldest of its shard when that is full.
    pub(super) fn insert(&self, digest: Digest, cached: Cached) {
        let Some(mut shard) = self.shard(&digest) else { return };
        while shard.order.len() >= SHARD_CAPACITY {
            if let Some(oldest) = shard.order.pop_front() {
                shard.found.remove(&oldest);
            }
        }
        if shard.found.insert(digest, cached).is_none() {
            shard.order.push_back(digest);
        }
    }

    /// Forgets a token.
    pub(super) fn remove(&self, digest: &Digest) {
        let Some(mut shard) = self.shard(digest) else { return };
        if shard.found.remove(digest).is_some() {
            shard.order.retain(|other| other != digest);
        }
    }

    /// Forgets every token of an issuer that was not verified with its present key set.
    pub(super) fn keep_generation(&self, issuer: usize, generation: u64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let Shard { found, order } = &mut *shard;
            found.retain(|_, entry| entry.issuer != issuer || entry.generation == generation);
            order.retain(|digest| found.contains_key(digest));
        }
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).found.len()).sum()
    }

    fn shard(&self, digest: &Digest) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = digest;
        self.shards.get(usize::from(*first) % SHARDS).map(lock)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Entries are inserted and removed whole: whatever panicked left the map usable.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;
/// 16,384 tokens in all; about a kilobyte each.
const SHARD_CAPACITY: usize = 1024;

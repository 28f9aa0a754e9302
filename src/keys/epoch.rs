//! The epoch in force, and who may touch it while it is being replaced.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::Mutex;
use tokio::sync::RwLock as Gate;
use tokio::sync::RwLockReadGuard as Shared;
use tokio::sync::RwLockWriteGuard as Exclusive;

use super::error::KeysError;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::crypto::same;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateStore;
use crate::state::Tx;

/// One epoch: the key that wraps, and the engine of what it wraps.
pub(super) struct Epoch {
    pub(super) number: u32,
    pub(super) engine: Engine,
    /// How many tombstones are older than this epoch: nothing about those people was ever in its
    /// engine, and the epoch before is destroyed.
    pub(super) covered: AtomicU64,
    /// When the first kept log key was destroyed in it, in ms since 1970; 0: none was.
    pub(super) unlinked: AtomicU64,
    /// Nothing while they are locked.
    keys: RwLock<Option<EpochKeys>>,
    /// The domains that people may have a key in; they stay known while keys are locked.
    asked: RwLock<BTreeSet<String>>,
    /// Derived from the key, to tell it from others when it comes back.
    check: Secret,
}

/// What wraps the keys of people. Wiped when it is dropped.
struct EpochKeys {
    key: Secret,
    /// The keys that wrap, by domain; there are as many domains as the policy names.
    domains: HashMap<String, Arc<SealKey>>,
    pending: Arc<SealKey>,
}

impl EpochKeys {
    fn new(key: Secret) -> Self {
        let pending = Arc::new(SealKey::new(&derive(&key, &[b"privet/pending/v1"])));
        Self { key, domains: HashMap::new(), pending }
    }
}

impl Epoch {
    pub(super) fn new(number: u32, key: Secret, engine: Engine) -> Self {
        let check = check(&key);
        let keys = RwLock::new(Some(EpochKeys::new(key)));
        Self {
            number,
            engine,
            covered: AtomicU64::new(0),
            unlinked: AtomicU64::new(0),
            keys,
            asked: RwLock::default(),
            check,
        }
    }

    /// The key that wraps the subject keys of a domain. Derived once and kept: deriving it costs
    /// more than using it.
    pub(super) fn domain(&self, domain: &str) -> Result<Arc<SealKey>, KeysError> {
        let keys = self.read();
        let open = keys.as_ref().ok_or(KeysError::Unavailable)?;
        if let Some(key) = open.domains.get(domain) {
            return Ok(Arc::clone(key));
        }
        let key = derive(&open.key, &[b"privet/domain/v1", domain.as_bytes()]);
        drop(keys);
        let key = Arc::new(SealKey::new(&key));
        self.know(domain);
        let mut keys = self.write();
        // They may have been locked since.
        let open = keys.as_mut().ok_or(KeysError::Unavailable)?;
        Ok(Arc::clone(open.domains.entry(domain.to_owned()).or_insert(key)))
    }

    /// Remembers that people may have a key in a domain.
    pub(super) fn know(&self, domain: &str) {
        let mut asked = self.asked.write().unwrap_or_else(PoisonError::into_inner);
        asked.insert(domain.to_owned());
    }

    /// The key that wraps keys which belong to nobody yet.
    pub(super) fn pending(&self) -> Result<Arc<SealKey>, KeysError> {
        let keys = self.read();
        keys.as_ref().map(|open| Arc::clone(&open.pending)).ok_or(KeysError::Unavailable)
    }

    /// The key that wraps log keys which are kept until a moment.
    pub(super) fn kept(&self, until_ms: u64) -> Result<SealKey, KeysError> {
        let keys = self.read();
        let open = keys.as_ref().ok_or(KeysError::Unavailable)?;
        let parts = [b"privet/kept-log-key/v1".as_slice(), &until_ms.to_be_bytes()];
        Ok(SealKey::new(&derive(&open.key, &parts)))
    }

    /// Lets go of every key.
    pub(super) fn wipe(&self) {
        *self.write() = None;
    }

    /// Takes the key again, after [`Self::wipe`].
    pub(super) fn unlock(&self, key: Secret) {
        *self.write() = Some(EpochKeys::new(key));
    }

    pub(super) fn is_locked(&self) -> bool {
        self.read().is_none()
    }

    /// Whether this is the epoch's key.
    pub(super) fn is(&self, key: &Secret) -> bool {
        same(self.check.expose(), check(key).expose())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<EpochKeys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<EpochKeys>> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every commit that was sent before is done, those included whose senders have
    /// gone away in the meantime. Gives the revision they came to.
    pub(super) async fn settle(&self) -> Result<Rev, KeysError> {
        let mut tx = Tx::new();
        tx.put(BARRIER, Vec::new(), Expect::Any);
        self.engine.commit(tx).await.map_err(KeysError::State)
    }

    /// The domains that people may have a key in.
    pub(super) fn domains(&self) -> Vec<String> {
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        asked.iter().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn secret(&self) -> Vec<u8> {
        self.read().as_ref().unwrap().key.expose().to_vec()
    }
}

/// Tells a key from others, and gives nothing of it away.
pub(super) fn check(key: &Secret) -> Secret {
    derive(key, &[b"privet/lock-check/v1"])
}

/// The epoch in force. Whoever uses it holds it in place; whoever changes what is in it also
/// holds the gate that a switch closes.
pub(super) struct Epochs {
    in_force: RwLock<Arc<Epoch>>,
    uses: Gate<()>,
    changes: Gate<()>,
    closed: AtomicBool,
    /// One roll at a time.
    pub(super) rolling: Mutex<()>,
    /// How many rows it has copied.
    pub(super) copied: AtomicU64,
    /// One count of all rows at a time.
    pub(super) counting: Mutex<()>,
}

/// The epoch in force, for as long as this is held.
pub(super) struct InUse<'a> {
    // Let go of before the guard, so that whoever waits for all guards has the only handle left.
    epoch: Arc<Epoch>,
    _held: Shared<'a, ()>,
}

/// The epoch in force, for whoever changes what is in it, alongside others.
pub(super) struct Changing<'a> {
    used: InUse<'a>,
    _gate: Shared<'a, ()>,
}

/// The epoch in force, with nobody else changing anything.
pub(super) struct Alone<'a> {
    used: InUse<'a>,
    _gate: Exclusive<'a, ()>,
}

impl Epochs {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            in_force: RwLock::new(Arc::new(epoch)),
            uses: Gate::new(()),
            changes: Gate::new(()),
            closed: AtomicBool::new(false),
            rolling: Mutex::new(()),
            copied: AtomicU64::new(0),
            counting: Mutex::new(()),
        }
    }

    /// For reading.
    pub(super) async fn used(&self) -> InUse<'_> {
        let held = self.uses.read().await;
        InUse { epoch: self.current(), _held: held }
    }

    /// For writing: before a switch, or after it.
    pub(super) async fn changing(&self) -> Result<Changing<'_>, KeysError> {
        let gate = self.changes.read().await;
        self.check_open()?;
        Ok(Changing { used: self.used().await, _gate: gate })
    }

    /// Waits for everybody who is writing, and keeps others from it.
    pub(super) async fn alone(&self) -> Result<Alone<'_>, KeysError> {
        let gate = self.changes.write().await;
        self.check_open()?;
        Ok(Alone { used: self.used().await, _gate: gate })
    }

    /// Refuses once [`Self::close`] was called.
    pub(super) fn check_open(&self) -> Result<(), KeysError> {
        if self.closed.load(Ordering::SeqCst) { Err(KeysError::Closed) } else { Ok(()) }
    }

    /// Lets nobody change anything any more, until the process is started again.
    pub(super) fn close(&self, alone: Alone<'_>) {
        self.closed.store(true, Ordering::SeqCst);
        drop(alone);
    }

    /// A handle that holds nothing in place.
    pub(super) fn current(&self) -> Arc<Epoch> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the next epoch in force. When this returns nobody uses the one before it.
    pub(super) async fn switch(&self, alone: Alone<'_>, next: Epoch) {
        let Alone { used, _gate } = alone;
        drop(used);
        let _nobody = self.uses.write().await;
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

impl Deref for InUse<'_> {
    type Target = Epoch;

    fn deref(&self) -> &Epoch {
        &self.epoch
    }
}

impl Deref for Changing<'_> {
    type Target = Epoch;

    fn deref(&self) -> &Epoch {
        &self.used
    }
}

impl Deref for Alone<'_> {
    type Target = Epoch;

    fn deref(&self) -> &Epoch {
        &self.used
    }
}

/// A row without a meaning, written to wait for the writes before it.
pub(super) const BARRIER: &[u8] = b"mark/barrier";

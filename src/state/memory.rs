//! The engine that forgets at exit, and that fails on demand.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::error::StateError;
use super::metrics::StateMetrics;
use super::store::CHANGES_KEPT;
use super::store::Change;
use super::store::Item;
use super::store::MAX_PAGE;
use super::store::Page;
use super::store::Rev;
use super::store::StateStore;
use super::store::Versioned;
use super::tx::Tx;
use super::tx::Write;

/// State in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    metrics: StateMetrics,
}

/// Which call of a [`MemoryStore`] fails, so that a test can walk through all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FaultPlan {
    /// Counted from 1, over reads and commits together. Later calls succeed again.
    pub call: u64,
    /// When it fails.
    pub moment: FaultMoment,
}

/// When a planned failure happens; it makes a difference only to commits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultMoment {
    /// Before anything is written.
    Before,
    /// After all is written: the caller hears of a failure that did not happen.
    After,
}

impl MemoryStore {
    /// Starts counting calls from 1 and plans a failure.
    pub fn plan_fault(&self, plan: FaultPlan) {
        let mut shared = self.shared();
        shared.calls = 0;
        shared.plan = Some(plan);
    }

    /// Takes back the plan; says whether its failure has happened.
    pub fn clear_fault(&self) -> bool {
        let mut shared = self.shared();
        let plan = shared.plan.take();
        plan.is_some_and(|plan| shared.calls >= plan.call)
    }

    pub(super) fn counted(metrics: StateMetrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    pub(super) fn metrics(&self) -> &StateMetrics {
        &self.metrics
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing below panics while it holds the lock with the map half changed.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives others a turn, as a disk would: else nothing built on this engine would ever be
    /// interrupted in the middle, and tests of it would show less than they seem to.
    async fn turn() {
        tokio::task::yield_now().await;
    }

    fn read<T>(&self, read: impl FnOnce(&Shared) -> T) -> Result<T, StateError> {
        let mut shared = self.shared();
        match shared.fault() {
            Some(_) => Err(StateError::Failed),
            None => Ok(read(&shared)),
        }
    }
}

impl StateStore for MemoryStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StateError> {
        Self::turn().await;
        self.read(|shared| shared.values.get(key).cloned())
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StateError> {
        Self::turn().await;
        self.read(|shared| shared.page(prefix, after, limit.min(MAX_PAGE)))
    }

    async fn commit(&self, tx: Tx) -> Result<Rev, StateError> {
        tx.check()?;
        Self::turn().await;
        let mut shared = self.shared();
        let fault = shared.fault();
        if fault == Some(FaultMoment::Before) {
            return Err(StateError::Failed);
        }
        let done = shared.apply(&tx);
        match done {
            Ok(_) => self.metrics.commits.inc(),
            Err(_) => self.metrics.conflicts.inc(),
        };
        if fault.is_some() { Err(StateError::Failed) } else { done }
    }

    async fn changes(&self, from: Rev, limit: usize) -> Result<Vec<Change>, StateError> {
        self.read(|shared| {
            if from.0 + CHANGES_KEPT < shared.rev {
                return Err(StateError::ChangesGone);
            }
            let after = shared.log.iter().filter(|change| change.rev > from);
            Ok(after.take(limit.min(MAX_PAGE)).cloned().collect())
        })?
    }

    fn rev(&self) -> Rev {
        Rev(self.shared().rev)
    }
}

#[derive(Debug, Default)]
struct Shared {
    values: BTreeMap<Vec<u8>, Versioned>,
    log: VecDeque<Change>,
    rev: u64,
    calls: u64,
    plan: Option<FaultPlan>,
}

impl Shared {
    /// Counts a call; says when it is to fail.
    fn fault(&mut self) -> Option<FaultMoment> {
        self.calls += 1;
        self.plan.filter(|plan| plan.call == self.calls).map(|plan| plan.moment)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Page {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut items: Vec<Item> = self
            .values
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit + 1)
            .map(|(key, value)| Item { key: key.clone(), value: value.clone() })
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        Page { items, more }
    }

    fn apply(&mut self, tx: &Tx) -> Result<Rev, StateError> {
        for (op, wanted) in tx.ops().iter().enumerate() {
            let current = self.values.get(&wanted.key).map(|value| value.version);
            if !wanted.expect.holds(current) {
                return Err(StateError::Conflict { op });
            }
        }
        self.rev += 1;
        let version = Rev(self.rev);
        for op in tx.ops() {
            match &op.write {
                Write::Delete => drop(self.values.remove(&op.key)),
                Write::Nothing => {}
                Write::Put(value) => {
                    let value = Versioned { value: value.clone(), version };
                    self.values.insert(op.key.clone(), value);
                }
            }
        }
        self.log.push_back(Change { rev: version, keys: tx.written() });
        if self.rev > CHANGES_KEPT {
            self.log.pop_front();
        }
        Ok(version)
    }
}

//! The one thread that writes. Callers that arrive while it syncs share the next sync.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;

use sled::Batch;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::layout;
use super::open::Opened;
use super::progress::Progress;
use super::reads::guarded;
use crate::state::error::StateError;
use crate::state::frame;
use crate::state::metrics::StateMetrics;
use crate::state::store::CHANGES_KEPT;
use crate::state::store::Rev;
use crate::state::tx::Tx;
use crate::state::tx::Write;

/// A transaction, and where to say what became of it.
pub(super) struct Request {
    pub(super) tx: Tx,
    pub(super) answer: oneshot::Sender<Result<Rev, StateError>>,
}

/// Starts the thread. It ends when all senders of `queue` are gone.
pub(super) fn spawn(
    opened: Opened,
    progress: Arc<Progress>,
    metrics: StateMetrics,
    queue: mpsc::Receiver<Request>,
) -> io::Result<JoinHandle<()>> {
    let marked = opened.head.rev;
    let mut committer = Committer { opened, progress, metrics, marked };
    thread::Builder::new().name("state-commit".into()).spawn(move || committer.run(queue))
}

struct Committer {
    opened: Opened,
    progress: Arc<Progress>,
    metrics: StateMetrics,
    /// The revision the marker speaks of.
    marked: u64,
}

/// What a group of transactions comes to.
struct Plan {
    batch: Batch,
    rev: u64,
    removes: bool,
    outcomes: Vec<Result<Rev, StateError>>,
}

impl Committer {
    fn run(&mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            let mut ops = first.tx.len();
            let mut group = vec![first];
            while ops < GROUP_OPS
                && let Ok(next) = queue.try_recv()
            {
                ops += next.tx.len();
                group.push(next);
            }
            self.answer(group);
            if self.opened.head.rev >= self.marked + MARK_EVERY {
                self.mark();
            }
        }
        if self.opened.head.rev > self.marked && !self.progress.failed() {
            self.mark();
        }
    }

    fn answer(&mut self, group: Vec<Request>) {
        let done = if self.progress.failed() {
            Err(StateError::Failed)
        } else {
            guarded("committing", || self.commit(&group))
        };
        match done {
            Ok(outcomes) => {
                for (request, outcome) in group.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(_) => self.metrics.commits.inc(),
                        Err(_) => self.metrics.conflicts.inc(),
                    };
                    tell(request, outcome);
                }
            }
            Err(error) => self.fail(&error, group),
        }
    }

    /// Writes the group and makes it durable. Any error leaves open what is on disk.
    fn commit(&mut self, group: &[Request]) -> Result<Vec<Result<Rev, StateError>>, StateError> {
        let mut plan = self.plan(group)?;
        if plan.rev == self.opened.head.rev {
            return Ok(plan.outcomes);
        }
        self.opened.head.rev = plan.rev;
        let (key, value) = layout::head_entry(self.opened.head);
        plan.batch.insert(key, value);
        if plan.removes {
            self.progress.removing(plan.rev);
        }
        let engine = |source| StateError::Engine { what: "committing", source };
        self.opened.tree.apply_batch(plan.batch).map_err(engine)?;
        self.opened.db.flush().map_err(engine)?;
        self.opened.sync().map_err(StateError::io("sync", &self.opened.folder))?;
        self.metrics.syncs.inc();
        self.progress.reached(plan.rev);
        Ok(plan.outcomes)
    }

    /// Checks every expectation against the tree and the transactions before it in the group.
    fn plan(&self, group: &[Request]) -> Result<Plan, StateError> {
        let mut plan = Plan {
            batch: Batch::default(),
            rev: self.opened.head.rev,
            removes: false,
            outcomes: Vec::with_capacity(group.len()),
        };
        let mut pending: HashMap<&[u8], Option<Rev>> = HashMap::new();
        for request in group {
            let outcome = match self.first_conflict(&request.tx, &pending)? {
                Some(op) => Err(StateError::Conflict { op }),
                None => Ok(self.add(&mut plan, &mut pending, &request.tx)?),
            };
            plan.outcomes.push(outcome);
        }
        Ok(plan)
    }

    fn first_conflict(
        &self,
        tx: &Tx,
        pending: &HashMap<&[u8], Option<Rev>>,
    ) -> Result<Option<usize>, StateError> {
        for (op, wanted) in tx.ops().iter().enumerate() {
            let current = match pending.get(wanted.key.as_slice()) {
                Some(version) => *version,
                None => {
                    let found = super::reads::get(&self.opened.tree, &wanted.key)?;
                    found.map(|found| found.version)
                }
            };
            if !wanted.expect.holds(current) {
                return Ok(Some(op));
            }
        }
        Ok(None)
    }

    fn add<'a>(
        &self,
        plan: &mut Plan,
        pending: &mut HashMap<&'a [u8], Option<Rev>>,
        tx: &'a Tx,
    ) -> Result<Rev, StateError> {
        plan.rev += 1;
        let rev = Rev(plan.rev);
        for op in tx.ops() {
            let tree_key = layout::value_key(&op.key);
            match &op.write {
                Write::Delete => {
                    plan.batch.remove(tree_key);
                    plan.removes = true;
                    pending.insert(&op.key, None);
                }
                Write::Nothing => {}
                Write::Put(value) => {
                    plan.batch.insert(tree_key.as_slice(), frame::encode(&tree_key, rev, value));
                    pending.insert(&op.key, Some(rev));
                }
            }
        }
        for (part, keys) in (0..).zip(layout::encode_change(&tx.written())) {
            let tree_key = layout::change_key(rev, part);
            plan.batch.insert(tree_key.as_slice(), frame::encode(&tree_key, rev, &keys));
        }
        self.prune(plan, rev)?;
        Ok(rev)
    }

    /// Forgets the change that has become too old to ask for.
    fn prune(&self, plan: &mut Plan, rev: Rev) -> Result<(), StateError> {
        let Some(old) = rev.0.checked_sub(CHANGES_KEPT) else {
            return Ok(());
        };
        for key in self.opened.tree.scan_prefix(layout::change_prefix(Rev(old))).keys() {
            let engine = |source| StateError::Engine { what: "forgetting a change", source };
            plan.batch.remove(key.map_err(engine)?);
        }
        Ok(())
    }

    /// After a failed write nobody knows what is on disk: a sync that failed once may succeed the
    /// next time without having written anything. So nothing more is accepted.
    fn fail(&self, error: &StateError, group: Vec<Request>) {
        if !self.progress.failed() {
            let cause: &(dyn std::error::Error + 'static) = error;
            tracing::error!(error = cause, "state cannot be written; refusing all writes");
            self.metrics.failures.inc();
            self.progress.fail();
        }
        for request in group {
            tell(request, Err(StateError::Failed));
        }
    }

    fn mark(&mut self) {
        match self.opened.mark() {
            Ok(()) => self.marked = self.opened.head.rev,
            Err(error) => self.fail(&error, Vec::new()),
        }
    }
}

/// Whoever asked may have gone; what was done stays done.
fn tell(request: Request, outcome: Result<Rev, StateError>) {
    drop(request.answer.send(outcome));
}

/// The most operations that share one sync.
const GROUP_OPS: usize = 4_096;
/// How many revisions an older copy of the folder may lie behind without being noticed.
const MARK_EVERY: u64 = 256;

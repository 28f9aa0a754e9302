//! The embedded engine: sled 0.34, with the guarantees it lacks added around it.
//!
//! Left alone, sled loses every acknowledged write of a new database in a power cut, opens an
//! emptied folder without an error, and may panic on a damaged one. Here one thread commits for
//! all callers and syncs the file itself, a marker beside the folder notices a step back, and a
//! panic is an error.

mod committer;
mod layout;
mod open;
mod progress;
mod reads;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::JoinHandle;

use sled::Tree;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use self::committer::Request;
use self::open::Opened;
use self::progress::Progress;
use super::error::StateError;
use super::metrics::StateMetrics;
use super::store::Change;
use super::store::Page;
use super::store::Rev;
use super::store::StateStore;
use super::store::Versioned;
use super::tx::Tx;

/// State in a folder of sled files. Clones share it; the last one to go closes it.
///
/// Reads run on the calling thread: they are answered from memory or from the page cache, at
/// worst by one short read of the disk. Commits wait for the committer's thread.
#[derive(Clone)]
pub struct SledStore(Arc<Shared>);

/// Whether commits are synced. Anything but [`Durability::Synced`] exists so that a test of
/// durability can show that it would notice.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// `Ok` means on disk.
    Synced,
    /// What sled does by itself.
    Unsynced,
}

struct Shared {
    /// `None` once closing.
    requests: Option<mpsc::Sender<Request>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    tree: Tree,
    progress: Arc<Progress>,
    metrics: StateMetrics,
}

impl SledStore {
    /// Opens the database in `folder`, or makes one when there is neither a folder nor a marker.
    /// Refuses a folder that is older than its marker. Blocks.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        Self::open_with(folder, Durability::Synced)
    }

    /// [`Self::open`], for tests of durability.
    #[doc(hidden)]
    pub fn open_with(folder: &Path, durability: Durability) -> Result<Self, StateError> {
        Self::start(open::open(folder, durability)?, folder, StateMetrics::default())
    }

    pub(super) fn open_counted(folder: &Path, metrics: StateMetrics) -> Result<Self, StateError> {
        Self::start(open::open(folder, Durability::Synced)?, folder, metrics)
    }

    fn start(opened: Opened, folder: &Path, metrics: StateMetrics) -> Result<Self, StateError> {
        let progress = Arc::new(Progress::at(opened.head.rev));
        let tree = opened.tree.clone();
        let (requests, queue) = mpsc::channel(QUEUE);
        let thread = committer::spawn(opened, Arc::clone(&progress), metrics.clone(), queue)
            .map_err(StateError::io("start the committer of", folder))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Shared { requests: Some(requests), thread, tree, progress, metrics })))
    }

    pub(super) fn metrics(&self) -> &StateMetrics {
        &self.0.metrics
    }

    pub(super) fn writable(&self) -> bool {
        !self.0.progress.failed()
    }
}

impl StateStore for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StateError> {
        let found = reads::get(&self.0.tree, key)?;
        let version = found.as_ref().map(|found| found.version);
        self.0.progress.wait_for(version).await?;
        Ok(found)
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StateError> {
        let page = reads::scan(&self.0.tree, prefix, after, limit)?;
        let newest = page.items.iter().map(|item| item.value.version).max();
        self.0.progress.wait_for(newest).await?;
        // A key that is missing may be one whose removal is not durable yet.
        self.0.progress.wait_for(None).await?;
        Ok(page)
    }

    async fn commit(&self, tx: Tx) -> Result<Rev, StateError> {
        tx.check()?;
        let (answer, answered) = oneshot::channel();
        let requests = self.0.requests.as_ref().ok_or(StateError::Failed)?;
        requests.send(Request { tx, answer }).await.map_err(|_| StateError::Failed)?;
        answered.await.map_err(|_| StateError::Failed)?
    }

    async fn changes(&self, from: Rev, limit: usize) -> Result<Vec<Change>, StateError> {
        reads::changes(&self.0.tree, from, self.rev(), limit)
    }

    fn rev(&self) -> Rev {
        self.0.progress.durable()
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("rev", &self.rev()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    /// Lets the committer finish what it was given, so that the folder can be opened again.
    fn drop(&mut self) {
        drop(self.requests.take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the committer of the state ended with a panic");
        }
    }
}

/// Commits that may wait in line; callers beyond it wait to get in line.
const QUEUE: usize = 1_024;

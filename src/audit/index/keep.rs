//! Keeps the index up to date beside a log that grows, and makes it anew when asked.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::audit::Log;
use crate::audit::SearchError;
use crate::audit::folder::Folder;
use crate::audit::search::published;
use crate::types::told;

use super::BUNDLE;
use super::Builder;
use super::IndexError;
use super::SEGMENT;
use super::covered;
use super::covers;
use super::folder_of;
use super::forget;
use super::tidy;

/// What came of making the index anew.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reindexed {
    /// Entries that have an index now.
    pub indexed: u64,
    /// Entries of the log. The newest few stay without an index.
    pub size: u64,
    /// The first damaged index of each segment that stays without one.
    pub damaged: Vec<u64>,
}

/// Makes the whole index of the log in `dir` anew, the newest entries first; `progress` hears how
/// many of the entries are done. Works beside a running gateway as well.
///
/// # Errors
/// When the log or the index cannot be read or written.
pub fn reindex(dir: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Reindexed, ReindexError> {
    let folder = Folder::new(dir);
    let size = published(&folder).map_err(ReindexError::Log)?;
    let mut builder = Builder::new(dir, 0, Arc::default());
    let segments = size.div_ceil(SEGMENT);
    let failed = |source| {
        let dir = folder_of(dir);
        ReindexError::Index(IndexError::Io { dir, source: Arc::new(source) })
    };
    tidy(builder.root(), segments).map_err(failed)?;
    let mut done = Reindexed { size, ..Reindexed::default() };
    let pruned = folder.minimum() / SEGMENT;
    forget(builder.root(), pruned).map_err(failed)?;
    for segment in (pruned..segments).rev() {
        match builder.build(segment, size) {
            Ok(entries) => done.indexed += u64::from(entries),
            Err(IndexError::Damaged { index }) => done.damaged.push(index),
            Err(error) => return Err(ReindexError::Index(error)),
        }
        progress(size - segment * SEGMENT, size);
    }
    Ok(done)
}

/// Why the index could not be made anew.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReindexError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(SearchError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(IndexError),
}

/// Indexes what is new, a segment a step.
#[derive(Debug)]
pub(in crate::audit) struct Keeper {
    folder: Folder,
    builder: Builder,
    /// Full segments that were looked at.
    looked: u64,
    /// Those of them that have no index yet, the newest last.
    missing: Vec<u64>,
    /// How much of the newest segment is indexed, once that is known.
    newest: Option<(u64, u64)>,
}

impl Keeper {
    /// For the log in `dir`; leaves `min_free` bytes of the disk alone and ends early once `stop`
    /// is set.
    pub(in crate::audit) fn new(dir: &Path, min_free: u64, stop: Arc<AtomicBool>) -> Self {
        Self {
            folder: Folder::new(dir),
            builder: Builder::new(dir, min_free, stop),
            looked: 0,
            missing: Vec::new(),
            newest: None,
        }
    }

    /// Indexes one segment that needs it; gives whether there was one.
    pub(in crate::audit) fn step(&mut self) -> Result<bool, IndexError> {
        let Ok(size) = published(&self.folder) else { return Ok(false) };
        self.look(size)?;
        if let Some(segment) = self.missing.last().copied() {
            let built = self.builder.build(segment, size);
            // A damaged segment stays without an index: `verify` tells what is wrong with it.
            if matches!(built, Ok(_) | Err(IndexError::Damaged { .. })) {
                self.missing.pop();
            }
            return built.map(|_| true);
        }
        let segment = size / SEGMENT;
        let there = size % SEGMENT / BUNDLE * BUNDLE;
        let have = match self.newest {
            Some((known, have)) if known == segment => have,
            _ => self.covered(segment, size)?,
        };
        self.newest = Some((segment, have));
        // Each time is half as much again, so that an entry is read few times.
        if there < have + FRESH.max(have / 2) {
            return Ok(false);
        }
        // Even when it fails: a damaged bundle is not read again and again.
        self.newest = Some((segment, there));
        let entries = self.builder.build(segment, size)?;
        self.newest = Some((segment, u64::from(entries)));
        Ok(true)
    }

    /// Entries that have an index.
    pub(in crate::audit) fn indexed(&self) -> u64 {
        let full = self.looked.saturating_sub(self.missing.len() as u64) * SEGMENT;
        full + self.newest.map_or(0, |(_, have)| have)
    }

    /// Finds full segments without an index.
    fn look(&mut self, size: u64) -> Result<(), IndexError> {
        self.looked = self.looked.max(self.folder.minimum() / SEGMENT);
        while self.looked < size / SEGMENT {
            let (root, segment) = (self.builder.root(), self.looked);
            let all = u32::try_from(SEGMENT).unwrap_or(u32::MAX);
            if !covers(root, (&self.folder, size), segment, all).map_err(|e| self.failed(e))? {
                self.missing.push(segment);
            }
            self.looked += 1;
        }
        Ok(())
    }

    fn covered(&self, segment: u64, size: u64) -> Result<u64, IndexError> {
        let found = covered(self.builder.root(), (&self.folder, size), segment);
        found.map(u64::from).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: std::io::Error) -> IndexError {
        IndexError::Io { dir: self.builder.root().to_owned(), source: Arc::new(source) }
    }
}

impl Log {
    /// Keeps the index up to date until it is dropped. Takes a small part of one thread, and is
    /// never waited for by whoever records an entry.
    pub async fn keep_index(self) {
        let stop = Stop(Arc::default());
        // Twice what closes the log: the index is the first to do without.
        let min_free = self.min_free_bytes().saturating_mul(2);
        let mut keeper = Keeper::new(self.dir(), min_free, Arc::clone(&stop.0));
        loop {
            let begun = Instant::now();
            let step = tokio::task::spawn_blocking(move || {
                let done = keeper.step();
                (keeper, done)
            });
            let Ok((kept, done)) = step.await else { return };
            keeper = kept;
            let metrics = self.metrics();
            metrics.indexed.set(i64::try_from(keeper.indexed()).unwrap_or(i64::MAX));
            let pause = match done {
                Ok(true) => begun.elapsed().saturating_mul(IDLE_SHARE).max(SHORT),
                Ok(false) => LOOK,
                Err(error) => {
                    metrics.index_failures.inc();
                    let error = told(&error);
                    tracing::warn!(error, "the audit log's index is not up to date; searches scan");
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// Ends the work when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// New entries that are indexed at once.
pub(in crate::audit) const FRESH: u64 = 4096;
/// How much longer it rests than it works.
const IDLE_SHARE: u32 = 9;
const SHORT: Duration = Duration::from_millis(100);
/// How often news is looked for.
const LOOK: Duration = Duration::from_secs(2);
/// When it tries again after a failure.
const AGAIN: Duration = Duration::from_secs(60);

//! The publisher: one thread that turns what is durable in the journal into bundles, tiles and
//! signed checkpoints, and removes journal segments whose entries are durable elsewhere.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::time::Instant;

use crate::crypto::note::Checkpoint;
use crate::crypto::note::NoteKey;
use crate::protocol::tlog::Tile;
use crate::types::told;

use super::AuditError;
use super::Cosigned;
use super::cosigned;
use super::derive::CHECKPOINT;
use super::derive::Deriver;
use super::disk::Disk;
use super::disk::folder_of;
use super::prune;
use super::shared::Done;
use super::shared::Part;
use super::shared::Sealed;
use super::shared::Shared;
use super::shared::held;

/// Work for the publisher, in the order of the log.
#[derive(Debug)]
pub(super) enum Work {
    /// Entries that are durable.
    Entries(Vec<Sealed>),
    /// Somebody waits for a checkpoint over everything before.
    Flush(Done),
    /// What is below an entry goes.
    Prune(prune::Order),
    /// A witness has signed a checkpoint.
    Cosigned(Box<Cosigned>),
    /// A journal segment has ended before entry `end`.
    Rolled { name: String, end: u64 },
}

/// A journal segment that goes once its entries are durable in bundles.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) end: u64,
    /// The full tiles and bundles made from it.
    pub(super) tiles: Vec<Tile>,
}

/// The publisher's state.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    disk: Disk,
    key: NoteKey,
    deriver: Deriver,
    /// Full tiles written since the last segment ended.
    tiles: Vec<Tile>,
    ended: VecDeque<Ended>,
    /// The size of the last checkpoint; `None` when there is none yet.
    published: Option<u64>,
    published_at: Instant,
    /// Since when there are entries without a checkpoint.
    pending_since: Option<Instant>,
    /// Full tiles whose unfinished states are no longer needed once a checkpoint is out.
    finished: Vec<Tile>,
    /// The unfinished tiles of the last few checkpoints.
    unfinished: VecDeque<Vec<Tile>>,
    flushes: Vec<Done>,
    /// Bytes of entries taken from the backlog whose files are not written yet.
    owed: usize,
    retry_at: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        shared: Arc<Shared>,
        (disk, key): (Disk, NoteKey),
        deriver: Deriver,
        (ended, tiles): (VecDeque<Ended>, Vec<Tile>),
        published: Option<u64>,
    ) -> Self {
        let finished = ended.iter().flat_map(|ended| &ended.tiles).chain(&tiles).copied().collect();
        Self {
            shared,
            disk,
            key,
            deriver,
            tiles,
            ended,
            published,
            published_at: Instant::now(),
            pending_since: None,
            finished,
            unfinished: VecDeque::new(),
            flushes: Vec::new(),
            owed: 0,
            retry_at: None,
        }
    }

    /// Works until the committer is gone and everything is published.
    pub(super) fn run(mut self, work: &Receiver<Work>) {
        loop {
            match work.recv_timeout(self.wait()) {
                Ok(first) => {
                    self.accept(first);
                    while let Ok(next) = work.try_recv() {
                        self.accept(next);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.retry_at.is_none_or(|due| due <= Instant::now()) {
                let due = self.due();
                self.advance(due);
            }
        }
        self.advance(true);
    }

    /// Publishes what is there, whether or not it is time. For the opening of a log.
    pub(super) fn publish_now(&mut self) -> Result<(), AuditError> {
        if self.published == Some(self.deriver.size()) {
            // A checkpoint is durable when it is out, its unfinished tiles are not: after a cut of
            // the power they may be empty or gone.
            let unfinished = self.deriver.write_unfinished(&self.disk)?;
            self.unfinished.push_back(unfinished);
        }
        self.publish()?;
        self.tidy()?;
        let minimum = prune::finish(&self.disk, &self.key)?;
        self.shared.minimum.store(minimum, Ordering::Release);
        Ok(())
    }

    fn accept(&mut self, work: Work) {
        match work {
            Work::Entries(entries) => {
                self.pending_since.get_or_insert_with(Instant::now);
                for entry in &entries {
                    self.deriver.add(&entry.bytes, entry.leaf);
                }
                self.owed += entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
                if self.retry_at.is_none() {
                    let result = self.write();
                    self.note(result);
                }
            }
            Work::Flush(done) => self.flushes.push(done),
            Work::Prune(order) => self.prune(order),
            Work::Cosigned(cosigned) => {
                // What fails is told and forgotten: the next checkpoint will be signed too.
                if let Err(error) = cosigned::keep(&self.shared, &self.disk, &cosigned) {
                    tracing::warn!(error = told(&error), "a cosignature was not kept");
                }
            }
            Work::Rolled { name, end } => {
                // The tiles of a segment are those full when it ends; they may still wait to be
                // written, so they are named by `deriver` rather than taken from what was written.
                let mut tiles = std::mem::take(&mut self.tiles);
                tiles.extend(self.deriver.waiting());
                self.ended.push_back(Ended { name, end, tiles });
            }
        }
    }

    /// Only what is under a checkpoint, the record of the pruning too, is removed.
    fn prune(&self, order: prune::Order) {
        let place = (order.index, order.record);
        let result = match self.published {
            Some(size) if order.index <= order.record && order.record < size => {
                self.prune_to(place)
            }
            _ => Err(AuditError::Unwritable { why: "the pruning is not recorded yet".into() }),
        };
        // Who no longer listens does not want to know.
        drop(order.done.send(result));
    }

    fn prune_to(&self, place: (u64, u64)) -> Result<(), AuditError> {
        let minimum = &self.shared.minimum;
        // Before the note is out: the folder never names a larger one than is known here.
        minimum.fetch_max(place.0, Ordering::AcqRel);
        let done = prune::prune(&self.disk, &self.key, place);
        if let (Err(_), Ok(found)) = (&done, prune::known(&self.disk, &self.key)) {
            minimum.store(found, Ordering::Release);
        }
        done
    }

    /// Writes finished bundles and tiles. Entries leave the backlog once that is done, so that a
    /// publisher that cannot write closes the log before memory runs out.
    fn write(&mut self) -> Result<(), AuditError> {
        let from = self.tiles.len();
        let result = self.deriver.write(&self.disk, &mut self.tiles);
        self.finished.extend(self.tiles.get(from..).unwrap_or(&[]));
        if result.is_ok() {
            self.shared.ease_backlog(std::mem::take(&mut self.owed));
        }
        result
    }

    fn advance(&mut self, publish: bool) {
        let mut result = self.write();
        if publish {
            result = result.and_then(|()| self.publish()).and_then(|()| self.tidy());
        }
        for done in self.flushes.drain(..) {
            // Who no longer listens does not want to know.
            drop(done.send(result.clone()));
        }
        self.note(result);
    }

    fn note(&mut self, result: Result<(), AuditError>) {
        match result {
            Ok(()) => {
                self.shared.recover(Part::Publisher);
                self.retry_at = None;
            }
            Err(error) => {
                self.shared.fail(Part::Publisher, &error);
                let every = Duration::from_millis(self.shared.config.retry_every_ms);
                self.retry_at = Some(Instant::now() + every);
            }
        }
    }

    fn wait(&self) -> Duration {
        let config = &self.shared.config;
        let now = Instant::now();
        if let Some(due) = self.retry_at {
            return due.saturating_duration_since(now);
        }
        let Some(since) = self.pending_since else { return IDLE };
        let mut due = since + Duration::from_millis(config.checkpoint_every_ms);
        if self.fresh() >= config.checkpoint_entries {
            due = due.min(self.published_at + MIN_PAUSE);
        }
        due.saturating_duration_since(now)
    }

    fn due(&self) -> bool {
        !self.flushes.is_empty() || self.retry_at.is_some() || self.wait() == Duration::ZERO
    }

    /// Entries without a checkpoint.
    fn fresh(&self) -> u64 {
        self.deriver.size().saturating_sub(self.published.unwrap_or(0))
    }

    /// Puts the unfinished tiles and then the signed checkpoint in place.
    fn publish(&mut self) -> Result<(), AuditError> {
        let size = self.deriver.size();
        if self.published == Some(size) {
            self.pending_since = None;
            return Ok(());
        }
        let unfinished = self.deriver.write_unfinished(&self.disk)?;
        let origin = self.shared.config.origin.clone();
        let checkpoint = Checkpoint { origin, size, root: self.deriver.root() };
        let note = self.key.sign(&checkpoint.to_string());
        self.disk.replace_durably(CHECKPOINT, note.as_bytes())?;
        self.unfinished.push_back(unfinished);
        self.published = Some(size);
        self.published_at = Instant::now();
        self.pending_since = None;
        *held(&self.shared.checkpoint) = Some(note.into());
        let metrics = &self.shared.metrics;
        metrics.checkpoint_size.set(i64::try_from(size).unwrap_or(i64::MAX));
        let now = self.shared.clock.now().unix_s();
        metrics.checkpoint_time.set(i64::try_from(now).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Removes what the new checkpoint made superfluous.
    fn tidy(&mut self) -> Result<(), AuditError> {
        while let Some(tile) = self.finished.last() {
            self.disk.remove(&tile.unfinished_folder())?;
            self.finished.pop();
        }
        while self.unfinished.len() > KEPT_CHECKPOINTS {
            let Some(old) = self.unfinished.front() else { break };
            for tile in old {
                if !self.unfinished.iter().skip(1).any(|kept| kept.contains(tile)) {
                    self.disk.remove(&tile.to_string())?;
                }
            }
            self.unfinished.pop_front();
        }
        while self.ended.front().is_some_and(|ended| self.published >= Some(ended.end)) {
            let Some(ended) = self.ended.front() else { break };
            let mut folders = BTreeSet::new();
            for tile in &ended.tiles {
                let name = tile.to_string();
                self.disk.sync_named(&name)?;
                let mut folder = folder_of(&name);
                while !folder.is_empty() && folders.insert(folder.to_owned()) {
                    folder = folder_of(folder);
                }
            }
            folders.insert(String::new());
            for folder in &folders {
                self.disk.sync_folder(folder)?;
            }
            self.disk.remove(&ended.name)?;
            self.ended.pop_front();
        }
        Ok(())
    }
}

/// The least time between two checkpoints: under load, one checkpoint covers thousands of entries.
const MIN_PAUSE: Duration = Duration::from_millis(500);

/// When nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// A reader that has read a checkpoint finds its tiles until this many more were published.
const KEPT_CHECKPOINTS: usize = 4;

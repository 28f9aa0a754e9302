//! Retention by minimum index (C2SP tlog-tiles, "Pruning"): entries below it are gone, their
//! hashes stay, so the tree, old proofs and old checkpoints hold as before.
//!
//! The minimum is a signed note beside the checkpoint. It names the entry that records the pruning,
//! so nobody can take entries away without the log saying so, not even with the key.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::crypto::note::NoteKey;
use crate::crypto::note::VerifierKey;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;
use crate::types::Timestamp;

use super::AuditError;
use super::Entry;
use super::Kind;
use super::Log;
use super::Receipt;
use super::SearchError;
use super::disk::Disk;
use super::disk::failed;
use super::disk::folder_of;
use super::folder::Folder;
use super::index;
use super::journal;
use super::shared::Job;

/// The file of the minimum.
pub(super) const FILE: &str = "minimum";

/// The first entry that is still there, and the entry that records why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Minimum {
    pub(super) origin: String,
    pub(super) index: u64,
    pub(super) record: u64,
}

impl fmt::Display for Minimum {
    /// The first line makes sure that it is never taken for a checkpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{}\n{}\n{}", self.origin, self.index, self.record)
    }
}

impl Minimum {
    /// Reads the one form it has; `None` when it is another.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (head, origin) = (lines.next()?, lines.next()?);
        let (index, record) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
        let found = Self { origin: origin.to_owned(), index, record };
        let is_sound = head == HEAD && index % BUNDLE == 0 && index <= record;
        (is_sound && found.to_string() == text).then_some(found)
    }

    /// Reads a signed note.
    pub(super) fn open(note: &str, key: &VerifierKey) -> Option<Self> {
        let found = Self::parse(key.open(note).ok()?)?;
        (found.origin == key.name()).then_some(found)
    }

    /// Whether an entry records this pruning.
    pub(super) fn is_recorded_by(&self, entry: &Entry) -> bool {
        let index = entry.facts.get(FACT).and_then(|text| text.parse::<u64>().ok());
        entry.kind == Kind::Admin
            && entry.reason.as_deref() == Some(REASON)
            && index == Some(self.index)
    }
}

/// An order to the publisher.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) index: u64,
    pub(super) record: u64,
    pub(super) done: oneshot::Sender<Result<(), AuditError>>,
}

/// Writes the minimum, then removes what is below it.
pub(super) fn prune(
    disk: &Disk,
    key: &NoteKey,
    (index, record): (u64, u64),
) -> Result<(), AuditError> {
    let known = known(disk, key)?;
    if index > known {
        let origin = key.verifier().name().to_owned();
        let note = key.sign(&Minimum { origin, index, record }.to_string());
        disk.replace_durably(FILE, note.as_bytes())?;
    }
    let minimum = index.max(known);
    remove(disk, first_left(disk, known / BUNDLE)..minimum / BUNDLE)?;
    forget_index(disk, minimum)
}

/// Removes what an earlier pruning could not, and gives the minimum.
pub(super) fn finish(disk: &Disk, key: &NoteKey) -> Result<u64, AuditError> {
    let known = known(disk, key)?;
    let end = known / BUNDLE;
    remove(disk, first_left(disk, end)..end)?;
    forget_index(disk, known)?;
    Ok(known)
}

/// The first bundle before `end` that an earlier pruning has left. Bundles go upwards, and every
/// pruning begins with those, so what is left is without holes.
fn first_left(disk: &Disk, end: u64) -> u64 {
    let mut first = end;
    while first > 0 && disk.exists(&bundle(first - 1)) {
        first -= 1;
    }
    first
}

/// The words of what is gone go too.
fn forget_index(disk: &Disk, minimum: u64) -> Result<(), AuditError> {
    let root = index::folder_of(disk.root());
    index::forget(&root, minimum / index::SEGMENT)
        .map_err(|source| failed("remove an index of", FILE, source))
}

fn remove(disk: &Disk, bundles: std::ops::Range<u64>) -> Result<(), AuditError> {
    let mut folders = BTreeSet::new();
    for name in bundles.map(bundle) {
        disk.remove(&name)?;
        folders.insert(folder_of(&name).to_owned());
    }
    folders.iter().try_for_each(|folder| disk.sync_folder(folder))
}

fn bundle(index: u64) -> String {
    Tile::entries(index, tlog::FULL).to_string()
}

/// The minimum in force; 0 without one.
pub(super) fn known(disk: &Disk, key: &NoteKey) -> Result<u64, AuditError> {
    let Some(bytes) = disk.read(FILE)? else { return Ok(0) };
    let note = String::from_utf8(bytes).ok();
    let found = note.and_then(|note| Minimum::open(&note, key.verifier()));
    let what = "it is not a minimum that this log's key signed".to_owned();
    found.map(|known| known.index).ok_or(AuditError::Damaged { file: FILE.to_owned(), what })
}

impl Log {
    /// The largest minimum that leaves every entry from `before` on, and everything the journal
    /// still holds: what is written twice is not gone when it is removed once.
    pub fn prunable(&self, before: u64) -> Result<u64, AuditError> {
        let names = Disk::open(self.dir(), None)?.list(journal::FOLDER)?;
        let oldest = names.iter().filter_map(|name| journal::segment_first(name)).min();
        let published = self.published().map_or(0, |known| known.size);
        let most = before.min(published).min(oldest.unwrap_or(0));
        Ok(most - most % BUNDLE)
    }

    /// The first entry that is still there. Who can write to the folder cannot change it.
    pub fn minimum(&self) -> u64 {
        self.shared().minimum.load(Ordering::Acquire)
    }

    /// The index of the bundle in which the first entry of `time` or later may be: everything
    /// before it is older, as far as the clock never went back. Reads a few bundles.
    pub fn before(&self, time: Timestamp) -> Result<u64, SearchError> {
        let folder = Folder::new(self.dir());
        let size = self.published().map_or(0, |known| known.size);
        let (mut low, mut high) = (self.minimum() / BUNDLE, size.div_ceil(BUNDLE));
        let start = low;
        while low < high {
            let middle = low + (high - low) / 2;
            if first_time(&folder, middle, size)? < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1).max(start) * BUNDLE)
    }

    /// An entry that records a pruning; more may be added to it.
    pub fn prune_entry(minimum: u64) -> Entry {
        let mut entry = Entry::new(Kind::Admin);
        entry.reason = Some(REASON.into());
        entry.facts.insert(FACT.into(), minimum.to_string().into());
        entry
    }

    /// Removes the entries below `minimum`, which [`prunable`](Self::prunable) gave, once the entry
    /// of `record` is under a checkpoint: the one that [`prune_entry`](Self::prune_entry) began.
    pub async fn prune(&self, minimum: u64, record: &Receipt) -> Result<(), AuditError> {
        self.flush().await?;
        let (done, wait) = oneshot::channel();
        let order = Order { index: minimum, record: record.index(), done };
        self.push(Job::Prune(order))?;
        wait.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Removes what an earlier pruning was to remove and could not.
    pub async fn finish_pruning(&self) -> Result<(), AuditError> {
        let (done, wait) = oneshot::channel();
        // Nothing is below 0, so this takes no entry that is not below the minimum already.
        self.push(Job::Prune(Order { index: 0, record: 0, done }))?;
        wait.await.unwrap_or(Err(AuditError::Closed))
    }
}

fn first_time(folder: &Folder, bundle: u64, size: u64) -> Result<Timestamp, SearchError> {
    let index = bundle * BUNDLE;
    let damaged = || SearchError::Damaged { index };
    let width = u16::try_from((size - index).min(BUNDLE)).map_err(|_| damaged())?;
    let bytes = folder.tile(Tile::entries(bundle, width)).ok().flatten().ok_or_else(damaged)?;
    let entry = tlog::entries(&bytes).next().and_then(Result::ok).ok_or_else(damaged)?;
    Ok(Entry::from_bytes(entry).map_err(|_| damaged())?.time)
}

const HEAD: &str = "privet.minimum/v1";
/// Why an entry that records a pruning was made.
const REASON: &str = "audit_pruned";
/// Its fact that says up to where.
const FACT: &str = "minimum";
const BUNDLE: u64 = 256;

//! Opening a log: taking its lock, reading its journal, repairing the torn end of a power cut, and
//! deriving again what was not on the disk. Whatever else is wrong is named, and the log stays shut.

use std::collections::VecDeque;
use std::fs::File;

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;

use crate::crypto::merkle::leaf;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::NoteError;
use crate::crypto::note::NoteKey;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::AuditConfig;
use super::AuditError;
use super::derive::CHECKPOINT;
use super::derive::Deriver;
use super::disk::Disk;
use super::disk::failed;
use super::frame;
use super::frame::Scan;
use super::frame::Tail;
use super::journal;
use super::journal::Journal;
use super::publisher::Ended;

/// A log as it was found, ready to go on.
pub(super) struct Opened {
    pub(super) journal: Journal,
    /// The first entry of the journal's last segment.
    pub(super) segment_first: u64,
    pub(super) deriver: Deriver,
    /// Earlier segments, and what was derived from the last.
    pub(super) derived: (VecDeque<Ended>, Vec<Tile>),
    /// The published checkpoint, and its text.
    pub(super) published: Option<(Checkpoint, String)>,
}

/// What keeps other processes out.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough while a process that is being started still shares it.
        if let Err(error) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the audit log's lock could not be given back");
        }
    }
}

/// Takes the lock, or says who is in the way.
pub(super) fn lock(disk: &Disk) -> Result<Lock, AuditError> {
    let file = disk.open_file(LOCK)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(Errno::WOULDBLOCK) => Err(AuditError::InUse { dir: disk.root().to_owned() }),
        Err(errno) => Err(failed("lock", LOCK, errno.into())),
    }
}

/// Reads the log in a locked folder.
pub(super) fn open(disk: &Disk, config: &AuditConfig, key: &NoteKey) -> Result<Opened, AuditError> {
    let published = checkpoint(disk, config, key)?;
    let firsts = segments(disk)?;
    let Some((first, last)) = firsts.first().copied().zip(firsts.last().copied()) else {
        return create(disk, published.is_some());
    };
    let base_known = first == 0 || published.as_ref().is_some_and(|(known, _)| known.size >= first);
    if !first.is_multiple_of(u64::from(tlog::FULL)) || !base_known {
        let name = journal::segment_name(first);
        return Err(damaged(&name, "the segments before it are missing"));
    }
    let mut replay = Replay {
        disk,
        deriver: Deriver::resume(disk, first)?,
        published: published.as_ref().map(|(known, _)| known),
        tiles: Vec::new(),
    };
    replay.compare()?;
    let mut ended = VecDeque::new();
    for (first, next) in firsts.iter().zip(firsts.iter().skip(1)) {
        let name = journal::segment_name(*first);
        let bytes = disk.read(&name)?.unwrap_or_default();
        let scan = replay.segment(&name, &bytes, *first)?;
        if scan.tail != Tail::Clean || scan.next != *next {
            let what = format!("entry {} is damaged or missing", scan.next);
            return Err(damaged(&name, &what));
        }
        let tiles = std::mem::take(&mut replay.tiles);
        ended.push_back(Ended { name, end: *next, tiles });
    }
    let name = journal::segment_name(last);
    let bytes = disk.read(&name)?.unwrap_or_default();
    let scan = replay.segment(&name, &bytes, last)?;
    if scan.tail == Tail::Damaged {
        return Err(damaged(&name, &format!("entry {} is damaged", scan.next)));
    }
    let size = scan.next;
    let (deriver, tiles) = (replay.deriver, replay.tiles);
    if let Some((known, _)) = published.as_ref().filter(|(known, _)| known.size > size) {
        let what = format!("{} entries were published, {size} are left", known.size);
        return Err(damaged(&name, &what));
    }
    if scan.tail == Tail::Torn {
        let bytes = bytes.len() - scan.len;
        tracing::warn!(bytes, size, "the torn end of the audit journal is cut off");
    }
    let journal = match scan.len {
        0 => Journal::begin(disk, last)?,
        len => Journal::resume(disk, last, len as u64, size)?,
    };
    Ok(Opened { journal, segment_first: last, deriver, derived: (ended, tiles), published })
}

/// A log without a journal is new, or what is left of one.
fn create(disk: &Disk, was_published: bool) -> Result<Opened, AuditError> {
    if was_published || !disk.list("tile")?.is_empty() {
        return Err(damaged(journal::FOLDER, "the journal is missing"));
    }
    disk.make_folder(journal::FOLDER)?;
    disk.sync_folder("")?;
    let journal = Journal::begin(disk, 0)?;
    Ok(Opened {
        journal,
        segment_first: 0,
        deriver: Deriver::default(),
        derived: (VecDeque::new(), Vec::new()),
        published: None,
    })
}

fn checkpoint(
    disk: &Disk,
    config: &AuditConfig,
    key: &NoteKey,
) -> Result<Option<(Checkpoint, String)>, AuditError> {
    let Some(bytes) = disk.read(CHECKPOINT)? else { return Ok(None) };
    let note = String::from_utf8(bytes).map_err(|_| damaged(CHECKPOINT, "it is not text"))?;
    let text = key.verifier().open(&note).map_err(|error| match error {
        NoteError::Unsigned { .. } => AuditError::NotOurs {
            what: format!("its checkpoint was not signed by {}", key.verifier()),
        },
        error => damaged(CHECKPOINT, &error.to_string()),
    })?;
    let known = Checkpoint::parse(text).map_err(|e| damaged(CHECKPOINT, &e.to_string()))?;
    if known.origin != config.origin {
        let what = format!("it is called `{}`, not `{}`", known.origin, config.origin);
        return Err(AuditError::NotOurs { what });
    }
    Ok(Some((known, note)))
}

/// The first entries of the journal's segments, in order.
fn segments(disk: &Disk) -> Result<Vec<u64>, AuditError> {
    let names = disk.list(journal::FOLDER)?;
    Ok(names.iter().filter_map(|name| journal::segment_first(name)).collect())
}

/// Derives again what the journal holds, and compares it with the published checkpoint.
struct Replay<'a> {
    disk: &'a Disk,
    deriver: Deriver,
    published: Option<&'a Checkpoint>,
    tiles: Vec<Tile>,
}

impl Replay<'_> {
    fn segment<'b>(
        &mut self,
        name: &str,
        bytes: &'b [u8],
        first: u64,
    ) -> Result<Scan<'b>, AuditError> {
        let scan = frame::scan(bytes, first);
        for found in scan.frames.iter().filter(|found| found.count > 0) {
            for entry in tlog::entries(found.payload) {
                let entry = entry.map_err(|error| damaged(name, &error.to_string()))?;
                self.deriver.add(entry, leaf(entry));
                self.compare()?;
            }
            self.deriver.restore(self.disk, &mut self.tiles)?;
        }
        Ok(scan)
    }

    fn compare(&self) -> Result<(), AuditError> {
        let size = self.deriver.size();
        let published = self.published.filter(|known| known.size == size);
        if published.is_some_and(|known| known.root != self.deriver.root()) {
            let what = format!("the first {size} entries are not those that were published");
            return Err(damaged(journal::FOLDER, &what));
        }
        Ok(())
    }
}

fn damaged(file: &str, what: &str) -> AuditError {
    AuditError::Damaged { file: file.to_owned(), what: what.to_owned() }
}

const LOCK: &str = "lock";

//! Opening a database, and refusing one that has lost something.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use sled::Db;
use sled::Tree;

use super::Durability;
use super::layout;
use crate::state::error::RolledBack;
use crate::state::error::StateError;
use crate::state::marker;
use crate::state::marker::Mark;

/// A database that is open and has everything its marker speaks of.
pub(super) struct Opened {
    pub(super) db: Db,
    pub(super) tree: Tree,
    /// The file sled writes to, opened once more: syncing it is our own affair.
    pub(super) file: File,
    pub(super) folder: PathBuf,
    pub(super) marker: PathBuf,
    pub(super) head: Mark,
    pub(super) durability: Durability,
}

/// Opens or makes the database in `folder`.
pub(super) fn open(folder: &Path, durability: Durability) -> Result<Opened, StateError> {
    let folder = folder.to_path_buf();
    // sled may panic on a damaged folder: on a thread of its own that is an answer.
    let opening = thread::Builder::new().name("state-open".into());
    let opening = opening.spawn(move || open_here(&folder, durability));
    let opening = opening.map_err(StateError::io("start a thread for", Path::new("sled")))?;
    opening.join().unwrap_or(Err(StateError::Panicked { what: "opening" }))
}

fn open_here(folder: &Path, durability: Durability) -> Result<Opened, StateError> {
    let place = marker::place(folder);
    let mark = marker::read(&place)?;
    let holds_files = holds_files(folder).map_err(StateError::io("read", folder))?;
    let least = match mark {
        None if holds_files => {
            return Err(StateError::Unmarked { path: folder.to_path_buf(), marker: place });
        }
        Some(mark) if mark.generation > 0 => mark,
        // New, or its making was interrupted before anything was acknowledged.
        _ => begin(folder, &place)?,
    };
    wait_for_lock(&folder.join("db"))?;
    let db = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .open()
        .map_err(|source| StateError::Engine { what: "opening the database", source })?;
    let tree = Tree::clone(&db);
    let found = layout::read_head(&tree)?.unwrap_or(Mark { generation: 0, rev: 0 });
    if found.generation < least.generation || found.rev < least.rev {
        let rolled = RolledBack {
            path: folder.to_path_buf(),
            marker: place,
            found: (found.generation, found.rev),
            expected: (least.generation, least.rev),
        };
        return Err(StateError::RolledBack { rolled: Box::new(rolled) });
    }
    let head = Mark { generation: found.generation + 1, rev: found.rev };
    let file = folder.join("db");
    let file = File::open(&file).map_err(StateError::io("open", &file))?;
    let folder = folder.to_path_buf();
    let opened = Opened { db, tree, file, folder, marker: place, head, durability };
    opened.enter()?;
    Ok(opened)
}

impl Opened {
    /// Starts a new generation: first in the database, then in the marker, each made durable.
    fn enter(&self) -> Result<(), StateError> {
        let engine = |source| StateError::Engine { what: "starting a generation", source };
        let (key, value) = layout::head_entry(self.head);
        self.tree.insert(key, value).map_err(engine)?;
        self.db.flush().map_err(engine)?;
        if self.durability == Durability::Synced {
            self.sync_all().map_err(StateError::io("sync", &self.folder))?;
        }
        marker::write(&self.marker, self.head)
    }

    /// Syncs what sled never does: its configuration, its file, and the names of both.
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()?;
        File::open(self.folder.join("conf"))?.sync_all()?;
        File::open(self.folder.join("blobs"))?.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        marker::sync_folder_of(&self.folder)
    }

    /// Makes everything that was flushed durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.durability {
            Durability::Synced => self.file.sync_data(),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Notes in the marker how far the database has come.
    pub(super) fn mark(&self) -> Result<(), StateError> {
        marker::write(&self.marker, self.head)
    }
}

/// Notes that a database is being made, and makes room for it.
fn begin(folder: &Path, place: &Path) -> Result<Mark, StateError> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent).map_err(StateError::io("make", parent))?;
        marker::sync_folder_of(parent).map_err(StateError::io("sync", parent))?;
    }
    let making = Mark { generation: 0, rev: 0 };
    marker::write(place, making)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StateError::io("clear", folder)(error));
        }
        _ => {}
    }
    let private = fs::DirBuilder::new().mode(0o700).create(folder);
    private.map_err(StateError::io("make", folder))?;
    Ok(making)
}

/// Waits a moment while somebody else has the database open: sled's own threads let go of the
/// file some time after the last handle to it, and a process that is restarted may still be going.
#[expect(clippy::disallowed_methods, reason = "on a thread of its own, at start")]
fn wait_for_lock(file: &Path) -> Result<(), StateError> {
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            thread::sleep(LOCK_PAUSE);
        }
        let held = match File::open(file) {
            Ok(file) => flock(file, FlockOperation::NonBlockingLockExclusive),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StateError::io("open", file)(error)),
        };
        match held {
            // The file is closed again, and with it goes the lock.
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(StateError::io("lock", file)(error.into())),
        }
    }
    Err(StateError::Locked { path: file.to_path_buf() })
}

fn holds_files(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().transpose().map(|entry| entry.is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Enough for the working set of cards; sled counts its own overhead outside of it.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

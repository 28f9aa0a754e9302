//! The journal: the append-only truth of the log. Segments named by their first entry, each a head
//! and frames (see [`frame`]). Acknowledged bytes are never written again.
//!
//! A strict journal writes zeros behind its frames, [`ROOM`] at a time. A frame that lands in them
//! changes neither the length of the file nor where it lies, so that its sync waits for its own
//! bytes alone and not for whatever else the file system is about to note.

use std::fs::File;

use crate::protocol::tlog;

use super::AuditError;
use super::Durability;
use super::disk::Disk;
use super::frame;

/// The folder of the journal.
pub(super) const FOLDER: &str = "journal";

/// The journal, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Disk,
    file: File,
    name: String,
    /// Where the next frame goes.
    len: u64,
    /// Up to where the file is on the disk, with nothing but zeros behind `len`.
    room: u64,
    /// The index of the next entry.
    next: u64,
    /// What of the segment is known to be on the disk: its length, and the index after its last
    /// entry.
    durable: (u64, u64),
    /// Frames that were acknowledged before they were synced, in case a sync fails.
    unsynced: Vec<u8>,
    frame: Vec<u8>,
}

impl Journal {
    /// Begins a segment with entry `first`: its head is on the disk when this returns.
    pub(super) fn begin(disk: &Disk, first: u64) -> Result<Self, AuditError> {
        let name = segment_name(first);
        let file = disk.open_file(&name)?;
        let head = frame::segment_head(first);
        disk.set_len((&file, &name), 0)?;
        disk.write_at((&file, &name), &head, 0)?;
        disk.sync((&file, &name))?;
        disk.sync_folder(FOLDER)?;
        Self::resume(disk, first, frame::SEGMENT_HEAD as u64, first)
    }

    /// Goes on after byte `len` of the segment that begins with entry `first`; `next` is the next
    /// entry. What follows is cut off, and what remains is on the disk when this returns.
    pub(super) fn resume(disk: &Disk, first: u64, len: u64, next: u64) -> Result<Self, AuditError> {
        let name = segment_name(first);
        let file = disk.open_file(&name)?;
        disk.set_len((&file, &name), len)?;
        disk.sync((&file, &name))?;
        Ok(Self {
            disk: disk.clone(),
            file,
            name,
            len,
            room: len,
            next,
            durable: (len, next),
            unsynced: Vec::new(),
            frame: Vec::new(),
        })
    }

    /// The index of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes in the segment.
    pub(super) fn bytes(&self) -> u64 {
        self.len
    }

    /// Bytes acknowledged and not yet synced.
    pub(super) fn unsynced_bytes(&self) -> usize {
        self.unsynced.len()
    }

    /// Appends a group of entries as one frame. When it fails, nothing was appended, and
    /// [`repair`](Self::repair) must succeed before the next.
    pub(super) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a [u8]>,
        durability: Durability,
    ) -> Result<(), AuditError> {
        frame::start(&mut self.frame);
        let mut count = 0_u32;
        for entry in entries {
            if !tlog::append_entry(&mut self.frame, entry) {
                return Err(AuditError::EntryTooLarge { bytes: entry.len() });
            }
            count += 1;
        }
        frame::finish(&mut self.frame, self.next, self.durable.1, count);
        let end = self.len + self.frame.len() as u64;
        if durability == Durability::Strict && end > self.room {
            self.frame.resize(self.frame.len() + ROOM, 0);
        }
        self.disk.write_at((&self.file, &self.name), &self.frame, self.len)?;
        if durability == Durability::Strict {
            self.disk.sync((&self.file, &self.name))?;
            self.room = self.room.max(self.len + self.frame.len() as u64);
        }
        self.len = end;
        self.next += u64::from(count);
        match durability {
            Durability::Strict => self.durable = (self.len, self.next),
            Durability::Batched => self.unsynced.extend_from_slice(&self.frame),
        }
        Ok(())
    }

    /// Waits until everything appended is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), AuditError> {
        if self.durable.0 < self.len {
            self.disk.sync((&self.file, &self.name))?;
            self.durable = (self.len, self.next);
        }
        self.unsynced.clear();
        Ok(())
    }

    /// After a failed write or sync: cuts off what is not known to be on the disk, writes again
    /// what was acknowledged before it was synced, and shows with a probe that the disk takes it.
    pub(super) fn repair(&mut self) -> Result<(), AuditError> {
        // The file is opened anew: after a failed sync the kernel has already reported, and
        // forgotten, what it could not write.
        self.file = self.disk.open_file(&self.name)?;
        let at = (&self.file, self.name.as_str());
        self.disk.set_len(at, self.durable.0)?;
        self.disk.sync(at)?;
        self.disk.write_at(at, &self.unsynced, self.durable.0)?;
        self.len = self.durable.0 + self.unsynced.len() as u64;
        self.room = self.len;
        frame::start(&mut self.frame);
        self.frame.resize(PROBE_BYTES, 0);
        frame::finish(&mut self.frame, self.next, self.durable.1, 0);
        self.disk.write_at(at, &self.frame, self.len)?;
        self.disk.sync(at)?;
        self.len += self.frame.len() as u64;
        self.room = self.len;
        self.durable = (self.len, self.next);
        self.unsynced.clear();
        Ok(())
    }

    /// Waits until everything appended is on the disk, and cuts off the room behind it.
    pub(super) fn finish(&mut self) -> Result<(), AuditError> {
        self.sync()?;
        if self.room > self.len {
            let at = (&self.file, self.name.as_str());
            self.disk.set_len(at, self.len)?;
            self.disk.sync(at)?;
            self.room = self.len;
        }
        Ok(())
    }

    /// Ends the segment and begins the next; returns the name of the ended one.
    pub(super) fn roll(&mut self) -> Result<String, AuditError> {
        self.finish()?;
        let next = Self::begin(&self.disk, self.next)?;
        Ok(std::mem::replace(self, next).name)
    }
}

/// The file of the segment that begins with entry `first`.
pub(super) fn segment_name(first: u64) -> String {
    format!("{FOLDER}/{first:020}.log")
}

/// The first entry of the segment in a file, by its name within the folder.
pub(super) fn segment_first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// How much is made ready at once: every so many bytes a sync takes as long as one of a growing
/// file, and longer by the time the disk takes to write these.
const ROOM: usize = 256 << 10;

/// Enough to need a block of the disk.
const PROBE_BYTES: usize = 8192;

//! Entries on their way to a receiver: what one bundle of the log still has for it.

use std::path::Path;

use super::ExportError;
use crate::audit::Entry;
use crate::audit::folder::Folder;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

/// Entries that a receiver takes together or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    /// The entries with their index, in order; never empty.
    pub(super) entries: Vec<(u64, Entry)>,
    /// The index after the last.
    pub(super) next: u64,
}

impl Batch {
    /// Reads from entry `next` on, of a log of `size` published entries: to the end of the bundle,
    /// or as far as [`MAX_BYTES`] go. `None` when there is nothing new.
    /// What was pruned, below `minimum`, cannot be exported any more; what is in the folder does
    /// not say up to where that is, or whoever can write there could leave entries out.
    pub(super) fn read(
        dir: &Path,
        next: u64,
        (minimum, size): (u64, u64),
    ) -> Result<Option<Self>, ExportError> {
        let folder = Folder::new(dir);
        let next = next.max(minimum);
        if next >= size {
            return Ok(None);
        }
        let (bundle, first) = (next / BUNDLE, next - next % BUNDLE);
        let width = u16::try_from((size - first).min(BUNDLE)).unwrap_or(tlog::FULL);
        let damaged = |index| ExportError::Damaged { index };
        let tile = Tile::entries(bundle, width);
        let bytes = folder.tile(tile).map_err(|_| damaged(next))?;
        let bytes = bytes.ok_or_else(|| damaged(next))?;
        let mut batch = Self { entries: Vec::new(), next };
        let mut length = 0;
        for (index, entry) in (first..size).zip(tlog::entries(&bytes)) {
            let entry = entry.map_err(|_| damaged(index))?;
            if index < next {
                continue;
            }
            length += entry.len();
            if length > MAX_BYTES && !batch.entries.is_empty() {
                break;
            }
            let entry = Entry::from_bytes(entry).map_err(|_| damaged(index))?;
            batch.entries.push((index, entry));
            batch.next = index + 1;
        }
        if batch.entries.is_empty() { Err(damaged(next)) } else { Ok(Some(batch)) }
    }

    /// The index of the first entry.
    pub(super) fn first(&self) -> u64 {
        self.entries.first().map_or(self.next, |(index, _)| *index)
    }
}

const BUNDLE: u64 = 256;

/// The most bytes of entries in a batch, unless its only entry is longer.
const MAX_BYTES: usize = 512 << 10;

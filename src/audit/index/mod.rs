//! The index of the log: which entries have which words, so that a search reads only those.
//!
//! It is made from the log alone, one file a segment of 65,536 entries, and stands beside the
//! log's folder: it is no part of what is proved. A file that is missing, damaged, or made of
//! other entries than those that are there is not used, and its segment is searched entry by
//! entry. Whatever the index finds is read and compared before it is shown.

mod build;
mod file;
mod keep;
mod positions;
mod terms;

use std::fs;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto::sha256;
use crate::protocol::tlog::FULL;
use crate::protocol::tlog::Tile;

use super::Filter;
use super::folder::Folder;

use self::file::Reader;
use self::terms::Term;

pub(super) use self::build::Builder;
pub(super) use self::keep::FRESH;
#[cfg(test)]
pub(super) use self::keep::Keeper;
pub use self::keep::{ReindexError, Reindexed, reindex};
pub(super) use self::positions::Positions;

/// Entries of a segment.
pub(super) const SEGMENT: u64 = 1 << 16;
/// Entries of a bundle.
const BUNDLE: u64 = FULL as u64;

/// Why a segment could not be indexed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IndexError {
    /// An entry is missing or is not what its hash says.
    #[error("entry {index} cannot be indexed; check the log with `privet audit verify`")]
    Damaged {
        /// The first index that cannot.
        index: u64,
    },
    /// A file could not be read or written.
    #[error("the index in `{}` cannot be written", dir.display())]
    Io {
        /// The folder of the index.
        dir: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The disk is left to the log.
    #[error("the disk is almost full: the index is not written, so that the log can be")]
    NoSpace,
    /// Somebody asked for an end.
    #[error("the work was stopped")]
    Stopped,
}

/// The index of the log in a folder.
#[derive(Debug)]
pub(super) struct Index {
    root: PathBuf,
    terms: Vec<Term>,
}

/// What the index says about a segment.
pub(super) struct Candidates {
    /// The entries it covers, from the first of the segment on.
    pub(super) covered: u32,
    /// Which of them may match.
    pub(super) places: Positions,
}

impl Index {
    /// The index beside the log in `dir`, asked for what `filter` asks for.
    pub(super) fn beside(dir: &Path, filter: &Filter) -> Self {
        Self { root: folder_of(dir), terms: terms::of_filter(filter) }
    }

    /// What of a segment may match; `None` when it has no index that can be used. `size`: entries
    /// of the log.
    pub(super) fn ask(
        &self,
        (folder, size): (&Folder, u64),
        segment: u64,
        filter: &Filter,
    ) -> io::Result<Option<Candidates>> {
        let Some(reader) = open(&self.root, (folder, size), segment)? else { return Ok(None) };
        let covered = reader.head.entries;
        let Some(mut places) = reader.bundles_between(filter.from, filter.until)? else {
            return Ok(None);
        };
        for term in &self.terms {
            if places.is_empty() {
                break;
            }
            let Some(found) = reader.find(*term)? else { return Ok(None) };
            places.keep(&found);
        }
        Ok(Some(Candidates { covered, places }))
    }
}

/// The index of a segment, when it was made of the entries that are there.
fn open(root: &Path, log: (&Folder, u64), segment: u64) -> io::Result<Option<Reader>> {
    let file = match File::open(root.join(name_of(segment))) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let Some(reader) = Reader::open(file)? else { return Ok(None) };
    let head = &reader.head;
    let stamp = stamp(log, segment, head.entries)?;
    let fits = head.segment == segment && stamp == Some(head.stamp);
    Ok(fits.then_some(reader))
}

/// Whether a segment has an index of so many entries.
pub(super) fn covers(
    root: &Path,
    log: (&Folder, u64),
    segment: u64,
    entries: u32,
) -> io::Result<bool> {
    Ok(open(root, log, segment)?.is_some_and(|reader| reader.head.entries == entries))
}

/// How many entries of a segment have an index that can be used.
pub(super) fn covered(root: &Path, log: (&Folder, u64), segment: u64) -> io::Result<u32> {
    Ok(open(root, log, segment)?.map_or(0, |reader| reader.head.entries))
}

/// The hash over the hashes of the first bundles of a segment, as the log has them one level up;
/// `None` when it does not have as many.
fn stamp(log: (&Folder, u64), segment: u64, entries: u32) -> io::Result<Option<[u8; 32]>> {
    let hashes = bundle_hashes(log, segment)?;
    let wanted = usize::try_from(u64::from(entries) / BUNDLE).unwrap_or(usize::MAX);
    let is_whole = entries > 0 && u64::from(entries).is_multiple_of(BUNDLE);
    Ok(hashes.get(..wanted).filter(|_| is_whole).map(|hashes| sha256(hashes.as_flattened())))
}

/// The hashes of the full bundles of a segment.
fn bundle_hashes((folder, size): (&Folder, u64), segment: u64) -> io::Result<Vec<[u8; 32]>> {
    let there = (size / BUNDLE).saturating_sub(segment.saturating_mul(SEGMENT / BUNDLE));
    let width = u16::try_from(there.min(SEGMENT / BUNDLE)).unwrap_or(FULL);
    if width == 0 {
        return Ok(Vec::new());
    }
    let bytes = folder.tile(Tile::hashes(1, segment, width))?.unwrap_or_default();
    let hashes = bytes.as_chunks::<32>().0;
    Ok(hashes.get(..usize::from(width)).unwrap_or_default().to_vec())
}

/// Where the index of the log in `dir` stands: beside it, not in it.
pub(super) fn folder_of(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".index");
    name.into()
}

fn name_of(segment: u64) -> String {
    format!("{segment:08}")
}

/// Removes the indexes of the segments before one: of them nothing is left.
pub(super) fn forget(root: &Path, before: u64) -> io::Result<()> {
    let files = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let number = file.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if number.is_some_and(|number| number < before) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Removes what is not an index of one of the first `segments` segments.
pub(super) fn tidy(root: &Path, segments: u64) -> io::Result<()> {
    let files = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let name = file.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        let is_ours = number.is_some_and(|number| number < segments);
        if !is_ours && name != build::LOCK {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

//! Checking a log with nothing but its folder, its public key and, best, a checkpoint kept
//! elsewhere: every entry is hashed again, every tile compared, and the root must be the signed
//! one.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::crypto::merkle::Frontier;
use crate::crypto::merkle::FullTile;
use crate::crypto::merkle::Hash;
use crate::crypto::merkle::leaf;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::NoteError;
use crate::crypto::note::VerifierKey;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::Entry;
use super::folder::Folder;
use super::prune::Minimum;

/// What was found to be true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The state of the log that was checked.
    pub checkpoint: Checkpoint,
    /// Entries of the kept checkpoint the log was shown to continue, when one was given. Without
    /// one, a log that its own operator wrote anew would look the same.
    pub since: Option<u64>,
    /// Entries before this one were pruned, as the log records: of them only the hashes were
    /// checked. 0 when nothing was.
    pub minimum: u64,
    /// Entries in the journal that no checkpoint covers yet. A running gateway publishes them
    /// within moments, one that was killed at its next start.
    pub unpublished: u64,
}

/// Why a log does not verify.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// A checkpoint is not one, or is not signed with the key.
    #[error("{which} checkpoint cannot be trusted")]
    Checkpoint {
        /// "the published", "the kept", "the proof's" or "the witnessed".
        which: &'static str,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// The log does not continue a kept checkpoint: it was changed or forked.
    #[error(
        "the first {size} entries are not those of the kept checkpoint; the first bad index is \
         {after} or later, before {size}"
    )]
    Forked {
        /// Entries of the kept checkpoint.
        size: u64,
        /// Entries of the largest kept checkpoint that the log does continue, 0 without one.
        after: u64,
    },
    /// A file could not be read.
    #[error("the log could not be read")]
    Io {
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// An entry and its hash do not fit.
    #[error("entry {index} does not match its hash in `{tile}`")]
    Mismatch {
        /// The first bad index.
        index: u64,
        /// The tile that has another hash. Either may have been changed.
        tile: String,
    },
    /// Entries were taken away, and the log does not record it.
    #[error("entries are said to be pruned, but {what}")]
    Minimum {
        /// What is wrong.
        what: &'static str,
    },
    /// A file is not there.
    #[error("`{file}` is missing, so entry {index} cannot be checked")]
    Missing {
        /// The file.
        file: String,
        /// The first index that needs it.
        index: u64,
    },
    /// There is no checkpoint in the folder.
    #[error("there is no checkpoint: this is not a log, or one that was never opened")]
    NoCheckpoint,
    /// Entries and tiles fit each other, but not the signed root.
    #[error("the entries do not match the signed root; the first bad index is {at_least} or later")]
    Root {
        /// Entries before this index are known to be good.
        at_least: u64,
    },
    /// The log has fewer entries than the kept checkpoint.
    #[error("{kept} entries were kept, only {size} are published: entry {size} is gone")]
    Truncated {
        /// Entries of the kept checkpoint.
        kept: u64,
        /// Entries of the published one.
        size: u64,
    },
    /// A witness that should have signed has not.
    #[error("there is no checkpoint with a signature of the witness `{name}` in this folder")]
    Unwitnessed {
        /// The witness.
        name: String,
    },
    /// A file is not in its format.
    #[error("`{file}` is malformed from entry {index} on")]
    Unreadable {
        /// The file.
        file: String,
        /// The first index that cannot be read.
        index: u64,
    },
}

impl VerifyError {
    /// Whether the log was shown not to hold, and not merely left unchecked: a file that cannot be
    /// read, or a kept checkpoint that is none of this key, proves nothing.
    pub fn disproves(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Checkpoint { which: KEPT, .. })
    }

    /// The first index known to be bad, when one entry can be named.
    pub fn index(&self) -> Option<u64> {
        match self {
            Self::Mismatch { index, .. }
            | Self::Missing { index, .. }
            | Self::Unreadable { index, .. }
            | Self::Truncated { size: index, .. } => Some(*index),
            _ => None,
        }
    }
}

/// Checks the log in `dir` against the public key `vkey` (`name+hash+base64`), and against the
/// texts of checkpoints that were kept elsewhere, as many as there are. The more are given, the
/// closer the place of a change is known.
pub fn verify<'a>(
    dir: &Path,
    vkey: &VerifierKey,
    since: impl IntoIterator<Item = &'a str>,
) -> Result<Verified, VerifyError> {
    let checkpoint = published(dir, vkey)?;
    let folder = Folder::new(dir);
    let kept = since.into_iter().map(|note| open(KEPT, vkey, note));
    let mut kept = kept.collect::<Result<Vec<_>, _>>()?;
    kept.sort_by_key(|kept| kept.size);
    let since = kept.last().map(|kept| kept.size);
    if let Some(kept) = since.filter(|kept| *kept > checkpoint.size) {
        return Err(VerifyError::Truncated { kept, size: checkpoint.size });
    }
    let minimum = minimum(&folder, vkey, checkpoint.size)?;
    let mut check = Check {
        folder,
        minimum: minimum.as_ref().map_or(0, |known| known.index),
        size: checkpoint.size,
        frontier: Frontier::new(),
        full: Vec::new(),
        kept: kept.into(),
        continued: 0,
    };
    check.compare_kept()?;
    for index in 0..checkpoint.size.div_ceil(BUNDLE) {
        check.bundle(index)?;
    }
    check.unfinished()?;
    if let Some(known) = &minimum {
        check.record(known)?;
    }
    if check.frontier.root() != checkpoint.root {
        return Err(VerifyError::Root { at_least: since.unwrap_or(0) });
    }
    // The journal is no part of the proof: who checks a copy may not have it.
    let unpublished = check.folder.unpublished(checkpoint.size).ok().flatten().unwrap_or(0);
    Ok(Verified { checkpoint, since, minimum: check.minimum, unpublished })
}

/// The checkpoint that stands in `dir`, when the log's key signed it. Of the entries nothing is
/// checked.
pub fn published(dir: &Path, vkey: &VerifierKey) -> Result<Checkpoint, VerifyError> {
    let note = Folder::new(dir).checkpoint().map_err(io_error)?;
    open(PUBLISHED, vkey, &note.ok_or(VerifyError::NoCheckpoint)?)
}

/// What the folder says was pruned, under the log's signature.
fn minimum(folder: &Folder, vkey: &VerifierKey, size: u64) -> Result<Option<Minimum>, VerifyError> {
    let Some(note) = folder.minimum_note().map_err(io_error)? else { return Ok(None) };
    let known = Minimum::open(&note, vkey);
    let known = known.ok_or(VerifyError::Minimum { what: "the log's key did not sign it" })?;
    match known.record < size {
        true => Ok(Some(known)),
        false => Err(VerifyError::Minimum { what: "no entry records it" }),
    }
}

/// The checkpoint a note holds, when the log's key signed it.
pub(super) fn open(
    which: &'static str,
    vkey: &VerifierKey,
    note: &str,
) -> Result<Checkpoint, VerifyError> {
    let wrong = |source| VerifyError::Checkpoint { which, source };
    let text = vkey.open(note).map_err(wrong)?;
    let checkpoint = Checkpoint::parse(text).map_err(wrong)?;
    if checkpoint.origin != vkey.name() {
        return Err(wrong(NoteError::Checkpoint { what: "it is of a log with another name" }));
    }
    Ok(checkpoint)
}

struct Check {
    folder: Folder,
    /// Of bundles before this entry there are only the hashes.
    minimum: u64,
    /// Entries of the published checkpoint.
    size: u64,
    frontier: Frontier,
    full: Vec<FullTile>,
    /// Kept checkpoints that are still to be met, the smallest first.
    kept: VecDeque<Checkpoint>,
    /// Entries of the last one met.
    continued: u64,
}

impl Check {
    /// Hashes the entries of a bundle and compares them with their tile.
    fn bundle(&mut self, index: u64) -> Result<(), VerifyError> {
        let first = index * BUNDLE;
        let width = u16::try_from((self.size - first).min(BUNDLE)).unwrap_or(tlog::FULL);
        let (bundle, tile) = (Tile::entries(index, width), Tile::hashes(0, index, width));
        let hashes = self.hashes(tile, first)?;
        if first < self.minimum {
            return self.pruned(&hashes);
        }
        let bytes = self.read(bundle, first)?;
        let mut entries = tlog::entries(&bytes);
        for (index, hash) in (first..).zip(hashes) {
            let Some(Ok(entry)) = entries.next() else {
                return Err(VerifyError::Unreadable { file: bundle.to_string(), index });
            };
            let found = leaf(entry);
            if found != hash {
                return Err(VerifyError::Mismatch { index, tile: tile.to_string() });
            }
            self.frontier.push(found, &mut self.full);
            self.compare_kept()?;
        }
        if width == tlog::FULL && entries.next().is_some() {
            let index = first + BUNDLE - 1;
            return Err(VerifyError::Unreadable { file: bundle.to_string(), index });
        }
        self.above()
    }

    /// Takes the hashes of pruned entries; that they are the right ones, the root shows.
    fn pruned(&mut self, hashes: &[Hash]) -> Result<(), VerifyError> {
        for hash in hashes {
            self.frontier.push(*hash, &mut self.full);
            self.compare_kept()?;
        }
        self.above()
    }

    /// Compares the full tiles above the lowest level, which was just gone through.
    fn above(&mut self) -> Result<(), VerifyError> {
        let full = std::mem::take(&mut self.full);
        for tile in full.iter().filter(|tile| tile.level > 0) {
            self.compare(Tile::hashes(tile.level, tile.index, tlog::FULL), &tile.hashes)?;
        }
        Ok(())
    }

    /// The pruning must be recorded by the entry it names. That the entry is the log's was shown.
    fn record(&self, known: &Minimum) -> Result<(), VerifyError> {
        let what = "no entry records it";
        let wrong = || VerifyError::Minimum { what };
        let (bundle, place) = (known.record / BUNDLE, known.record % BUNDLE);
        let width = (self.size - bundle * BUNDLE).min(BUNDLE);
        let tile = Tile::entries(bundle, u16::try_from(width).unwrap_or(tlog::FULL));
        let bytes = self.read(tile, known.record)?;
        let place = usize::try_from(place).map_err(|_| wrong())?;
        let entry = tlog::entries(&bytes).nth(place).and_then(Result::ok).ok_or_else(wrong)?;
        let entry = Entry::from_bytes(entry).map_err(|_| wrong())?;
        if known.is_recorded_by(&entry) { Ok(()) } else { Err(wrong()) }
    }

    /// Compares the right edge above the lowest level.
    fn unfinished(&self) -> Result<(), VerifyError> {
        for (level, index, hashes) in self.frontier.partial().filter(|(level, ..)| *level > 0) {
            let width = u16::try_from(hashes.len()).unwrap_or(tlog::FULL);
            self.compare(Tile::hashes(level, index, width), hashes)?;
        }
        Ok(())
    }

    fn compare(&self, tile: Tile, expected: &[Hash]) -> Result<(), VerifyError> {
        let span = 8 * u32::from(tile.level.unwrap_or(0));
        let first = (tile.index << 8) << span;
        let found = self.hashes(tile, first)?;
        match (0_u64..).zip(expected.iter().zip(&found)).find(|(_, (a, b))| a != b) {
            Some((at, _)) => {
                Err(VerifyError::Mismatch { index: first + (at << span), tile: tile.to_string() })
            }
            None => Ok(()),
        }
    }

    fn compare_kept(&mut self) -> Result<(), VerifyError> {
        let size = self.frontier.size();
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.size == size) {
            if kept.root != self.frontier.root() {
                return Err(VerifyError::Forked { size, after: self.continued });
            }
            self.continued = size;
        }
        Ok(())
    }

    /// The first `tile.width` hashes of a tile whose first entry is `index`.
    fn hashes(&self, tile: Tile, index: u64) -> Result<Vec<Hash>, VerifyError> {
        let bytes = self.read(tile, index)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        match hashes.get(..usize::from(tile.width)) {
            Some(hashes) if rest.is_empty() && bytes.len() <= 256 * 32 => Ok(hashes.to_vec()),
            _ => Err(VerifyError::Unreadable { file: tile.to_string(), index }),
        }
    }

    fn read(&self, tile: Tile, index: u64) -> Result<Vec<u8>, VerifyError> {
        let missing = || VerifyError::Missing { file: tile.to_string(), index };
        self.folder.tile(tile).map_err(io_error)?.ok_or_else(missing)
    }
}

pub(super) fn io_error(source: io::Error) -> VerifyError {
    VerifyError::Io { source: Arc::new(source) }
}

/// The checkpoint that was kept elsewhere.
pub(super) const KEPT: &str = "the kept";

/// The checkpoint in the log's folder.
pub(super) const PUBLISHED: &str = "the published";

const BUNDLE: u64 = 256;

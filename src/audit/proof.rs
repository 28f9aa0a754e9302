//! Proofs for one who has no copy of the log: that one entry is in it, and that a later checkpoint
//! continues an earlier one. Checking them needs the log's public key and nothing else.

use std::path::Path;

use crate::crypto::merkle;
use crate::crypto::merkle::leaf;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::VerifierKey;
use crate::protocol::proof::ConsistencyProof;
use crate::protocol::proof::InclusionProof;
use crate::protocol::proof::NoProof;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::SearchError;
use super::VerifyError;
use super::folder::Folder;
use super::history::Tiles;
use super::search;
use super::verify;

/// Why a proof could not be made, or does not hold.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProofError {
    /// A checkpoint is not one, or is not signed with the key.
    #[error(transparent)]
    Checkpoint(#[from] VerifyError),
    /// The text is no proof.
    #[error("the file cannot be used")]
    Malformed(#[from] NoProof),
    /// The log was written anew, so that one of the checkpoints does not belong to it.
    #[error(
        "the log in this folder is not the one of the checkpoint of {size} entries: it was changed, \
         or is another; check it with `privet audit verify --since`"
    )]
    NotThisLog {
        /// Entries of the checkpoint.
        size: u64,
    },
    /// The checkpoint the proof begins with is another than the kept one.
    #[error("the proof begins with {found} entries, the kept checkpoint has {kept}")]
    OtherStart {
        /// What the proof says.
        found: u64,
        /// What the kept checkpoint says.
        kept: u64,
    },
    /// There is no such entry.
    #[error("there is no entry {index} yet: {size} are published, from 0 to {}", size.saturating_sub(1))]
    OutOfRange {
        /// What was asked for.
        index: u64,
        /// Published entries.
        size: u64,
    },
    /// The entry was pruned.
    #[error("entry {index} was pruned: the log begins with entry {minimum}")]
    Pruned {
        /// Which entry.
        index: u64,
        /// The first entry that is there.
        minimum: u64,
    },
    /// The log's files could not be read.
    #[error(transparent)]
    Read(#[from] SearchError),
    /// The later checkpoint is smaller than the earlier one.
    #[error("the checkpoint of {new} entries is older than the one of {old}: swap them")]
    Swapped {
        /// Entries of the one given as the earlier.
        old: u64,
        /// Entries of the one given as the later.
        new: u64,
    },
    /// The hashes do not lead from the entry to the signed root.
    #[error(
        "entry {index} is not the one the log holds: the proof does not lead to the signed root"
    )]
    WrongEntry {
        /// Which entry.
        index: u64,
    },
    /// The hashes do not lead from one root to the other.
    #[error(
        "the checkpoint of {new} entries does not continue the one of {old}: entries were changed, \
         removed, or the proof was damaged"
    )]
    WrongHistory {
        /// Entries of the earlier one.
        old: u64,
        /// Entries of the later one.
        new: u64,
    },
}

/// What a proof shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    /// Which entry.
    pub index: u64,
    /// Its bytes, exactly as the log holds them.
    pub entry: Vec<u8>,
    /// The state of the log in which it is.
    pub checkpoint: Checkpoint,
}

/// Proves that entry `index` is in the published log in `dir`; with `under`, that it is in the
/// state of that checkpoint, which a witness may have signed.
pub fn prove(
    dir: &Path,
    key: &VerifierKey,
    index: u64,
    under: Option<&str>,
) -> Result<InclusionProof, ProofError> {
    let (tiles, note, checkpoint) = published(dir, key)?;
    let (note, checkpoint) = match under {
        Some(note) => (note.to_owned(), verify::open("the witnessed", key, note)?),
        None => (note, checkpoint),
    };
    let size = checkpoint.size;
    let minimum = Folder::new(dir).minimum();
    if index < minimum {
        return Err(ProofError::Pruned { index, minimum });
    }
    let hashes = merkle::inclusion(&tiles, index, size)?;
    let hashes = hashes.ok_or(ProofError::OutOfRange { index, size })?;
    let proof = InclusionProof { index, entry: entry(&tiles, index)?, hashes, checkpoint: note };
    // A proof that does not hold is not handed out: the log is damaged.
    match check_inclusion(&proof, key) {
        Ok(_) => Ok(proof),
        Err(_) => Err(SearchError::Damaged { index }.into()),
    }
}

/// Proves that one checkpoint continues another; without `new`, that the published one does.
pub fn prove_consistency(
    dir: &Path,
    key: &VerifierKey,
    old: &str,
    new: Option<&str>,
) -> Result<ConsistencyProof, ProofError> {
    let (tiles, note, published) = published(dir, key)?;
    let old = verify::open(verify::KEPT, key, old)?;
    let (note, new) = match new {
        Some(new) => (new.to_owned(), verify::open("the later", key, new)?),
        None => (note, published.clone()),
    };
    if old.size > new.size {
        return Err(ProofError::Swapped { old: old.size, new: new.size });
    }
    for kept in [&old, &new] {
        let there = kept.size <= published.size;
        if !there || merkle::root(&tiles, kept.size)? != kept.root {
            return Err(ProofError::NotThisLog { size: kept.size });
        }
    }
    let hashes = merkle::consistency(&tiles, old.size, new.size)?.unwrap_or_default();
    let proof = ConsistencyProof { old: old.size, hashes, checkpoint: note };
    match holds(&proof, &old, &new) {
        true => Ok(proof),
        false => Err(SearchError::Damaged { index: 0 }.into()),
    }
}

/// Checks that an entry is in the log of `key`.
pub fn check_inclusion(proof: &InclusionProof, key: &VerifierKey) -> Result<Proven, ProofError> {
    let checkpoint = verify::open(PROOFS, key, &proof.checkpoint)?;
    let hash = leaf(&proof.entry);
    let (index, size) = (proof.index, checkpoint.size);
    if !merkle::verify_inclusion(&hash, index, size, &proof.hashes, &checkpoint.root) {
        return Err(ProofError::WrongEntry { index });
    }
    Ok(Proven { index, entry: proof.entry.clone(), checkpoint })
}

/// Checks that the proof's checkpoint continues the kept one `old`; gives the earlier and the
/// later.
pub fn check_consistency(
    proof: &ConsistencyProof,
    key: &VerifierKey,
    old: &str,
) -> Result<(Checkpoint, Checkpoint), ProofError> {
    let old = verify::open(verify::KEPT, key, old)?;
    let new = verify::open(PROOFS, key, &proof.checkpoint)?;
    if proof.old != old.size {
        return Err(ProofError::OtherStart { found: proof.old, kept: old.size });
    }
    match holds(proof, &old, &new) {
        true => Ok((old, new)),
        false => Err(ProofError::WrongHistory { old: old.size, new: new.size }),
    }
}

fn holds(proof: &ConsistencyProof, old: &Checkpoint, new: &Checkpoint) -> bool {
    merkle::verify_consistency((old.size, &old.root), (new.size, &new.root), &proof.hashes)
}

/// The tiles of the published log, and its checkpoint as a note and read.
fn published(dir: &Path, key: &VerifierKey) -> Result<(Tiles, String, Checkpoint), ProofError> {
    let folder = Folder::new(dir);
    let note = folder.checkpoint().map_err(search::io_error)?.ok_or(SearchError::NoCheckpoint)?;
    let checkpoint = verify::open(verify::PUBLISHED, key, &note)?;
    Ok((Tiles { folder, size: checkpoint.size }, note, checkpoint))
}

/// The bytes of an entry.
fn entry(tiles: &Tiles, index: u64) -> Result<Vec<u8>, SearchError> {
    let damaged = || SearchError::Damaged { index };
    let bundle = index / u64::from(tlog::FULL);
    let width = (tiles.size - bundle * u64::from(tlog::FULL)).min(tlog::FULL.into());
    let width = u16::try_from(width).map_err(|_| damaged())?;
    let bytes = tiles.folder.tile(Tile::entries(bundle, width)).map_err(search::io_error)?;
    let bytes = bytes.ok_or_else(damaged)?;
    let within = usize::try_from(index % u64::from(tlog::FULL)).map_err(|_| damaged())?;
    match tlog::entries(&bytes).nth(within) {
        Some(Ok(entry)) => Ok(entry.to_vec()),
        _ => Err(damaged()),
    }
}

/// The checkpoint that a proof carries.
const PROOFS: &str = "the proof's";

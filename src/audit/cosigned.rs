//! What witnesses signed: handed in by whoever asks them, put under the published checkpoint, and
//! kept, one file a witness, for those who check. Never waited for, and never a reason to stop.

use std::path::Path;

use crate::crypto::cosignature::WitnessKey;
use crate::crypto::merkle;
use crate::crypto::note::VerifierKey;
use crate::protocol::proof::ConsistencyProof;

use super::AuditError;
use super::Log;
use super::SearchError;
use super::VerifyError;
use super::derive::CHECKPOINT;
use super::disk::Disk;
use super::folder::Folder;
use super::history::Tiles;
use super::shared::Shared;
use super::shared::held;
use super::verify;

/// A witness's signature under a checkpoint of this log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosigned {
    /// The checkpoint as it was submitted.
    pub note: String,
    /// The witness's line, without its end.
    pub line: String,
    /// Whose it is.
    pub witness: WitnessKey,
}

/// How far a witness bears out a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witnessed {
    /// The witness's name.
    pub name: String,
    /// Entries of the newest checkpoint it signed that is in the folder.
    pub size: u64,
    /// When it signed, in seconds after 1970, by its own clock.
    pub time_s: u64,
    /// That checkpoint: the log must continue it.
    pub note: String,
}

impl Log {
    /// The proof that the published checkpoint continues the first `old` entries, as a witness is
    /// sent it; `None` when fewer are published. Reads a few tiles and blocks on the disk.
    pub fn extension(&self, old: u64) -> Result<Option<ConsistencyProof>, SearchError> {
        // One look at the log: hashes for another size than the note's would have a witness say
        // that the log was changed.
        let Some(note) = self.checkpoint() else { return Ok(None) };
        let Some(size) = size_of(&note) else { return Ok(None) };
        let tiles = Tiles { folder: Folder::new(self.dir()), size };
        let hashes = merkle::consistency(&tiles, old, size)?;
        let checkpoint = note.to_string();
        Ok(hashes.map(|hashes| ConsistencyProof { old, hashes, checkpoint }))
    }

    /// How far a witness has signed, by what is in the folder; 0 when nothing of it is there.
    pub fn cosigned_size(&self, key: &WitnessKey) -> u64 {
        let note = Folder::new(self.dir()).cosigned(key).ok().flatten();
        let signed = note.filter(|note| key.open(note).is_ok());
        signed.and_then(|note| size_of(&note)).unwrap_or(0)
    }
}

/// Puts a witness's signature where others find it. For the publisher alone, which writes the
/// checkpoint.
pub(super) fn keep(shared: &Shared, disk: &Disk, cosigned: &Cosigned) -> Result<(), AuditError> {
    let current = held(&shared.checkpoint).clone();
    if let Some(current) = current.filter(|note| text_of(note) == text_of(&cosigned.note)) {
        let note = with_line(&current, &cosigned.line);
        disk.replace_durably(CHECKPOINT, note.as_bytes())?;
        *held(&shared.checkpoint) = Some(note.into());
    }
    let note = with_line(&cosigned.note, &cosigned.line);
    disk.replace_durably(&file_of(&cosigned.witness), note.as_bytes())
}

/// The newest checkpoint in the folder `dir` that each of the witnesses signed: the published one,
/// or one before it. That the log continues it is for `verify` to check.
pub fn witnessed(
    dir: &Path,
    key: &VerifierKey,
    witnesses: &[WitnessKey],
) -> Result<Vec<Witnessed>, VerifyError> {
    let folder = Folder::new(dir);
    let published =
        folder.checkpoint().map_err(verify::io_error)?.ok_or(VerifyError::NoCheckpoint)?;
    let found = witnesses.iter().map(|witness| {
        let name = witness.name().to_owned();
        let kept = folder.cosigned(witness).map_err(verify::io_error)?;
        let mut newest: Option<Witnessed> = None;
        // An older log that was put back may be signed too: what the witness signed last counts.
        for note in [Some(&published), kept.as_ref()].into_iter().flatten() {
            let Ok(time_s) = witness.open(note) else { continue };
            let size = verify::open(WITNESSED, key, note)?.size;
            if newest.as_ref().is_none_or(|known| known.size < size) {
                newest = Some(Witnessed { name: name.clone(), size, time_s, note: note.clone() });
            }
        }
        newest.ok_or(VerifyError::Unwitnessed { name })
    });
    found.collect()
}

/// The file with the newest checkpoint that a witness signed.
pub(super) fn file_of(witness: &WitnessKey) -> String {
    format!("cosigned/{}", witness.id())
}

/// A note with one more line, unless it has that already.
fn with_line(note: &str, line: &str) -> String {
    let has_it = note.lines().any(|found| found == line);
    if has_it { note.to_owned() } else { format!("{note}{line}\n") }
}

/// What is signed of a checkpoint.
fn text_of(note: &str) -> Option<&str> {
    note.split_inclusive("\n\n").next()?.strip_suffix('\n')
}

fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

/// A checkpoint that a witness signed.
const WITNESSED: &str = "the witnessed";

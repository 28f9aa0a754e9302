//! What a witness decides: C2SP tlog-witness, `add-checkpoint`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::crypto::cosignature::Cosigner;
use crate::crypto::merkle;
use crate::crypto::merkle::fold;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::VerifierKey;
use crate::protocol::proof::ConsistencyProof;
use crate::types::told;

use super::CosignerError;
use super::folder::Folder;

/// What comes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// Here is the signature's line.
    Cosigned(String),
    /// The old size is not that of the last checkpoint signed, which has so many entries; or the
    /// sizes are the same and the trees are not.
    Conflict(u64),
    /// It could not be written down, so it is not signed.
    Failed,
    /// It is no request.
    Malformed,
    /// The tree does not continue the last one signed.
    NotConsistent,
    /// The log is not watched.
    UnknownLog,
    /// None of the log's keys signed.
    Unsigned,
}

/// The logs a witness watches, and what it has signed of each.
pub(super) struct Book {
    folder: Folder,
    signer: Cosigner,
    logs: HashMap<String, Vec<VerifierKey>>,
    /// Held from the look at the last checkpoint to the end of writing the next one down: else two
    /// requests at once could take it back.
    seen: Mutex<HashMap<String, Checkpoint>>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Book({})", self.signer.public().name())
    }
}

impl Book {
    /// Reads everything; what cannot be read keeps the witness from starting.
    pub(super) fn open(folder: Folder) -> Result<Self, CosignerError> {
        let signer = folder.signer()?;
        let mut logs: HashMap<String, Vec<VerifierKey>> = HashMap::new();
        let mut seen = HashMap::new();
        for key in folder.logs()? {
            let origin = key.name().to_owned();
            if let Some(checkpoint) = folder.seen(&origin)? {
                seen.insert(origin.clone(), checkpoint);
            }
            logs.entry(origin).or_default().push(key);
        }
        Ok(Self { folder, signer, logs, seen: Mutex::new(seen) })
    }

    /// How many logs are watched.
    pub(super) fn logs(&self) -> usize {
        self.logs.len()
    }

    /// Decides about the body of a request that came `time_s` seconds after 1970. Blocks on the
    /// disk.
    pub(super) fn add(&self, body: &str, time_s: u64) -> Answer {
        let Ok(request) = ConsistencyProof::parse(body) else { return Answer::Malformed };
        let note = &request.checkpoint;
        // Who signed is asked for by the name that the unsigned text claims.
        let Some(keys) = note.split('\n').next().and_then(|origin| self.logs.get(origin)) else {
            return Answer::UnknownLog;
        };
        let Some(text) = keys.iter().find_map(|key| key.open(note).ok()) else {
            return Answer::Unsigned;
        };
        let Ok(new) = Checkpoint::parse(text) else { return Answer::Malformed };
        if request.old > new.size {
            return Answer::Malformed;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, root) = match seen.get(&new.origin) {
            Some(last) => (last.size, last.root),
            None => (0, fold(&[])),
        };
        let is_same = new.size == size;
        if request.old != size || is_same && new.root != root {
            return Answer::Conflict(size);
        }
        if !merkle::verify_consistency((size, &root), (new.size, &new.root), &request.hashes) {
            return Answer::NotConsistent;
        }
        if !(is_same && seen.contains_key(&new.origin)) {
            if let Err(error) = self.folder.remember(&new) {
                tracing::error!(error = told(&error), "a checkpoint is not signed");
                return Answer::Failed;
            }
            seen.insert(new.origin.clone(), new);
        }
        Answer::Cosigned(self.signer.cosign(text, time_s))
    }
}

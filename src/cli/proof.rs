//! `privet audit prove`, `consistency` and `verify --proof`: one file that shows one thing about the
//! log to somebody who has no copy of it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::audit;
use crate::audit::Entry;
use crate::audit::ProofError;
use crate::audit::SearchError;
use crate::audit::VerifyError;
use crate::crypto::cosignature::WitnessKey;
use crate::crypto::note::VerifierKey;
use crate::protocol::proof::ConsistencyProof;
use crate::protocol::proof::InclusionProof;
use crate::protocol::proof::MAX_PROOF_BYTES;
use crate::protocol::proof::Proof;
use crate::types::Timestamp;

use super::args::AuditFolder;
use super::audit::{key_of, locate, no_checkpoint, read, with_index, witness_key};
use super::exit::{Exit, Failure, data, tell};

/// Writes the proof that an entry is in the log.
pub(super) fn prove(
    folder: &AuditFolder,
    (index, witness): (u64, Option<&str>),
    output: Option<&Path>,
) -> Result<(), Failure> {
    let (dir, key) = locate(folder)?;
    let witness = witness.map(witness_key).transpose()?;
    let signed = audit::witnessed(&dir, &key, witness.as_slice());
    let signed = signed.map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let under = signed.first().map(|found| found.note.as_str());
    let proof = audit::prove(&dir, &key, index, under).map_err(|e| unmade(&e, &dir))?;
    write(&proof.to_string(), output)
}

/// Writes the proof that one checkpoint continues another.
pub(super) fn consistency(
    folder: &AuditFolder,
    (old, new): (&Path, Option<&Path>),
    output: Option<&Path>,
) -> Result<(), Failure> {
    let (dir, key) = locate(folder)?;
    let old = read(old)?;
    let new = new.map(read).transpose()?;
    let proof = audit::prove_consistency(&dir, &key, &old, new.as_deref());
    write(&proof.map_err(|e| unmade(&e, &dir))?.to_string(), output)
}

/// Checks a file that [`prove`] or [`consistency`] wrote; exit code 5 when it does not hold.
pub(super) fn verify(
    folder: &AuditFolder,
    file: &Path,
    (since, witnesses): (&[PathBuf], &[String]),
) -> Result<(), Failure> {
    let key = key_of(folder)?;
    let text = text_of(file)?;
    let failed = |error: &ProofError| {
        Failure::caused(Exit::Proof, error).with_suffix(&format!(" (in `{}`)", file.display()))
    };
    let proof = Proof::parse(&text).map_err(|e| failed(&e.into()))?;
    let checkpoint = match &proof {
        Proof::Inclusion(proof) => proof.checkpoint.clone(),
        Proof::Consistency(proof) => proof.checkpoint.clone(),
    };
    match (proof, since) {
        (Proof::Inclusion(proof), []) => {
            data(&included(&proof, &key).map_err(|e| failed(&e))?)?;
        }
        (Proof::Consistency(proof), [old]) => {
            let kept = read(old)?;
            let found = continued(&proof, &key, &kept).map_err(|error| match error {
                ProofError::Checkpoint(VerifyError::Checkpoint { source, .. })
                    if key.open(&kept).is_err() =>
                {
                    let what =
                        "--since takes a copy of the log's file `checkpoint`, signed with this key";
                    Failure::new(Exit::Usage, format_args!("`{}`: {source}; {what}", old.display()))
                }
                error => failed(&error),
            });
            data(&found?)?;
        }
        (Proof::Inclusion(_), _) => {
            let what = "the file proves that an entry is in the log, which needs no --since";
            return Err(Failure::new(Exit::Usage, what));
        }
        (Proof::Consistency(_), _) => {
            let what = "the file proves that the log continues an older checkpoint: pass that one, which you kept, with --since";
            return Err(Failure::new(Exit::Usage, what));
        }
    }
    witnesses.iter().try_for_each(|key| signed_by(&witness_key(key)?, &checkpoint))
}

/// Demands a witness's signature under the checkpoint of a proof.
fn signed_by(witness: &WitnessKey, checkpoint: &str) -> Result<(), Failure> {
    let time_s = witness.open(checkpoint).map_err(|e| Failure::caused(Exit::Proof, &e))?;
    let when = Timestamp::from_unix_s(time_s);
    data(&format!("ok: the witness `{}` signed that state at {when}\n", witness.name()))
}

/// What a proof of an entry shows: the entry, as one line of JSON.
fn included(proof: &InclusionProof, key: &VerifierKey) -> Result<String, ProofError> {
    let proven = audit::check_inclusion(proof, key)?;
    let log = &proven.checkpoint;
    let mut page = format!(
        "ok: entry {} is in the log `{}` of {} entries\n",
        proven.index, log.origin, log.size
    );
    match Entry::from_bytes(&proven.entry)
        .ok()
        .and_then(|entry| with_index(proven.index, &entry).ok())
    {
        Some(row) => page.push_str(&format!("{row}\n")),
        None => tell("note: this version of privet does not know the form of that entry"),
    }
    Ok(page)
}

fn continued(proof: &ConsistencyProof, key: &VerifierKey, old: &str) -> Result<String, ProofError> {
    let (old, new) = audit::check_consistency(proof, key, old)?;
    Ok(format!(
        "ok: the log `{}` of {} entries continues the checkpoint of {} entries you kept\n",
        new.origin, new.size, old.size
    ))
}

/// A proof that could not be made. Nothing was shown to be wrong, so this is never exit code 5.
fn unmade(error: &ProofError, dir: &Path) -> Failure {
    match error {
        ProofError::Read(SearchError::NoCheckpoint) => no_checkpoint(dir),
        ProofError::Checkpoint(_) | ProofError::Swapped { .. } => {
            Failure::caused(Exit::Usage, error)
        }
        error => Failure::caused(Exit::Failed, error),
    }
}

/// A file that is a proof, or at least not larger than one.
fn text_of(file: &Path) -> Result<String, Failure> {
    let wrong = |what: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format_args!("cannot read `{}`: {what}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|e| wrong(&e))?.len();
    if length > MAX_PROOF_BYTES as u64 {
        let what =
            format!("`{}` is {length} bytes long, longer than a proof can be", file.display());
        return Err(Failure::new(Exit::Proof, what));
    }
    let bytes = std::fs::read(file).map_err(|e| wrong(&e))?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Proof, format_args!("`{}` is no text", file.display())))
}

/// To a new file, or to stdout. What is there is not overwritten: it may be somebody's evidence.
fn write(text: &str, output: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = output else { return data(text) };
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| {
        let help = match e.kind() {
            ErrorKind::AlreadyExists => "; name a file that is not there yet",
            _ => "",
        };
        Failure::new(Exit::Failed, format_args!("cannot write `{}`: {e}{help}", path.display()))
    })
}

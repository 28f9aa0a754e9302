//! `privet audit`: is the log whole, and what does it say.

use std::path::Path;
use std::path::PathBuf;

use crate::app;
use crate::audit;
use crate::audit::Entry;
use crate::audit::VerifyError;
use crate::audit::Witnessed;
use crate::crypto::cosignature::WitnessKey;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::VerifierKey;
use crate::types::Timestamp;

use super::args::{AuditCommand, AuditFolder};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::export;
use super::gaps;
use super::proof;
use super::prune;
use super::search;

/// Runs one of the commands.
pub(super) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Consistency { old, new, folder, output } => {
            proof::consistency(folder, (old, new.as_deref()), output.as_deref())
        }
        AuditCommand::Gaps(wish) => gaps::run(wish),
        AuditCommand::Export(wish) => export::run(wish),
        AuditCommand::Prune { before, wait, output, admin } => {
            prune::run(before, *wait, *output, admin)
        }
        AuditCommand::Prove { index, folder, output, witness_key } => {
            proof::prove(folder, (*index, witness_key.as_deref()), output.as_deref())
        }
        AuditCommand::Reindex(folder) => search::reindex(folder),
        AuditCommand::Search(wish) => search::run(wish),
        AuditCommand::Verify { folder, since, proof: Some(file), witness_key } => {
            proof::verify(folder, file, (since, witness_key))
        }
        AuditCommand::Verify { folder, since, proof: None, witness_key } => {
            verify(folder, since, witness_key)
        }
    }
}

/// Checks the whole log against its checkpoint; exit code 5 when it does not hold.
fn verify(folder: &AuditFolder, since: &[PathBuf], witnesses: &[String]) -> Result<(), Failure> {
    let (dir, key) = locate(folder)?;
    let kept = since.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let witnesses = witnesses.iter().map(|key| witness_key(key)).collect::<Result<Vec<_>, _>>()?;
    let signed = audit::witnessed(&dir, &key, &witnesses);
    let signed = signed.map_err(|error| unverified(&error, &dir, since))?;
    // What a witness signed is as good as what was kept elsewhere: the log must continue it.
    let all = kept.iter().chain(signed.iter().map(|found| &found.note)).map(String::as_str);
    let found = match audit::verify(&dir, &key, all) {
        Ok(found) => found,
        Err(error) => return Err(unverified(&error, &dir, since)),
    };
    let size = found.checkpoint.size;
    data(&format!("ok: {size} entries, tree and signature hold\n"))?;
    tell_minimum(found.minimum);
    tell_unpublished(found.unpublished);
    for Witnessed { name, size: signed, time_s, .. } in &signed {
        let when = Timestamp::from_unix_s(*time_s);
        data(&format!("ok: the witness `{name}` signed {signed} of {size} entries at {when}\n"))?;
    }
    // All of them hold by now; one that a witness signed is not one that somebody kept.
    for old in kept.iter().filter_map(|note| Checkpoint::parse(key.open(note).ok()?).ok()) {
        let old = old.size;
        data(&format!("ok: continues the checkpoint of {old} entries you kept\n"))?;
    }
    if found.since.is_some() {
        return Ok(());
    }
    tell(&format!(
        "note: only a checkpoint kept elsewhere shows that nothing was removed: keep a copy of `{}` where the gateway cannot write, and pass it with --since next time",
        dir.join("checkpoint").display()
    ));
    Ok(())
}

/// Exit code 5 is for a log that was shown not to hold; what could not be checked is told as such.
fn unverified(error: &VerifyError, dir: &Path, since: &[PathBuf]) -> Failure {
    match error {
        VerifyError::NoCheckpoint if !dir.join("tile").exists() => no_checkpoint(dir),
        error if error.disproves() => {
            let at = error.index();
            let at = at.map_or_else(String::new, |index| format!(" (first bad index {index})"));
            Failure::caused(Exit::Proof, error).with_suffix(&at)
        }
        VerifyError::Checkpoint { source, .. } => {
            let files: Vec<_> = since.iter().map(|file| format!("`{}`", file.display())).collect();
            let what = "--since takes a copy of the log's file `checkpoint`, signed with this key";
            Failure::new(Exit::Usage, format_args!("{}: {source}; {what}", files.join(" or ")))
        }
        error => Failure::caused(Exit::Failed, error),
    }
}

pub(super) fn no_checkpoint(dir: &Path) -> Failure {
    let dir = dir.display();
    let what = "it has no checkpoint; `privet serve` writes one when it starts, --dir names another folder";
    Failure::new(Exit::Failed, format_args!("there is no audit log to read in `{dir}`: {what}"))
}

/// Tells from where the log still knows.
pub(super) fn tell_minimum(minimum: u64) {
    if minimum > 0 {
        tell(&format!(
            "note: the log begins with entry {minimum}; those before it were pruned, as an entry records, and only their hashes are left"
        ));
    }
}

pub(super) fn tell_unpublished(entries: u64) {
    if entries > 0 {
        tell(&format!(
            "note: {entries} newer entries wait in the journal; they are published in moments while the gateway runs, or at its next start"
        ));
    }
}

/// The folder of the log.
pub(super) fn folder_of(folder: &AuditFolder) -> Result<PathBuf, Failure> {
    let dir = match &folder.dir {
        Some(dir) => dir.clone(),
        None if !folder.config.config.exists() => {
            let file = folder.config.config.display();
            let what = "name the log's folder with --dir and its public key with --key; --config names another file";
            return Err(Failure::new(Exit::Config, format_args!("there is no `{file}`: {what}")));
        }
        None => check::load(&folder.config.config)?.config.audit.dir,
    };
    match dir.is_dir() {
        true => Ok(dir),
        false => Err(no_checkpoint(&dir)),
    }
}

/// The folder of a log whose entries are read as they are. With --key, its checkpoint must be of
/// that key: what somebody says to trust is never passed over.
pub(super) fn readable_folder(folder: &AuditFolder) -> Result<PathBuf, Failure> {
    let dir = folder_of(folder)?;
    if folder.key.is_some() {
        let key = read_key(folder, || Ok(dir.clone()))?;
        audit::published(&dir, &key).map_err(|error| unverified(&error, &dir, &[]))?;
    }
    Ok(dir)
}

/// The folder and the public key to check it with.
pub(super) fn locate(folder: &AuditFolder) -> Result<(PathBuf, VerifierKey), Failure> {
    if folder.dir.is_some() && folder.key.is_none() {
        return Err(Failure::new(Exit::Usage, "--dir needs --key: the public key you trust"));
    }
    let dir = folder_of(folder)?;
    Ok((dir.clone(), read_key(folder, || Ok(dir))?))
}

/// A witness's public key, or what the file of that name holds.
pub(super) fn witness_key(text: &str) -> Result<WitnessKey, Failure> {
    let is_key = text.matches('+').count() >= 2;
    let text = if is_key { text.to_owned() } else { read(Path::new(text))? };
    WitnessKey::parse(text.trim()).map_err(|error| {
        let what = "a witness's public key is one line `name+hash+base64`, as `privet witness init` prints it";
        Failure::new(Exit::Usage, format_args!("--witness-key: {error}; {what}"))
    })
}

/// The public key, without a look at the log.
pub(super) fn key_of(folder: &AuditFolder) -> Result<VerifierKey, Failure> {
    read_key(folder, || folder_of(folder))
}

fn read_key(
    folder: &AuditFolder,
    dir: impl FnOnce() -> Result<PathBuf, Failure>,
) -> Result<VerifierKey, Failure> {
    let (text, from) = match &folder.key {
        // A key is `name+hash+base64`; anything else names a file.
        Some(text) if text.matches('+').count() >= 2 => (text.clone(), "--key".to_owned()),
        Some(file) => (read(Path::new(file))?, format!("`{file}`")),
        None => {
            let file = app::public_key_file(&dir()?);
            (read(&file)?, format!("`{}`", file.display()))
        }
    };
    VerifierKey::parse(text.trim()).map_err(|error| {
        let what = "a log's public key is one line `name+hash+base64`, as the gateway writes it beside the log's folder";
        Failure::new(Exit::Usage, format_args!("{from}: {error}; {what}"))
    })
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| {
        Failure::new(Exit::Failed, format_args!("cannot read `{}`: {e}", path.display()))
    })
}

/// An entry as one line of JSON that begins with its index.
pub(super) fn with_index(index: u64, entry: &Entry) -> Result<String, Failure> {
    let mut value = serde_json::to_value(entry).map_err(|e| Failure::new(Exit::Failed, e))?;
    if let Some(object) = value.as_object_mut() {
        object.shift_insert(0, "index".into(), index.into());
    }
    Ok(value.to_string())
}

//! `privet audit`: is the log whole, and what does it say.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;

use crate::app;
use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::audit::Search;
use crate::audit::SearchError;
use crate::audit::VerifyError;
use crate::crypto::note::VerifierKey;
use crate::types::DataSetId;
use crate::types::IdError;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::doc::closest;

use super::args::{AuditCommand, AuditFolder, Rows, SearchArgs};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::export;
use super::gaps;
use super::proof;
use super::time;

/// Runs one of the commands.
pub(super) fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Consistency { old, new, folder, output } => {
            proof::consistency(folder, (old, new.as_deref()), output.as_deref())
        }
        AuditCommand::Gaps(wish) => gaps::run(wish),
        AuditCommand::Export(wish) => export::run(wish),
        AuditCommand::Prove { index, folder, output } => {
            proof::prove(folder, *index, output.as_deref())
        }
        AuditCommand::Search(wish) => search(wish),
        AuditCommand::Verify { folder, since, proof: Some(file) } => {
            proof::verify(folder, file, since)
        }
        AuditCommand::Verify { folder, since, proof: None } => verify(folder, since),
    }
}

/// Checks the whole log against its checkpoint; exit code 5 when it does not hold.
fn verify(folder: &AuditFolder, since: &[PathBuf]) -> Result<(), Failure> {
    let (dir, key) = locate(folder)?;
    let kept = since.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let found = match audit::verify(&dir, &key, kept.iter().map(String::as_str)) {
        Ok(found) => found,
        Err(error) => return Err(unverified(&error, &dir, since)),
    };
    let size = found.checkpoint.size;
    data(&format!("ok: {size} entries, tree and signature hold\n"))?;
    tell_unpublished(found.unpublished);
    if let Some(old) = found.since {
        return data(&format!("ok: continues the checkpoint of {old} entries you kept\n"));
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

fn tell_unpublished(entries: u64) {
    if entries > 0 {
        tell(&format!(
            "note: {entries} newer entries wait in the journal; they are published in moments while the gateway runs, or at its next start"
        ));
    }
}

/// Lists entries, the newest last.
fn search(wish: &SearchArgs) -> Result<(), Failure> {
    let dir = folder_of(&wish.folder)?;
    let filter = filter(wish)?;
    let found = scan(&dir, &filter)?;
    let unpublished = found.unpublished();
    let mut last: VecDeque<(u64, Entry)> = VecDeque::new();
    let mut is_cut = false;
    for row in found {
        let row = row.map_err(|e| Failure::caused(Exit::Failed, &e))?;
        if wish.limit != 0 && last.len() == wish.limit {
            last.pop_front();
            is_cut = true;
        }
        last.push_back(row);
    }
    data(&match wish.output {
        Rows::Json => format!("[{}]\n", rows(&last)?.join(",\n")),
        Rows::Jsonl => rows(&last)?.iter().map(|row| format!("{row}\n")).collect(),
        Rows::Table => table(&last),
    })?;
    if is_cut {
        tell(&format!("note: the newest {} of more; use --limit N, 0 for all", wish.limit));
    }
    if last.is_empty() {
        tell("note: no entry matches");
        tell_unknown(&dir, wish)?;
    }
    tell_unpublished(unpublished);
    Ok(())
}

fn scan(dir: &Path, filter: &Filter) -> Result<Search, Failure> {
    audit::search(dir, filter, 0).map_err(|error| match error {
        SearchError::NoCheckpoint => no_checkpoint(dir),
        error => Failure::caused(Exit::Failed, &error),
    })
}

/// Tells which words of a search stand in no entry at all.
fn tell_unknown(dir: &Path, wish: &SearchArgs) -> Result<(), Failure> {
    let asked = [("role", &wish.role), ("purpose", &wish.purpose), ("data-set", &wish.data_set)];
    if asked.iter().all(|(_, word)| word.is_none()) {
        return Ok(());
    }
    let mut seen: [BTreeSet<String>; 3] = Default::default();
    let [roles, purposes, sets] = &mut seen;
    for (_, entry) in scan(dir, &Filter::default())?.flatten() {
        roles.extend(entry.roles.iter().map(RoleId::to_string));
        purposes.extend(entry.purpose.iter().map(PurposeId::to_string));
        sets.extend(entry.data_set.iter().map(DataSetId::to_string));
    }
    for ((name, word), seen) in asked.iter().zip(&seen) {
        let Some(word) = word.as_deref().filter(|word| !seen.contains(*word)) else { continue };
        let near = closest(word, seen.iter().map(String::as_str));
        let help = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        tell(&format!("note: no entry at all has --{name} `{word}`{help}"));
    }
    Ok(())
}

/// The folder of the log.
pub(super) fn folder_of(folder: &AuditFolder) -> Result<PathBuf, Failure> {
    let dir = match &folder.dir {
        Some(dir) => dir.clone(),
        None => check::load(&folder.config.config)?.config.audit.dir,
    };
    match dir.is_dir() {
        true => Ok(dir),
        false => Err(no_checkpoint(&dir)),
    }
}

/// The folder and the public key to check it with.
pub(super) fn locate(folder: &AuditFolder) -> Result<(PathBuf, VerifierKey), Failure> {
    if folder.dir.is_some() && folder.key.is_none() {
        return Err(Failure::new(Exit::Usage, "--dir needs --key: the public key you trust"));
    }
    let dir = folder_of(folder)?;
    Ok((dir.clone(), read_key(folder, || Ok(dir))?))
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

fn filter(wish: &SearchArgs) -> Result<Filter, Failure> {
    let usage = |e: IdError| Failure::new(Exit::Usage, e);
    let kind = wish.kind.as_deref().map(|text| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        Kind::parse(text).ok_or_else(|| {
            Failure::new(Exit::Usage, format_args!("`{text}` is no kind; known are {known}"))
        })
    });
    let subject = wish.subject.as_deref().map(|text| {
        audit::parse_subject_token(text).ok_or_else(|| {
            Failure::new(Exit::Usage, "a subject is named by its token: 32 hexadecimal digits, as `privet subject show` prints")
        })
    });
    Ok(Filter {
        from: wish.from.as_deref().map(time::moment).transpose()?,
        until: wish.until.as_deref().map(time::moment).transpose()?,
        kind: kind.transpose()?,
        role: wish.role.as_deref().map(RoleId::parse).transpose().map_err(usage)?,
        purpose: wish.purpose.as_deref().map(PurposeId::parse).transpose().map_err(usage)?,
        data_set: wish.data_set.as_deref().map(DataSetId::parse).transpose().map_err(usage)?,
        request_id: wish.request.clone(),
        subject: subject.transpose()?,
        ..Filter::default()
    })
}

/// Each entry as JSON with its index.
fn rows(found: &VecDeque<(u64, Entry)>) -> Result<Vec<String>, Failure> {
    found.iter().map(|(index, entry)| with_index(*index, entry)).collect()
}

/// An entry as one line of JSON that begins with its index.
pub(super) fn with_index(index: u64, entry: &Entry) -> Result<String, Failure> {
    let mut value = serde_json::to_value(entry).map_err(|e| Failure::new(Exit::Failed, e))?;
    if let Some(object) = value.as_object_mut() {
        object.shift_insert(0, "index".into(), index.into());
    }
    Ok(value.to_string())
}

/// Two lines an entry: who did what, when and why; and under it the decision, what came of it, and
/// the rules that decided.
fn table(found: &VecDeque<(u64, Entry)>) -> String {
    let mut page = format!(
        "{:>8}  {:<24}  {:<9}  {:<8}  {:<12}  {:<16}  {:<18}  {:>7}\n          decision, outcome and rules\n",
        "index", "time", "kind", "who", "roles", "purpose", "data set", "records"
    );
    for (index, entry) in found {
        let text = |value: Option<&str>| value.unwrap_or("–").to_owned();
        let who = entry.actor.map(|actor| actor.to_string().chars().take(8).collect::<String>());
        let roles: Vec<&str> = entry.roles.iter().map(RoleId::as_str).collect();
        page.push_str(&format!(
            "{index:>8}  {:<24}  {:<9}  {:<8}  {:<12}  {:<16}  {:<18}  {:>7}\n",
            entry.time.to_string(),
            entry.kind.as_str(),
            text(who.as_deref()),
            text(Some(roles.join(",").as_str()).filter(|roles| !roles.is_empty())),
            text(entry.purpose.as_ref().map(PurposeId::as_str)),
            text(entry.data_set.as_ref().map(DataSetId::as_str)),
            entry.records.map_or_else(|| "–".to_owned(), |n| n.to_string()),
        ));
        let why = why(entry);
        if !why.is_empty() {
            page.push_str(&format!("          {why}\n"));
        }
    }
    page
}

/// The decision's id, what came of it, and the rules that decided.
fn why(entry: &Entry) -> String {
    let what = entry.reason.as_deref().or(entry.outcome.map(audit::Ending::as_str));
    let parts = [entry.decision_id.as_deref(), what, entry.route.as_deref()];
    let mut parts: Vec<String> = parts.into_iter().flatten().map(String::from).collect();
    if !entry.rules.is_empty() {
        let rules: Vec<&str> = entry.rules.iter().map(RuleId::as_str).collect();
        parts.push(format!("by {}", rules.join(", ")));
    }
    parts.join("  ")
}

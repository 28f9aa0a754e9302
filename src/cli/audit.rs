//! `privet audit`: is the log whole, and what does it say.

use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;

use crate::app;
use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::crypto::note::VerifierKey;
use crate::types::DataSetId;
use crate::types::IdError;
use crate::types::PurposeId;
use crate::types::RoleId;

use super::args::{AuditFolder, Rows, SearchArgs};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::time;

/// Checks the whole log against its checkpoint; exit code 5 when it does not hold.
pub(super) fn verify(folder: &AuditFolder, since: Option<&Path>) -> Result<(), Failure> {
    let (dir, key) = locate(folder)?;
    let since = since.map(read).transpose()?;
    let key = VerifierKey::parse(key.trim()).map_err(|e| Failure::caused(Exit::Usage, &e))?;
    match audit::verify(&dir, &key, since.as_deref()) {
        Ok(found) => {
            let size = found.checkpoint.size;
            data(&format!("ok: {size} entries, tree and signature hold\n"))?;
            match found.since {
                Some(old) => {
                    data(&format!("ok: continues the checkpoint of {old} entries you kept\n"))
                }
                None => {
                    tell(
                        "note: only a checkpoint kept elsewhere shows that nothing was removed; pass it with --since",
                    );
                    Ok(())
                }
            }
        }
        Err(error) => {
            let at = error
                .index()
                .map_or_else(String::new, |index| format!(" (first bad index {index})"));
            let failure = Failure::caused(Exit::Proof, &error);
            Err(failure.with_suffix(&at))
        }
    }
}

/// Lists entries, the newest last.
pub(super) fn search(wish: &SearchArgs) -> Result<(), Failure> {
    let dir = match &wish.folder.dir {
        Some(dir) => dir.clone(),
        None => check::load(&wish.folder.config.config)?.config.audit.dir,
    };
    let filter = filter(wish)?;
    let found = audit::search(&dir, &filter, 0).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let mut last: VecDeque<(u64, Entry)> = VecDeque::new();
    for row in found {
        let row = row.map_err(|e| Failure::caused(Exit::Failed, &e))?;
        if last.len() == wish.limit {
            last.pop_front();
        }
        last.push_back(row);
    }
    data(&match wish.output {
        Rows::Json => format!("[{}]\n", rows(&last)?.join(",\n")),
        Rows::Jsonl => rows(&last)?.iter().map(|row| format!("{row}\n")).collect(),
        Rows::Table => table(&last),
    })
}

/// The folder and the public key to check it with.
fn locate(folder: &AuditFolder) -> Result<(PathBuf, String), Failure> {
    let dir = match &folder.dir {
        Some(dir) => dir.clone(),
        None => check::load(&folder.config.config)?.config.audit.dir,
    };
    let key = match &folder.key {
        // A key is `name+hash+base64`; anything else names a file.
        Some(text) if text.matches('+').count() >= 2 => text.clone(),
        Some(file) => read(Path::new(file))?,
        None if folder.dir.is_some() => {
            return Err(Failure::new(Exit::Usage, "--dir needs --key: the public key you trust"));
        }
        None => read(&app::public_key_file(&dir))?,
    };
    Ok((dir, key))
}

fn read(path: &Path) -> Result<String, Failure> {
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
    found
        .iter()
        .map(|(index, entry)| {
            let mut value =
                serde_json::to_value(entry).map_err(|e| Failure::new(Exit::Failed, e))?;
            if let Some(object) = value.as_object_mut() {
                object.shift_insert(0, "index".into(), (*index).into());
            }
            Ok(value.to_string())
        })
        .collect()
}

fn table(found: &VecDeque<(u64, Entry)>) -> String {
    let mut page = format!(
        "{:>8}  {:<24}  {:<9}  {:<18}  {:<16}  {:>7}  {}\n",
        "index", "time", "kind", "purpose", "data set", "records", "what"
    );
    for (index, entry) in found {
        let text = |value: Option<&str>| value.unwrap_or("–").to_owned();
        let what = entry
            .reason
            .as_deref()
            .or(entry.outcome.map(audit::Ending::as_str))
            .or(entry.route.as_deref());
        page.push_str(&format!(
            "{index:>8}  {:<24}  {:<9}  {:<18}  {:<16}  {:>7}  {}\n",
            entry.time.to_string(),
            entry.kind.as_str(),
            text(entry.purpose.as_ref().map(PurposeId::as_str)),
            text(entry.data_set.as_ref().map(DataSetId::as_str)),
            entry.records.map_or_else(|| "–".to_owned(), |n| n.to_string()),
            text(what),
        ));
    }
    page
}

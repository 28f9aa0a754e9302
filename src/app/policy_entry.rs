//! What the log says of a change of policy.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::policy::DiffLine;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::policy::diff;
use crate::types::RoleId;

/// The hash before, the hash of every file, how many cells became wider and narrower, and which.
/// All of it are words of the policy.
pub(super) fn facts(
    before: &PolicySet,
    after: &PolicySet,
) -> BTreeMap<Cow<'static, str>, Arc<str>> {
    let hash: String = before.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    let files: Vec<String> = after.files().iter().map(file).collect();
    let found = diff(before, after);
    let mut facts: BTreeMap<Cow<'static, str>, Arc<str>> = BTreeMap::new();
    facts.insert("before".into(), hash.into());
    facts.insert("files".into(), cut(&files, MOST_FILES).into());
    facts.insert("diff".into(), found.summary().into());
    if !found.lines.is_empty() {
        let lines: Vec<String> = found.lines.iter().map(line).collect();
        facts.insert("changes".into(), cut(&lines, MOST_LINES).into());
    }
    facts
}

/// The file's name without the folders above it, which say how a machine is set up.
fn file(file: &PolicyFile) -> String {
    let name = Path::new(&file.name).file_name().unwrap_or_default().to_string_lossy();
    format!("{name} sha256:{}", file.sha256())
}

fn line(line: &DiffLine) -> String {
    let roles: Vec<&str> = line.roles.iter().map(RoleId::as_str).collect();
    let (Some(purpose), Some(data), Some(action)) = (&line.purpose, &line.data, line.action) else {
        return format!("{} {}", line.change.as_str(), line.field);
    };
    let roles = roles.join("+");
    format!("{} {roles} {purpose} {action} {data}.{}", line.change.as_str(), line.field)
}

/// The first of a list, and how many more there are: an entry has a longest length.
fn cut(list: &[String], most: usize) -> String {
    let mut text = list.iter().take(most).cloned().collect::<Vec<_>>().join("; ");
    if list.len() > most {
        text.push_str(&format!("; and {} more", list.len() - most));
    }
    text
}

const MOST_FILES: usize = 100;
const MOST_LINES: usize = 100;

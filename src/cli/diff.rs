//! `privet policy diff`: what becomes wider or narrower, and for whom.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Order;
use crate::audit::SearchError;
use crate::audit::Wish;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::policy::Diff;
use crate::policy::DiffLine;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::policy::diff;
use crate::types::Action;
use crate::types::DataSetId;
use crate::types::Faults;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::admin::Caller;
use super::args::{AuditFolder, DiffArgs, Shape};
use super::audit::{no_checkpoint, readable_folder};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::policy;
use super::time::{moment, span};

/// Compares and tells; exit code 1 when something becomes wider.
pub(super) fn run(wish: &DiffArgs) -> Result<(), Failure> {
    let (before, after) = match &wish.second {
        Some(second) => (policy::read(&wish.first)?, policy::read(second)?),
        None if wish.running => (running(wish)?, policy::read(&wish.first)?),
        None => {
            let what = "there is nothing to compare with; name the policies as they are to be as \
                        well, or add `--running` to compare with the gateway";
            return Err(Failure::new(Exit::Usage, what));
        }
    };
    let found = diff(&before, &after);
    let traffic = wish.log.as_deref().map(|dir| Traffic::read(dir, wish, &found)).transpose()?;
    match wish.output {
        Shape::Json => {
            let notes =
                |line: &DiffLine| traffic.as_ref().map_or(Value::Null, |seen| seen.json(line));
            policy::print_json(&found.json(notes))?;
        }
        Shape::Table => {
            let notes = |line: &DiffLine| {
                traffic.as_ref().map_or_else(String::new, |seen| seen.words(line))
            };
            data(&found.table(notes))?;
            tell(&found.summary());
        }
    }
    if found.is_wider() && !wish.allow_wider {
        let what = "something becomes wider; look at each line, then add --allow-wider";
        return Err(Failure::new(Exit::Failed, what));
    }
    Ok(())
}

/// The policy that the gateway runs.
fn running(wish: &DiffArgs) -> Result<Arc<PolicySet>, Failure> {
    let answer = Caller::new(&wish.admin)?.get("/api/v1/policy")?;
    let text = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let files = answer.get("files").and_then(Value::as_array);
    let files = files.into_iter().flatten();
    let files: Vec<PolicyFile> = files
        .map(|file| PolicyFile { name: text(file, "name"), text: text(file, "text") })
        .collect();
    let mut faults = Faults::new();
    let policy = PolicySet::compile(&files, SystemClock.now(), &mut faults);
    policy.map(Arc::new).ok_or_else(|| check::refused(&faults.into_sorted()))
}

/// What the log recorded of the cells that change.
#[derive(Debug, Default)]
struct Traffic(BTreeMap<Cell, Seen>);

/// Which calls a line is about.
type Cell = (Vec<RoleId>, PurposeId, DataSetId, Action);

#[derive(Debug, Default)]
struct Seen {
    calls: BTreeSet<Arc<str>>,
    records: u64,
    subjects: BTreeSet<SubjectToken>,
}

impl Traffic {
    fn read(dir: &Path, wish: &DiffArgs, found: &Diff) -> Result<Self, Failure> {
        let folder = AuditFolder {
            config: wish.admin.config.clone(),
            dir: Some(dir.to_owned()),
            key: wish.key.clone(),
        };
        let dir = readable_folder(&folder)?;
        let mut traffic = Self::default();
        for line in &found.lines {
            traffic.0.extend(cell(line).map(|cell| (cell, Seen::default())));
        }
        let mut filter = Filter::default();
        let mut set = |name: &str, value: &str| {
            filter.set(name, value).map_err(|e| Failure::new(Exit::Usage, e))
        };
        set("kind", "release")?;
        if let Some(since) = &wish.since {
            set("from", &start(since)?.to_string())?;
        }
        let mut cursor = None::<String>;
        loop {
            let wish = Wish {
                filter: &filter,
                order: Order::OldestFirst,
                cursor: cursor.as_deref(),
                limit: audit::MOST_ROWS,
                scan: false,
            };
            let page = audit::page(&dir, &wish).map_err(|error| match error {
                SearchError::NoCheckpoint => no_checkpoint(&dir),
                error => Failure::caused(Exit::Failed, &error),
            })?;
            if let Some(first) = page.damaged.iter().min() {
                let what = format_args!("entries from {first} on cannot be read");
                return Err(Failure::new(Exit::Failed, what));
            }
            page.rows.iter().for_each(|(_, entry)| traffic.count(entry));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(traffic);
            }
        }
    }

    fn count(&mut self, entry: &Entry) {
        for ((roles, purpose, set, action), seen) in &mut self.0 {
            let concerned = roles.iter().all(|role| entry.roles.contains(role))
                && entry.purpose.as_ref() == Some(purpose)
                && entry.data_set.as_ref() == Some(set)
                && entry.action == Some(*action);
            if concerned {
                seen.calls.extend(entry.request_id.clone());
                seen.records += u64::from(entry.records.unwrap_or(0));
                seen.subjects.extend(entry.subjects.iter().copied());
            }
        }
    }

    fn of(&self, line: &DiffLine) -> Option<&Seen> {
        self.0.get(&cell(line)?)
    }

    fn words(&self, line: &DiffLine) -> String {
        self.of(line).map_or_else(String::new, |seen| {
            let (calls, people) = (seen.calls.len(), seen.subjects.len());
            let calls = check::count(calls, "call");
            let records = check::count(usize::try_from(seen.records).unwrap_or(0), "record");
            let people = if people == 1 { "1 person".into() } else { format!("{people} people") };
            format!("[recorded: {calls}, {records}, {people}]")
        })
    }

    fn json(&self, line: &DiffLine) -> Value {
        self.of(line).map_or(Value::Null, |seen| {
            let (calls, people) = (seen.calls.len(), seen.subjects.len());
            json!({ "recorded": { "calls": calls, "records": seen.records, "subjects": people } })
        })
    }
}

fn cell(line: &DiffLine) -> Option<Cell> {
    let (purpose, data) = (line.purpose.clone()?, line.data.clone()?);
    Some((line.roles.clone(), purpose, data, line.action?))
}

/// Reads `2026-11-21`, or `7d`: so long ago.
fn start(text: &str) -> Result<Timestamp, Failure> {
    match span(text) {
        Ok(seconds) => {
            let now = SystemClock.now().unix_ms();
            Ok(Timestamp::from_unix_ms(now.saturating_sub(seconds.saturating_mul(1000))))
        }
        Err(_) => moment(text),
    }
}

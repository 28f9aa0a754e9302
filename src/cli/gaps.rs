//! `privet audit gaps`: times the log says nothing about although it should.

use serde_json::json;

use crate::audit;
use crate::audit::Gap;
use crate::audit::GapSearch;
use crate::audit::Gaps;
use crate::audit::SearchError;
use crate::clock::Clock;
use crate::clock::SystemClock;

use super::args::{GapArgs, Rows};
use super::audit::{no_checkpoint, readable_folder};
use super::check::count;
use super::exit::{Exit, Failure, data, tell};
use super::time;

/// Lists them; exit code 5 when there is one.
pub(super) fn run(wish: &GapArgs) -> Result<(), Failure> {
    let dir = readable_folder(&wish.folder)?;
    let until = wish.until.as_deref().map(time::moment).transpose()?;
    let asked = GapSearch {
        from: wish.from.as_deref().map(time::moment).transpose()?,
        until: until.unwrap_or_else(|| SystemClock.now()),
        longest_ms: time::span(&wish.longest)?.saturating_mul(1000),
    };
    let found = audit::gaps(&dir, &asked).map_err(|error| match error {
        SearchError::NoCheckpoint => no_checkpoint(&dir),
        error => Failure::caused(Exit::Failed, &error),
    })?;
    let rows: Vec<String> = found.found.iter().map(|gap| row(gap).to_string()).collect();
    data(&match wish.output {
        Rows::Json => format!("[{}]\n", rows.join(",\n")),
        Rows::Jsonl => rows.iter().map(|row| format!("{row}\n")).collect(),
        Rows::Table => table(&found),
    })?;
    if found.is_cut {
        tell(&format!("note: only the first {} are shown; use --from", found.found.len()));
    }
    match found.found.len() {
        0 => Ok(()),
        found => Err(Failure::new(
            Exit::Proof,
            format_args!(
                "{} the log does not account for; docs/audit.md says what each can mean",
                count(found, "time")
            ),
        )),
    }
}

fn row(gap: &Gap) -> serde_json::Value {
    let (from, until) = gap.times();
    let (kind, entry) = match gap {
        Gap::ClockBack { index, .. } => ("clock_back", index),
        Gap::Silence { after, is_end: true, .. } => ("silent_end", after),
        Gap::Silence { after, .. } => ("silence", after),
        Gap::Unannounced { after, .. } => ("no_stop", after),
    };
    json!({
        "kind": kind,
        "entry": entry,
        "from": from.to_string(),
        "until": until.to_string(),
        "seconds": until.ms_since(from) / 1000,
    })
}

fn table(found: &Gaps) -> String {
    if found.found.is_empty() {
        return format!("ok: {} entries, no gap\n", found.entries);
    }
    let mut page = String::new();
    for gap in &found.found {
        let (from, until) = gap.times();
        let lasted = lasted(until.ms_since(from) / 1000);
        page.push_str(&match gap {
            Gap::ClockBack { index, .. } => {
                format!("{from}  {until}  {lasted:>9}  the clock went back, at entry {index}\n")
            }
            Gap::Silence { after, is_end: true, .. } => {
                format!("{from}  {until}  {lasted:>9}  nothing since entry {after}, and no stop\n")
            }
            Gap::Silence { after, .. } => {
                format!("{from}  {until}  {lasted:>9}  nothing recorded after entry {after}\n")
            }
            Gap::Unannounced { after, .. } => {
                format!("{from}  {until}  {lasted:>9}  started again without a stop, after entry {after}\n")
            }
        });
    }
    page
}

/// A length of time as people say it.
fn lasted(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

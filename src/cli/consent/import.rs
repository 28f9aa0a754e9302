//! `privet consent import`: what another system holds, some hundred lines a call.
//!
//! Each line is recorded or refused for itself, and told with its number. A line has a name that
//! follows from what it says, so importing a file once more records nothing twice.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::IsTerminal;
use std::io::Read;
use std::path::Path;

use http::Request;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::admin::Caller;
use crate::cli::args::{ConsentImport, ImportFormat};
use crate::cli::exit::{Exit, Failure, data, tell};
use crate::cli::job::{Watched, draw};
use crate::clock::Clock;
use crate::clock::SystemClock;

use super::table::Table;

/// Imports a file; exit code 1 when a line was refused.
pub(super) fn run(wish: &ConsentImport) -> Result<(), Failure> {
    let caller = Caller::new(&wish.admin)?;
    let is_stdin = wish.file.as_os_str() == "-";
    let by_name = match wish.file.extension().and_then(|e| e.to_str()) {
        Some("csv") => ImportFormat::Csv,
        _ => ImportFormat::Jsonl,
    };
    let format = wish.format.unwrap_or(by_name);
    // The first line of a table names its columns.
    let heads = u64::from(format == ImportFormat::Csv);
    let total = if is_stdin { None } else { Some(count(&wish.file)?.saturating_sub(heads)) };
    let from: Box<dyn BufRead> = if is_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(open(&wish.file)?))
    };
    let mut import = Import::new(&caller, total);
    match format {
        ImportFormat::Jsonl => lines(from, &mut import)?,
        ImportFormat::Csv => rows(from, &mut import)?,
    }
    import.finish()
}

fn lines(from: Box<dyn BufRead>, import: &mut Import<'_>) -> Result<(), Failure> {
    let mut from = from;
    for number in 1.. {
        let mut line = Vec::new();
        let read =
            (&mut from).take(LONGEST + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if u64::try_from(line.len()).unwrap_or(u64::MAX) > LONGEST {
            // What follows it cannot be told from it.
            let what = format!("line {number} is longer than {LONGEST} bytes");
            return Err(Failure::new(Exit::Failed, what));
        }
        if !line.is_empty() {
            import.add(number, &line)?;
        }
    }
    Ok(())
}

fn rows(from: Box<dyn BufRead>, import: &mut Import<'_>) -> Result<(), Failure> {
    let mut table = Table::new(from);
    let failed = |error| Failure::caused(Exit::Failed, &error);
    let Some(columns) = table.row().map_err(failed)? else { return Ok(()) };
    if let Some(strange) = columns.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        let known = COLUMNS.join(", ");
        let what = format!("there is no column `{strange}`; known are {known}");
        return Err(Failure::new(Exit::Failed, what));
    }
    while let Some(row) = table.row().map_err(failed)? {
        if row.len() != columns.len() {
            import.refuse(table.line(), "has more or fewer cells than the first line");
            continue;
        }
        let cell = |name: &str| {
            let place = columns.iter().position(|column| column == name)?;
            row.get(place).map(String::as_str).filter(|cell| !cell.is_empty())
        };
        import.add(table.line(), &record(&cell).to_string())?;
    }
    Ok(())
}

/// The record that a row of CSV stands for. What is missing in it the gateway refuses by name.
fn record<'a>(cell: &impl Fn(&str) -> Option<&'a str>) -> Value {
    let pick = |names: &[(&str, &str)]| {
        let found = names.iter().filter_map(|(column, member)| {
            Some(((*member).to_owned(), Value::from(cell(column)?)))
        });
        found.collect::<Map<_, _>>()
    };
    let mut event = pick(&[
        ("consent", "purpose_key"),
        ("state", "state"),
        ("type", "type"),
        ("time", "time"),
        ("valid_until", "valid_until"),
        ("method", "method"),
    ]);
    event.insert("entity_id".into(), "subject".into());
    let mut consent = pick(&[
        ("language", "language"),
        ("jurisdiction", "jurisdiction"),
        ("regime", "regime"),
        ("channel", "channel"),
        ("idempotency_key", "idempotency_key"),
    ]);
    let notice = pick(&[
        ("notice_id", "id"),
        ("notice_version", "version"),
        ("notice_sha256", "sha256"),
        ("notice_url", "url"),
    ]);
    if !notice.is_empty() {
        consent.insert("notice".into(), notice.into());
    }
    if let Some(separate) = cell("separate") {
        // Anything but yes or no is left as it is, for the gateway to refuse.
        let is = match separate {
            "true" => true.into(),
            "false" => false.into(),
            other => Value::from(other),
        };
        consent.insert("separate".into(), is);
    }
    let asked = pick(&[("consent", "purpose_key")]);
    consent.insert("process".into(), json!([asked]));
    consent.insert("events".into(), json!([event]));
    let mut line = pick(&[("domain", "domain"), ("id", "id")]);
    line.insert("consent".into(), consent.into());
    Value::Object(line)
}

/// An import under way.
struct Import<'a> {
    caller: &'a Caller,
    /// Lines that were not sent yet, and their numbers.
    waiting: (Vec<u64>, String),
    total: Option<u64>,
    counts: Counts,
    watched: Watched,
}

#[derive(Default)]
struct Counts {
    recorded: u64,
    known: u64,
    refused: u64,
}

impl<'a> Import<'a> {
    fn new(caller: &'a Caller, total: Option<u64>) -> Self {
        let watched = Watched::new(&json!({}), SystemClock.uptime_ms());
        let (waiting, counts) = ((Vec::new(), String::new()), Counts::default());
        Self { caller, waiting, total, counts, watched }
    }

    fn add(&mut self, number: u64, line: &str) -> Result<(), Failure> {
        self.waiting.0.push(number);
        self.waiting.1.push_str(line);
        self.waiting.1.push('\n');
        if self.waiting.0.len() < LINES && self.waiting.1.len() < BYTES {
            return Ok(());
        }
        self.send()
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.counts.refused += 1;
        tell(&format!("line {number}: {why}"));
    }

    fn send(&mut self) -> Result<(), Failure> {
        let (numbers, body) = std::mem::take(&mut self.waiting);
        if numbers.is_empty() {
            return Ok(());
        }
        let request =
            Request::post("/api/v1/consents/import").header("content-type", "application/x-ndjson");
        let answer = self.caller.text(request, body).map_err(|failure| {
            failure.with_suffix("; import the file again: what is recorded is not recorded twice")
        })?;
        let mut results = answer.body().lines();
        for number in numbers {
            let Some(result) = results.next() else {
                let what = "the gateway went away in the middle; import the file again: what is \
                            recorded is not recorded twice";
                return Err(Failure::new(Exit::Failed, what));
            };
            let result: Value = serde_json::from_str(result).unwrap_or_default();
            match result.get("result").and_then(Value::as_str) {
                Some("recorded") => self.counts.recorded += 1,
                Some("known") => self.counts.known += 1,
                _ => {
                    let why = result.get("detail").and_then(Value::as_str);
                    self.refuse(number, why.unwrap_or("no reason was given"));
                }
            }
        }
        self.show();
        Ok(())
    }

    /// How far it is: drawn on a terminal, otherwise a line every ten seconds.
    fn show(&mut self) {
        let done = self.counts.recorded + self.counts.known + self.counts.refused;
        let job = json!({ "state": "running", "done": done, "total": self.total });
        let now_ms = SystemClock.uptime_ms();
        let line = self.watched.line(&job, now_ms);
        if std::io::stderr().is_terminal() {
            draw(&line);
        } else if self.watched.is_due(&job, now_ms) {
            tell(&line);
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.send()?;
        if std::io::stderr().is_terminal() {
            tell("");
        }
        let Counts { recorded, known, refused } = self.counts;
        data(&format!("{recorded} recorded, {known} known already, {refused} refused\n"))?;
        if refused == 0 {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "lines were refused; all others are recorded"))
    }
}

/// How many lines a file has that are not empty.
fn count(path: &Path) -> Result<u64, Failure> {
    let mut from = BufReader::new(open(path)?);
    let (mut lines, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = (&mut from).take(LONGEST).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            return Ok(lines);
        }
        lines += u64::from(!line.trim_ascii().is_empty());
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|e| {
        Failure::new(Exit::Failed, format_args!("cannot read `{}`: {e}", path.display()))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format_args!("cannot read the file: {error}"))
}

/// Columns of CSV; `id`, `consent` and `state` must be there.
const COLUMNS: [&str; 18] = [
    "domain",
    "id",
    "consent",
    "state",
    "type",
    "time",
    "valid_until",
    "method",
    "notice_id",
    "notice_version",
    "notice_sha256",
    "notice_url",
    "language",
    "jurisdiction",
    "regime",
    "channel",
    "separate",
    "idempotency_key",
];
/// Lines and bytes of one call, so that progress is told often enough.
const LINES: usize = 250;
const BYTES: usize = 1 << 20;
/// The longest line, in bytes.
const LONGEST: u64 = 80 << 10;

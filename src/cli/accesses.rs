//! `privet subject report`: who saw a person's data, all of it, with proofs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::app;
use crate::audit;
use crate::crypto::note::VerifierKey;

use super::admin::Caller;
use super::args::{ReportArgs, Rows};
use super::audit::tell_minimum;
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::subject;

/// Asks for every page, and shows the whole.
pub(super) fn run(wish: &ReportArgs) -> Result<(), Failure> {
    let proofs = wish.proofs.as_deref().map(|to| Proofs::open(wish, to)).transpose()?;
    let caller = Caller::new(&wish.admin)?;
    let Value::Object(mut asked) = subject::body(&wish.who, &json!({}))? else {
        return Err(unread());
    };
    for (name, time) in [("from", &wish.from), ("until", &wish.until)] {
        if let Some(time) = time {
            asked.insert(name.into(), time.as_str().into());
        }
    }
    if wish.scan {
        asked.insert("scan".into(), true.into());
    }
    let mut report = Report::default();
    report.ask(&caller, &asked, false)?;
    report.ask(&caller, &asked, true)?;
    report.named.reverse();
    if let Some(proofs) = proofs {
        report.named.iter_mut().try_for_each(|row| proofs.write(row))?;
    }
    report.show(wish.output)
}

/// What was found.
#[derive(Default)]
struct Report {
    /// The entries that name the person.
    named: Vec<Value>,
    /// By store, data set and purpose: what left without naming anybody.
    possible: BTreeMap<[String; 3], Map<String, Value>>,
    /// The first index of each part of the log that could not be read.
    damaged: Vec<u64>,
    /// The first entry that is still there.
    minimum: u64,
}

impl Report {
    fn ask(
        &mut self,
        caller: &Caller,
        asked: &Map<String, Value>,
        possible: bool,
    ) -> Result<(), Failure> {
        let mut asked = asked.clone();
        asked.insert("possible".into(), possible.into());
        loop {
            let mut page = caller.post("/api/v1/subjects/accesses", &asked.clone().into())?;
            let rows = page.get_mut("rows").map(Value::take);
            let Some(Value::Array(rows)) = rows else { return Err(unread()) };
            let damaged = page.get("damaged").and_then(Value::as_array).ok_or_else(unread)?;
            self.minimum = page.get("minimum").and_then(Value::as_u64).ok_or_else(unread)?;
            self.damaged.extend(damaged.iter().filter_map(Value::as_u64));
            if possible {
                rows.into_iter().for_each(|row| self.join(row));
            } else {
                self.named.extend(rows);
            }
            match page.get_mut("next").map(Value::take) {
                Some(Value::String(next)) => asked.insert("cursor".into(), next.into()),
                Some(Value::Null) => return Ok(()),
                _ => return Err(unread()),
            };
        }
    }

    /// Adds what one page says of a data set and a purpose to what others said.
    fn join(&mut self, row: Value) {
        let Value::Object(row) = row else { return };
        let text = |row: &Map<String, Value>, name: &str| {
            row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let key = ["store", "data_set", "purpose"].map(|name| text(&row, name));
        let Some(known) = self.possible.get_mut(&key) else {
            self.possible.insert(key, row);
            return;
        };
        for name in ["releases", "records"] {
            let of = |row: &Map<String, Value>| row.get(name).and_then(Value::as_u64).unwrap_or(0);
            let sum = of(known).saturating_add(of(&row));
            known.insert(name.into(), sum.into());
        }
        // Times are written in one form, whose order is that of their text.
        let first = text(known, "first").min(text(&row, "first"));
        let last = text(known, "last").max(text(&row, "last"));
        known.insert("first".into(), first.into());
        known.insert("last".into(), last.into());
    }

    fn show(self, output: Rows) -> Result<(), Failure> {
        let Self { named, possible, damaged, minimum } = self;
        let count = named.len();
        let page = match output {
            Rows::Json => {
                let possible: Vec<_> = possible.into_values().collect();
                let complete = damaged.is_empty();
                let page = json!({
                    "rows": named,
                    "possible": possible,
                    "complete": complete,
                    "minimum": minimum,
                });
                format!("{page:#}\n")
            }
            Rows::Jsonl => {
                let rows = named.iter().map(|row| format!("{row}\n"));
                let possible = possible.into_values().map(|mut row| {
                    row.insert("possible".into(), true.into());
                    format!("{}\n", Value::Object(row))
                });
                rows.chain(possible).collect()
            }
            Rows::Table => table(&named, possible.values()),
        };
        data(&page)?;
        tell(&format!(
            "note: {count} entries name the person; this report is itself one of the next"
        ));
        tell_minimum(minimum);
        let Some(first) = damaged.iter().min() else { return Ok(()) };
        let help = "this report is not complete; `privet audit verify` says more";
        Err(Failure::new(
            Exit::Failed,
            format_args!("entries from {first} on cannot be read: {help}"),
        ))
    }
}

/// Two lines a row: when, who, why and what; and under it each kind of data and how it was shown.
fn table<'a>(
    named: &[Value],
    possible: impl ExactSizeIterator<Item = &'a Map<String, Value>>,
) -> String {
    let mut page = format!(
        "{:>8}  {:<24}  {:<10}  {:<14}  {:<16}  {:<20}  {:<18}\n",
        "index", "time", "what", "who", "roles", "purpose (basis)", "data set"
    );
    for row in named {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("–");
        let roles: Vec<&str> = row
            .get("roles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let who: String = match row.get("operator").and_then(Value::as_str) {
            Some(name) => name.to_owned(),
            None => text("actor").chars().take(8).collect(),
        };
        let why = match row.get("basis").and_then(Value::as_str) {
            Some(basis) => format!("{} ({basis})", text("purpose")),
            None => text("purpose").to_owned(),
        };
        let roles = if roles.is_empty() { "–".to_owned() } else { roles.join(",") };
        page.push_str(&format!(
            "{:>8}  {:<24}  {:<10}  {who:<14}  {roles:<16}  {why:<20}  {:<18}\n",
            row.get("index").and_then(Value::as_u64).unwrap_or(0),
            text("time"),
            what(row),
            text("data_set"),
        ));
        let fields = row.get("fields").and_then(Value::as_array).into_iter().flatten();
        let fields: Vec<String> = fields
            .map(|field| {
                let text = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or("–");
                format!("{} {}", text("category"), text("view"))
            })
            .collect();
        if !fields.is_empty() {
            page.push_str(&format!("          {}\n", fields.join(", ")));
        }
    }
    if possible.len() > 0 {
        page.push_str(
            "\nPossible accesses: these name nobody, so this person may be among them.\n",
        );
    }
    for row in possible {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("–");
        let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
        page.push_str(&format!(
            "  {} for {}: {} times, {} records, from {} to {}\n",
            text("data_set"),
            text("purpose"),
            number("releases"),
            number("records"),
            text("first"),
            text("last"),
        ));
    }
    page
}

/// What was done with the data.
fn what(row: &Value) -> &str {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    match (text("kind"), text("action")) {
        (Some("release"), _) => "shown",
        (Some("intent"), Some(action)) => action,
        (Some(kind), _) => text("reason").unwrap_or(kind),
        (None, _) => "–",
    }
}

/// Where the proofs of a report go.
struct Proofs<'a> {
    log: std::path::PathBuf,
    key: VerifierKey,
    to: &'a Path,
}

impl<'a> Proofs<'a> {
    fn open(wish: &ReportArgs, to: &'a Path) -> Result<Self, Failure> {
        let log = check::load(&wish.admin.config.config)?.config.audit.dir;
        let text = super::audit::read(&app::public_key_file(&log))?;
        let key = VerifierKey::parse(text.trim()).map_err(|e| Failure::caused(Exit::Failed, &e))?;
        fs::create_dir_all(to).map_err(|e| {
            Failure::new(Exit::Failed, format_args!("cannot make `{}`: {e}", to.display()))
        })?;
        Ok(Self { log, key, to })
    }

    /// Proves a row, and says in it where.
    fn write(&self, row: &mut Value) -> Result<(), Failure> {
        let index = row.get("index").and_then(Value::as_u64).ok_or_else(unread)?;
        let proof = audit::prove(&self.log, &self.key, index, None)
            .map_err(|e| Failure::caused(Exit::Failed, &e))?;
        let name = format!("{index}.tlog-proof");
        let path = self.to.join(&name);
        fs::write(&path, proof.to_string()).map_err(|e| {
            Failure::new(Exit::Failed, format_args!("cannot write `{}`: {e}", path.display()))
        })?;
        if let Some(row) = row.as_object_mut() {
            row.insert("proof".into(), name.into());
        }
        Ok(())
    }
}

fn unread() -> Failure {
    Failure::new(Exit::Failed, "the gateway's answer is not one of this version")
}

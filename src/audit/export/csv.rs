//! Entries as CSV (RFC 4180) that a spreadsheet shows and does not compute.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV
//! Injection"): what is in the log came from elsewhere, be it the name of a route.

use crate::audit::Entry;
use crate::types::Region;

/// The columns, in the order of the values of [`row`].
const COLUMNS: [&str; 32] = [
    "index",
    "time",
    "node",
    "kind",
    "decision",
    "actor",
    "on_behalf_of",
    "roles",
    "strength",
    "purpose",
    "basis",
    "action",
    "store",
    "data_set",
    "route",
    "records",
    "left_out",
    "bytes",
    "status",
    "outcome",
    "reason",
    "rules",
    "subjects",
    "consent_versions",
    "fields",
    "recipient",
    "region",
    "request_id",
    "decision_id",
    "policy",
    "facts",
    "observed",
];

/// One line of any table for spreadsheets, by the rules of exported entries.
pub fn csv_line(cells: &[&str]) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, value) in cells.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        cell(value, &mut line);
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// The line with the names of the columns.
pub(super) fn head() -> Vec<u8> {
    format!("{}\r\n", COLUMNS.join(",")).into_bytes()
}

/// Appends an entry's line. What the entry does not have is an empty cell; of lists, the values
/// stand with a space between them.
pub(super) fn row(index: u64, entry: &Entry, to: &mut Vec<u8>) {
    let values = values(index, entry);
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            to.push(b',');
        }
        cell(value, to);
    }
    to.extend_from_slice(b"\r\n");
}

fn values(index: u64, entry: &Entry) -> [String; COLUMNS.len()] {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let fields = entry.fields.iter().map(|field| {
        format!("{}:{}:{}", field.category, field.level.as_str(), field.view.as_str())
    });
    let facts = entry.facts.iter().map(|(name, value)| format!("{name}={value}"));
    [
        index.to_string(),
        entry.time.to_string(),
        entry.node.to_string(),
        entry.kind.as_str().to_owned(),
        text(entry.decision.map(|word| word.as_str())),
        text(entry.actor),
        text(entry.on_behalf_of),
        list(entry.roles.iter().map(ToString::to_string)),
        text(entry.strength.map(|word| word.as_str())),
        text(entry.purpose.as_ref()),
        text(entry.basis.as_deref()),
        text(entry.action.map(|word| word.as_str())),
        text(entry.store.as_ref()),
        text(entry.data_set.as_ref()),
        text(entry.route.as_deref()),
        text(entry.records),
        text(entry.left_out),
        text(entry.bytes),
        text(entry.status),
        text(entry.outcome.map(|word| word.as_str())),
        text(entry.reason.as_deref()),
        list(entry.rules.iter().map(ToString::to_string)),
        list(
            entry
                .subjects
                .iter()
                .map(|token| token.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        ),
        list(entry.consent_versions.iter().map(ToString::to_string)),
        list(fields),
        text(entry.recipient.as_deref()),
        text(entry.region.as_ref().map(Region::as_str)),
        text(entry.request_id.as_deref()),
        text(entry.decision_id.as_deref()),
        text(entry.policy.map(hex)),
        list(facts),
        text(entry.observed.as_ref().map(|it| it.would.as_str())),
    ]
}

fn list(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(" ")
}

/// Appends one cell: no formula, and quoted where a reader would split it.
fn cell(value: &str, to: &mut Vec<u8>) {
    let value = marked(value);
    let is_plain = !value.contains([',', ';', '\t', '"', '\r', '\n']);
    let written = match is_plain {
        true => value,
        false => format!("\"{}\"", value.replace('"', "\"\"")),
    };
    to.extend_from_slice(written.as_bytes());
}

/// The value with an apostrophe before each formula in it: at its beginning, and behind what splits
/// cells where a reader was told, or takes for granted by its country, that not the comma does.
fn marked(value: &str) -> String {
    let mut to = String::with_capacity(value.len() + 1);
    for part in value.split_inclusive(SEPARATORS) {
        if part.trim_start_matches([' ', '"']).starts_with(FORMULA) {
            to.push('\'');
        }
        to.push_str(part);
    }
    to
}

/// What some readers take for the end of a cell, quoted or not.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// What begins a formula; the wide forms are taken for the narrow ones by some.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

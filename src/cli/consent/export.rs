//! `privet consent export`: every record, a page at a time.

use http::Request;
use serde_json::Value;
use serde_json::json;

use crate::cli::admin::Caller;
use crate::cli::args::{AdminArgs, Sheet};
use crate::cli::exit::{Exit, Failure, data, tell};

use super::sheet;

/// Writes all records. Nothing is held but one page.
pub(super) fn run(output: Sheet, admin: &AdminArgs) -> Result<(), Failure> {
    let caller = Caller::new(admin)?;
    let (mut cursor, mut count, mut broken) = (None::<String>, 0_u64, 0_u64);
    match output {
        Sheet::Csv | Sheet::Table => data(&sheet::csv_line(COLUMNS.into_iter()))?,
        Sheet::Json => data("[")?,
        Sheet::Jsonl => {}
    }
    loop {
        let path = match &cursor {
            None => "/api/v1/consents".to_owned(),
            Some(cursor) => format!("/api/v1/consents?cursor={cursor}"),
        };
        let page = caller.text(Request::get(path), String::new())?;
        let next = page.headers().get("privet-next").and_then(|next| next.to_str().ok());
        let next = next.map(str::to_owned);
        for line in page.body().lines() {
            broken += u64::from(write(line, output, count == 0)?);
            count += 1;
        }
        if next.is_none() {
            break;
        }
        cursor = next;
    }
    if output == Sheet::Json {
        data("]\n")?;
    }
    tell(&format!("note: {count} records"));
    if broken == 0 {
        return Ok(());
    }
    let what = format!("{broken} records were changed or cut short by somebody: they are marked");
    Err(Failure::new(Exit::Failed, what))
}

/// Writes a record; true when it is one that somebody has changed.
fn write(line: &str, output: Sheet, is_first: bool) -> Result<bool, Failure> {
    let record: Value = serde_json::from_str(line).map_err(|_| unread())?;
    match output {
        Sheet::Jsonl => data(&format!("{line}\n"))?,
        Sheet::Json => data(&format!("{}{line}", if is_first { "" } else { ",\n" }))?,
        Sheet::Csv | Sheet::Table => {
            let rows = events(&record);
            data(&rows.iter().map(|row| sheet::csv_row(row, &COLUMNS)).collect::<String>())?;
        }
    }
    Ok(record.get("broken").is_some())
}

/// A row for each event of a record.
pub(super) fn events(record: &Value) -> Vec<Value> {
    let events = record.get("events").and_then(Value::as_array).into_iter().flatten();
    let of = |from: &Value, name: &str| from.get(name).cloned().unwrap_or_default();
    let notice = of(record, "notice");
    events
        .map(|event| {
            json!({
                "record_id": of(record, "record_id"),
                "subject_ref": of(record, "subject_ref"),
                "consent": of(event, "purpose_key"),
                "state": of(event, "state"),
                "type": of(event, "type"),
                "time": of(event, "time"),
                "valid_until": of(event, "valid_until"),
                "entity_id": of(event, "entity_id"),
                "method": of(event, "method"),
                "recorded_at": of(event, "recorded_at"),
                "version": of(event, "version"),
                "notice_id": of(&notice, "id"),
                "notice_version": of(&notice, "version"),
                "notice_sha256": of(&notice, "sha256"),
                "language": of(record, "language"),
                "jurisdiction": of(record, "jurisdiction"),
                "regime": of(record, "regime"),
                "channel": of(record, "channel"),
            })
        })
        .collect()
}

pub(super) fn unread() -> Failure {
    Failure::new(Exit::Failed, "the gateway's answer is not one of this version")
}

const COLUMNS: [&str; 18] = [
    "record_id",
    "subject_ref",
    "consent",
    "state",
    "type",
    "time",
    "valid_until",
    "entity_id",
    "method",
    "recorded_at",
    "version",
    "notice_id",
    "notice_version",
    "notice_sha256",
    "language",
    "jurisdiction",
    "regime",
    "channel",
];

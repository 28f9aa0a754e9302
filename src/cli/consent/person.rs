//! `privet consent show`, `record`, `withdraw`: the consents of one person.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use http::Request;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::admin::Caller;
use crate::cli::args::{AdminArgs, RecordArgs, Said, Sheet, WhoArgs};
use crate::cli::exit::{Exit, Failure, data, tell};
use crate::cli::subject;
use crate::cli::time;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::crypto::sha256;
use crate::types::Timestamp;

use super::export::events;
use super::export::unread;
use super::sheet;

/// Shows what stands, and what happened.
pub(super) fn show(
    who: &WhoArgs,
    at: Option<&str>,
    output: Sheet,
    admin: &AdminArgs,
) -> Result<(), Failure> {
    let at = at.map(time::moment).transpose()?.map(|at| at.to_string());
    let wish = match &at {
        Some(at) => json!({ "at": at }),
        None => json!({}),
    };
    let found = Caller::new(admin)?.post(FIND, &subject::body(who, &wish)?)?;
    let list = |name: &str| found.get(name).and_then(Value::as_array).ok_or_else(unread);
    let (standing, records) = (list("standing")?, list("records")?);
    match output {
        Sheet::Json => data(&format!("{found:#}\n")),
        Sheet::Jsonl => data(&sheet::text(records, &[], output)),
        Sheet::Csv => data(&sheet::text(standing, &STANDING, output)),
        Sheet::Table => {
            if records.is_empty() {
                tell("note: there is no consent record of this person");
                return Ok(());
            }
            let when = at.map_or_else(|| "now".to_owned(), |at| format!("at {at}"));
            let rows: Vec<Value> = records.iter().flat_map(events).collect();
            data(&format!(
                "What stands {when}:\n{}\nWhat happened:\n{}",
                sheet::text(standing, &STANDING, output),
                sheet::text(&rows, &HAPPENED, output),
            ))
        }
    }
}

/// Records an answer.
pub(super) fn record(wish: &RecordArgs) -> Result<(), Failure> {
    let consent = match &wish.file {
        Some(file) => serde_json::from_slice(&read(file)?).map_err(|error| {
            Failure::new(Exit::Failed, format_args!("`{}` is no JSON: {error}", file.display()))
        })?,
        None => answered(wish)?,
    };
    let body = subject::body(&wish.who, &json!({ "consent": consent }))?.to_string();
    // Whoever types the same again means another answer, unless they say otherwise.
    let key = match &wish.key {
        Some(key) => key.clone(),
        None => uuid::Uuid::now_v7().to_string(),
    };
    let request = Request::post("/api/v1/consents")
        .header("content-type", "application/json")
        .header("idempotency-key", format!("\"{key}\""));
    let made = Caller::new(&wish.admin)?.text(request, body)?;
    data(&format!("{}\n", made.body().trim_end()))
}

/// The record of what was typed.
fn answered(wish: &RecordArgs) -> Result<Value, Failure> {
    let until = wish.until.as_deref().map(time::moment).transpose()?;
    let state = match wish.answer {
        Said::Given => "Given",
        Said::Refused => "Refused",
        Said::Requested => "Requested",
    };
    let mut consent = Map::new();
    let process = |name: &String| json!({ "purpose_key": name });
    consent.insert("process".into(), wish.consents.iter().map(process).collect());
    if let Some((notice, text)) = wish.notice.as_ref().zip(wish.text.as_ref()) {
        let Some((id, version)) = notice.split_once('/') else {
            let what = "--notice is the notice's id, a slash and its version: shop/3";
            return Err(Failure::new(Exit::Usage, what));
        };
        let shown = json!({ "id": id, "version": version, "sha256": text_hash(text)? });
        consent.insert("notice".into(), shown);
    }
    for (name, value) in
        [("language", &wish.language), ("channel", &wish.channel), ("regime", &wish.regime)]
    {
        if let Some(value) = value {
            consent.insert(name.into(), value.as_str().into());
        }
    }
    if wish.separate {
        consent.insert("separate".into(), true.into());
    }
    let event = |name: &String| {
        let mut event = json!({ "purpose_key": name, "state": state, "entity_id": "subject" });
        if let Some(event) = event.as_object_mut() {
            if matches!(wish.answer, Said::Given) {
                event.insert("type".into(), "ExpressedConsent".into());
            }
            if let Some(until) = until {
                event.insert("valid_until".into(), until.to_string().into());
            }
        }
        event
    };
    consent.insert("events".into(), wish.consents.iter().map(event).collect());
    Ok(Value::Object(consent))
}

/// Takes consent back wherever it stands.
pub(super) fn withdraw(
    who: &WhoArgs,
    (consent, method): (&str, Option<&str>),
    admin: &AdminArgs,
) -> Result<(), Failure> {
    let caller = Caller::new(admin)?;
    // Read once: standard input is there once.
    let mut person = subject::body(who, &json!({}))?;
    let found = caller.post(FIND, &person)?;
    let records = found.get("records").and_then(Value::as_array).ok_or_else(unread)?;
    let mut event = json!({ "purpose_key": consent, "state": "Withdrawn", "entity_id": "subject" });
    if let (Some(method), Some(event)) = (method, event.as_object_mut()) {
        event.insert("method".into(), method.into());
    }
    if let Some(person) = person.as_object_mut() {
        person.insert("event".into(), event);
    }
    let (mut done, mut failed) = (0, None);
    let now = SystemClock.now();
    for record in records.iter().filter(|record| stands(record, consent, now)) {
        let id = record.get("record_id").and_then(Value::as_str).ok_or_else(unread)?;
        // One that is refused must not keep the others from being taken back.
        match caller.post(&format!("/api/v1/consents/{id}/events"), &person) {
            Ok(made) => {
                data(&format!("{made}\n"))?;
                done += 1;
            }
            Err(failure) => failed = Some(failure.with_suffix(&format!("; record {id}"))),
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if done == 0 {
        let help = "to record a no, use `privet consent record … --answer refused`";
        let what =
            format!("no record of this person has a consent `{consent}` that stands; {help}");
        return Err(Failure::new(Exit::Failed, what));
    }
    Ok(())
}

/// Whether the last word of a record on a question is a yes that is not over: one that is over is
/// no more taken back than it stands.
fn stands(record: &Value, consent: &str, now: Timestamp) -> bool {
    let events = record.get("events").and_then(Value::as_array).into_iter().flatten();
    let of = |event: &&Value| event.get("purpose_key").and_then(Value::as_str) == Some(consent);
    let when = |event: &&Value| event.get("time").map(Value::to_string).unwrap_or_default();
    let last = events.filter(of).max_by_key(when);
    let word = |name: &str| last.and_then(|event| event.get(name)).and_then(Value::as_str);
    let until = word("valid_until").and_then(|text| time::moment(text).ok());
    let is_over = until.is_some_and(|until| until <= now);
    !is_over && matches!(word("state"), Some("Given" | "RenewedGiven"))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn text_hash(path: &Path) -> Result<String, Failure> {
    let hash = sha256(&read(path)?);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong =
        |e| Failure::new(Exit::Failed, format_args!("cannot read `{}`: {e}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)).map_err(wrong)?;
    Ok(bytes)
}

const FIND: &str = "/api/v1/consents/find";
const STANDING: [&str; 5] = ["consent", "state", "since", "until", "record"];
const HAPPENED: [&str; 6] = ["time", "consent", "state", "method", "notice_id", "record_id"];
/// More than a notice or a record is long, in bytes.
const LONGEST: u64 = 16 << 20;

//! `privet consent verify`: is a receipt whole and ours, told without asking anybody.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::api::RECEIPT_TYPE;
use crate::protocol::jws::JwsKeys;

use crate::cli::args::Shape;
use crate::cli::exit::{Exit, Failure, data};

/// Checks the receipt in `file` with the keys in `keys`.
pub(super) fn run(file: &Path, keys: &Path, output: Shape) -> Result<(), Failure> {
    let set = JwsKeys::parse(&read(keys)?).map_err(|error| {
        Failure::new(Exit::Failed, format_args!("`{}`: {error}", keys.display()))
    })?;
    let text = read(file)?;
    let receipt = checked(&text, &set)
        .map_err(|why| Failure::new(Exit::Proof, format_args!("this is no receipt: {why}")))?;
    match output {
        Shape::Json => data(&format!("{receipt:#}\n")),
        Shape::Table => data(&page(&receipt)),
    }
}

/// What a receipt says, when one of the keys signed it.
fn checked(text: &[u8], keys: &JwsKeys) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
    // Editors and shells put an end behind the last line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let payload = keys.open(text, RECEIPT_TYPE).map_err(|fault| fault.to_string())?;
    let receipt: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let is_one = receipt.get("@type").and_then(Value::as_str) == Some("dpv:ConsentReceipt");
    if is_one { Ok(receipt) } else { Err("its signature holds, but it says nothing".to_owned()) }
}

fn page(receipt: &Value) -> String {
    let mut page = "ok: signed with this key, and unchanged\n".to_owned();
    let text = |at: &Value, path: &str| match at.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let record = receipt.get("dpv:hasRecordOfActivity").unwrap_or(&Value::Null);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            page.push_str(&format!("{name:<13} {value}\n"));
        }
    };
    line("receipt", text(receipt, "/dct:identifier"));
    line("made at", text(receipt, "/dct:created"));
    line("by", text(receipt, "/dct:publisher"));
    line("record", text(record, "/dct:identifier"));
    line("person", text(record, "/dpv:hasDataSubject"));
    line("notice", text(record, "/dpv:hasNotice/dct:identifier"));
    line("notice hash", text(record, "/dpv:hasNotice/privet:sha256"));
    let processes = record.get("dpv:hasProcess").and_then(Value::as_array);
    for process in processes.into_iter().flatten() {
        let state = text(process, "/privet:state");
        let said = format!("{} – {state}", text(process, "/dpv:hasPurpose/dct:identifier"));
        let until = text(process, "/dct:valid");
        line("purpose", if until.is_empty() { said } else { format!("{said} until {until}") });
    }
    page
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong =
        |e| Failure::new(Exit::Failed, format_args!("cannot read `{}`: {e}", path.display()));
    let mut bytes = Vec::new();
    let done = match path.to_str() {
        Some("-") => std::io::stdin().take(LONGEST).read_to_end(&mut bytes),
        _ => File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)),
    };
    done.map_err(wrong)?;
    Ok(bytes)
}

/// More than any receipt or key set is long, in bytes: what is longer ends here and does not
/// verify.
const LONGEST: u64 = 4 << 20;

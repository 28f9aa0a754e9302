//! `privet reidentify`: turning reversible tokens back into values, which takes two operators.

use std::fs::File;
use std::io::Read;

use serde_json::Value;
use serde_json::json;

use super::admin;
use super::args::ReidentifyCommand;
use super::exit::{Exit, Failure, data, tell};

/// Runs one of the commands.
pub(super) fn run(command: &ReidentifyCommand) -> Result<(), Failure> {
    match command {
        ReidentifyCommand::Request { tokens, purpose, case, why, valid_for, admin } => {
            let body = json!({
                "purpose": purpose,
                "tokens": read_tokens(tokens)?,
                "case": case,
                "why": why,
                "valid_for": valid_for,
            });
            let made = admin::post(admin, PATH, &body)?;
            let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
            tell(&format!(
                "note: another operator approves it: privet reidentify approve {id} --totp CODE"
            ));
            data(&format!("{made:#}\n"))
        }
        ReidentifyCommand::Approve { id, admin } => {
            let path = format!("{PATH}/{}/approve", checked(id)?);
            data(&format!("{:#}\n", admin::post(admin, &path, &Value::Null)?))
        }
        ReidentifyCommand::Show { id, admin } => {
            let path = format!("{PATH}/{}/show", checked(id)?);
            data(&format!("{:#}\n", admin::post(admin, &path, &Value::Null)?))
        }
    }
}

/// An id, which becomes part of a path.
pub(super) fn checked(id: &str) -> Result<&str, Failure> {
    let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_id && !id.is_empty() { Ok(id) } else { Err(Failure::new(Exit::Usage, "this is no id")) }
}

/// One token a line.
fn read_tokens(path: &std::path::Path) -> Result<Vec<String>, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Exit::Failed, format_args!("cannot read `{}`: {error}", path.display()))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LONGEST).read_to_string(&mut text).map_err(cannot)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

const PATH: &str = "/api/v1/reidentifications";
/// More than a hundred tokens are refused anyway.
const LONGEST: u64 = 64 * 1_024;

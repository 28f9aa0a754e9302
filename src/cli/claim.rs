//! `privet claim`: what the log calls somebody who was erased, for legal claims, which takes two
//! operators.

use serde_json::Value;
use serde_json::json;

use super::admin;
use super::args::ClaimCommand;
use super::exit::{Exit, Failure, data, tell};
use super::subject;

/// Runs one of the commands.
pub(super) fn run(command: &ClaimCommand) -> Result<(), Failure> {
    match command {
        ClaimCommand::Request { who, case, why, valid_for, admin } => {
            let wish = json!({ "case": case, "why": why, "valid_for": valid_for });
            let made = admin::post(admin, PATH, &subject::body(who, &wish)?)?;
            tell("note: another operator approves it with `privet claim approve CLAIM`");
            data(&format!("{made:#}\n"))
        }
        ClaimCommand::Approve { claim, admin } => {
            let path = format!("{PATH}/{}/approve", checked(claim)?);
            data(&format!("{:#}\n", admin::post(admin, &path, &Value::Null)?))
        }
        ClaimCommand::Show { claim, who, admin } => {
            let path = format!("{PATH}/{}/show", checked(claim)?);
            let shown = admin::post(admin, &path, &subject::body(who, &json!({}))?)?;
            tell("note: `privet audit search --subject TOKEN --all` lists the entries");
            data(&format!("{shown:#}\n"))
        }
    }
}

/// An id, which becomes part of a path.
fn checked(id: &str) -> Result<&str, Failure> {
    let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_id && !id.is_empty() { Ok(id) } else { Err(Failure::new(Exit::Usage, "this is no id")) }
}

const PATH: &str = "/api/v1/legal-claims";

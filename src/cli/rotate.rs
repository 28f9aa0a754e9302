//! `privet key rotate`: replacing keys of the running gateway.

use serde_json::Value;
use serde_json::json;

use super::admin::Caller;
use super::args::{AdminArgs, RotateCommand, Shape};
use super::exit::{Failure, tell};
use super::job;
use super::subject;

/// Runs one of the commands.
pub(super) fn run(command: RotateCommand) -> Result<(), Failure> {
    match command {
        RotateCommand::Epoch { wait, output, admin } => {
            ask(&admin, "epoch", &json!({}), wait, output)
        }
        RotateCommand::Root { wait, output, admin } => {
            ask(&admin, "root", &json!({}), wait, output)
        }
        RotateCommand::Subject { who, wait, output, admin } => {
            ask(&admin, "subject", &subject::body(&who, &json!({}))?, wait, output)
        }
    }
}

fn ask(at: &AdminArgs, what: &str, body: &Value, wait: bool, output: Shape) -> Result<(), Failure> {
    let caller = Caller::new(at)?;
    let made = caller.post(&format!("/api/v1/keys/rotate/{what}"), body)?;
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    let waits = made.get("state").and_then(Value::as_str) == Some("waiting_approval");
    if waits {
        tell(&format!("note: another operator approves it: privet job approve {id}"));
    }
    if wait {
        return job::watch(&caller, id, output);
    }
    job::tell_job(&made, output)
}

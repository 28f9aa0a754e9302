//! `privet audit prune`: asks the running gateway to remove old entries.

use serde_json::Value;
use serde_json::json;

use super::admin::Caller;
use super::args::{AdminArgs, Shape};
use super::exit::{Failure, tell};
use super::job;
use super::time;

/// Asks for the job; with `wait` follows it to its end.
pub(super) fn run(
    before: &str,
    wait: bool,
    output: Shape,
    admin: &AdminArgs,
) -> Result<(), Failure> {
    let body = match before.parse::<u64>() {
        Ok(index) => json!({ "before_index": index }),
        Err(_) => json!({ "before_ms": time::moment(before)?.unix_ms() }),
    };
    let caller = Caller::new(admin)?;
    let made = caller.post("/api/v1/audit/prune", &body)?;
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    tell(&format!("note: another operator approves it: privet job approve {id}"));
    if wait {
        return job::watch(&caller, id, output);
    }
    job::tell_job(&made, output)
}

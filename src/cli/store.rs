//! `privet store`: work on what a store holds.

use serde_json::Value;
use serde_json::json;

use super::admin::Caller;
use super::args::{BackfillArgs, Shape, StoreCommand};
use super::exit::{Failure, data, tell};
use super::inbox;
use super::job;
use super::scan;

/// Runs one of the store commands.
pub(super) fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Backfill(wish) => backfill(&wish),
        StoreCommand::Inbox(wish) => inbox::run(&wish),
        StoreCommand::Import(wish) => scan::import(&wish),
        StoreCommand::Scan(wish) => scan::run(&wish),
    }
}

/// Asks for the job and says what comes next; with `--wait` follows it to its end.
fn backfill(wish: &BackfillArgs) -> Result<(), Failure> {
    let caller = Caller::new(&wish.admin)?;
    let way = match (wish.decrypt, wish.reseal, wish.reindex) {
        (true, _, _) => "decrypt",
        (_, true, _) => "reseal",
        (_, _, true) => "reindex",
        _ => "encrypt",
    };
    let body = json!({
        "set": wish.set,
        "move": way,
        "dry_run": wish.dry_run,
        "per_second": wish.per_second,
        "cursor": wish.cursor,
    });
    let made = caller.post("/api/v1/stores/backfill", &body)?;
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    if !wish.wait {
        return match wish.output {
            Shape::Json => data(&format!("{made:#}\n")),
            Shape::Table if wish.dry_run => {
                tell(&format!(
                    "note: `privet job watch {id}` follows it, `privet job show {id}` shows its report"
                ));
                data(&format!("{id}\n"))
            }
            Shape::Table => {
                tell(&format!("note: waits for another operator: privet job approve {id}"));
                data(&format!("{id}\n"))
            }
        };
    }
    job::follow(&caller, id, wish.output)
}

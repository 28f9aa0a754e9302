//! `privet consent`: what people agreed to, how that is proved, and how it comes in and goes out.

mod export;
mod import;
mod notice;
mod person;
mod sheet;
mod table;
mod verify;

use super::admin::Caller;
use super::args::{AdminArgs, ConsentCommand};
use super::exit::{Exit, Failure, data};

/// Runs one of the commands.
pub(super) fn run(command: &ConsentCommand) -> Result<(), Failure> {
    match command {
        ConsentCommand::Show { who, at, output, admin } => {
            person::show(who, at.as_deref(), *output, admin)
        }
        ConsentCommand::Record(wish) => person::record(wish),
        ConsentCommand::Withdraw { who, consent, method, admin } => {
            person::withdraw(who, (consent, method.as_deref()), admin)
        }
        ConsentCommand::Import(wish) => import::run(wish),
        ConsentCommand::Export { output, admin } => export::run(*output, admin),
        ConsentCommand::Receipt { record, admin } => {
            let receipt = about(record, "receipt", admin)?;
            data(&format!("{receipt}\n"))
        }
        ConsentCommand::Kantara { record, admin } => data(&about(record, "kantara", admin)?),
        ConsentCommand::Verify { file, keys, output } => verify::run(file, keys, *output),
        ConsentCommand::Keys { admin } => {
            let set = Caller::new(admin)?.get("/api/v1/consents/keys")?;
            data(&format!("{set:#}\n"))
        }
        ConsentCommand::Notice(command) => notice::run(command),
    }
}

/// A page about one record.
fn about(record: &str, page: &str, admin: &AdminArgs) -> Result<String, Failure> {
    // It becomes part of a path.
    let is_id = record.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_id || record.is_empty() {
        return Err(Failure::new(Exit::Usage, "this is no id of a record"));
    }
    let path = format!("/api/v1/consents/{record}/{page}");
    let answer = Caller::new(admin)?.text(http::Request::get(path), String::new())?;
    Ok(answer.into_body())
}

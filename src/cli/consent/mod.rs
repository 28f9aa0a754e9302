//! `privet consent`: what people agreed to, how that is proved, and how it comes in and goes out.

mod verify;

use super::admin::Caller;
use super::args::ConsentCommand;
use super::exit::{Failure, data};

/// Runs one of the commands.
pub(super) fn run(command: &ConsentCommand) -> Result<(), Failure> {
    match command {
        ConsentCommand::Keys { admin } => {
            let set = Caller::new(admin)?.get("/api/v1/consents/keys")?;
            data(&format!("{set:#}\n"))
        }
        ConsentCommand::Verify { file, keys, output } => verify::run(file, keys, *output),
    }
}

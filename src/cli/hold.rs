//! `privet hold`: keeping a person's data for a case, whatever else is due.

use serde_json::json;

use super::admin;
use super::args::HoldCommand;
use super::exit::{Exit, Failure, data};
use super::subject;
use super::time;
use crate::types::Timestamp;

/// Runs one of the commands.
pub(super) fn run(command: &HoldCommand) -> Result<(), Failure> {
    let answer = match command {
        HoldCommand::Add { who, case, why, until, admin } => {
            let until = until.as_deref().map(time::moment).transpose()?;
            let until = until.map(Timestamp::unix_ms);
            let wish = json!({ "case": case, "why": why, "until": until });
            admin::post(admin, PATH, &subject::body(who, &wish)?)?
        }
        HoldCommand::List { who, domain, admin } => match who {
            Some(id) => {
                let body = json!({ "domain": domain, "id": subject::id(id)? });
                admin::post(admin, &format!("{PATH}/list"), &body)?
            }
            None => admin::Caller::new(admin)?.get(PATH)?,
        },
        HoldCommand::Release { hold, why, of, domain, admin } => {
            if hold.is_empty() || !hold.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Failure::new(Exit::Usage, "this is no id of a hold"));
            }
            let of = of.as_deref().map(subject::id).transpose()?;
            let body = json!({ "why": why, "domain": domain, "id": of });
            admin::post(admin, &format!("{PATH}/{hold}/release"), &body)?
        }
    };
    data(&format!("{answer:#}\n"))
}

const PATH: &str = "/api/v1/holds";

//! `privet consent notice`: what people are shown, by the hash of its text.

use serde_json::Value;
use serde_json::json;

use crate::cli::admin::Caller;
use crate::cli::args::{NoticeCommand, Sheet};
use crate::cli::exit::{Failure, data, tell};
use crate::cli::time;

use super::person::text_hash;
use super::sheet;

/// Registers a notice, or lists them.
pub(super) fn run(command: &NoticeCommand) -> Result<(), Failure> {
    match command {
        NoticeCommand::Add { id, version, text, language, url, from, requires_renewal, admin } => {
            let from = from.as_deref().map(time::moment).transpose()?;
            let mut wish = json!({
                "id": id,
                "version": version,
                "language": language,
                "sha256": text_hash(text)?,
                "requires_renewal": requires_renewal,
            });
            if let Some(wish) = wish.as_object_mut() {
                wish.extend(url.clone().map(|url| ("url".to_owned(), url.into())));
                let from = from.map(|from| from.to_string().into());
                wish.extend(from.map(|from| ("effective_from".to_owned(), from)));
            }
            let notice = Caller::new(admin)?.post(PATH, &wish)?;
            data(&format!("{notice:#}\n"))
        }
        NoticeCommand::List { output, admin } => {
            let found = Caller::new(admin)?.get(PATH)?;
            let notices = found.get("notices").and_then(Value::as_array);
            let notices = notices.cloned().unwrap_or_default();
            if notices.is_empty() && *output == Sheet::Table {
                tell("note: no notice is registered");
                return Ok(());
            }
            data(&sheet::text(&notices, &COLUMNS, *output))
        }
    }
}

const PATH: &str = "/api/v1/notices";
const COLUMNS: [&str; 6] =
    ["id", "version", "language", "effective_from", "requires_renewal", "sha256"];

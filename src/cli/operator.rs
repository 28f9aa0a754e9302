//! `privet operator add`.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::api::OperatorRole;
use crate::api::Operators;
use crate::app;
use crate::clock::SystemEntropy;

use super::check;
use super::exit::{Exit, Failure, data, tell};

/// Adds an operator and prints their token, once.
pub(super) fn add(config: &Path, name: &str, role: &str) -> Result<(), Failure> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !fits {
        return Err(Failure::new(
            Exit::Usage,
            "a name is 1 to 64 letters, digits, `.`, `_` or `-`",
        ));
    }
    let Some(role) = OperatorRole::parse(role) else {
        let known = OperatorRole::ALL.map(OperatorRole::as_str).join(", ");
        return Err(Failure::new(
            Exit::Usage,
            format_args!("`{role}` is no role; known are {known}"),
        ));
    };
    let path = check::load(config)?.config.admin.operators_file;
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format_args!("`{}`: {e}", path.display()))
    };
    let text = if path.exists() {
        fs::read_to_string(&path).map_err(|e| wrong(&e))?
    } else {
        String::new()
    };
    if Operators::parse(&text).map_err(|e| wrong(&e))?.has(name) {
        return Err(Failure::new(Exit::Failed, format_args!("`{name}` is an operator already")));
    }
    let token = app::random_token(&SystemEntropy).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| wrong(&e))?;
    let line = Operators::line(name, role, &token);
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| wrong(&e))?;
    tell(
        "This token is shown once. The gateway knows it after a reload: `systemctl reload privet`, or SIGHUP to its process.",
    );
    data(&format!("{token}\n"))
}

//! Points a kept demo at its store, which has another port each time.

use std::fs;
use std::path::Path;

use super::init::InitError;

/// Replaces the address of the only store in the file at `config`.
pub fn move_store(config: &Path, url: &str) -> Result<(), InitError> {
    let wrong = |source| InitError::Write { path: config.to_owned(), source };
    let text = fs::read_to_string(config).map_err(wrong)?;
    let moved: String = text
        .lines()
        .map(|line| match line.starts_with("urls = ") {
            true => format!("urls = [\"{url}\"]\n"),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(config, moved).map_err(wrong)
}

//! `privet check`: every problem of every file.

use std::path::Path;

use crate::app::LoadError;
use crate::app::Loaded;

use super::exit::{Exit, Failure, data, tell};

/// Lists the problems; warnings alone are no failure.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let loaded = load(config)?;
    for warning in &loaded.warnings {
        tell(&format!("{warning}\n"));
    }
    let sets = loaded.policy.sets().len();
    let warnings = loaded.warnings.len();
    data(&format!("ok: {sets} data sets, {warnings} warnings\n"))
}

/// Reads configuration and policies for any command; what is wrong is told as `check` tells it.
pub(super) fn load(config: &Path) -> Result<Loaded, Failure> {
    Loaded::read(config).map_err(|error| match error {
        LoadError::Faults(faults) => {
            for fault in &faults {
                tell(&format!("{fault}\n"));
            }
            let errors = faults.iter().filter(|fault| fault.is_error()).count();
            let files = if errors == 1 { "1 error" } else { &format!("{errors} errors") };
            Failure::new(Exit::Config, format_args!("{files}; nothing was started"))
        }
        LoadError::Read(error) => {
            let help = match error.source.kind() {
                std::io::ErrorKind::NotFound => "; `privet init DIR` writes a first configuration",
                _ => "",
            };
            Failure::new(Exit::Config, format_args!("{error}: {}{help}", error.source))
        }
    })
}

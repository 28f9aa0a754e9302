//! `privet check`: every problem of every file.

use std::path::Path;

use crate::app::LoadError;
use crate::app::Loaded;
use crate::types::Fault;
use crate::types::told;

use super::exit::{Exit, Failure, data, tell};

/// Lists the problems; warnings alone are no failure.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let loaded = load(config)?;
    for warning in &loaded.warnings {
        tell(&format!("{warning}\n"));
    }
    let mut faults = loaded.require_files().err().unwrap_or_default();
    let failed = match loaded.test_report() {
        Ok(report) => report.failed(),
        Err(more) => {
            faults.extend(more);
            0
        }
    };
    if !faults.is_empty() {
        return Err(refused(&faults));
    }
    if failed > 0 {
        let tests = count(failed, "policy test");
        let what = format_args!("{tests} failed; `privet policy test` shows more");
        return Err(Failure::new(Exit::Tests, what));
    }
    let sets = count(loaded.policy.sets().len(), "data set");
    let warnings = count(loaded.warnings.len(), "warning");
    data(&format!("ok: {sets}, {warnings}\n"))
}

/// Reads configuration and policies for any command; what is wrong is told as `check` tells it.
pub(super) fn load(config: &Path) -> Result<Loaded, Failure> {
    Loaded::read(config).map_err(|error| match error {
        LoadError::Faults(faults) => refused(&faults),
        LoadError::Read(error) => {
            let help = match error.source.kind() {
                std::io::ErrorKind::NotFound => "; `privet init DIR` writes a first configuration",
                _ => "",
            };
            Failure::new(Exit::Config, format_args!("{}{help}", told(&error)))
        }
    })
}

/// Tells the faults.
pub(super) fn refused(faults: &[Fault]) -> Failure {
    for fault in faults {
        tell(&format!("{fault}\n"));
    }
    let errors = faults.iter().filter(|fault| fault.is_error()).count();
    Failure::new(Exit::Config, format_args!("{}; nothing was started", count(errors, "error")))
}

/// `1 thing`, `2 things`.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

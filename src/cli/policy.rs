//! `privet policy test`.

use std::path::Path;

use super::args::TestOutput;
use super::check;
use super::exit::{Exit, Failure, data};

/// Runs the tests beside the policies; exit code 4 when one fails or there is none.
pub(super) fn test(config: &Path, output: TestOutput) -> Result<(), Failure> {
    let loaded = check::load(config)?;
    let report = loaded.test_report().map_err(|faults| {
        for fault in &faults {
            super::exit::tell(&format!("{fault}\n"));
        }
        Failure::new(Exit::Config, "the tests cannot be read")
    })?;
    data(&match output {
        TestOutput::Junit => report.junit(),
        TestOutput::Tree => report.tree(),
    })?;
    if report.is_empty() {
        let folder = loaded.config.policies.display();
        let what = format!("no tests were found in {folder}; they stand in *.test.yaml");
        return Err(Failure::new(Exit::Tests, what));
    }
    if report.failed() == 0 { Ok(()) } else { Err(Failure::new(Exit::Tests, "")) }
}

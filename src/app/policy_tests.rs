//! Runs a policy's tests with the transformations that callers get.

use std::sync::Arc;

use serde_json::Value;

use crate::catalog::DataSet;
use crate::clock::SystemEntropy;
use crate::keys::KeyRing;
use crate::policy;
use crate::policy::Render;
use crate::policy::TestReport;
use crate::policy::View;
use crate::state::Engine;
use crate::transform::NoSeals;
use crate::transform::Shape;
use crate::transform::Showing;
use crate::transform::rewrite_one;
use crate::types::Fault;
use crate::types::Faults;
use crate::types::PurposeId;

use super::load::Loaded;

/// Shows records as the gateway would, with pseudonym keys that nobody else has.
struct Rewriter {
    keys: KeyRing,
}

impl Render for Rewriter {
    fn record(
        &self,
        set: &Arc<DataSet>,
        purpose: &PurposeId,
        record: &Value,
        views: &[View],
    ) -> Option<Value> {
        // The records of tests hold every value as it is.
        let shape = Arc::new(Shape::new(set).unsealed());
        let bytes = serde_json::to_vec(record).ok()?;
        let pseudonyms = self.keys.pseudonyms(purpose);
        let showing = Showing { views, pseudonyms: &pseudonyms, seals: &NoSeals };
        let shown = rewrite_one(&shape, &bytes, showing).ok()?;
        serde_json::from_slice(&shown).ok()
    }
}

impl Loaded {
    /// What came of the tests beside the policies.
    ///
    /// # Errors
    /// The faults of test files that cannot be read.
    pub fn test_report(&self) -> Result<TestReport, Vec<Fault>> {
        let mut faults = Faults::new();
        let keys = KeyRing::ephemeral(Engine::memory(), Arc::new(SystemEntropy));
        let keys = keys.map_err(|error| {
            let mut faults = Faults::new();
            faults.error_nowhere(format!("no keys for the tests: {error}"), "");
            faults.into_sorted()
        })?;
        let report = policy::run_tests(&self.policy, &self.tests, &Rewriter { keys }, &mut faults);
        if faults.has_errors() { Err(faults.into_sorted()) } else { Ok(report) }
    }

    /// Refuses a policy whose tests fail; the text says which.
    pub(super) fn require_tests(&self) -> Result<(), String> {
        match self.test_report() {
            Ok(report) if report.failed() == 0 => Ok(()),
            Ok(report) => Err(failures(&report)),
            Err(faults) => {
                Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// The tests that fail, each with its place and what was otherwise.
fn failures(report: &TestReport) -> String {
    let cases = report.files.iter().flat_map(|file| &file.cases);
    cases
        .filter(|case| !case.passed())
        .map(|case| format!("{}: {}\n  {}", case.place, case.name, case.failures.join("\n  ")))
        .collect::<Vec<_>>()
        .join("\n")
}

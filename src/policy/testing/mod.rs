//! Policy tests: example calls with what is expected of them, and invariants that hold for every
//! combination.

mod example;
mod expect;
mod invariant;
mod json;
mod names;
mod read;
mod regions;
mod report;
mod run;
mod select;
mod world;

use std::sync::Arc;

use serde_json::Value;

use crate::catalog::DataSet;
use crate::types::Faults;
use crate::types::PurposeId;

use super::PolicyFile;
use super::PolicySet;
use super::View;

pub use self::report::{TestCase, TestReport, TestedFile};

/// Shows a record in views. Who rewrites records for callers also does it for tests.
pub trait Render {
    /// The record as a caller gets it: `views` by `FieldIx`; `None` when it cannot be shown.
    fn record(
        &self,
        set: &Arc<DataSet>,
        purpose: &PurposeId,
        record: &Value,
        views: &[View],
    ) -> Option<Value>;
}

/// Runs test files (`*.test.yaml`) against a policy. Faults in the files themselves are added to
/// `faults`; what the policy does otherwise than expected is in the report.
pub fn run_tests(
    policy: &Arc<PolicySet>,
    files: &[PolicyFile],
    render: &dyn Render,
    faults: &mut Faults,
) -> TestReport {
    let mut tested = Vec::new();
    for file in files {
        let Some(read) = read::read(file, policy, faults) else { continue };
        let mut cases: Vec<TestCase> = Vec::new();
        for example in &read.examples {
            cases.push(run::run(example, &read, policy, render));
        }
        for invariant in &read.invariants {
            cases.push(invariant::check(invariant, policy, read.now));
        }
        tested.push(TestedFile { name: file.name.clone(), cases });
    }
    TestReport { files: tested }
}

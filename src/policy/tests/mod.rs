//! What policies mean, told in examples and measured against an evaluator written apart.

use std::sync::Arc;

use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::types::Faults;
use crate::types::Timestamp;

mod clearances;
mod dice;
mod faults;
mod meaning;
mod naive;
mod observing;
mod properties;
mod render;
mod report;
mod scene;
mod schema;
mod separate;
mod shipped;
mod transfers;
mod status;

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_s(1_795_251_600);

fn compile(text: &str) -> Arc<PolicySet> {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("a.yaml", text)], NOW, &mut faults);
    let told = told(faults);
    Arc::new(set.unwrap_or_else(|| panic!("{told}")))
}

fn faults_of(text: &str) -> String {
    let mut faults = Faults::new();
    drop(PolicySet::compile(&[file("a.yaml", text)], NOW, &mut faults));
    told(faults)
}

fn told(faults: Faults) -> String {
    let faults = faults.into_sorted();
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.into(), text: text.into() }
}

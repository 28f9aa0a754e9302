//! The entry of fuzz targets.

use std::sync::Arc;

use serde_json::Value;

use crate::catalog::DataSet;
use crate::types::Faults;
use crate::types::PurposeId;
use crate::types::Timestamp;

use super::PolicyFile;
use super::PolicySet;
use super::Render;
use super::View;
use super::run_tests;

/// Reads bytes as a policy and, when it compiles, as its own test file. Nothing may panic; a
/// policy that compiles must do so without an error fault and have the same hash each time.
pub fn read_for_fuzzing(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = [PolicyFile { name: "fuzz.yaml".into(), text: text.into() }];
    let mut faults = Faults::new();
    let compiled = PolicySet::compile(&files, Timestamp::from_unix_s(1_800_000_000), &mut faults);
    assert_eq!(compiled.is_some(), !faults.has_errors(), "a fault must stop the policy");
    for fault in faults.iter() {
        assert!(!fault.to_string().is_empty(), "a fault has words");
    }
    if let Some(policy) = compiled {
        run_tests(&Arc::new(policy), &files, &Nothing, &mut faults);
    }
}

struct Nothing;

impl Render for Nothing {
    fn record(&self, _: &Arc<DataSet>, _: &PurposeId, _: &Value, _: &[View]) -> Option<Value> {
        None
    }
}

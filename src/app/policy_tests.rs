//! Runs a policy's tests with the transformations that callers get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use crate::catalog::DataSet;
use crate::clock::Entropy;
use crate::clock::EntropyError;
use crate::keys::KeyRing;
use crate::keys::KeysError;
use crate::keys::PurposePseudonyms;
use crate::policy;
use crate::policy::Render;
use crate::policy::TestReport;
use crate::policy::View;
use crate::state::Engine;
use crate::transform::NoSeals;
use crate::transform::Plain;
use crate::transform::Pseudonyms;
use crate::transform::Shape;
use crate::transform::Showing;
use crate::transform::rewrite_one;
use crate::types::Fault;
use crate::types::Faults;
use crate::types::PurposeId;

use super::load::Loaded;

/// Shows records as the gateway would, with pseudonym keys that nobody else has: they are known,
/// and made for each run, so that they protect nothing and a test comes out the same every time.
/// A pseudonym under other keys in each run could spell a text that the test forbids, and a
/// gateway would not start.
struct Rewriter {
    keys: KeyRing,
}

impl Rewriter {
    fn new() -> Result<Self, KeysError> {
        let keys = KeyRing::ephemeral(Engine::memory(), Arc::new(Known::default()))?;
        Ok(Self { keys })
    }
}

/// The same bytes in every run, in the place of randomness.
#[derive(Debug, Default)]
struct Known(AtomicU64);

impl Entropy for Known {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::digest(count.to_be_bytes());
            chunk.copy_from_slice(block.get(..chunk.len()).ok_or(EntropyError)?);
        }
        Ok(())
    }
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
        let made = self.keys.pseudonyms(purpose).ok()?;
        let pseudonyms = Shown { made, set, record };
        let showing = Showing { views, pseudonyms: &pseudonyms, seals: &NoSeals };
        let shown = rewrite_one(&shape, &bytes, showing).ok()?;
        serde_json::from_slice(&shown).ok()
    }
}

/// The pseudonyms of the record of an example.
struct Shown<'a> {
    made: PurposePseudonyms,
    set: &'a DataSet,
    record: &'a Value,
}

impl Pseudonyms for Shown<'_> {
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let subject = self.set.owner(plain.field).and_then(|place| self.set.subjects.get(place));
        let id = subject.and_then(|subject| {
            let path = &self.set.get(subject.field)?.path;
            let value = path.as_str().split('.').try_fold(self.record, |at, name| at.get(name));
            match value? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        });
        let person = subject.and_then(|subject| Some((&subject.domain, id.as_deref()?)));
        self.made.write(plain, person, out)
    }
}

impl Loaded {
    /// What came of the tests beside the policies.
    ///
    /// # Errors
    /// The faults of test files that cannot be read.
    pub fn test_report(&self) -> Result<TestReport, Vec<Fault>> {
        let mut faults = Faults::new();
        let rewriter = Rewriter::new().map_err(|error| {
            let mut faults = Faults::new();
            faults.error_nowhere(format!("no keys for the tests: {error}"), "");
            faults.into_sorted()
        })?;
        let report = policy::run_tests(&self.policy, &self.tests, &rewriter, &mut faults);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::FieldIx;
    use crate::clock::Clock;
    use crate::clock::SystemClock;
    use crate::policy::PolicyFile;
    use crate::policy::PolicySet;
    use crate::policy::Pseudonym;

    const POLICY: &str = include_str!("../../policies/customer-care.yaml");
    const TESTS: &str = include_str!("../../policies/customer-care.test.yaml");

    fn report(policy: &str) -> TestReport {
        let file = |name: &str, text: &str| PolicyFile { name: name.into(), text: text.into() };
        let mut faults = Faults::new();
        let now = SystemClock.now();
        let policy =
            PolicySet::compile(&[file("customer-care.yaml", policy)], now, &mut faults).unwrap();
        let tests = [file("customer-care.test.yaml", TESTS)];
        policy::run_tests(&Arc::new(policy), &tests, &Rewriter::new().unwrap(), &mut faults)
    }

    #[test]
    fn pseudonyms_are_the_same_in_every_run() {
        let made = || {
            let keys = Rewriter::new().unwrap().keys;
            let pseudonyms = keys.pseudonyms(&PurposeId::parse("analytics").unwrap()).unwrap();
            let plain = Plain {
                form: Pseudonym::Token { reversible: false },
                field: FieldIx(0),
                kind: "",
                value: "c-1",
            };
            let mut out = Vec::new();
            assert!(pseudonyms.write(&plain, None, &mut out));
            out
        };
        assert_eq!(made(), made());
    }

    #[test]
    fn tests_come_out_the_same_whether_fields_are_sealed_or_not() {
        let mut sealed = POLICY.to_owned();
        for (field, at_rest) in [
            ("category: user.contact.email", ", at_rest: encrypt, index: email_index"),
            ("category: user.contact.phone_number", ", at_rest: encrypt"),
            ("category: user.demographic.date_of_birth", ", at_rest: encrypt"),
            ("category: user.health_and_medical", ", at_rest: encrypt"),
            ("category: user.financial.credit_card", ", at_rest: encrypt"),
            ("category: user.behavior.purchase_history, whole: true", ", at_rest: encrypt"),
        ] {
            let line = format!("{field} }}");
            sealed = sealed.replacen(&line, &format!("{field}{at_rest} }}"), 1);
        }
        assert!(sealed.matches("at_rest: encrypt").count() >= 6);
        let (plain, sealed) = (report(POLICY), report(&sealed));
        assert!(!plain.is_empty() && plain.failed() == 0, "{}", plain.tree());
        assert_eq!(sealed.tree(), plain.tree());
    }
}

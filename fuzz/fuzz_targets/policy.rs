//! Policy files: a policy comes out exactly when there is no error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = privet::policy::PolicyFile { name: "fuzz.yaml".into(), text: text.into() };
    let today = privet::types::Timestamp::from_unix_s(1_795_219_200);
    let mut faults = privet::types::Faults::new();
    let policy = privet::policy::PolicySet::compile(&[file], today, &mut faults);
    assert_eq!(policy.is_some(), !faults.has_errors());
});

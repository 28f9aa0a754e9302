//! Policy files, and the same bytes as a policy test: nothing panics, an error stops the policy.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::policy::read_for_fuzzing(data);
});

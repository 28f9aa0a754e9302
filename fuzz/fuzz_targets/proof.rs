//! Proofs that an entry is in a log, and that a checkpoint continues an earlier one.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::audit::fuzz::proof(data);
});

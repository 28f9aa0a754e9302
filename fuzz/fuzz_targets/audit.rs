//! The audit log's readers: journal frames, bundles, checkpoints, entries.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::audit::fuzz::read_anything(data);
});

//! CSV and forms of any bytes that a client sends: the store is told what was judged.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::transform::fuzz::flat(data);
});

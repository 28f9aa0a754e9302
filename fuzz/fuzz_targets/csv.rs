//! CSV of any bytes: what is dropped never comes out, cuts change nothing, no cell is a formula.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::transform::fuzz::csv(data);
});

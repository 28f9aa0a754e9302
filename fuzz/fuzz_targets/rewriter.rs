//! Records of any bytes: what is dropped never comes out, and cuts change nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::transform::fuzz::rewriter(data);
});

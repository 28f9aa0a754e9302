//! What is sent for a record, of any bytes: nothing changes that may not be written.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::transform::fuzz::edit(data);
});

//! Rows of wrapped keys and root key files of any bytes: what is read has one spelling, and opens
//! under no other key.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::crypto::fuzz::keyfile(data);
});

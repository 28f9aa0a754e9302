//! Sealed values of any bytes: what is read has one spelling, opens under no key it was not made
//! with, and comes back as it was sealed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    privet::crypto::fuzz::sealed(data);
});

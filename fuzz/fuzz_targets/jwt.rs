//! Tokens and key sets: what was read is all there was.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    drop(privet::authn::reads_as_token(data));
    drop(privet::authn::reads_as_key_set(data));
});

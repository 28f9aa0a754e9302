//! Request targets: what is normalised stays as it is, and holds nothing dangerous.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(privet::protocol::http::fuzz_target(text));
    }
});

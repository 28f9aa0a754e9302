//! privet.toml and any YAML: every fault has its place inside the text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(privet::types::doc::places_hold(text));
        assert!(privet::config::places_hold(text));
    }
});

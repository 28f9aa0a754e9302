//! The seeds of every fuzz target, through the same properties, on any toolchain.

use std::fs;
use std::path::Path;

/// Feeds every seed of a target to `check`; a target without seeds is a mistake.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

fn text(bytes: &[u8], check: impl Fn(&str) -> bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(check(text), "{text}");
    }
}

#[test]
fn rewriter() {
    replay("rewriter", privet::transform::fuzz::rewriter);
}

#[test]
fn edit() {
    replay("edit", privet::transform::fuzz::edit);
}

#[test]
fn csv() {
    replay("csv", privet::transform::fuzz::csv);
}

#[test]
fn flat() {
    replay("flat", privet::transform::fuzz::flat);
}

#[test]
fn sealed() {
    replay("sealed", privet::crypto::fuzz::sealed);
}

#[test]
fn keyfile() {
    replay("keyfile", privet::crypto::fuzz::keyfile);
}

#[test]
fn path() {
    replay("path", |bytes| text(bytes, privet::protocol::http::fuzz_target));
}

#[test]
fn policy() {
    replay("policy", privet::policy::read_for_fuzzing);
}

#[test]
fn config() {
    replay("config", |bytes| {
        text(bytes, privet::types::doc::places_hold);
        text(bytes, privet::config::places_hold);
    });
}

#[test]
fn jwt() {
    replay("jwt", |bytes| {
        privet::authn::reads_as_token(bytes);
        privet::authn::reads_as_key_set(bytes);
    });
}

#[test]
fn audit() {
    replay("audit", privet::audit::fuzz::read_anything);
}

#[test]
fn proof() {
    replay("proof", privet::audit::fuzz::proof);
}

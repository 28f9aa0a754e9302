//! The seeds of every fuzz target and mutants of them, through the same properties, on any
//! toolchain. `fuzz/run` looks further, guided by coverage.

use std::fs;
use std::path::Path;

/// Feeds every seed of a target to `check`, and mutants of them; a target without seeds is a
/// mistake.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| check(seed));
    let mut dice = Dice(MUTANTS);
    for _ in 0..MUTANTS {
        check(&mutant(&seeds, &mut dice));
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    // The order of a folder is nobody's promise.
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators"): the same
/// throws in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        usize::try_from(z % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }
}

/// A seed with some parts changed, lost, moved, or taken from another.
fn mutant(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let place = dice.range(bytes.len());
        match dice.below(6) {
            0 => drop(bytes.drain(place)),
            1 => {
                let again = bytes[place.clone()].to_vec();
                drop(bytes.splice(place.end..place.end, again));
            }
            2 => {
                let word = WORDS[dice.below(WORDS.len())];
                drop(bytes.splice(place.start..place.start, word.iter().copied()));
            }
            3 => {
                let other = &seeds[dice.below(seeds.len())];
                let part = other[dice.range(other.len())].to_vec();
                drop(bytes.splice(place, part));
            }
            4 if place.start < bytes.len() => bytes[place.start] ^= 1 << dice.below(8),
            _ if place.start < bytes.len() => {
                bytes[place.start] = u8::try_from(dice.below(256)).unwrap();
            }
            _ => {}
        }
    }
    bytes
}

/// What formats are made of, and what reads in two ways.
const WORDS: [&[u8]; 28] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\"\"",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"9007199254740993",
    b"\\u0000",
    b"\\ud800",
    b"\\u0070vt1_",
    b"pvt1_",
    b"bi1_",
    b"ps1_",
    b"%00",
    b"+",
    b"&",
    b"=",
    b"\xff",
    b"\xef\xbb\xbf",
];
/// How many mutants a target is shown.
const MUTANTS: u64 = 300;

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

//! What can be done to a log, by somebody with the disk and by somebody with the key as well, and
//! what `verify` says to it with checkpoints that were kept elsewhere.

use std::fs;

use crate::clock::ManualClock;
use crate::crypto::merkle::leaf;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;
use crate::types::Timestamp;

use super::*;

/// Entries of the published log, and of the checkpoints that were kept.
const SIZE: u64 = 700;
const KEPT: [u64; 2] = [300, 600];

/// Writes a log of these entries, which differ in nothing but their number, under the log's own
/// key; gives its checkpoints at the kept sizes.
async fn written(dir: &Path, numbers: &[u64]) -> Vec<String> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(1000)));
    let log = Log::open(config(dir), key(), clock).unwrap();
    let mut kept = Vec::new();
    for (n, number) in (1..).zip(numbers) {
        log.note(numbered(*number));
        if KEPT.contains(&n) {
            log.flush().await.unwrap();
            kept.push(log.checkpoint().unwrap().to_string());
        }
    }
    log.close().await.unwrap();
    kept
}

fn honest() -> Vec<u64> {
    (0..SIZE).collect()
}

/// Changes the entries of bundle `index` as somebody would who has the disk and not the key; with
/// `hashes`, their tile as well.
fn rebundle(dir: &Path, index: u64, hashes: bool, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let width = u16::try_from((SIZE - index * 256).min(256)).unwrap();
    let (bundle, tile) = (Tile::entries(index, width), Tile::hashes(0, index, width));
    let path = dir.join(bundle.to_string());
    let bytes = fs::read(&path).unwrap();
    let mut entries: Vec<Vec<u8>> = tlog::entries(&bytes).map(|e| e.unwrap().to_vec()).collect();
    change(&mut entries);
    let mut bytes = Vec::new();
    for entry in &entries {
        assert!(tlog::append_entry(&mut bytes, entry));
    }
    fs::write(&path, bytes).unwrap();
    if hashes {
        let hashes: Vec<[u8; 32]> = entries.iter().map(|entry| leaf(entry)).collect();
        fs::write(dir.join(tile.to_string()), hashes.concat()).unwrap();
    }
}

fn copy(dir: &Path, from: &str, to: &str) {
    fs::copy(dir.join(from), dir.join(to)).unwrap();
}

fn flip(dir: &Path, file: &str, at: usize) {
    let mut bytes = fs::read(dir.join(file)).unwrap();
    bytes[at] ^= 1;
    fs::write(dir.join(file), bytes).unwrap();
}

#[tokio::test]
async fn who_has_the_disk_is_caught_and_the_first_bad_entry_named() {
    let home = tempfile::tempdir().unwrap();
    for (n, (what, change, expected)) in CHANGES.into_iter().enumerate() {
        let dir = home.path().join(n.to_string());
        let kept = written(&dir, &honest()).await;
        change(&dir);
        said(what, &dir, &kept, expected);
    }
}

type Change = fn(&Path);

/// What is done to a log of 700 entries, and what is then said of it.
const CHANGES: [(&str, Change, Result<(), &str>); 14] = [
    ("nothing", |_| {}, Ok(())),
    ("a bit of an entry", |dir| flip(dir, "tile/entries/000", 30), Err("entry 0 does not match")),
    ("a bit of a tile", |dir| flip(dir, "tile/0/001", 32 * 5), Err("entry 261 does not match")),
    (
        "a bit of a higher tile",
        |dir| flip(dir, "tile/1/000.p/2", 33),
        Err("entry 256 does not match"),
    ),
    (
        "a bit of the checkpoint",
        |dir| flip(dir, "checkpoint", 25),
        Err("checkpoint cannot be trusted"),
    ),
    (
        "two entries in each other's place",
        |dir| rebundle(dir, 1, false, |entries| entries.swap(7, 9)),
        Err("entry 263 does not match"),
    ),
    (
        "the same, with their hashes",
        |dir| rebundle(dir, 1, true, |entries| entries.swap(7, 9)),
        Err("first bad index is 0 or later, before 300"),
    ),
    (
        "an entry taken out",
        |dir| rebundle(dir, 0, false, |entries| drop(entries.remove(17))),
        Err("entry 17 does not match"),
    ),
    (
        "an entry played again",
        |dir| rebundle(dir, 0, false, |entries| entries.insert(18, entries[17].clone())),
        Err("entry 18 does not match"),
    ),
    (
        "an entry more at the end of a full bundle",
        |dir| rebundle(dir, 0, false, |entries| entries.push(entries[0].clone())),
        Err("malformed from entry 255"),
    ),
    (
        "the last entry cut off",
        |dir| rebundle(dir, 2, false, |entries| drop(entries.pop())),
        Err("malformed from entry 699"),
    ),
    (
        "an entry cut in the middle",
        |dir| rebundle(dir, 2, false, |entries| entries[100].truncate(9)),
        Err("entry 612 does not match"),
    ),
    (
        "a bundle taken away",
        |dir| fs::remove_file(dir.join("tile/entries/001")).unwrap(),
        Err("entry 256 cannot be checked"),
    ),
    (
        "one bundle in another's place",
        |dir| copy(dir, "tile/entries/000", "tile/entries/001"),
        Err("entry 256 does not match"),
    ),
];

/// Compares what `verify` says with what was expected.
fn said(what: &str, dir: &Path, kept: &[String], expected: Result<(), &str>) {
    let found = verify(dir, key().verifier(), kept.iter().map(String::as_str));
    match (found, expected) {
        (Ok(found), Ok(())) => assert_eq!(found.since, Some(600), "{what}"),
        (Err(error), Err(text)) => {
            assert!(error.to_string().contains(text), "{what}: {error}");
            assert!(error.disproves(), "{what}");
        }
        (found, _) => panic!("{what}: {found:?}"),
    }
}

#[tokio::test]
async fn who_has_the_key_as_well_is_caught_by_what_was_kept_elsewhere() {
    let moved = |from: usize, to: usize| {
        let mut numbers = honest();
        let number = numbers.remove(from);
        numbers.insert(to, number);
        numbers
    };
    let changed = |at: usize| {
        let mut numbers = honest();
        numbers[at] = 9_999;
        numbers
    };
    let without = |at: usize| {
        let mut numbers = honest();
        numbers.remove(at);
        numbers
    };
    let mut again = honest();
    again.insert(401, 400);
    let mut forked = honest();
    forked.truncate(500);
    forked.extend(5_000..5_200);
    let home = tempfile::tempdir().unwrap();
    let kept = written(&home.path().join("honest"), &honest()).await;
    let first = Err("first bad index is 0 or later, before 300");
    let second = Err("first bad index is 300 or later, before 600");
    for (n, (what, numbers, expected)) in [
        ("an entry changed", changed(10), first),
        ("the first entry changed", changed(0), first),
        ("an entry changed between two that were kept", changed(450), second),
        ("two entries in another order", moved(310, 320), second),
        ("an entry taken out", without(299), first),
        ("an entry taken out just behind a kept one", without(300), second),
        ("an entry played again", again, second),
        ("the end cut off", (0..599).collect(), Err("entry 599 is gone")),
        ("an older state put back", (0..300).collect(), Err("entry 300 is gone")),
        ("everything gone", Vec::new(), Err("entry 0 is gone")),
        ("cut, and continued in another way", forked, second),
        // What is newer than anything kept elsewhere, only a witness or the next copy can hold.
        ("an entry changed behind the last that was kept", changed(650), Ok(())),
        ("the end behind it cut off", (0..600).collect(), Ok(())),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = home.path().join(n.to_string());
        written(&dir, &numbers).await;
        // By itself it looks like any other log.
        verify(&dir, key().verifier(), None).unwrap();
        said(what, &dir, &kept, expected);
    }
}

#[tokio::test]
async fn a_log_written_anew_throughout_needs_the_key() {
    let home = tempfile::tempdir().unwrap();
    let (honest_dir, other) = (home.path().join("honest"), home.path().join("other"));
    let kept = written(&honest_dir, &honest()).await;
    let mut numbers = honest();
    numbers[650] = 9_999;
    written(&other, &numbers).await;
    fs::copy(honest_dir.join("checkpoint"), other.join("checkpoint")).unwrap();
    said("bundles and tiles fit each other", &other, &kept, Err("first bad index is 600 or later"));
    let forged = NoteKey::new("log.example/node-1", signer(8)).unwrap();
    let point = fs::read_to_string(honest_dir.join("checkpoint")).unwrap();
    let text = key().verifier().open(&point).unwrap().to_owned();
    fs::write(honest_dir.join("checkpoint"), forged.sign(&text)).unwrap();
    said("signed by another", &honest_dir, &kept, Err("cannot be trusted"));
}

/// One key, two logs: a checkpoint of each, and whoever compares them knows.
#[tokio::test]
async fn two_histories_under_one_key_contradict_each_other() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let shown_to_us = written(&one, &honest()).await;
    let mut numbers = honest();
    numbers[650] = 9_999;
    numbers[5] = 9_998;
    let shown_to_others = written(&two, &numbers).await;
    let both = [shown_to_us[1].clone(), shown_to_others[1].clone()];
    for dir in [&one, &two] {
        said("two of one size", dir, &both, Err("before 600"));
    }
}

//! Closing, crashing and opening again.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder of a log as a crash leaves it: `count` acknowledged entries, no checkpoint over them.
async fn crashed(count: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir.path().join("live"));
    (config.checkpoint_every_ms, config.checkpoint_entries) = (3_600_000, u64::MAX);
    let log = open(config).unwrap();
    for n in 0..count {
        assert_eq!(log.release(numbered(n)).await.unwrap().index(), n);
    }
    let copy = dir.path().join("copy");
    copy_folder(&dir.path().join("live"), &copy);
    log.close().await.unwrap();
    (dir, copy)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn journal(dir: &Path) -> PathBuf {
    dir.join(journal::segment_name(0))
}

async fn close(log: Log) {
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_log_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for count in [0, 1, 0, 254, 1, 1, 300, 512, 1000] {
        let log = open(config(dir.path())).unwrap();
        for _ in 0..count {
            log.note(numbered(total));
            total += 1;
        }
        close(log).await;
        let verified = verify(dir.path(), key().verifier(), None).unwrap();
        assert_eq!(verified.checkpoint.size, total);
    }
    let found: Vec<u64> = everything(dir.path()).iter().map(number).collect();
    assert!(found.iter().copied().eq(0..total));
}

#[tokio::test]
async fn journal_segments_go_once_their_entries_are_in_bundles() {
    for durability in [Durability::Strict, Durability::Batched] {
        let dir = tempfile::tempdir().unwrap();
        for start in [0, 3000] {
            let mut config = config(dir.path());
            (config.segment_entries, config.durability) = (300, durability);
            let log = open(config).unwrap();
            for n in start..start + 3000 {
                log.note(numbered(n));
                if n % 97 == 0 {
                    let receipt = log.record(numbered(n)).await;
                    assert!(receipt.is_ok());
                }
            }
            close(log).await;
        }
        let left = fs::read_dir(dir.path().join("journal")).unwrap().count();
        assert!(left <= 2, "{left} segments are left");
        let size = verify(dir.path(), key().verifier(), None).unwrap().checkpoint.size;
        assert_eq!(size, everything(dir.path()).len() as u64);
        assert_eq!(size, 6000 + 6000_u64.div_ceil(97));
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_nothing_else_is_lost() {
    let (dir, copy) = crashed(5).await;
    let with_room = fs::read(journal(&copy)).unwrap();
    let ends = frame_ends(&with_room);
    assert_eq!(ends.len(), 6, "a head and a frame for each entry");
    let (whole, room) = with_room.split_at(ends[5]);
    assert!(!room.is_empty() && room.iter().all(|byte| *byte == 0), "room for the next frames");
    let whole = whole.to_vec();
    let torn = |bytes: &[u8]| {
        let place = dir.path().join("torn");
        drop(fs::remove_dir_all(&place));
        copy_folder(&copy, &place);
        fs::write(journal(&place), bytes).unwrap();
        place
    };
    let last = ends[4];
    let mut cases: Vec<(Vec<u8>, u64)> = vec![(whole.clone(), 5)];
    cases.extend((last + 1..whole.len()).step_by(7).map(|end| (whole[..end].to_vec(), 4)));
    cases.push((whole[..ends[2]].to_vec(), 2));
    cases.push((with_room.clone(), 5));
    // A frame that is torn in the middle of its room.
    cases.extend((last..whole.len()).step_by(29).map(|end| {
        let mut torn = with_room.clone();
        torn[end..].fill(0);
        (torn, 4)
    }));
    for tail in
        [vec![0; 5000], vec![0xff; 33], b"PVF1".to_vec(), whole[ends[3]..ends[4] - 1].to_vec()]
    {
        cases.push(([whole.as_slice(), &tail].concat(), 5));
    }
    // The disk kept the length of the last write and lost its bytes, or part of them.
    cases.push(([&whole[..last], &vec![0; whole.len() - last]].concat(), 4));
    let mut holes = whole.clone();
    holes[last + 20..last + 60].fill(0);
    cases.push((holes, 4));
    // Not even the head of the segment reached the disk.
    cases.extend((0..20).map(|end| (whole[..end].to_vec(), 0)));
    for (case, (bytes, kept)) in cases.into_iter().enumerate() {
        let place = torn(&bytes);
        let log = open(config(&place)).unwrap_or_else(|error| panic!("case {case}: {error}"));
        assert_eq!(log.release(numbered(100)).await.unwrap().index(), kept, "case {case}");
        close(log).await;
        let found: Vec<u64> = everything(&place).iter().map(number).collect();
        assert!(found.into_iter().eq((0..kept).chain([100])), "case {case}");
        verify(&place, key().verifier(), None).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_is_closed_leaves_no_room_behind() {
    for durability in [Durability::Strict, Durability::Batched] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.durability = durability;
        filled(config, 5).await;
        let bytes = fs::read(journal(dir.path())).unwrap();
        assert_eq!(frame_ends(&bytes).last(), Some(&bytes.len()));
    }
}

#[tokio::test]
async fn damage_before_the_end_is_named_and_the_log_stays_shut() {
    let (_dir, copy) = crashed(5).await;
    let whole = fs::read(journal(&copy)).unwrap();
    let ends = frame_ends(&whole);
    for at in (0..ends[3]).step_by(11) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(journal(&copy), &bytes).unwrap();
        let error = open(config(&copy)).unwrap_err();
        let AuditError::Damaged { what, .. } = &error else { panic!("{error}") };
        let index = ends.iter().filter(|end| **end <= at).count().saturating_sub(1);
        assert!(what.contains(&format!("entry {index}")), "byte {at}: {what}");
    }
}

fn frame_ends(bytes: &[u8]) -> Vec<usize> {
    let scan = frame::scan(bytes, 0);
    let mut at = frame::SEGMENT_HEAD;
    let mut ends = vec![at];
    for frame in scan.frames {
        at += 32 + frame.payload.len();
        ends.push(at);
    }
    ends
}

#[tokio::test]
async fn a_journal_shorter_than_the_checkpoint_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 300).await;
    let whole = fs::read(journal(dir.path())).unwrap();
    for (len, what) in [(whole.len() - 1, "published"), (20, "published"), (0, "published")] {
        fs::write(journal(dir.path()), &whole[..len]).unwrap();
        let error = open(config(dir.path())).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    fs::remove_file(journal(dir.path())).unwrap();
    let error = open(config(dir.path())).unwrap_err().to_string();
    assert!(error.contains("journal is missing"), "{error}");
}

#[tokio::test]
async fn missing_segments_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 300).await;
    let elsewhere = journal::segment_name(256);
    fs::rename(journal(dir.path()), dir.path().join(elsewhere)).unwrap();
    assert!(matches!(open(config(dir.path())), Err(AuditError::Damaged { .. })));
    let elsewhere = journal::segment_name(512);
    fs::write(dir.path().join(elsewhere), b"").unwrap();
    assert!(matches!(open(config(dir.path())), Err(AuditError::Damaged { .. })));
}

#[tokio::test]
async fn derived_files_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 700).await;
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    assert!(verify(dir.path(), key().verifier(), None).is_err());
    let log = open(config(dir.path())).unwrap();
    assert_eq!(log.release(numbered(700)).await.unwrap().index(), 700);
    close(log).await;
    verify(dir.path(), key().verifier(), None).unwrap();
    assert_eq!(everything(dir.path()).len(), 701);
}

#[tokio::test]
async fn unfinished_tiles_that_a_power_cut_emptied_are_made_again_without_a_new_entry() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 700).await;
    let unfinished = |tile: &str| dir.path().join(format!("tile/{tile}/002.p/188"));
    for tile in ["0", "entries"] {
        assert!(fs::metadata(unfinished(tile)).unwrap().len() > 0);
        fs::write(unfinished(tile), b"").unwrap();
    }
    assert!(verify(dir.path(), key().verifier(), None).is_err());
    close(open(config(dir.path())).unwrap()).await;
    verify(dir.path(), key().verifier(), None).unwrap();
}

#[tokio::test]
async fn one_process_holds_the_log_and_only_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    assert!(matches!(open(config(dir.path())), Err(AuditError::InUse { .. })));
    close(log.clone()).await;
    close(log.clone()).await;
    assert!(!log.writable());
    assert!(matches!(log.release(numbered(0)).await, Err(AuditError::Closed)));
    assert!(matches!(log.flush().await, Err(AuditError::Closed)));

    let other = |name: &str, seed| {
        let mut config = config(dir.path());
        config.origin = name.to_owned();
        let key = signer(seed);
        let key = NoteKey::new(name, key).unwrap();
        Log::open(config, key, Arc::new(SystemClock)).map(|_| ())
    };
    assert!(matches!(other("log.example/node-1", 8), Err(AuditError::NotOurs { .. })));
    assert!(matches!(other("log.example/node-2", 7), Err(AuditError::NotOurs { .. })));
    close(open(config(dir.path())).unwrap()).await;
}

#[tokio::test]
async fn old_unfinished_tiles_are_tidied_away() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    for n in 0..300 {
        log.note(numbered(n));
        if n % 10 == 0 {
            log.flush().await.unwrap();
            verify(dir.path(), key().verifier(), None).unwrap();
        }
    }
    close(log).await;
    let count = |folder: &str| fs::read_dir(dir.path().join(folder)).map_or(0, Iterator::count);
    assert_eq!(count("tile/0/000.p"), 0);
    assert_eq!(count("tile/entries/000.p"), 0);
    assert!((1..=5).contains(&count("tile/0/001.p")));
    assert!((1..=5).contains(&count("tile/entries/001.p")));
}

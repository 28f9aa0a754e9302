//! What `verify` finds, and what it cannot be fooled about.

use std::fs;
use std::path::PathBuf;

use crate::crypto::note::Checkpoint;

use super::*;

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_flipped_bit_is_caught_and_its_index_named() {
    let dir = tempfile::tempdir().unwrap();
    let size: u64 = 66_000;
    filled(config(dir.path()), size).await;
    let check = || verify(dir.path(), key().verifier(), None);
    assert_eq!(check().unwrap().checkpoint.size, size);
    let entry_len = |bundle: &[u8]| 2 + usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    for (file, at, index) in [
        ("tile/entries/003", None, 769),
        ("tile/0/000", Some(0), 0),
        ("tile/0/255", Some(32 * 7 + 3), 255 * 256 + 7),
        ("tile/1/000", Some(32 * 9), 9 * 256),
        ("tile/1/001.p/1", Some(5), 65_536),
        ("tile/2/000.p/1", Some(31), 0),
        ("tile/0/257.p/208", Some(32 * 207), 65_999),
        ("tile/entries/257.p/208", Some(30), 65_792),
    ] {
        let path = dir.path().join(file);
        let whole = fs::read(&path).unwrap();
        flip(&path, at.unwrap_or_else(|| entry_len(&whole) + 10));
        let error = check().unwrap_err();
        assert_eq!(error.index(), Some(index), "{file}: {error}");
        fs::remove_file(&path).unwrap();
        assert!(check().unwrap_err().index().is_some(), "{file} is missing");
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(check().unwrap_err().index().is_some(), "{file} is cut");
        fs::write(&path, whole).unwrap();
    }
    let path = dir.path().join("checkpoint");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        flip(&path, at);
        assert!(check().is_err(), "byte {at} of the checkpoint");
        fs::write(&path, &whole).unwrap();
    }
    check().unwrap();
}

#[tokio::test]
async fn any_flipped_bit_of_a_small_log_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 3).await;
    let mut checked = 0;
    for file in files(&dir.path().join("tile")) {
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            flip(&file, at);
            assert!(verify(dir.path(), key().verifier(), None).is_err(), "{file:?} byte {at}");
            fs::write(&file, &whole).unwrap();
            checked += 1;
        }
    }
    assert!(checked > 300);
}

#[tokio::test]
async fn a_log_cut_or_written_anew_does_not_continue_a_kept_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (first, forked) = (dir.path().join("first"), dir.path().join("forked"));
    let mut kept = vec![(0, String::new())];
    for target in [10, 300, 1000] {
        let log = open(config(&first)).unwrap();
        let start = kept.last().unwrap().0;
        for n in start..target {
            log.note(numbered(n));
        }
        log.close().await.unwrap();
        kept.push((target, log.checkpoint().unwrap().to_string()));
    }
    kept.remove(0);
    for (size, note) in &kept {
        let verified = verify(&first, key().verifier(), Some(note.as_str())).unwrap();
        assert_eq!(verified.since, Some(*size));
    }
    // The same key signs another history: only the kept checkpoint tells.
    filled(config(&forked), 500).await;
    verify(&forked, key().verifier(), None).unwrap();
    let error = verify(&forked, key().verifier(), Some(kept[1].1.as_str())).unwrap_err();
    assert!(matches!(error, VerifyError::Forked { size: 300, after: 0 }), "{error}");
    let error = verify(&forked, key().verifier(), Some(kept[2].1.as_str())).unwrap_err();
    assert!(matches!(error, VerifyError::Truncated { kept: 1000, size: 500 }), "{error}");
    // An older checkpoint put back is a truncated log.
    fs::write(first.join("checkpoint"), &kept[1].1).unwrap();
    let error = verify(&first, key().verifier(), Some(kept[2].1.as_str())).unwrap_err();
    assert!(matches!(error, VerifyError::Truncated { kept: 1000, size: 300 }), "{error}");
    verify(&first, key().verifier(), Some(kept[1].1.as_str())).unwrap();
}

#[tokio::test]
async fn a_checkpoint_of_another_key_or_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 3).await;
    let other = signer(9);
    let other = NoteKey::new("log.example/node-1", other).unwrap();
    assert!(verify(dir.path(), other.verifier(), None).is_err());
    let text = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    let known = Checkpoint::parse(key().verifier().open(&text).unwrap()).unwrap();
    let renamed = Checkpoint { origin: "log.example/node-2".into(), ..known };
    fs::write(dir.path().join("checkpoint"), key().sign(&renamed.to_string())).unwrap();
    assert!(verify(dir.path(), key().verifier(), None).is_err());
    fs::remove_file(dir.path().join("checkpoint")).unwrap();
    let error = verify(dir.path(), key().verifier(), None).unwrap_err();
    assert!(matches!(error, VerifyError::NoCheckpoint));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_verifies_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    (config.checkpoint_every_ms, config.segment_entries) = (1, 512);
    let log = open(config).unwrap();
    let writer = {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..4000 {
                let receipt = log.release(numbered(n)).await.unwrap();
                assert_eq!(receipt.index(), n);
            }
        })
    };
    let mut kept = log.checkpoint().unwrap();
    while !writer.is_finished() {
        verify(dir.path(), key().verifier(), Some(&*kept)).unwrap();
        kept = log.checkpoint().unwrap();
        everything(dir.path());
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    log.close().await.unwrap();
    assert_eq!(verify(dir.path(), key().verifier(), Some(&*kept)).unwrap().checkpoint.size, 4000);
}

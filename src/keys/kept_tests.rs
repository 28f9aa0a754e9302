//! Everything restored from an older copy brings nobody back where the mark is kept elsewhere.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;

use super::epoch_tests::Town;
use super::epoch_tests::copy;
use super::tests::Installation;
use super::tests::person;
use super::*;

/// An installation that keeps its mark in another folder.
async fn kept() -> (Installation, TempDir, PathBuf) {
    let (mut installation, elsewhere) =
        (Installation::initialised().await, TempDir::new().unwrap());
    let mark = elsewhere.path().join("mark");
    installation.config.high_water = Some(mark.clone());
    (installation, elsewhere, mark)
}

async fn erase(ring: &KeyRing, id: &str) -> Result<Destroyed, KeysError> {
    ring.erase(&ring.subject(&person(), id), "r-1").await
}

fn restore(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

#[tokio::test]
async fn keys_that_were_restored_whole_are_refused_until_the_newest_ledger_is_there() {
    let (installation, elsewhere, _) = kept().await;
    let (dir, old) = (installation.config.dir.clone(), elsewhere.path().join("old"));
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 4).await;
    erase(&ring, "p-1").await.unwrap();
    drop(ring);
    copy(&dir, &old);
    let ring = installation.open().await.unwrap();
    erase(&ring, "p-2").await.unwrap();
    drop(ring);
    let ledger = fs::read(dir.join("tombstones")).unwrap();
    restore(&old, &dir);
    for _ in 0..2 {
        let refused = installation.open().await.unwrap_err();
        assert!(matches!(refused, KeysError::LedgerShort { found: 1, known: 2, .. }), "{refused}");
        assert!(refused.to_string().contains("Restore the newest copy"), "{refused}");
    }
    fs::write(dir.join("tombstones"), &ledger).unwrap();
    let ring = installation.open().await.unwrap();
    town.check(&ring, &["p-1", "p-2"]).await;
    drop(ring);
    // Nor does it help to go on with the older copy where nobody compares, and to come back.
    restore(&old, &dir);
    let mut careless = installation.config.clone();
    careless.high_water = None;
    let ring = KeyRing::open(&careless, std::sync::Arc::new(crate::clock::SystemEntropy)).await;
    let ring = ring.unwrap();
    erase(&ring, "p-3").await.unwrap();
    erase(&ring, "p-0").await.unwrap();
    drop(ring);
    let refused = installation.open().await.unwrap_err();
    assert!(matches!(refused, KeysError::LedgerForked { .. }), "{refused}");
}

#[tokio::test]
async fn an_erasure_is_not_acknowledged_before_the_mark_is_kept() {
    let (installation, elsewhere, mark) = kept().await;
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 3).await;
    assert!(fs::read_to_string(&mark).unwrap().starts_with("privet-high-water/v1 0 "));
    let away = elsewhere.path().with_extension("away");
    fs::rename(elsewhere.path(), &away).unwrap();
    let refused = erase(&ring, "p-1").await.unwrap_err();
    assert!(matches!(refused, KeysError::Io { .. }), "{refused}");
    // The tombstone counts all the same; asked again, the rest is done.
    assert!(ring.is_erased(&ring.subject(&person(), "p-1")));
    assert!(erase(&ring, "p-1").await.is_err());
    fs::rename(&away, elsewhere.path()).unwrap();
    erase(&ring, "p-1").await.unwrap();
    assert!(fs::read_to_string(&mark).unwrap().starts_with("privet-high-water/v1 1 "));
    erase(&ring, "p-2").await.unwrap();
    assert!(fs::read_to_string(&mark).unwrap().starts_with("privet-high-water/v1 2 "));
    drop(ring);
    // Killed between the tombstone and the mark: the start writes the mark.
    let newest = fs::read(&mark).unwrap();
    fs::write(&mark, format!("privet-high-water/v1 {}\n", HighWater::NONE)).unwrap();
    let ring = installation.open().await.unwrap();
    assert_eq!(fs::read(&mark).unwrap(), newest);
    town.check(&ring, &["p-1", "p-2"]).await;
}

#[tokio::test]
async fn a_mark_that_is_gone_or_damaged_is_not_taken_for_none() {
    let (installation, _elsewhere, mark) = kept().await;
    let ring = installation.open().await.unwrap();
    Town::build(&ring, 2).await;
    erase(&ring, "p-1").await.unwrap();
    drop(ring);
    fs::remove_file(&mark).unwrap();
    let refused = installation.open().await.unwrap_err();
    assert!(matches!(refused, KeysError::KeptMissing { .. }), "{refused}");
    assert!(!mark.exists(), "nothing is made in its place");
    fs::write(&mark, "2\n").unwrap();
    let refused = installation.open().await.unwrap_err();
    assert!(matches!(refused, KeysError::KeptDamaged { .. }), "{refused}");
    // What the messages say to do works, and the mark is there again.
    fs::write(&mark, "").unwrap();
    drop(installation.open().await.unwrap());
    assert!(fs::read_to_string(&mark).unwrap().starts_with("privet-high-water/v1 1 "));
}

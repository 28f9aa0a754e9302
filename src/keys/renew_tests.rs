//! The root key is replaced under traffic and over kills, and nothing of the one before stays.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use super::epoch_tests::Town;
use super::epoch_tests::copy;
use super::epoch_tests::make;
use super::epoch_tests::roll;
use super::tests::Installation;
use super::tests::files as all_files;
use super::tests::holds;
use super::tests::person;
use super::*;
use crate::clock::SystemEntropy;
use crate::crypto::KdfCost;

/// The wrapped key of each slot, and the sealed root key: what a copy of the folder has.
fn sealed_keys(installation: &Installation) -> Vec<Vec<u8>> {
    let slots = slots::folder(&installation.config.dir);
    let paths = fs::read_dir(slots).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<Vec<u8>> = paths.map(|path| sealed_in(&path)).collect();
    found.push(sealed_in(&root_file(installation)));
    assert_eq!(found.len(), 8);
    found
}

fn sealed_in(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    text.trim_end().rsplit_once(' ').unwrap().1.as_bytes().to_vec()
}

fn root_file(installation: &Installation) -> PathBuf {
    installation.path().join("root.key")
}

/// The files that hold any of `needles`.
fn holders(installation: &Installation, needles: &[Vec<u8>]) -> Vec<PathBuf> {
    let hit = |bytes: &[u8]| needles.iter().any(|needle| holds(bytes, needle));
    let files = all_files(installation.path()).into_iter();
    files.filter(|(_, bytes)| hit(bytes)).map(|(path, _)| path).collect()
}

fn names(installation: &Installation) -> Vec<String> {
    let mut names: Vec<String> = all_files(installation.path())
        .into_iter()
        .map(|(path, _)| path.display().to_string())
        .filter(|name| name.contains("root.key") || name.contains("slots/"))
        .collect();
    names.sort();
    names
}

/// Replaces the root key on this thread, where file operations can be made to fail.
async fn renew(ring: &KeyRing, from: &str) -> Result<Renewed, KeysError> {
    ring.renew_root_here(from, KdfCost::FLOOR).await
}

#[tokio::test]
async fn the_next_root_key_wraps_everything_and_nothing_of_the_last_stays() {
    let installation = Installation::initialised().await;
    let kept = tempfile::TempDir::new().unwrap();
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 5).await;
    let (before, old) = (names(&installation), sealed_keys(&installation));
    assert_eq!(holders(&installation, &old).len(), 8, "the test looks for what is there");
    copy(&installation.config.dir, &kept.path().join("keys"));
    fs::copy(root_file(&installation), kept.path().join("root.key")).unwrap();
    let (from, receipts) = (ring.root_name().unwrap(), ring.receipt_signer().verifier());
    let done = renew(&ring, &from).await.unwrap();
    assert_eq!((done.slots, done.left_to_do), (7, None));
    assert_eq!(holders(&installation, &old), Vec::<PathBuf>::new());
    assert_eq!(names(&installation), before);
    town.check(&ring, &[]).await;
    // The ring in memory makes keys that the next start opens.
    roll(&ring).await.unwrap();
    drop(ring);
    let ring = installation.open().await.unwrap();
    town.check(&ring, &[]).await;
    assert_eq!(ring.root_name().unwrap(), done.name);
    assert_ne!(done.name, from);
    // What was signed before root key and epoch went is checked by the same key.
    assert_eq!(ring.receipt_signer().verifier(), receipts);
    assert_ne!(receipts, ring.audit_signer().verifier());
    drop(ring);
    // Neither half of the older pair opens the other half of the newer one.
    fs::copy(kept.path().join("root.key"), root_file(&installation)).unwrap();
    let refused = installation.open().await.unwrap_err();
    assert!(matches!(refused, KeysError::Slot { .. }), "{refused}");
}

#[tokio::test]
async fn a_kill_at_any_change_of_the_disk_leaves_a_folder_that_opens_and_can_go_on() {
    let origin = Installation::initialised().await;
    let ring = origin.open().await.unwrap();
    let town = Town::build(&ring, 3).await;
    let (from, old) = (ring.root_name().unwrap(), sealed_keys(&origin));
    drop(ring);
    let mut steps = 0;
    loop {
        let installation = origin.duplicate();
        let ring = installation.open().await.unwrap();
        files::fail_after(Some(steps));
        let cut = renew(&ring, &from).await;
        files::fail_after(None);
        // The process that failed goes on, and what it makes opens later.
        town.check(&ring, &[]).await;
        if steps % 3 == 0 {
            roll(&ring).await.unwrap();
        }
        if steps % 2 == 0 {
            drop(ring);
            let ring = installation.open().await.unwrap();
            town.check(&ring, &[]).await;
            // Asked for anew, or the same once more.
            let from = if steps % 4 == 0 { ring.root_name().unwrap() } else { from.clone() };
            renew(&ring, &from).await.unwrap();
        } else {
            renew(&ring, &from).await.unwrap();
            drop(ring);
        }
        assert_eq!(holders(&installation, &old), Vec::<PathBuf>::new(), "after step {steps}");
        let left = names(&installation);
        assert!(left.len() == 8 && left.iter().all(|name| name.ends_with(".key")), "{left:?}");
        town.check(&installation.open().await.unwrap(), &[]).await;
        if cut.is_ok() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 40, "{steps}");
}

#[tokio::test]
async fn what_is_left_of_a_replacement_that_nobody_goes_on_with_goes_at_the_next_start() {
    let origin = Installation::initialised().await;
    let ring = origin.open().await.unwrap();
    let from = ring.root_name().unwrap();
    drop(ring);
    // Making the next takes 4 changes of the disk, each of 7 slots 6 of them.
    for (steps, needed) in [
        (1, false),
        (3, false),
        (4, false),
        (20, true),
        (46, true),
        (47, false),
        (49, false),
        (50, false),
        (51, false),
    ] {
        let installation = origin.duplicate();
        let ring = installation.open().await.unwrap();
        files::fail_after(Some(steps));
        assert!(renew(&ring, &from).await.is_err(), "step {steps}");
        files::fail_after(None);
        drop(ring);
        assert!(names(&installation).len() > 8, "after step {steps}");
        drop(installation.open().await.unwrap());
        assert_eq!(names(&installation).len() > 8, needed, "after step {steps}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_root_key_is_replaced_under_load_and_fails_nobody() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 50).await;
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for worker in 0..4 {
        let (ring, stop, made) = (ring.clone(), Arc::clone(&stop), Arc::clone(&made));
        workers.push(tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (id, domain) = (format!("w-{worker}-{n}"), person());
                make(&ring, &id).await;
                made.fetch_add(1, Ordering::SeqCst);
                if worker == 0 && n % 16 == 0 {
                    roll(&ring).await.unwrap();
                }
                if worker == 1 {
                    ring.erase(&ring.subject(&domain, &id), "r").await.unwrap();
                }
            }
        }));
    }
    for _ in 0..3 {
        let (from, before) = (ring.root_name().unwrap(), made.load(Ordering::SeqCst));
        ring.renew_root(&from, KdfCost::FLOOR).await.unwrap();
        assert!(made.load(Ordering::SeqCst) > before, "nobody waits for it");
    }
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    town.check(&ring, &[]).await;
    drop(ring);
    town.check(&installation.open().await.unwrap(), &[]).await;
}

#[tokio::test]
async fn what_could_be_lost_is_refused_before_anything_is_made() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let from = ring.root_name().unwrap();
    let (before, passphrase) = (names(&installation), installation.path().join("passphrase"));
    // A slot of a later release would be wrapped by a root key that is gone.
    let stranger = slots::folder(&installation.config.dir).join("retention-1.key");
    fs::write(&stranger, "privet-slot/v2\n").unwrap();
    assert!(matches!(renew(&ring, &from).await, Err(KeysError::Stranger { .. })));
    fs::remove_file(&stranger).unwrap();
    // The next root key would be sealed by a passphrase that does not open the one in force.
    fs::write(&passphrase, "another passphrase\n").unwrap();
    assert!(matches!(renew(&ring, &from).await, Err(KeysError::Root { .. })));
    fs::write(&passphrase, "correct horse battery\n").unwrap();
    // Somebody else is at it.
    let busy = files::lock(&installation.config.dir).unwrap();
    assert!(matches!(renew(&ring, &from).await, Err(KeysError::Busy)));
    drop(busy);
    assert_eq!(names(&installation), before);
    let memory = epoch_tests::ephemeral().0;
    assert!(matches!(renew(&memory, "x").await, Err(KeysError::NoRoot)));
    drop(ring);
    // A root key beside the one in force that its passphrase does not open is not ignored.
    let next = installation.path().join("root.key.next");
    let other = Installation::initialised().await;
    fs::write(other.path().join("passphrase"), "another passphrase\n").unwrap();
    fs::remove_dir_all(&other.config.dir).unwrap();
    fs::remove_file(root_file(&other)).unwrap();
    KeyRing::init(&other.config, KdfCost::FLOOR, &SystemEntropy).await.unwrap();
    fs::copy(root_file(&other), &next).unwrap();
    let refused = installation.open().await.unwrap_err();
    assert!(refused.to_string().contains("root.key.next"), "{refused}");
}

#[tokio::test]
async fn the_passphrase_is_changed_at_any_time_and_over_kills() {
    let origin = Installation::initialised().await;
    let new = origin.path().join("new-passphrase");
    fs::copy(origin.path().join("passphrase"), &new).unwrap();
    fs::write(&new, "a much better passphrase").unwrap();
    let mut steps = 0;
    loop {
        let installation = origin.duplicate();
        let (now, new) =
            (installation.path().join("passphrase"), installation.path().join("new-passphrase"));
        let old = sealed_in(&root_file(&installation));
        let ring = installation.open().await.unwrap();
        let change = || {
            KeyRing::change_passphrase(&installation.config, &new, KdfCost::FLOOR, &SystemEntropy)
        };
        files::fail_after(Some(steps));
        let cut = change();
        files::fail_after(None);
        change().unwrap();
        // The gateway that runs meanwhile cannot replace the root key until it can read it again.
        let from = ring.root_name().unwrap();
        assert!(matches!(renew(&ring, &from).await, Err(KeysError::Root { .. })));
        drop(ring);
        let refused = installation.open().await.unwrap_err();
        assert!(refused.to_string().contains("cannot open the root key"), "{refused}");
        fs::copy(&new, &now).unwrap();
        let ring = installation.open().await.unwrap();
        assert_eq!(ring.root_name().unwrap(), from, "the key is the same");
        renew(&ring, &from).await.unwrap();
        assert_eq!(holders(&installation, &[old]), Vec::<PathBuf>::new(), "after step {steps}");
        if cut.is_ok() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 4, "{steps}");
    // Not while the root key is being replaced: the other file would stay sealed by the old one.
    fs::copy(root_file(&origin), origin.path().join("root.key.next")).unwrap();
    let refused = KeyRing::change_passphrase(&origin.config, &new, KdfCost::FLOOR, &SystemEntropy);
    assert!(matches!(refused, Err(KeysError::RootUnderWay { .. })));
}

#[test]
fn a_file_with_two_names_is_not_overwritten_under_one() {
    let home = tempfile::TempDir::new().unwrap();
    let (slot, fresh) = (home.path().join("audit-1.key"), home.path().join("audit-1.key.new"));
    fs::write(&slot, "the only copy").unwrap();
    // As a kill leaves it between the link of a new slot and the end of its first name.
    fs::hard_link(&slot, &fresh).unwrap();
    files::shred(&fresh, &SystemEntropy).unwrap();
    assert!(!fresh.exists());
    assert_eq!(fs::read_to_string(&slot).unwrap(), "the only copy");
}

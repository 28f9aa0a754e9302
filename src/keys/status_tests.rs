//! What operators are told of keys: the numbers are right, running or not, and looking changes
//! nothing.

use std::fs;

use super::epoch_tests::ephemeral;
use super::epoch_tests::held;
use super::epoch_tests::make;
use super::epoch_tests::roll;
use super::ring::FIRST;
use super::slots::Slot;
use super::slots::Slots;
use super::subject_keys::SUBJECTS;
use super::tests::Installation;
use super::tests::files;
use super::tests::person;
use super::*;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;

async fn of_folder(installation: &Installation) -> KeysStatus {
    KeysStatus::of_folder(&installation.config).await.unwrap()
}

async fn rotate(ring: &KeyRing, id: &str) {
    assert!(ring.rotate(&ring.subject(&person(), id)).await.unwrap().is_some());
}

/// Three people, of whom one was given two more keys and one was erased, and two pending keys.
async fn some(ring: &KeyRing) {
    for id in ["a", "b", "c"] {
        make(ring, id).await;
    }
    rotate(ring, "a").await;
    rotate(ring, "a").await;
    assert_eq!(ring.pending_create("shop.customers", 2).await.unwrap().len(), 2);
    ring.erase(&ring.subject(&person(), "c"), "request 1").await.unwrap();
}

const SOME: KeyCounts =
    KeyCounts { people: 2, sealing: 2, opening: 2, disabled: 0, pending: 2, damaged: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_tells_the_same_as_the_gateway_that_ran_on_it() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    some(&ring).await;
    let running = ring.status().await.unwrap();
    assert_eq!((running.provider, running.epoch, running.counts), ("file", 1, SOME));
    assert!(running.fault.is_none() && running.epoch_since.is_some() && running.roll.is_none());
    let ledger = running.ledger.unwrap();
    assert_eq!((ledger.high_water, ledger.high_water.count), (ring.high_water(), 1));
    assert!(ledger.oldest_unshredded.is_some());

    let busy = KeysStatus::of_folder(&installation.config).await.unwrap_err();
    assert!(matches!(busy, KeysError::State(StateError::Locked { .. })), "{busy}");
    drop(ring);
    assert_eq!(format!("{:?}", of_folder(&installation).await), format!("{running:?}"));

    let ring = installation.open().await.unwrap();
    roll(&ring).await.unwrap();
    let rolled = ring.status().await.unwrap();
    assert_eq!((rolled.epoch, rolled.counts), (2, SOME));
    let ledger = rolled.ledger.unwrap();
    assert_eq!((ledger.high_water.count, ledger.oldest_unshredded), (1, None));
    drop(ring);
    assert_eq!(format!("{:?}", of_folder(&installation).await), format!("{rolled:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_folder_makes_nothing_and_destroys_nothing() {
    let installation = Installation::initialised().await;
    let names = || files(&installation.config.dir).into_iter().map(|(path, _)| path);
    let before: Vec<_> = names().collect();
    let status = of_folder(&installation).await;
    assert_eq!((status.epoch, status.epoch_since), (1, None));
    assert_eq!((status.counts, status.roll), (KeyCounts::default(), None));
    assert_eq!(status.ledger.unwrap().high_water, HighWater::NONE);
    assert_eq!(names().collect::<Vec<_>>(), before, "a site that never ran");

    let ring = installation.open().await.unwrap();
    some(&ring).await;
    drop(ring);
    // What a killed roll leaves is for the next start to destroy.
    let left = installation.config.dir.join("slots/epoch-2.key");
    fs::write(&left, "left over").unwrap();
    let outside = || {
        let all = files(&installation.config.dir);
        all.into_iter().filter(|(path, _)| !path.to_string_lossy().contains("keys/epoch-1"))
    };
    let before: Vec<_> = outside().collect();
    assert_eq!(of_folder(&installation).await.counts, SOME);
    assert!(outside().collect::<Vec<_>>() == before && left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_counted_without_the_root_key_and_the_ledger_is_not_believed() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    some(&ring).await;
    // A running gateway tells when what it would need at its next start is not there.
    let slot = installation.config.dir.join("slots/audit-1.key");
    let good = fs::read_to_string(&slot).unwrap();
    fs::write(&slot, good.replacen("use audit", "use index", 1)).unwrap();
    let status = ring.status().await.unwrap();
    assert!(matches!(status.fault, Some(KeysError::Slot { .. })), "{:?}", status.fault);
    assert_eq!((status.counts, status.ledger.unwrap().high_water.count), (SOME, 1));
    fs::write(&slot, good).unwrap();
    assert!(ring.status().await.unwrap().fault.is_none());
    drop(ring);

    fs::write(installation.path().join("passphrase"), "another one\n").unwrap();
    let status = of_folder(&installation).await;
    assert!(status.fault.is_some() && status.ledger.is_none());
    assert_eq!((status.epoch, status.counts), (1, SOME));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_under_way_is_told_and_nobody_waits_for_it() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    some(&ring).await;
    // Made, one page copied, and the gate is closed.
    let reached = ring.0.steps.stop_after(3);
    let rolling = tokio::spawn({
        let ring = ring.clone();
        async move { ring.roll_here(&|_| {}).await }
    });
    reached.notified().await;
    let status = ring.status().await.unwrap();
    assert!(status.roll.is_some_and(|copied| copied >= 4), "{:?}", status.roll);
    assert_eq!((status.epoch, status.counts), (1, SOME));
    assert!(held(&ring, "a").await.is_some());
    rolling.abort();
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_counted_by_themselves() {
    let (ring, _) = ephemeral();
    some(&ring).await;
    let mut tx = Tx::new();
    tx.put(&[SUBJECTS, &[7; 32]].concat(), b"no record".to_vec(), Expect::Any);
    ring.0.epochs.current().engine.commit(tx).await.unwrap();
    let status = ring.status().await.unwrap();
    assert_eq!((status.provider, status.epoch_since), ("memory", None));
    assert_eq!(status.counts, KeyCounts { damaged: 1, ..SOME });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_missing_is_told_before_a_start_is_refused() {
    let installation = Installation::initialised().await;
    drop(installation.open().await.unwrap());
    assert!(of_folder(&installation).await.fault.is_none());
    for slot in Slot::ALL {
        let slots = Slots::new(
            &installation.config.dir,
            &installation.config.tenant,
            root::open(&installation.config.root).await.unwrap(),
        );
        let path = slots.path(slot, FIRST);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let starts = installation.open().await.is_ok();
        // A ledger that cannot be read is told instead of any number.
        let told = KeysStatus::of_folder(&installation.config).await;
        let fault = told.map_or_else(Some, |status| status.fault);
        assert_eq!(fault.is_none(), starts, "{slot:?}");
        // A start makes the slot of a ledger that is not there, and of no other.
        assert!(!starts || slot == Slot::Ledger, "{slot:?}");
        if !starts {
            assert!(matches!(fault, Some(KeysError::Missing { path: at }) if at == path));
            fs::write(&path, kept).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .unwrap();
        }
    }
}

//! Epochs end and people are erased under traffic, and a kill at any point loses nothing that
//! should stay and keeps nothing that should go.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::pending::PENDING;
use super::subject_keys::SUBJECTS;
use super::subject_keys::storage_key;
use super::tests::Installation;
use super::tests::files;
use super::tests::holds;
use super::tests::person;
use super::*;
use crate::clock::ManualClock;
use crate::clock::SystemEntropy;
use crate::crypto::Envelope;
use crate::crypto::Kid;
use crate::crypto::ValueKind;
use crate::state::Engine;
use crate::state::StateStore;
use crate::types::Timestamp;

pub(super) fn ephemeral() -> (KeyRing, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(1_000_000)));
    let ring =
        KeyRing::ephemeral_at(Engine::memory(), Arc::new(SystemEntropy), Arc::clone(&clock) as _);
    (ring.unwrap(), clock)
}

pub(super) async fn make(ring: &KeyRing, id: &str) -> Held {
    let domain = person();
    ring.create(&[ring.subject(&domain, id)]).await.unwrap().unwrap().remove(0)
}

pub(super) async fn held(ring: &KeyRing, id: &str) -> Option<Held> {
    let domain = person();
    ring.held(&ring.subject(&domain, id)).await.unwrap()
}

pub(super) fn sealed(keys: &SubjectKeys, plain: &str) -> String {
    let mut out = Vec::new();
    keys.seal("f", (ValueKind::Text, plain.as_bytes()), &SystemEntropy, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

pub(super) fn opened(keys: &SubjectKeys, envelope: &str) -> Option<String> {
    let (_, plain) = keys.open("f", &Envelope::parse(envelope).unwrap()).ok()?;
    Some(String::from_utf8(plain.to_vec()).unwrap())
}

/// Rows of subject keys and of pending keys.
pub(super) async fn counts(ring: &KeyRing) -> (usize, usize) {
    let engine = ring.0.epochs.current().engine.clone();
    let count = async |prefix: &[u8]| engine.scan(prefix, None, 1_000).await.unwrap().items.len();
    (count(SUBJECTS).await, count(PENDING).await)
}

pub(super) async fn roll(ring: &KeyRing) -> Result<Rolled, KeysError> {
    ring.roll(|_| {}).await
}

/// A ring of some people and pending keys, and what each is expected to open.
pub(super) struct Town {
    envelopes: BTreeMap<String, (String, crate::types::SubjectToken)>,
    waiting: Vec<(Kid, String)>,
}

impl Town {
    pub(super) async fn build(ring: &KeyRing, people: usize) -> Self {
        let mut envelopes = BTreeMap::new();
        for n in 0..people {
            let id = format!("p-{n}");
            let made = make(ring, &id).await;
            envelopes.insert(id.clone(), (sealed(&made.keys, &id), made.token));
        }
        let pending = ring.pending_create("shop.customers", 3).await.unwrap();
        let waiting = pending.iter().map(|p| (p.kid, sealed(&p.keys, "new"))).collect();
        Self { envelopes, waiting }
    }

    /// Everybody opens what was theirs; those erased have nothing.
    pub(super) async fn check(&self, ring: &KeyRing, erased: &[&str]) {
        for (id, (envelope, token)) in &self.envelopes {
            let found = held(ring, id).await;
            if erased.contains(&id.as_str()) {
                assert!(found.is_none(), "{id} came back");
            } else {
                let found = found.unwrap_or_else(|| panic!("{id} is lost"));
                assert_eq!(opened(&found.keys, envelope).as_ref(), Some(id));
                assert_eq!(found.token, *token, "{id} has another name");
            }
        }
        for (kid, _) in &self.waiting {
            assert_eq!(ring.find_pending(*kid).await.unwrap().unwrap().set, "shop.customers");
        }
    }
}

#[tokio::test]
async fn a_roll_keeps_every_key_and_changes_every_row() {
    let (ring, _) = ephemeral();
    let town = Town::build(&ring, 30).await;
    let before = ring.0.epochs.current();
    for number in 2..5 {
        assert_eq!(roll(&ring).await.unwrap().epoch, number);
        town.check(&ring, &[]).await;
    }
    let now = ring.0.epochs.current();
    let rows = async |epoch: &epoch::Epoch| {
        let page = epoch.engine.scan(SUBJECTS, None, 1_000).await.unwrap();
        page.items.into_iter().map(|item| (item.key, item.value.value)).collect::<Vec<_>>()
    };
    for ((key, old), (also, new)) in rows(&before).await.into_iter().zip(rows(&now).await) {
        assert_eq!(key, also);
        assert_ne!(old, new);
    }
    assert_ne!(before.secret(), now.secret());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_roll_under_load_loses_nothing_and_fails_nobody() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 200).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for worker in 0..4 {
        let (ring, stop) = (ring.clone(), Arc::clone(&stop));
        workers.push(tokio::spawn(async move {
            let domain = person();
            let mut made = Vec::new();
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("w-{worker}-{n}");
                let subject = ring.subject(&domain, &id);
                match n % 4 {
                    0 => {
                        let held = make(&ring, &id).await;
                        made.push((id.clone(), sealed(&held.keys, &id), true));
                    }
                    1 => {
                        let pending = ring.pending_create("s", 1).await.unwrap().remove(0);
                        let envelope = sealed(&pending.keys, &id);
                        assert!(ring.link(pending.kid, &subject).await.unwrap());
                        made.push((id.clone(), envelope, true));
                    }
                    2 => {
                        let held = make(&ring, &id).await;
                        let envelope = sealed(&held.keys, &id);
                        ring.erase(&subject, "r").await.unwrap();
                        made.push((id.clone(), envelope, false));
                    }
                    _ => {
                        let held = make(&ring, &id).await;
                        let envelope = sealed(&held.keys, &id);
                        ring.rotate(&subject).await.unwrap().unwrap();
                        made.push((id.clone(), envelope, true));
                    }
                }
            }
            made
        }));
    }
    for _ in 0..3 {
        roll(&ring).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let mut made = Vec::new();
    for worker in workers {
        made.extend(worker.await.unwrap());
    }
    assert!(made.len() > 8, "{}", made.len());
    let check = async |ring: &KeyRing| {
        town.check(ring, &[]).await;
        for (id, envelope, lives) in &made {
            let found = held(ring, id).await;
            let plain = found.and_then(|held| opened(&held.keys, envelope));
            assert_eq!(plain.as_ref(), lives.then_some(id));
        }
    };
    check(&ring).await;
    drop(ring);
    check(&installation.open().await.unwrap()).await;
}

/// What stands in the keys' folder, by name.
pub(super) fn names(installation: &Installation) -> Vec<String> {
    let mut names: Vec<String> = files(&installation.config.dir)
        .into_iter()
        .map(|(path, _)| path.strip_prefix(&installation.config.dir).unwrap().display().to_string())
        .filter(|name| name.contains("epoch"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_roll_loses_nothing_and_leaves_nothing() {
    let mut finished = false;
    let mut steps = 0;
    while !finished {
        steps += 1;
        let installation = Installation::initialised().await;
        let ring = installation.open().await.unwrap();
        let town = Town::build(&ring, 20).await;
        let domain = person();
        ring.erase(&ring.subject(&domain, "p-7"), "r-1").await.unwrap();
        let stopped = ring.0.steps.stop_after(steps);
        finished = tokio::select! {
            done = ring.roll_here(&|_| {}) => { done.unwrap(); true }
            () = stopped.notified() => false,
        };
        drop(ring);
        let ring = installation.open().await.unwrap();
        town.check(&ring, &["p-7"]).await;
        let number = ring.0.epochs.current().number;
        let left = names(&installation);
        assert!(
            left.iter().all(|name| name.contains(&format!("epoch-{number}"))),
            "after step {steps}: {left:?}"
        );
        // The epoch says what it is beyond.
        assert_eq!(ring.oldest_unshredded().is_none(), number == 2, "after step {steps}");
        // And life goes on.
        make(&ring, "later").await;
        roll(&ring).await.unwrap();
        assert!(held(&ring, "later").await.is_some());
        town.check(&ring, &["p-7"]).await;
    }
    assert!(steps > 6, "{steps}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_an_erasure_erases_or_does_not() {
    for steps in 1..4 {
        let installation = Installation::initialised().await;
        let ring = installation.open().await.unwrap();
        let town = Town::build(&ring, 3).await;
        let stopped = ring.0.steps.stop_after(steps);
        let (erasing, domain) = (ring.clone(), person());
        let work = tokio::spawn(async move {
            let subject = erasing.subject(&domain, "p-1");
            erasing.erase_now((subject.record, "r".into()), (String::new(), 0)).await
        });
        stopped.notified().await;
        work.abort();
        drop(work.await);
        drop(ring);
        let ring = installation.open().await.unwrap();
        let erased: &[&str] = if steps == 1 { &[] } else { &["p-1"] };
        town.check(&ring, erased).await;
        assert_eq!(counts(&ring).await.0, 3 - erased.len(), "after step {steps}");
    }
}

/// Every file of the installation, and whether one holds any of `needles`.
fn found_in(folder: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let hits = files(folder)
        .into_iter()
        .filter(|(_, bytes)| needles.iter().any(|needle| holds(bytes, needle)));
    hits.map(|(path, _)| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_roll_no_file_holds_the_key_or_what_wrapped_it() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 10).await;
    let domain = person();
    let subject = ring.subject(&domain, "p-3");
    let epoch = ring.0.epochs.current();
    let row = epoch.engine.get(&storage_key(&subject.record)).await.unwrap().unwrap().value;
    let record = crate::crypto::SubjectKeyRecord::decode(&row).unwrap();
    let wrapped = record.generations[0].wrapped.to_vec();
    let slot = fs::read(installation.config.dir.join("slots/epoch-1.key")).unwrap();
    let sealed_epoch = slot.rsplit(|byte| *byte == b' ').next().unwrap().trim_ascii().to_vec();
    let needles = [
        ring.subject_secret(&subject).await,
        wrapped.clone(),
        epoch.secret(),
        sealed_epoch.clone(),
    ];
    drop(epoch);
    // Otherwise the search shows nothing.
    assert!(!found_in(installation.path(), &[wrapped]).is_empty());
    assert!(!found_in(installation.path(), &[sealed_epoch]).is_empty());
    ring.erase(&subject, "r-1").await.unwrap();
    assert_eq!(roll(&ring).await.unwrap().covered, 1);
    assert_eq!(found_in(installation.path(), &needles), Vec::<String>::new());
    town.check(&ring, &["p-3"]).await;
    // The row itself was never in the new folder, under whatever wrapping: its key is nowhere.
    let place = storage_key(&subject.record);
    assert_eq!(found_in(&installation.config.dir, &[place]), Vec::<String>::new());
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_keys_brings_nobody_back() {
    let installation = Installation::initialised().await;
    let dir = installation.config.dir.clone();
    let kept = installation.path().join("kept");
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 5).await;
    drop(ring);
    copy(&dir, &kept);
    let ring = installation.open().await.unwrap();
    let domain = person();
    ring.erase(&ring.subject(&domain, "p-2"), "r-1").await.unwrap();
    let told = ring.high_water();
    drop(ring);
    let put_back = |name: &str| {
        let (from, to) = (kept.join(name), dir.join(name));
        if from.is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    };
    // The folder and its marker, beside the newer ledger: erased again before anybody asks.
    put_back("epoch-1");
    put_back("epoch-1.marker");
    let ring = installation.open().await.unwrap();
    town.check(&ring, &["p-2"]).await;
    assert_eq!(counts(&ring).await.0, 4);
    drop(ring);
    // The older ledger beside the newer folder.
    put_back("tombstones");
    let refused = installation.open().await.err().unwrap();
    assert!(matches!(refused, KeysError::LedgerShort { .. }), "{refused}");
    assert!(refused.to_string().contains("Restore the newest copy of that file"), "{refused}");
    // Both: nothing among the keys remembers; somebody else does.
    put_back("epoch-1");
    put_back("epoch-1.marker");
    let ring = installation.open().await.unwrap();
    assert!(matches!(ring.require(told), Err(KeysError::LedgerShort { .. })));
}

#[tokio::test]
async fn an_older_epoch_that_is_put_back_is_destroyed_and_opens_nothing() {
    let installation = Installation::initialised().await;
    let dir = installation.config.dir.clone();
    let kept = installation.path().join("kept");
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 5).await;
    drop(ring);
    copy(&dir, &kept);
    let ring = installation.open().await.unwrap();
    roll(&ring).await.unwrap();
    drop(ring);
    copy(&kept.join("epoch-1"), &dir.join("epoch-1"));
    let ring = installation.open().await.unwrap();
    town.check(&ring, &[]).await;
    assert!(!dir.join("epoch-1").exists());
    drop(ring);
    // With `current` put back as well, the key it names is not there.
    copy(&kept.join("epoch-1"), &dir.join("epoch-1"));
    fs::copy(kept.join("current"), dir.join("current")).unwrap();
    assert!(matches!(installation.open().await, Err(KeysError::Missing { .. })));
    assert!(dir.join("slots/epoch-2.key").exists(), "nothing is destroyed on a guess");
    fs::remove_file(dir.join("current")).unwrap();
    assert!(matches!(installation.open().await, Err(KeysError::Current { .. })));
    fs::write(dir.join("current"), "privet-epoch/v1 02\n").unwrap();
    assert!(matches!(installation.open().await, Err(KeysError::Current { .. })));
    fs::write(dir.join("current"), "privet-epoch/v1 2\n").unwrap();
    town.check(&installation.open().await.unwrap(), &[]).await;
}

//! Rows of keys: pending ones are linked once, moved ones open nothing, those of the erased stay away.

use super::epoch_tests::Town;
use super::epoch_tests::counts;
use super::epoch_tests::ephemeral;
use super::epoch_tests::held;
use super::epoch_tests::make;
use super::epoch_tests::names;
use super::epoch_tests::opened;
use super::epoch_tests::roll;
use super::epoch_tests::sealed;
use super::pending::PENDING;
use super::subject_keys::storage_key;
use super::tests::Installation;
use super::tests::person;
use super::*;
use crate::crypto::Kid;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use std::fs;

#[tokio::test]
async fn a_pending_key_is_linked_once() {
    let (ring, clock) = ephemeral();
    let (domain, other) = (person(), crate::types::DomainId::parse("employee").unwrap());
    let made = ring.pending_create("shop.customers", 2).await.unwrap();
    let envelope = sealed(&made[0].keys, "secret");
    let (kid, next) = (made[0].kid, made[1].kid);
    let awaiting = ring.find_pending(kid).await.unwrap().unwrap();
    assert_eq!(awaiting.set, "shop.customers");
    let (a, b) = (ring.subject(&domain, "a"), ring.subject(&domain, "b"));
    assert!(ring.link(kid, &a).await.unwrap());
    assert!(ring.link(kid, &a).await.unwrap(), "again, to the same");
    assert!(!ring.link(kid, &b).await.unwrap(), "to somebody else");
    assert!(!ring.link(kid, &ring.subject(&other, "a")).await.unwrap(), "in another domain");
    assert!(!ring.link(Kid([1; 16]), &b).await.unwrap(), "a key that nobody made");
    assert!(ring.find_pending(kid).await.unwrap().is_none());
    assert!(held(&ring, "b").await.is_none());
    assert_eq!(opened(&held(&ring, "a").await.unwrap().keys, &envelope).unwrap(), "secret");
    // Whoever has a key already keeps it for sealing, and their name.
    let before = make(&ring, "c").await;
    let (first, late) = (sealed(&before.keys, "one"), sealed(&made[1].keys, "two"));
    assert!(ring.link(next, &ring.subject(&domain, "c")).await.unwrap());
    let after = held(&ring, "c").await.unwrap();
    assert_eq!(after.token, before.token);
    assert_eq!(opened(&after.keys, &first).unwrap(), "one");
    assert_eq!(opened(&after.keys, &late).unwrap(), "two");
    assert_eq!(opened(&before.keys, &sealed(&after.keys, "x")).unwrap(), "x");
    // A day later nobody can claim what was not claimed.
    let dying = ring.pending_create("s", 1).await.unwrap()[0].kid;
    clock.advance_ms(24 * 3_600 * 1_000 - 1);
    let living = ring.pending_create("s", 1).await.unwrap()[0].kid;
    assert_eq!(ring.sweep_pending().await.unwrap(), 0);
    clock.advance_ms(1);
    assert!(!ring.link(dying, &b).await.unwrap());
    assert!(ring.find_pending(dying).await.unwrap().is_none());
    assert_eq!(ring.sweep_pending().await.unwrap(), 1);
    assert_eq!(counts(&ring).await.1, 1);
    assert!(ring.link(living, &b).await.unwrap());
}

#[tokio::test]
async fn a_dead_key_ends_with_its_epoch_and_a_living_one_does_not() {
    let (ring, clock) = ephemeral();
    let domain = person();
    ring.pending_create("s", 1).await.unwrap();
    clock.advance_ms(24 * 3_600 * 1_000);
    let living = ring.pending_create("s", 1).await.unwrap()[0].kid;
    assert_eq!(counts(&ring).await.1, 2, "nobody has swept");
    ring.roll(|_| {}).await.unwrap();
    assert_eq!(counts(&ring).await.1, 1, "the next epoch never held the dead one");
    assert_eq!(ring.sweep_pending().await.unwrap(), 0);
    assert!(ring.link(living, &ring.subject(&domain, "a")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_claim_one_key_one_has_it() {
    let (ring, _) = ephemeral();
    for _ in 0..20 {
        let kid = ring.pending_create("s", 1).await.unwrap()[0].kid;
        let claims: Vec<_> = (0..8)
            .map(|n| {
                let ring = ring.clone();
                tokio::spawn(async move {
                    let domain = person();
                    ring.link(kid, &ring.subject(&domain, &n.to_string())).await.unwrap()
                })
            })
            .collect();
        let mut won = 0;
        for claim in claims {
            won += usize::from(claim.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}

async fn write(ring: &KeyRing, key: &[u8], value: Vec<u8>) {
    let mut tx = Tx::new();
    tx.put(key, value, Expect::Any);
    ring.0.epochs.current().engine.commit(tx).await.unwrap();
}

async fn row(ring: &KeyRing, key: &[u8]) -> Vec<u8> {
    ring.0.epochs.current().engine.get(key).await.unwrap().unwrap().value
}

#[tokio::test]
async fn rows_that_are_moved_open_nothing() {
    let (ring, _) = ephemeral();
    let domain = person();
    let (a, b) = (ring.subject(&domain, "a"), ring.subject(&domain, "b"));
    let made = make(&ring, "a").await;
    make(&ring, "b").await;
    let pending = ring.pending_create("s", 2).await.unwrap();
    let pending_row = |n: usize| [PENDING, &pending[n].kid.0].concat();
    // To another person.
    let theirs = row(&ring, &storage_key(&b.record)).await;
    write(&ring, &storage_key(&b.record), row(&ring, &storage_key(&a.record)).await).await;
    assert!(matches!(ring.held(&b).await, Err(KeysError::Record(_))));
    // A roll does not launder it either: it stops, and the old epoch stays.
    assert!(matches!(roll(&ring).await, Err(KeysError::Record(_))));
    assert_eq!(ring.0.epochs.current().number, 1);
    write(&ring, &storage_key(&b.record), theirs).await;
    // To another kid: linked under a name that is not its own.
    let other = row(&ring, &pending_row(1)).await;
    write(&ring, &pending_row(0), other).await;
    assert!(matches!(ring.link(pending[0].kid, &a).await, Err(KeysError::Record(_))));
    ring.sweep_pending().await.unwrap();
    // Put back after it was linked.
    let before = row(&ring, &pending_row(1)).await;
    assert!(ring.link(pending[1].kid, &a).await.unwrap());
    write(&ring, &pending_row(1), before).await;
    assert!(!ring.link(pending[1].kid, &b).await.unwrap());
    // From an older epoch.
    let (ring, _) = ephemeral();
    make(&ring, "a").await;
    let a = ring.subject(&domain, "a");
    let old = row(&ring, &storage_key(&a.record)).await;
    roll(&ring).await.unwrap();
    write(&ring, &storage_key(&a.record), old.clone()).await;
    assert!(matches!(ring.held(&a).await, Err(KeysError::Epoch { epoch: 1 })));
    let mut renamed = crate::crypto::SubjectKeyRecord::decode(&old).unwrap();
    renamed.epoch = 2;
    write(&ring, &storage_key(&a.record), renamed.encode()).await;
    assert!(matches!(ring.held(&a).await, Err(KeysError::Record(_))));
    drop(made);
}

#[tokio::test]
async fn a_row_of_the_first_version_is_carried_over_once_its_domain_is_known() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let (domain, made) = (person(), make(&ring, "a").await);
    let at = storage_key(&ring.subject(&domain, "a").record);
    let mut first = crate::crypto::SubjectKeyRecord::decode(&row(&ring, &at).await).unwrap();
    first.domain = None;
    write(&ring, &at, first.encode()).await;
    drop(ring);
    // As after a start with a policy that did not name the domain yet.
    let ring = installation.open().await.unwrap();
    ring.know_domains(["employee"]);
    assert!(matches!(roll(&ring).await, Err(KeysError::Record(_))));
    ring.know_domains(["employee", "person"]);
    roll(&ring).await.unwrap();
    assert_eq!(held(&ring, "a").await.unwrap().token, made.token);
}

#[tokio::test]
async fn a_row_that_nobody_knows_stops_a_roll() {
    let (ring, _) = ephemeral();
    let town = Town::build(&ring, 3).await;
    write(&ring, b"other/row", vec![1]).await;
    assert!(matches!(roll(&ring).await, Err(KeysError::Row)));
    town.check(&ring, &[]).await;
    make(&ring, "more").await;
}

#[tokio::test]
async fn the_erased_have_no_key_and_get_none() {
    let (ring, clock) = ephemeral();
    let domain = person();
    let subject = ring.subject(&domain, "a");
    let made = make(&ring, "a").await;
    let pending = ring.pending_create("s", 1).await.unwrap().remove(0);
    let kept = row(&ring, &storage_key(&subject.record)).await;
    assert_eq!(ring.oldest_unshredded(), None);
    let destroyed = ring.erase(&subject, "request 7").await.unwrap();
    assert_eq!((destroyed.keys, destroyed.high_water.count), (1, 1));
    clock.advance_ms(5_000);
    let again = ring.erase(&subject, "request 8").await.unwrap();
    assert_eq!((again.keys, again.high_water), (0, destroyed.high_water), "twice is fine");
    assert_eq!(ring.oldest_unshredded(), Some(destroyed.at));
    assert!(ring.is_erased(&subject) && held(&ring, "a").await.is_none());
    assert!(ring.create(&[subject]).await.unwrap().is_none());
    assert!(!ring.link(pending.kid, &subject).await.unwrap());
    assert!(ring.rotate(&subject).await.unwrap().is_none());
    assert_eq!(counts(&ring).await, (0, 1));
    // A row that somebody puts back changes nothing, and the next roll leaves it out.
    write(&ring, &storage_key(&subject.record), kept).await;
    assert!(held(&ring, "a").await.is_none());
    assert_eq!(roll(&ring).await.unwrap().covered, 1);
    assert_eq!((ring.oldest_unshredded(), counts(&ring).await), (None, (0, 1)));
    drop(made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_makes_a_key_while_it_is_erased_has_none_afterwards() {
    let (ring, _) = ephemeral();
    for n in 0..40 {
        let id = format!("p-{n}");
        let spawn = |erase: bool| {
            let (ring, id) = (ring.clone(), id.clone());
            tokio::spawn(async move {
                let domain = person();
                let subject = ring.subject(&domain, &id);
                if erase {
                    ring.erase(&subject, "r").await.unwrap();
                } else {
                    ring.create(&[subject]).await.unwrap();
                }
            })
        };
        let (making, erasing) = (spawn(false), spawn(true));
        making.await.unwrap();
        erasing.await.unwrap();
        assert!(held(&ring, &id).await.is_none());
        assert_eq!(counts(&ring).await.0, 0, "round {n}");
    }
}

#[tokio::test]
async fn an_epoch_that_cannot_be_filled_never_comes_into_force() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let town = Town::build(&ring, 5).await;
    // A file where the folder of the next epoch would be: its engine cannot be made.
    let next = installation.config.dir.join("epoch-2.marker.new");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("x"), "").unwrap();
    assert!(roll(&ring).await.is_err());
    town.check(&ring, &[]).await;
    make(&ring, "more").await;
    fs::remove_dir_all(&next).unwrap();
    roll(&ring).await.unwrap();
    town.check(&ring, &[]).await;
    assert!(names(&installation).iter().all(|name| name.contains("epoch-2")));
}

#[tokio::test]
async fn a_rotation_seals_anew_opens_the_old_and_keeps_the_name() {
    let (ring, _) = ephemeral();
    let domain = person();
    let subject = ring.subject(&domain, "a");
    assert!(ring.rotate(&subject).await.unwrap().is_none(), "nobody gets a key by it");
    let first = make(&ring, "a").await;
    let one = sealed(&first.keys, "one");
    let second = ring.rotate(&subject).await.unwrap().unwrap();
    let two = sealed(&second.keys, "two");
    assert_eq!(opened(&first.keys, &two), None, "the old generation does not open the new");
    let both = held(&ring, "a").await.unwrap();
    assert_eq!((both.token, second.token), (first.token, first.token));
    assert_eq!(opened(&both.keys, &one).unwrap(), "one");
    assert_eq!(opened(&both.keys, &two).unwrap(), "two");
    roll(&ring).await.unwrap();
    // Once nothing uses it any more the old one goes; the name stays.
    assert_eq!(ring.destroy_old(&subject).await.unwrap(), 1);
    assert_eq!(ring.destroy_old(&subject).await.unwrap(), 0);
    let left = held(&ring, "a").await.unwrap();
    assert_eq!(left.token, first.token);
    assert_eq!(opened(&left.keys, &one), None);
    assert_eq!(opened(&left.keys, &two).unwrap(), "two");
    roll(&ring).await.unwrap();
    assert_eq!(held(&ring, "a").await.unwrap().token, first.token);
}

#[tokio::test]
async fn generations_have_an_end() {
    let (ring, _) = ephemeral();
    let domain = person();
    let subject = ring.subject(&domain, "a");
    make(&ring, "a").await;
    for _ in 1..pending::MAX_GENERATIONS {
        ring.rotate(&subject).await.unwrap().unwrap();
    }
    assert!(matches!(ring.rotate(&subject).await, Err(KeysError::Generations { .. })));
    roll(&ring).await.unwrap();
    ring.destroy_old(&subject).await.unwrap();
    ring.rotate(&subject).await.unwrap().unwrap();
}

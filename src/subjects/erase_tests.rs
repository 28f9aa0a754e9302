//! The erased stay erased, on every look-up, whatever comes back; nobody on hold is erased.

use std::sync::Arc;

use super::tests::Bench;
use super::tests::look;
use super::tests::one;
use super::tests::person;
use super::*;
use crate::crypto::Kid;
use crate::keys::KeysError;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;

async fn erase(bench: &Bench, id: &str) -> Result<crate::keys::Destroyed, SubjectsError> {
    bench.cards.erase(&person(), id, "request 1").await
}

async fn rows(engine: &impl StateStore, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let page = engine.scan(prefix, None, 1_000).await.unwrap();
    page.items.into_iter().map(|item| (item.key, item.value.value)).collect()
}

async fn put(engine: &impl StateStore, rows: Vec<(Vec<u8>, Vec<u8>)>) {
    let mut tx = Tx::new();
    rows.into_iter().for_each(|(key, value)| tx.put(&key, value, Expect::Any));
    engine.commit(tx).await.unwrap();
}

#[tokio::test]
async fn an_erasure_shows_on_the_next_look_up_and_leaves_no_row() {
    let bench = Bench::new();
    let before = one(&bench.cards, "c").await;
    one(&bench.cards, "d").await;
    let record = bench.ring.record_key(&person(), "c");
    let token = [b"vault/row/".as_slice(), &record.0, &[1; 16]].concat();
    let other = [b"vault/row/".as_slice(), &[9; 32], &[2; 16]].concat();
    put(&bench.state, vec![(token, vec![1]), (other.clone(), vec![1])]).await;
    let done = erase(&bench, "c").await.unwrap();
    assert_eq!((done.keys, done.high_water.count), (1, 1));
    for cards in [bench.cards.clone(), bench.cold()] {
        let card = one(&cards, "c").await;
        assert_eq!(
            (card.status, card.token),
            (SubjectStatus::Erased.into(), SubjectToken([0; 16]))
        );
        assert!(card.keys.is_none() && card.version >= before.version);
        let found = cards.find(&person(), "c").await.unwrap().unwrap();
        assert_eq!(found.status, SubjectStatus::Erased.into());
    }
    assert_eq!(rows(&bench.state, b"card/").await.len(), 1);
    assert_eq!(rows(&bench.keys, b"subject/").await.len(), 1);
    assert_eq!(rows(&bench.state, b"vault/row/").await, [(other, vec![1])]);
    assert_eq!(erase(&bench, "c").await.unwrap().keys, 0, "twice is fine");
    // Somebody who was never seen can be erased as well, and then never gets a key.
    assert_eq!(erase(&bench, "never").await.unwrap().keys, 0);
    assert_eq!(one(&bench.cards, "never").await.status, SubjectStatus::Erased.into());
    assert_eq!(rows(&bench.keys, b"subject/").await.len(), 1);
    let refused = bench.cards.set_status(&person(), "c", SubjectStatus::Active).await;
    assert!(matches!(refused, Err(SubjectsError::Erased)), "{refused:?}");
}

fn a_hold() -> Hold {
    let now = crate::types::Timestamp::from_unix_s(1);
    Hold::new(("olga", now), ("2026-113", "a claim"), None).unwrap()
}

#[tokio::test]
async fn who_is_held_is_not_erased() {
    let bench = Bench::new();
    let hold = bench.cards.add_hold(&person(), "c", a_hold()).await.unwrap();
    assert!(matches!(erase(&bench, "c").await, Err(SubjectsError::Held)));
    assert!(one(&bench.cold(), "c").await.keys.is_some());
    // The status is another matter.
    bench.cards.set_status(&person(), "c", SubjectStatus::Active).await.unwrap();
    assert!(matches!(erase(&bench, "c").await, Err(SubjectsError::Held)));
    bench.cards.release_hold(&hold.id, None).await.unwrap().unwrap();
    erase(&bench, "c").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hold_and_an_erasure_at_once_never_both_succeed() {
    for n in 0..40 {
        let bench = Bench::new();
        let id = format!("c-{n}");
        one(&bench.cards, &id).await;
        let (cards, also) = (bench.cards.clone(), id.clone());
        let holding = tokio::spawn(async move { cards.add_hold(&person(), &also, a_hold()).await });
        let erased = erase(&bench, &id).await;
        let held = holding.await.unwrap();
        assert!(held.is_ok() != erased.is_ok(), "{held:?} {erased:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn looking_up_while_erasing_makes_nobody_anew() {
    for n in 0..40 {
        let bench = Bench::new();
        let id = format!("c-{n}");
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (cards, id) = (bench.cards.clone(), id.clone());
                tokio::spawn(async move { look(&cards, &[&id]).await.map(drop) })
            })
            .collect();
        erase(&bench, &id).await.unwrap();
        for reader in readers {
            reader.await.unwrap().unwrap();
        }
        assert_eq!(one(&bench.cards, &id).await.status, SubjectStatus::Erased.into());
        assert!(rows(&bench.keys, b"subject/").await.is_empty(), "round {n}");
        assert!(rows(&bench.state, b"card/").await.is_empty(), "round {n}");
    }
}

#[tokio::test]
async fn rows_that_come_back_bring_nobody_back() {
    let bench = Bench::new();
    one(&bench.cards, "c").await;
    one(&bench.cards, "d").await;
    let (cards, keys) = (rows(&bench.state, b"card/").await, rows(&bench.keys, b"subject/").await);
    erase(&bench, "c").await.unwrap();
    put(&bench.state, cards.clone()).await;
    put(&bench.keys, keys).await;
    assert_eq!(one(&bench.cold(), "c").await.status, SubjectStatus::Erased.into());
    assert!(one(&bench.cold(), "d").await.keys.is_some());
    // An older state knows fewer tombstones, and is brought up to date before it is served.
    let mut tx = Tx::new();
    tx.delete(b"mark/tombstones", Expect::Any);
    bench.state.commit(tx).await.unwrap();
    bench.cold().replay().await.unwrap();
    assert_eq!(rows(&bench.state, b"card/").await.len(), 1);
    assert_eq!(rows(&bench.state, b"mark/").await.len(), 1);
    let rev = bench.state.rev();
    bench.cold().replay().await.unwrap();
    assert_eq!(bench.state.rev(), rev, "nothing is left to do");
}

#[tokio::test]
async fn a_state_that_remembers_more_than_the_ledger_is_not_served() {
    let bench = Bench::new();
    erase(&bench, "c").await.unwrap();
    // A ledger that begins anew beside the same state.
    let other = Bench::new();
    let cards = Bench::cards(&other.ring, &bench.state, 10);
    let refused = cards.replay().await.unwrap_err();
    assert!(
        matches!(refused, SubjectsError::Keys(KeysError::LedgerShort { found: 0, known: 1, .. })),
        "{refused:?}"
    );
    erase(&other, "x").await.unwrap();
    let refused = cards.replay().await.unwrap_err();
    assert!(matches!(refused, SubjectsError::Keys(KeysError::LedgerForked { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_linked_key_makes_a_whole_person() {
    let bench = Bench::new();
    let pending = bench.ring.pending_create("shop.customers", 2).await.unwrap();
    assert!(bench.cards.link_key(pending[0].kid, &person(), "new").await.unwrap());
    let card = one(&bench.cards, "new").await;
    assert!(card.keys.as_ref().unwrap().knows(pending[0].kid));
    assert_eq!(card, one(&bench.cold(), "new").await);
    // Whoever is at hand already is looked up anew.
    one(&bench.cards, "known").await;
    assert!(bench.cards.link_key(pending[1].kid, &person(), "known").await.unwrap());
    assert!(one(&bench.cards, "known").await.keys.unwrap().knows(pending[1].kid));
    assert!(!bench.cards.link_key(pending[1].kid, &person(), "new").await.unwrap());
    assert!(!bench.cards.link_key(Kid([0; 16]), &person(), "else").await.unwrap());
    assert!(one(&bench.cards, "else").await.keys.is_some(), "no card without a key is left");
    erase(&bench, "gone").await.unwrap();
    let late = bench.ring.pending_create("shop.customers", 1).await.unwrap();
    assert!(!bench.cards.link_key(late[0].kid, &person(), "gone").await.unwrap());
}

#[tokio::test]
async fn a_rotation_shows_on_the_next_look_up() {
    let bench = Bench::new();
    assert!(!bench.cards.rotate_key(&person(), "nobody").await.unwrap());
    let before = one(&bench.cards, "c").await;
    assert!(bench.cards.rotate_key(&person(), "c").await.unwrap());
    let after = one(&bench.cards, "c").await;
    assert_eq!(after.token, before.token);
    let (before, after) = (before.keys.unwrap(), after.keys.unwrap());
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!(bench.cards.destroy_old_keys(&person(), "c").await.unwrap(), 1);
    assert_eq!(bench.cards.destroy_old_keys(&person(), "nobody").await.unwrap(), 0);
}

//! Log keys of the erased: kept as long as it says, for their own person, and gone with every copy.

use super::epoch_tests::ephemeral;
use super::epoch_tests::held;
use super::epoch_tests::make;
use super::epoch_tests::roll;
use super::tests::Installation;
use super::tests::files;
use super::tests::holds;
use super::tests::person;
use super::*;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::SubjectToken;

const HOUR: u64 = 3_600_000;

async fn kept(ring: &KeyRing, id: &str) -> Result<Option<SubjectToken>, KeysError> {
    let domain = person();
    let found = ring.kept_name(&ring.subject(&domain, id)).await?;
    Ok(found.map(|kept| kept.token))
}

async fn erase(ring: &KeyRing, id: &str, keep_ms: u64) -> Destroyed {
    let domain = person();
    ring.erase_keeping(&ring.subject(&domain, id), "request 1", keep_ms).await.unwrap()
}

async fn rows(ring: &KeyRing, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let engine = ring.0.epochs.current().engine.clone();
    let page = engine.scan(prefix, None, 1_000).await.unwrap();
    page.items.into_iter().map(|item| (item.key, item.value.value)).collect()
}

async fn put(ring: &KeyRing, key: &[u8], value: Vec<u8>) {
    let engine = ring.0.epochs.current().engine.clone();
    let mut tx = Tx::new();
    tx.put(key, value, Expect::Any);
    engine.commit(tx).await.unwrap();
}

#[tokio::test]
async fn nobody_can_tell_who_was_erased_unless_it_is_kept() {
    let (ring, _) = ephemeral();
    for id in ["a", "b"] {
        make(&ring, id).await;
    }
    assert_eq!(kept(&ring, "a").await.unwrap(), None, "the living are not asked like this");
    let done = erase(&ring, "a", 0).await;
    assert_eq!((done.keys, done.kept_until), (1, None));
    assert!(rows(&ring, b"log/").await.is_empty());
    let token = held(&ring, "b").await.unwrap().token;
    let done = erase(&ring, "b", HOUR).await;
    assert_eq!(done.kept_until, Some(done.at.plus_ms(HOUR)));
    assert_eq!(kept(&ring, "a").await.unwrap(), None);
    assert_eq!(kept(&ring, "b").await.unwrap(), Some(token));
    assert!(held(&ring, "b").await.is_none(), "and nothing opens any more");
    assert_eq!(kept(&ring, "never met").await.unwrap(), None);
    // Asking again makes the time no longer.
    let again = erase(&ring, "b", HOUR * 9).await;
    assert_eq!((again.keys, again.kept_until), (0, done.kept_until));
}

#[tokio::test]
async fn a_kept_name_stays_the_same_through_rotations_and_ends_in_time() {
    let (ring, clock) = ephemeral();
    let domain = person();
    let token = make(&ring, "a").await.token;
    make(&ring, "b").await;
    let subject = ring.subject(&domain, "a");
    // Its log key then stands by itself.
    ring.rotate(&subject).await.unwrap();
    assert!(!ring.keeps_log_keys().await.unwrap());
    erase(&ring, "a", 10 * HOUR).await;
    erase(&ring, "b", HOUR).await;
    roll(&ring).await.unwrap();
    assert_eq!(ring.oldest_unshredded(), None);
    assert_eq!(kept(&ring, "a").await.unwrap(), Some(token));
    assert_eq!(ring.sweep_kept().await.unwrap(), 0);
    clock.advance_ms(HOUR);
    assert_eq!(kept(&ring, "b").await.unwrap(), None, "at once, whether it was swept or not");
    assert_eq!(ring.kept_until(&ring.subject(&domain, "b")).await.unwrap(), None);
    assert_eq!(ring.sweep_kept().await.unwrap(), 1);
    assert_eq!((rows(&ring, b"log/").await.len(), ring.sweep_kept().await.unwrap()), (1, 0));
    // What older copies hold of it asks for a roll, as an erasure does.
    assert!(ring.oldest_unshredded().is_some());
    roll(&ring).await.unwrap();
    assert_eq!(ring.oldest_unshredded(), None);
    assert_eq!(kept(&ring, "a").await.unwrap(), Some(token));
    // A roll leaves behind what nobody has swept.
    assert!(ring.keeps_log_keys().await.unwrap());
    clock.advance_ms(10 * HOUR);
    assert!(!ring.keeps_log_keys().await.unwrap(), "its time is over");
    roll(&ring).await.unwrap();
    assert!(rows(&ring, b"log/").await.is_empty());
    assert_eq!(kept(&ring, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_kept_log_key_opens_for_its_own_person_and_its_own_time() {
    let (ring, _) = ephemeral();
    for id in ["a", "b"] {
        make(&ring, id).await;
        erase(&ring, id, HOUR).await;
    }
    let found = rows(&ring, b"log/").await;
    let [(a, of_a), (b, of_b)] = found.as_slice() else { panic!("{}", found.len()) };
    put(&ring, a, of_b.clone()).await;
    let swapped = [kept(&ring, "a").await, kept(&ring, "b").await];
    assert_eq!(swapped.iter().filter(|found| found.is_err()).count(), 1);
    put(&ring, a, of_a.clone()).await;
    put(&ring, b, of_b.clone()).await;
    // Any other byte: of the version, the epoch, the time, the key and the domain.
    for at in [0, 4, 8, 12, 30, of_a.len() - 1] {
        let mut longer = of_a.clone();
        longer[at] ^= 1;
        put(&ring, a, longer).await;
        let person =
            if kept(&ring, "b").await.is_ok_and(|found| found.is_some()) { "a" } else { "b" };
        assert!(kept(&ring, person).await.is_err(), "{at}");
    }
    put(&ring, a, vec![1; 20]).await;
    assert_eq!(ring.sweep_kept().await.unwrap(), 1, "what cannot be read names nobody");
}

#[tokio::test]
async fn no_file_holds_what_could_name_the_erased() {
    let installation = Installation::initialised().await;
    let folder = installation.config.dir.clone();
    let ring = installation.open().await.unwrap();
    let domain = person();
    let tokens = [make(&ring, "ana-planted").await.token, make(&ring, "eva-planted").await.token];
    let wrapped = ring.wrapped_key(&ring.subject(&domain, "ana-planted")).await;
    let there = |needle: &[u8]| files(&folder).iter().any(|(_, bytes)| holds(bytes, needle));
    assert!(there(&wrapped), "the test looks for what was never there");
    erase(&ring, "ana-planted", 0).await;
    erase(&ring, "eva-planted", HOUR).await;
    roll(&ring).await.unwrap();
    drop(ring);
    assert!(!there(&wrapped) && !there(b"planted"));
    assert!(tokens.iter().all(|token| !there(&token.0) && !there(token.to_string().as_bytes())));
    // Whoever has every file and the root key opens what there is, and finds no key of hers.
    let ring = installation.open().await.unwrap();
    let record = ring.record_key(&domain, "ana-planted");
    assert!(
        rows(&ring, b"")
            .await
            .iter()
            .all(|(key, value)| !holds(key, &record.0) && !holds(value, &record.0))
    );
    assert_eq!(kept(&ring, "ana-planted").await.unwrap(), None);
    assert_eq!(kept(&ring, "eva-planted").await.unwrap(), Some(tokens[1]));
    assert!(held(&ring, "eva-planted").await.is_none());
}

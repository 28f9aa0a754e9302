//! Cards are made once, are never older than an acknowledged change, and close when in doubt.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use proptest::prelude::*;

use super::card::Answer;
use super::card::Facts;
use super::cards::storage_key;
use super::*;
use crate::clock::SystemEntropy;
use crate::keys::KeyRing;
use crate::keys::tests::Installation;
use crate::keys::tests::files;
use crate::keys::tests::holds;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::FaultMoment;
use crate::state::FaultPlan;
use crate::state::MemoryStore;
use crate::state::StateConfig;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::OwnCard;
use crate::types::RepresentativeKind;
use crate::types::Statuses;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;
use crate::types::Timestamp;

pub(super) fn person() -> DomainId {
    DomainId::parse("person").unwrap()
}

/// Cards in memory, and the engines below them.
pub(super) struct Bench {
    pub(super) cards: Cards,
    pub(super) keys: MemoryStore,
    pub(super) state: MemoryStore,
    pub(super) ring: KeyRing,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (keys, state) = (MemoryStore::default(), MemoryStore::default());
        let ring = KeyRing::ephemeral(Engine::Memory(keys.clone()), Arc::new(SystemEntropy));
        let ring = ring.unwrap();
        let cards = Self::cards(&ring, &state, 1_000);
        Self { cards, keys, state, ring }
    }

    pub(super) fn cards(ring: &KeyRing, state: &MemoryStore, cached_cards: usize) -> Cards {
        let config = SubjectsConfig { cached_cards, ..SubjectsConfig::default() };
        Cards::open(ring.clone(), Engine::Memory(state.clone()), &config)
    }

    /// The same engines with nothing in memory.
    pub(super) fn cold(&self) -> Cards {
        Self::cards(&self.ring, &self.state, 1_000)
    }
}

pub(super) async fn look(
    cards: &Cards,
    ids: &[&str],
) -> Result<Vec<Option<Arc<Card>>>, SubjectsError> {
    let domain = person();
    let wanted: Vec<_> = ids.iter().map(|id| (&domain, *id)).collect();
    let mut out = Vec::new();
    cards.cards(&wanted, &mut out).await.map(|()| out)
}

pub(super) async fn one(cards: &Cards, id: &str) -> Card {
    look(cards, &[id]).await.unwrap().remove(0).unwrap().as_ref().clone()
}

/// Two cards are the same when they say the same; keys cannot be compared.
impl PartialEq for Card {
    fn eq(&self, other: &Self) -> bool {
        let all = |card: &Self| {
            let it = card.clone();
            let who = (it.record, it.token, it.keys.is_some(), it.reference, it.acts_until);
            let said = (it.status, it.consents, it.opt_outs, it.holds, it.representatives);
            (who, said, (it.version, it.logged_version))
        };
        all(self) == all(other)
    }
}

#[tokio::test]
async fn asking_about_a_person_makes_no_card() {
    let bench = Bench::new();
    assert_eq!(bench.cards.find(&person(), "c-1").await.unwrap(), None);
    let made = one(&bench.cards, "c-1").await;
    assert_eq!(made.version, 1);
    for cards in [bench.cards.clone(), bench.cold()] {
        assert_eq!(cards.find(&person(), "c-1").await.unwrap().as_deref(), Some(&made));
    }
}

#[tokio::test]
async fn a_first_sight_makes_a_blank_card_that_lasts() {
    let bench = Bench::new();
    let card = one(&bench.cards, "c-1").await;
    assert_eq!((card.status, card.version), (SubjectStatus::Active.into(), 1));
    assert!(card.consents.is_empty() && card.opt_outs.is_empty());
    assert_eq!(one(&bench.cold(), "c-1").await, card);
    assert_ne!(one(&bench.cards, "c-2").await.token, card.token);
}

#[tokio::test]
async fn a_batch_costs_one_commit_in_each_engine() {
    let bench = Bench::new();
    let ids: Vec<String> = (0..256).map(|n| format!("c-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    look(&bench.cards, &ids).await.unwrap();
    assert_eq!((bench.state.rev().0, bench.keys.rev().0), (1, 1));
    look(&bench.cards, &ids).await.unwrap();
    look(&bench.cold(), &ids).await.unwrap();
    assert_eq!((bench.state.rev().0, bench.keys.rev().0), (1, 1));
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_questions() {
    let bench = Bench::new();
    let long = "x".repeat(257);
    let asked = ["b", "a", "", "b", "line\nbreak", "a", &long, "c"];
    let found = look(&bench.cards, &asked).await.unwrap();
    let expected = look(&bench.cold(), &asked).await.unwrap();
    assert_eq!(found, expected);
    let known: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, true, false, true, false, true, false, true]);
    assert_eq!((&found[0], &found[1]), (&found[3], &found[5]));
    assert_ne!(found[0], found[1]);
    assert_eq!(bench.keys.rev().0, 1, "nothing is made for what is not an id");
}

#[tokio::test]
async fn domains_keep_people_apart() {
    let bench = Bench::new();
    let (person, employee) = (person(), DomainId::parse("employee").unwrap());
    let mut out = Vec::new();
    bench.cards.cards(&[(&person, "7"), (&employee, "7")], &mut out).await.unwrap();
    let tokens: Vec<SubjectToken> = out.iter().map(|card| card.as_ref().unwrap().token).collect();
    assert_ne!(tokens[0], tokens[1]);
    bench.cards.set_status(&person, "7", SubjectStatus::Restricted).await.unwrap();
    let other = bench.cards.cached(&employee, "7").unwrap();
    assert_eq!(other.status, SubjectStatus::Active.into());
}

#[tokio::test]
async fn a_change_shows_on_the_next_look_up() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    let token = one(cards, "c").await.token;
    let until = Some(Timestamp::from_unix_s(5));
    let mut version = cards.set_status(&domain, "c", SubjectStatus::Objected).await.unwrap();
    for step in 0..4 {
        let card = one(cards, "c").await;
        assert_eq!(card, one(&bench.cold(), "c").await);
        assert_eq!((card.version, card.token), (version, token));
        let next = match step {
            0 => cards.set_consent(&domain, "c", "marketing", Consent::given(until)).await,
            1 => cards.set_consent(&domain, "c", "analytics", Consent::Refused).await,
            2 => cards.set_opt_out(&domain, "c", "profiling", true).await,
            _ => cards.set_consent(&domain, "c", "analytics", Consent::Unknown).await,
        };
        assert!(next.as_ref().unwrap() > &version);
        version = next.unwrap();
    }
    let card = one(cards, "c").await;
    assert_eq!(card.status, SubjectStatus::Objected.into());
    let consents = BTreeMap::from([("marketing".into(), Consent::given(until))]);
    assert_eq!(card.consents, consents);
    assert_eq!(card.opt_outs.len(), 1);
    assert_eq!(cards.set_opt_out(&domain, "c", "profiling", true).await.unwrap(), version);
    cards.set_opt_out(&domain, "c", "profiling", false).await.unwrap();
    assert!(one(cards, "c").await.opt_outs.is_empty());
}

#[tokio::test]
async fn a_change_for_somebody_unseen_makes_the_card() {
    let bench = Bench::new();
    bench.cards.set_status(&person(), "new", SubjectStatus::Restricted).await.unwrap();
    assert_eq!(one(&bench.cards, "new").await.status, SubjectStatus::Restricted.into());
}

#[tokio::test]
async fn holds_are_counted_one_by_one_and_end_by_themselves() {
    let bench = Bench::new();
    let (cards, now) = (&bench.cards, bench.ring.now());
    let hold = |case: &str, until| Hold::new(("olga", now), (case, "a claim"), until).unwrap();
    let later = now.plus_ms(60_000);
    let first = cards.add_hold(&person(), "c", hold("1", None)).await.unwrap();
    let second = cards.add_hold(&person(), "c", hold("2", Some(later))).await.unwrap();
    cards.set_status(&person(), "c", SubjectStatus::Minor).await.unwrap();
    let words = |card: &Card, at| card.statuses(at).to_string();
    let card = one(cards, "c").await;
    assert_eq!(card, one(&bench.cold(), "c").await);
    assert_eq!(
        (words(&card, now), words(&card, later)),
        ("held,minor".into(), "held,minor".into())
    );
    assert!(cards.anybody_held().await.unwrap());
    assert_eq!(cards.holds(10).await.unwrap().0.len(), 2);
    assert!(cards.holds(1).await.unwrap().1);

    assert_eq!(cards.release_hold(&first.id, None).await.unwrap(), Some(first.clone()));
    assert_eq!(cards.release_hold(&first.id, None).await.unwrap(), None);
    let card = one(cards, "c").await;
    assert_eq!((words(&card, now), words(&card, later)), ("held,minor".into(), "minor".into()));
    // Somebody else's is not released by naming another person.
    one(cards, "d").await;
    assert_eq!(cards.release_hold(&second.id, Some((&person(), "d"))).await.unwrap(), None);
    assert!(cards.release_hold(&second.id, Some((&person(), "c"))).await.unwrap().is_some());
    assert!(!cards.anybody_held().await.unwrap());
    assert!(cards.holds(10).await.unwrap().0.is_empty());
    assert!(Hold::new(("olga", now), ("3", " "), None).is_err());
    assert!(Hold::new(("olga", now), ("3", "x"), Some(now)).is_err());
}

#[tokio::test]
async fn a_hold_of_an_earlier_release_holds_and_is_released_with_its_person() {
    let bench = Bench::new();
    one(&bench.cards, "c").await;
    let key = storage_key(&bench.ring.record_key(&person(), "c"));
    let stored = br#"{"v":1,"status":"held","consents":{},"opt_outs":[]}"#.to_vec();
    let mut tx = Tx::new();
    tx.put(&key, stored, Expect::Any);
    bench.state.commit(tx).await.unwrap();
    let cards = bench.cold();
    let hold = one(&cards, "c").await.holds.remove(0);
    assert!(cards.anybody_held().await.unwrap());
    assert_eq!(cards.release_hold(&hold.id, None).await.unwrap(), None);
    let released = cards.release_hold(&hold.id, Some((&person(), "c"))).await.unwrap();
    assert_eq!(released, Some(hold));
    assert!(!cards.anybody_held().await.unwrap());
}

#[tokio::test]
async fn who_acts_for_whom_is_kept_as_a_reference_that_ends_with_their_key() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    let (kim, ana) = ((&domain, "kim"), (&domain, "ana"));
    let later = bench.ring.now().plus_ms(60_000);
    let guardian = (RepresentativeKind::Guardian, later, "register 118");
    assert_eq!(cards.standing(&domain, "ana").await, OwnCard::default());
    cards.add_representative(kim, ana, guardian).await.unwrap();
    // Naming them again replaces what was.
    cards.add_representative(kim, ana, guardian).await.unwrap();
    let card = one(&bench.cold(), "kim").await;
    let [named] = card.representatives.as_slice() else { panic!("{card:?}") };
    assert_eq!(cards.standing(&domain, "ana").await.who, Some(named.who));
    assert_eq!(cards.standing(&domain, "kim").await.who, None);
    assert_ne!(named.who.0, one(cards, "ana").await.token.0, "no name of the log is stored");

    for (of, by, named) in [
        (kim, kim, guardian),
        (kim, ana, (RepresentativeKind::Agent, Timestamp::from_unix_s(1), "p")),
        (kim, ana, (RepresentativeKind::Agent, later, "")),
    ] {
        let done = cards.add_representative(of, by, named).await;
        assert!(matches!(done, Err(SubjectsError::Invalid { .. })), "{done:?}");
    }
    assert!(cards.remove_representative(kim, ana).await.unwrap());
    assert!(!cards.remove_representative(kim, ana).await.unwrap());
    for n in 0..=MAX_REPRESENTATIVES {
        let done = cards.add_representative(kim, (&domain, &format!("p-{n}")), guardian).await;
        assert_eq!(done.is_ok(), n < MAX_REPRESENTATIVES, "{n} {done:?}");
    }

    cards.set_status(&domain, "p-0", SubjectStatus::Deceased).await.unwrap();
    assert_eq!(cards.standing(&domain, "p-0").await, OwnCard { who: None, is_dead: true });
    cards.erase(&domain, "p-1", "request").await.unwrap();
    assert_eq!(cards.standing(&domain, "p-1").await.who, None);
    let done = cards.add_representative(kim, (&domain, "p-1"), guardian).await;
    assert!(matches!(done, Err(SubjectsError::Invalid { .. } | SubjectsError::Erased)), "{done:?}");
}

#[tokio::test]
async fn erased_is_final() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    let version = cards.set_status(&domain, "c", SubjectStatus::Erased).await.unwrap();
    for status in SubjectStatus::ALL {
        let done = cards.set_status(&domain, "c", status).await;
        match status {
            // Holds give it.
            SubjectStatus::Held => assert!(matches!(done, Err(SubjectsError::Invalid { .. }))),
            SubjectStatus::Erased => assert_eq!(done.unwrap(), version),
            _ => assert!(matches!(done, Err(SubjectsError::Erased)), "{done:?}"),
        }
    }
    let done = cards.set_consent(&domain, "c", "m", Consent::given(None)).await;
    assert!(matches!(done, Err(SubjectsError::Erased)), "{done:?}");
    assert_eq!(one(&bench.cold(), "c").await.status, SubjectStatus::Erased.into());
}

#[tokio::test]
async fn the_erased_get_no_new_key() {
    let bench = Bench::new();
    bench.cards.set_status(&person(), "c", SubjectStatus::Erased).await.unwrap();
    wipe(&bench.keys).await;
    let card = one(&bench.cold(), "c").await;
    assert_eq!((card.status, card.token), (SubjectStatus::Erased.into(), SubjectToken([0; 16])));
    assert!(bench.keys.scan(b"", None, 10).await.unwrap().items.is_empty());
}

async fn wipe(store: &MemoryStore) {
    let mut tx = Tx::new();
    for item in store.scan(b"", None, 1_000).await.unwrap().items {
        tx.delete(&item.key, Expect::Any);
    }
    store.commit(tx).await.unwrap();
}

#[tokio::test]
async fn a_person_whose_card_is_lost_stays_closed() {
    let bench = Bench::new();
    bench.cards.set_status(&person(), "c", SubjectStatus::Restricted).await.unwrap();
    wipe(&bench.state).await;
    let cold = bench.cold();
    // Whoever made a blank card here would lift the restriction.
    assert_eq!(look(&cold, &["c", "other"]).await.unwrap()[0], None);
    assert!(look(&cold, &["other"]).await.unwrap()[0].is_some());
    let done = cold.set_status(&person(), "c", SubjectStatus::Active).await;
    assert!(matches!(done, Err(SubjectsError::Orphaned)), "{done:?}");
    assert_eq!(cold.metrics().orphaned.get(), 2);
}

#[tokio::test]
async fn a_card_that_is_not_understood_is_an_error() {
    let bench = Bench::new();
    one(&bench.cards, "c").await;
    let key = bench.state.scan(b"", None, 1).await.unwrap().items.remove(0).key;
    for wrong in [
        r#"{"v":2,"status":"active","consents":{},"opt_outs":[]}"#,
        r#"{"v":1,"status":"lenient","consents":{},"opt_outs":[]}"#,
        r#"{"v":1,"status":"active","consents":{"m":"maybe"},"opt_outs":[]}"#,
        r#"{"v":1,"status":"active","consents":{},"opt_outs":[],"ban":true}"#,
        r#"{"v":1,"status":"active"}"#,
        "",
    ] {
        let mut tx = Tx::new();
        tx.put(&key, wrong.into(), Expect::Any);
        bench.state.commit(tx).await.unwrap();
        let read = look(&bench.cold(), &["c"]).await;
        assert!(matches!(read, Err(SubjectsError::Damaged)), "{wrong} {read:?}");
    }
}

#[tokio::test]
async fn names_and_numbers_of_consents_are_limited() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    for wrong in ["", "two words", "naïve", &"n".repeat(65)] {
        let done = cards.set_opt_out(&domain, "c", wrong, true).await;
        assert!(matches!(done, Err(SubjectsError::Invalid { .. })), "{wrong}");
    }
    let done = cards.set_status(&domain, "", SubjectStatus::Active).await;
    assert!(matches!(done, Err(SubjectsError::Invalid { .. })));
    let until = Some(Timestamp::from_unix_ms(u64::MAX));
    for n in 0..MAX_NAMES {
        let name = format!("{n:0>64}");
        cards.set_consent(&domain, "c", &name, Consent::given(until)).await.unwrap();
        cards.set_opt_out(&domain, "c", &name, true).await.unwrap();
    }
    let done = cards.set_opt_out(&domain, "c", "one-more", true).await;
    assert!(matches!(done, Err(SubjectsError::TooMany { .. })), "{done:?}");
    assert_eq!(one(&bench.cold(), "c").await.consents.len(), MAX_NAMES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_give_a_person_one_key() {
    workers_agree(&Bench::new()).await;
}

#[tokio::test]
async fn workers_that_take_turns_give_a_person_one_key() {
    workers_agree(&Bench::new()).await;
}

async fn workers_agree(bench: &Bench) {
    let tasks: Vec<_> = (0..8)
        .map(|worker| {
            // Each with a memory of its own, as several processes would have.
            let cards = bench.cold();
            tokio::spawn(async move {
                let mut seen = BTreeMap::new();
                for step in 0..20 {
                    let ids: Vec<String> =
                        (0..10).map(|n| format!("c-{}", (step + worker + n) % 25)).collect();
                    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                    for (id, card) in ids.iter().zip(look(&cards, &ids).await.unwrap()) {
                        seen.insert((*id).to_owned(), card.unwrap().token);
                    }
                }
                seen
            })
        })
        .collect();
    let mut names = BTreeMap::new();
    for task in tasks {
        // No card counts as lost because somebody else is making it.
        for (id, token) in task.await.unwrap() {
            assert_eq!(*names.entry(id).or_insert(token), token);
        }
    }
    let made = bench.keys.scan(b"", None, 1_000).await.unwrap().items.len();
    assert_eq!((names.len(), made), (25, 25));
}

/// Polls `work` at most `count` times; what it comes to, when it ends by then.
fn poll<T>(mut work: Pin<&mut impl Future<Output = T>>, count: usize) -> Option<T> {
    for _ in 0..count {
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
    }
    None
}

#[tokio::test]
async fn a_look_up_may_be_interrupted_anywhere_by_another() {
    let mut interrupted = 0;
    for count in 0..12 {
        let bench = Bench::new();
        let cold = bench.cold();
        let mut looking = Box::pin(look(&cold, &["c"]));
        let done = poll(looking.as_mut(), count);
        interrupted += usize::from(done.is_none());
        let other = one(&bench.cards, "c").await;
        let found = match done {
            Some(done) => done,
            None => looking.await,
        };
        assert_eq!(found.unwrap()[0].as_deref(), Some(&other), "after {count} steps");
        assert_eq!(cold.metrics().orphaned.get(), 0);
    }
    assert!(interrupted > 4, "{interrupted}");
}

#[tokio::test]
async fn a_look_up_may_be_interrupted_anywhere_by_a_change() {
    for count in 0..12 {
        let bench = Bench::new();
        one(&bench.cards, "c").await;
        let cards = bench.cold();
        let mut looking = Box::pin(look(&cards, &["c"]));
        let done = poll(looking.as_mut(), count);
        cards.set_status(&person(), "c", SubjectStatus::Restricted).await.unwrap();
        if done.is_none() {
            looking.await.unwrap();
        }
        let card = one(&cards, "c").await;
        assert_eq!(card.status, SubjectStatus::Restricted.into(), "after {count} steps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_a_card_older_than_an_acknowledged_change() {
    let bench = Bench::new();
    // Room for hardly any card, so that they are loaded again and again.
    let cards = Bench::cards(&bench.ring, &bench.state, 1);
    let acknowledged = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let order = std::sync::atomic::Ordering::SeqCst;
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (cards, acknowledged) = (cards.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let domain = person();
                while acknowledged.load(order) < u64::MAX {
                    let before = acknowledged.load(order);
                    let card = match cards.cached(&domain, "c") {
                        Some(card) => card,
                        None => Arc::new(one(&cards, "c").await),
                    };
                    assert!(card.version >= before || before == u64::MAX);
                    look(&cards, &["x", "y"]).await.unwrap();
                    // Look-ups that memory answers never wait, and whoever never waits keeps a
                    // thread from the tasks that the writer waits for.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 0..300 {
        let status = if n % 2 == 0 { SubjectStatus::Restricted } else { SubjectStatus::Active };
        let version = cards.set_status(&person(), "c", status).await.unwrap();
        acknowledged.store(version, order);
        assert_eq!(one(&cards, "c").await.status, status.into());
    }
    acknowledged.store(u64::MAX, order);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_from_many_sides_all_count() {
    let bench = Bench::new();
    let tasks: Vec<_> = (0..MAX_NAMES)
        .map(|n| {
            let cards = bench.cold();
            let name = format!("n-{n}");
            tokio::spawn(async move { cards.set_opt_out(&person(), "c", &name, true).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(one(&bench.cold(), "c").await.opt_outs.len(), MAX_NAMES);
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_still_reaches_the_memory() {
    let bench = Bench::new();
    let domain = person();
    one(&bench.cards, "c").await;
    let change = bench.cards.set_status(&domain, "c", SubjectStatus::Restricted);
    let mut change = Box::pin(change);
    // Polled once, which starts it, and dropped.
    assert!(poll(change.as_mut(), 1).is_none());
    drop(change);
    let restricted =
        async || one(&bench.cards, "c").await.status.contains(SubjectStatus::Restricted);
    while !restricted().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(one(&bench.cold(), "c").await.status, SubjectStatus::Restricted.into());
}

#[tokio::test]
async fn memory_is_bounded() {
    let bench = Bench::new();
    let cards = Bench::cards(&bench.ring, &bench.state, 640);
    for n in 0..40 {
        let ids: Vec<String> = (0..100).map(|m| format!("c-{n}-{m}")).collect();
        look(&cards, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    }
    assert!(cards.0.cache.len() <= 640, "{}", cards.0.cache.len());
}

#[tokio::test]
async fn a_fault_at_any_call_is_an_error_and_nothing_else() {
    for moment in [FaultMoment::Before, FaultMoment::After] {
        for in_keys in [true, false] {
            let mut call = 1;
            while fault_at(FaultPlan { call, moment }, in_keys).await {
                call += 1;
            }
            assert!(call > 3, "{moment:?} was planned {call} times");
        }
    }
}

/// Plans one fault, does some work, and checks what stands afterwards. False when the work never
/// came to the fault.
async fn fault_at(plan: FaultPlan, in_keys: bool) -> bool {
    let bench = Bench::new();
    let known = one(&bench.cards, "known").await;
    let engine = if in_keys { &bench.keys } else { &bench.state };
    let cards = bench.cold();
    engine.plan_fault(plan);
    let looked = look(&cards, &["known", "new"]).await;
    let changed = cards.set_status(&person(), "known", SubjectStatus::Restricted).await;
    let happened = engine.clear_fault();
    assert_eq!(happened, looked.is_err() || changed.is_err(), "{plan:?} {looked:?} {changed:?}");
    // What memory shows is what the engine has, whatever was acknowledged.
    let (warm, cold) = (one(&cards, "known").await, one(&bench.cold(), "known").await);
    assert_eq!((&warm, warm.token), (&cold, known.token), "{plan:?}");
    if changed.is_ok() {
        assert_eq!(warm.status, SubjectStatus::Restricted.into(), "{plan:?}");
    }
    let new = one(&cards, "new").await;
    assert_eq!(new, one(&bench.cold(), "new").await, "{plan:?}");
    if let Ok(looked) = looked {
        assert_eq!(looked[1].as_ref().unwrap().token, new.token, "{plan:?}");
    }
    assert_eq!(bench.keys.scan(b"", None, 10).await.unwrap().items.len(), 2);
    happened
}

#[tokio::test]
async fn cards_in_files_outlast_the_process_and_name_nobody() {
    let installation = Installation::initialised().await;
    let state = StateConfig::Sled { path: installation.path().join("state") };
    let ids: Vec<String> = (0..40).map(|n| format!("Εύα-{n}-subject@mail.example")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let visit = async || {
        let cards = Cards::open(
            installation.open().await.unwrap(),
            Engine::open(&state).unwrap(),
            &SubjectsConfig::default(),
        );
        let found = look(&cards, &ids).await.unwrap();
        let until = Some(Timestamp::from_unix_s(9));
        cards.set_consent(&person(), ids[0], "m", Consent::given(until)).await.unwrap();
        found.into_iter().map(|card| card.unwrap().token).collect::<Vec<_>>()
    };
    let tokens = visit().await;
    assert_eq!(visit().await, tokens);
    for (path, bytes) in files(installation.path()) {
        for (id, token) in ids.iter().zip(&tokens) {
            assert!(!holds(&bytes, id.as_bytes()), "an id in {}", path.display());
            assert!(!holds(&bytes, &token.0), "a name in {}", path.display());
        }
    }
}

#[test]
fn cards_of_earlier_versions_are_read_and_earlier_versions_refuse_what_they_do_not_know() {
    let card =
        |status: &str| format!(r#"{{"v":1,"status":"{status}","consents":{{}},"opt_outs":[]}}"#);
    for status in SubjectStatus::ALL {
        let read = Facts::decode(card(status.as_str()).as_bytes()).unwrap();
        if status == SubjectStatus::Held {
            let now = Timestamp::from_unix_s(1);
            assert!(read.is_held(now) && read.status == Statuses::ACTIVE);
            assert_eq!(Facts::decode(&read.encode().unwrap()).unwrap(), read);
            continue;
        }
        assert_eq!(read.status, status.into());
        // One alone is written as it always was.
        assert_eq!(read.encode().unwrap(), card(status.as_str()).into_bytes());
    }
    // They knew one word, and took no other for one.
    let both = Facts::decode(card("restricted,minor").as_bytes()).unwrap();
    assert_eq!(both.encode().unwrap(), card("restricted,minor").into_bytes());
    assert_eq!(SubjectStatus::parse("restricted,minor"), None);
}

proptest! {
    #[test]
    fn facts_come_back_as_they_were(
        status in prop::collection::vec(prop::sample::select(SubjectStatus::ALL.to_vec()), 0..4),
        consents in prop::collection::btree_map("[a-z_.-]{1,64}", (0..3_u8, any::<Option<u64>>(), 0..4_u8, any::<u32>(), any::<u64>()), 0..MAX_NAMES),
        opt_outs in prop::collection::btree_set("[a-z_.-]{1,64}", 0..MAX_NAMES),
    ) {
        let consents = consents.into_iter().map(|(name, (kind, until, form, id, version))| {
            let answer = match kind {
                0 => Answer::Refused,
                1 => Answer::Given(until),
                _ => Answer::Recorded(until, form, id, version),
            };
            (name.into(), answer)
        });
        let facts = Facts {
            status: status.into_iter().filter(|it| *it != SubjectStatus::Held).collect(),
            consents: consents.collect(),
            opt_outs: opt_outs.into_iter().map(String::into_boxed_str).collect(),
            ..Facts::default()
        };
        let stored = facts.encode().unwrap();
        prop_assert!(stored.len() <= crate::state::MAX_VALUE_BYTES, "{}", stored.len());
        prop_assert_eq!(Facts::decode(&stored).unwrap(), facts);
    }

    #[test]
    fn any_bytes_are_a_card_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(Facts::decode(&bytes).is_err());
    }
}

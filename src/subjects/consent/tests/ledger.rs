//! Records in the state: the next look-up shows them, the next version follows from the last.

use std::sync::Arc;

use super::asks;
use super::by;
use super::event;
use super::keyed;
use crate::clock::ManualClock;
use crate::clock::SystemEntropy;
use crate::keys::KeyRing;
use crate::state::Engine;
use crate::state::MemoryStore;
use crate::state::StateStore;
use crate::subjects::Cards;
use crate::subjects::SubjectsConfig;
use crate::subjects::SubjectsError;
use crate::subjects::consent::ConsentError;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::Entity;
use crate::subjects::consent::Filing;
use crate::subjects::consent::Guardian;
use crate::subjects::consent::Moment;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::NewEvent;
use crate::subjects::consent::RecordId;
use crate::subjects::consent::Said;
use crate::subjects::consent::digest;
use crate::subjects::tests::Bench;
use crate::subjects::tests::one;
use crate::subjects::tests::person;
use crate::types::Consent;
use crate::types::ConsentForm;
use crate::types::Timestamp;

/// A bench whose clock moves only when told to.
pub(super) fn timed() -> (Bench, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_800_000_000_000)));
    let (keys, state) = (MemoryStore::default(), MemoryStore::default());
    let engine = Engine::Memory(keys.clone());
    let ring = KeyRing::ephemeral_at(engine, Arc::new(SystemEntropy), clock.clone()).unwrap();
    let cards =
        Cards::open(ring.clone(), Engine::Memory(state.clone()), &SubjectsConfig::default());
    (Bench { cards, keys, state, ring }, clock)
}

pub(super) async fn give(cards: &Cards, id: &str, question: &str) -> RecordId {
    let new = asks(&[(question, ConsentState::Given)]);
    cards.record_consent(&person(), id, new, by("ann")).await.unwrap().record_id
}

pub(super) async fn answer(cards: &Cards, id: &str, question: &str) -> Option<Consent> {
    one(cards, id).await.consents.get(question).copied()
}

pub(super) async fn tell(
    cards: &Cards,
    record: RecordId,
    state: ConsentState,
) -> Result<u32, ConsentError> {
    let done = cards.consent_event(record, event("m", state), by("bob")).await;
    done.map(|done| done.version)
}

#[tokio::test]
async fn a_withdrawal_shows_on_the_next_look_up_and_each_version_follows_from_the_last() {
    let bench = Bench::new();
    let new = asks(&[("m", ConsentState::Given), ("n", ConsentState::Given)]);
    let made = bench.cards.record_consent(&person(), "c", new, by("ann")).await.unwrap();
    let held = one(&bench.cards, "c").await;
    for question in ["m", "n"] {
        assert_eq!(held.consents[question], Consent::given(None));
    }
    assert_eq!(tell(&bench.cards, made.record_id, ConsentState::Withdrawn).await.unwrap(), 2);
    for cards in [bench.cards.clone(), bench.cold()] {
        let card = one(&cards, "c").await;
        assert_eq!(card.consents["m"], Consent::Refused);
        assert_eq!(card.consents["n"], Consent::given(None), "a purpose is withdrawn alone");
        assert!(card.version > held.version);
    }
    assert!(tell(&bench.cards, made.record_id, ConsentState::Withdrawn).await.is_err());
    tell(&bench.cards, made.record_id, ConsentState::Given).await.unwrap();
    assert_eq!(answer(&bench.cards, "c", "m").await, Some(Consent::given(None)));

    let versions = bench.cards.consent_history(made.record_id).await.unwrap();
    assert_eq!(versions.len(), 3);
    for (before, after) in versions.iter().zip(&versions[1..]) {
        assert_eq!(after.prev_version_hash, digest(before));
        assert!(after.created_at > before.created_at);
        assert_eq!((before.created_by.len(), after.created_by.as_str()), (3, "bob"));
        assert_eq!(after.audit_seq, Some(7));
    }
    let record = bench.cards.consent(made.record_id).await.unwrap();
    assert_eq!((record.version, record.version_hash), (3, digest(&versions[2]).unwrap()));
    assert_eq!(record.events.len(), 4);
    assert_eq!(bench.cards.consents_of(&person(), "c").await.unwrap(), [record]);
    assert_eq!(bench.cards.metrics().consents_recorded.get(), 3);
}

#[tokio::test]
async fn a_person_is_called_the_same_in_all_records_and_by_no_id() {
    let bench = Bench::new();
    let ids = ["anna-of-the-hill", "bert-of-the-lake"];
    let mut refs = Vec::new();
    for id in ids {
        for question in ["m", "n"] {
            give(&bench.cards, id, question).await;
        }
        let records = bench.cards.consents_of(&person(), id).await.unwrap();
        let called: Vec<_> = records.iter().map(|record| record.subject_ref).collect();
        assert_eq!(called[0], called[1]);
        refs.push(called[0]);
    }
    assert_ne!(refs[0], refs[1]);
    let guardian = bench.cards.guardian_ref(&person(), ids[0]);
    let guardian = Some(Guardian { reference: guardian, proof: None });
    let new = NewConsent { guardian, ..asks(&[("m", ConsentState::Given)]) };
    bench.cards.record_consent(&person(), ids[1], new, keyed("attempt-1")).await.unwrap();
    for item in bench.state.scan(b"", None, 1_000).await.unwrap().items {
        let row = [item.key, item.value.value].concat();
        for id in ids {
            assert!(!row.windows(id.len()).any(|part| part == id.as_bytes()));
        }
    }
}

#[tokio::test]
async fn the_form_of_consent_reaches_the_card() {
    let bench = Bench::new();
    let guardian = Some(Guardian { reference: "case:2026-1".into(), proof: None });
    for (separate, says, by_guardian) in [
        (false, Entity::Subject, false),
        (true, Entity::Subject, false),
        (false, Entity::Guardian, true),
        (true, Entity::Guardian, true),
        // What a child says stays the child's, though the record names who could speak for it.
        (false, Entity::Subject, false),
    ] {
        let mut new = NewConsent {
            separate,
            guardian: guardian.clone(),
            ..asks(&[("m", ConsentState::Given)])
        };
        new.events[0].entity_id = says;
        bench.cards.record_consent(&person(), "c", new, by("ann")).await.unwrap();
        let form = ConsentForm { separate, by_guardian };
        assert_eq!(
            answer(&bench.cold(), "c", "m").await,
            Some(Consent::Given { until: None, form })
        );
    }
}

#[tokio::test]
async fn any_past_moment_can_be_asked_about() {
    let (bench, clock) = timed();
    let (cards, start) = (&bench.cards, bench.ring.now());
    let record = give(cards, "c", "m").await;
    clock.advance_ms(1_000);
    tell(cards, record, ConsentState::Withdrawn).await.unwrap();
    clock.advance_ms(1_000);
    // It was taken back at once already, on paper, which arrives only now.
    let early = NewEvent { time: Some(start.plus_ms(500)), ..event("m", ConsentState::Withdrawn) };
    cards.consent_event(record, early, by("ann")).await.unwrap();
    let stood = async |at: u64, known_by: u64| {
        let moment = Moment { at: start.plus_ms(at), known_by: start.plus_ms(known_by) };
        cards.consent_at(&person(), "c", "m", moment).await.unwrap().state
    };
    use ConsentState as S;
    for (at, known_by, state) in [
        (0, 0, S::Given),
        (600, 600, S::Given),
        (600, 2_100, S::Withdrawn),
        (499, 2_100, S::Given),
        (1_100, 1_100, S::Withdrawn),
    ] {
        assert_eq!(stood(at, known_by).await, state, "{at} by {known_by}");
    }
    let before = Timestamp::from_unix_ms(start.unix_ms() - 1);
    assert!(!cards.allows_at(&person(), "c", "m", before).await.unwrap());
    assert!(cards.allows_at(&person(), "c", "m", start).await.unwrap());
    assert!(!cards.allows_at(&person(), "c", "other", start).await.unwrap());
    assert!(!cards.allows_at(&person(), "nobody", "m", start).await.unwrap());
}

#[tokio::test]
async fn validity_ends_by_itself_and_is_renewed() {
    let (bench, clock) = timed();
    let until = bench.ring.now().plus_ms(1_000);
    let given = NewEvent { valid_until: Some(until), ..event("m", ConsentState::Given) };
    let new = NewConsent { events: vec![given], ..asks(&[("m", ConsentState::Given)]) };
    let made = bench.cards.record_consent(&person(), "c", new, by("ann")).await.unwrap();
    let said = answer(&bench.cards, "c", "m").await.unwrap();
    assert!(!said.allows(until) && said.allows(bench.ring.now()));
    clock.advance_ms(1_000);
    let now = Moment::then(bench.ring.now());
    let stands = bench.cards.consent_at(&person(), "c", "m", now).await.unwrap();
    assert_eq!(stands.state, ConsentState::Expired);
    assert!(tell(&bench.cards, made.record_id, ConsentState::Withdrawn).await.is_err());
    tell(&bench.cards, made.record_id, ConsentState::RenewedGiven).await.unwrap();
    assert!(answer(&bench.cards, "c", "m").await.unwrap().allows(until.plus_ms(5_000)));
}

#[tokio::test]
async fn an_attempt_that_is_repeated_gets_the_first_answer() {
    let (bench, clock) = timed();
    let cards = &bench.cards;
    let new = || asks(&[("m", ConsentState::Given)]);
    let first = cards.record_consent(&person(), "c", new(), keyed("k")).await.unwrap();
    let rev = bench.state.rev();
    for cards in [bench.cards.clone(), bench.cold()] {
        let again = cards.record_consent(&person(), "c", new(), keyed("k")).await.unwrap();
        assert!(again.repeated && !first.repeated);
        assert_eq!((again.record_id, again.version_hash), (first.record_id, first.version_hash));
    }
    let withdrawn = event("m", ConsentState::Withdrawn);
    let done = cards.consent_event(first.record_id, withdrawn.clone(), keyed("w")).await.unwrap();
    let again = cards.consent_event(first.record_id, withdrawn.clone(), keyed("w")).await.unwrap();
    assert_eq!((again.version, again.repeated), (done.version, true));
    assert_eq!(bench.state.rev().0, rev.0 + 1, "nothing is recorded twice");
    // Another body, another person or another record under the same key is another thing.
    let other = asks(&[("m", ConsentState::Refused)]);
    for done in [
        cards.record_consent(&person(), "c", other, keyed("k")).await,
        cards.record_consent(&person(), "d", new(), keyed("k")).await,
        cards.consent_event(first.record_id, withdrawn, keyed("k")).await,
    ] {
        assert!(matches!(done, Err(ConsentError::KeyReused)), "{done:?}");
    }
    let others = keyed("k");
    let others = Filing { by: "bob".into(), ..others };
    assert!(!cards.record_consent(&person(), "c", new(), others).await.unwrap().repeated);
    // A day later it still holds; after two, old ones give way to new ones.
    clock.advance_ms(86_400_000);
    assert!(cards.record_consent(&person(), "c", new(), keyed("k")).await.unwrap().repeated);
    clock.advance_ms(2 * 86_400_000);
    cards.record_consent(&person(), "c", new(), keyed("z")).await.unwrap();
    let kept = bench.state.scan(b"consent/once/", None, 100).await.unwrap().items.len();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let cards = &bench.cards;
    let old = give(cards, "c", "m").await;
    let other = give(cards, "d", "m").await;
    let new = NewConsent { supersedes: Some(old), ..asks(&[("m", ConsentState::Given)]) };
    cards.record_consent(&person(), "c", new, by("ann")).await.unwrap();
    let rev = bench.state.rev();
    let ahead = NewEvent {
        time: Some(bench.ring.now().plus_ms(600_000)),
        ..event("m", ConsentState::Withdrawn)
    };
    let done = cards.consent_event(old, ahead, by("ann")).await;
    assert!(matches!(done, Err(ConsentError::Invalid { .. })), "{done:?}");
    let done = tell(cards, old, ConsentState::RenewedGiven).await;
    assert!(matches!(done, Err(ConsentError::Superseded)), "{done:?}");
    let done = cards.consent_event(old, event("n", ConsentState::Withdrawn), by("ann")).await;
    assert!(matches!(done, Err(ConsentError::Invalid { .. })), "{done:?}");
    let done = tell(cards, RecordId([9; 16]), ConsentState::Withdrawn).await;
    assert!(matches!(done, Err(ConsentError::NotFound)), "{done:?}");
    let new = NewConsent { supersedes: Some(other), ..asks(&[("m", ConsentState::Given)]) };
    let done = cards.record_consent(&person(), "c", new, by("ann")).await;
    assert!(matches!(done, Err(ConsentError::Invalid { .. })), "{done:?}");
    assert_eq!(bench.state.rev(), rev);
    assert_eq!(cards.metrics().consents_refused.get(), 5);
    // What was given in a record that gave way can still be taken back in it.
    tell(cards, old, ConsentState::Withdrawn).await.unwrap();
    assert_eq!(answer(cards, "c", "m").await, Some(Consent::Refused));
}

#[tokio::test]
async fn a_full_card_keeps_nobody_from_saying_no() {
    let bench = Bench::new();
    for n in 0..crate::subjects::MAX_NAMES {
        give(&bench.cards, "c", &format!("q{n}")).await;
    }
    let domain = person();
    let new = asks(&[("one-more", ConsentState::Given)]);
    let done = bench.cards.record_consent(&domain, "c", new, by("ann")).await;
    assert!(matches!(done, Err(ConsentError::Subjects(SubjectsError::TooMany { .. }))), "{done:?}");
    let new = asks(&[("one-more", ConsentState::Refused)]);
    bench.cards.record_consent(&domain, "c", new, by("ann")).await.unwrap();
    assert_eq!(bench.cards.consents_of(&domain, "c").await.unwrap().len(), 25);
}

#[tokio::test]
async fn all_records_can_be_paged_through() {
    let (bench, clock) = timed();
    let mut made = Vec::new();
    for n in 0..7 {
        clock.advance_ms(1);
        made.push(give(&bench.cards, &format!("c-{n}"), "m").await);
    }
    for limit in 1..8 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = bench.cards.all_consents(after, limit).await.unwrap();
            found.extend(page.records.iter().map(|record: &ConsentRecord| record.record_id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, made, "in pages of {limit}");
    }
}

#[tokio::test]
async fn the_operators_answer_goes_through_the_ledger() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    let states = async || {
        let records = cards.consents_of(&domain, "c").await.unwrap();
        let events = records.iter().flat_map(|record| &record.events);
        events.map(|event| event.event.state.as_str()).collect::<Vec<_>>().join(" ")
    };
    for (consent, then) in [
        (Consent::given(None), "Given"),
        (Consent::given(None), "Given"),
        (Consent::Refused, "Given Withdrawn"),
        (Consent::Refused, "Given Withdrawn"),
        (Consent::given(None), "Given Withdrawn Given"),
        (Consent::Unknown, "Given Withdrawn Given Unknown"),
        (Consent::Unknown, "Given Withdrawn Given Unknown"),
        (Consent::Refused, "Given Withdrawn Given Unknown Refused"),
    ] {
        cards.set_consent(&domain, "c", "m", consent).await.unwrap();
        assert_eq!(states().await, then);
        let stands = answer(&bench.cold(), "c", "m").await.unwrap_or_default();
        assert_eq!(stands, consent);
    }
    // A record with a notice is taken back in it, wherever it came from.
    let record = give(cards, "d", "m").await;
    cards.set_consent(&domain, "d", "m", Consent::Refused).await.unwrap();
    assert_eq!(cards.consent(record).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn a_browsers_signal_goes_through_the_ledger_which_says_how_it_came() {
    let bench = Bench::new();
    let (cards, domain) = (&bench.cards, person());
    let signal = async |id: &str| {
        let filing = Filing { audit_seq: Some(7), ..by("caller") };
        let refused = ("m", Consent::Refused);
        cards.say_consent((&domain, id), refused, Said::Signal, filing).await.unwrap();
        let stands = answer(&bench.cold(), id, "m").await;
        assert_eq!(stands, Some(Consent::Refused), "{id}");
        cards.consents_of(&domain, id).await.unwrap()
    };
    // Nobody asked before; an operator was told yes; a yes with a notice; a no already.
    cards.set_consent(&domain, "told", "m", Consent::given(None)).await.unwrap();
    give(cards, "asked", "m").await;
    cards.set_consent(&domain, "no", "m", Consent::Refused).await.unwrap();
    for (id, states, method) in [
        ("new", "Refused", "gpc"),
        ("told", "Given Withdrawn", "gpc"),
        ("asked", "Given Withdrawn", "gpc"),
        ("no", "Refused", "operator"),
    ] {
        // The second time changes nothing.
        assert_eq!(signal(id).await, signal(id).await, "{id}");
        let records = signal(id).await;
        let [record] = records.as_slice() else { panic!("{id}: {records:?}") };
        let events = &record.events;
        let found: Vec<&str> = events.iter().map(|event| event.event.state.as_str()).collect();
        assert_eq!(found.join(" "), states, "{id}");
        let last = &events.last().unwrap().event;
        assert_eq!(last.method.as_deref(), Some(method), "{id}");
        assert_eq!(last.entity_id, Entity::Subject, "{id}");
        let is_signal = last.evidence.as_ref().is_some_and(|evidence| evidence.gpc == Some(true));
        assert_eq!(is_signal, method == "gpc", "{id}");
        let filed = (record.created_by.as_str(), record.audit_seq);
        let expected = if is_signal { ("caller", Some(7)) } else { ("operator", None) };
        assert_eq!(filed, expected, "{id}");
    }
    // A yes from afterwards counts, in a record of its own that no signal has a part in.
    cards.set_consent(&domain, "told", "m", Consent::given(None)).await.unwrap();
    assert_eq!(answer(&bench.cold(), "told", "m").await, Some(Consent::given(None)));
    assert_eq!(cards.consents_of(&domain, "told").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_from_many_sides_all_count_and_the_card_says_what_the_records_say() {
    let bench = Bench::new();
    let record = give(&bench.cards, "c", "m").await;
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let cards = bench.cold();
            tokio::spawn(async move {
                match n % 3 {
                    0 => drop(tell(&cards, record, ConsentState::Withdrawn).await),
                    1 => drop(give(&cards, "c", "m").await),
                    _ => drop(give(&cards, "c", &format!("n{n}")).await),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let cards = bench.cold();
    let records = cards.consents_of(&person(), "c").await.unwrap();
    assert_eq!(records.len(), 9);
    let now = Moment::then(Timestamp::from_unix_ms(u64::MAX));
    let stands = cards.consent_at(&person(), "c", "m", now).await.unwrap();
    let said = answer(&cards, "c", "m").await.unwrap();
    assert_eq!(stands.allows(), said.allows(bench.ring.now()));
}

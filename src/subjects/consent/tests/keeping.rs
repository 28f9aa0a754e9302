//! Records outlast crashes, locks and their person; whoever changes one closes what it gave.

use super::asks;
use super::by;
use super::event;
use super::ledger::answer;
use super::ledger::give;
use super::ledger::tell;
use crate::keys::KeyRing;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::FaultMoment;
use crate::state::FaultPlan;
use crate::state::MemoryStore;
use crate::state::StateConfig;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsConfig;
use crate::subjects::SubjectsError;
use crate::subjects::consent::ConsentError;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::Moment;
use crate::subjects::consent::NewConsent;
use crate::subjects::tests::Bench;
use crate::subjects::tests::one;
use crate::subjects::tests::person;
use crate::types::Consent;
use crate::types::SubjectStatus;

async fn rows(store: &MemoryStore, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let page = store.scan(prefix, None, 1_000).await.unwrap();
    page.items.into_iter().map(|item| (item.key, item.value.value)).collect()
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_card_and_ledger_in_agreement() {
    for moment in [FaultMoment::Before, FaultMoment::After] {
        for call in 1.. {
            let bench = Bench::new();
            let record = give(&bench.cards, "c", "m").await;
            let cards = bench.cold();
            bench.state.plan_fault(FaultPlan { call, moment });
            let taken = tell(&cards, record, ConsentState::Withdrawn).await;
            let new = asks(&[("n", ConsentState::Given)]);
            let made = cards.record_consent(&person(), "c", new, by("ann")).await;
            let happened = bench.state.clear_fault();
            assert_eq!(happened, taken.is_err() || made.is_err(), "{call} {taken:?} {made:?}");
            for cards in [cards, bench.cold()] {
                let card = one(&cards, "c").await;
                for question in ["m", "n"] {
                    let now = Moment::then(bench.ring.now().plus_ms(1_000));
                    let stands = cards.consent_at(&person(), "c", question, now).await.unwrap();
                    let said = card.consents.get(question).copied().unwrap_or_default();
                    assert_eq!(stands.allows(), said.allows(now.at), "{moment:?} {call}");
                }
                if taken.is_ok() {
                    assert_eq!(card.consents["m"], Consent::Refused);
                }
                if made.is_ok() {
                    assert_eq!(card.consents["n"], Consent::given(None));
                }
            }
            if !happened {
                assert!(call > 8, "{call}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn consent_is_taken_back_while_the_keys_are_locked() {
    let (keys, state) = (MemoryStore::default(), MemoryStore::default());
    let ring = KeyRing::locking(Engine::Memory(keys));
    let cards = Bench::cards(&ring, &state, 100);
    let record = give(&cards, "c", "m").await;
    give(&cards, "c", "n").await;
    ring.lock_now();
    tell(&cards, record, ConsentState::Withdrawn).await.unwrap();
    cards.set_consent(&person(), "c", "n", Consent::Refused).await.unwrap();
    let new = asks(&[("o", ConsentState::Refused)]);
    cards.record_consent(&person(), "c", new, by("ann")).await.unwrap();
    // Whoever was never met has no card, and gets none now.
    let new = asks(&[("o", ConsentState::Refused)]);
    let done = cards.record_consent(&person(), "stranger", new, by("ann")).await;
    assert!(done.unwrap_err().is_locked());
    ring.confirm_now();
    let card = one(&Bench::cards(&ring, &state, 100), "c").await;
    assert!(["m", "n", "o"].iter().all(|question| card.consents[*question] == Consent::Refused));
}

#[tokio::test]
async fn an_erasure_keeps_the_proof_and_lets_go_of_the_person() {
    let bench = Bench::new();
    let record = give(&bench.cards, "c", "m").await;
    tell(&bench.cards, record, ConsentState::Withdrawn).await.unwrap();
    let second = give(&bench.cards, "c", "n").await;
    let other = give(&bench.cards, "d", "m").await;
    let before = bench.cards.consent(record).await.unwrap();
    let key = bench.ring.record_key(&person(), "c");
    bench.cards.erase(&person(), "c", "request 1").await.unwrap();
    for cards in [bench.cards.clone(), bench.cold()] {
        assert_eq!(cards.consent(record).await.unwrap(), before);
        assert_eq!(cards.consents_of(&person(), "c").await.unwrap(), []);
        assert_eq!(cards.all_consents(None, 10).await.unwrap().records.len(), 3);
        assert!(!cards.is_consent_of(record, &person(), "c").await.unwrap());
        assert!(cards.is_consent_of(other, &person(), "d").await.unwrap());
        for done in [
            cards.consent_event(second, event("n", ConsentState::Withdrawn), by("ann")).await,
            cards
                .record_consent(&person(), "c", asks(&[("m", ConsentState::Given)]), by("a"))
                .await,
        ] {
            let erased = matches!(done, Err(ConsentError::Subjects(SubjectsError::Erased)));
            assert!(erased, "{done:?}");
        }
    }
    for (row, value) in rows(&bench.state, b"consent/").await {
        let all = [row, value].concat();
        assert!(!all.windows(32).any(|part| part == key.0), "a row leads to the person");
    }
}

#[tokio::test]
async fn an_erasure_that_is_cut_off_is_completed_by_the_next() {
    for moment in [FaultMoment::Before, FaultMoment::After] {
        for call in 1.. {
            let bench = Bench::new();
            let record = give(&bench.cards, "c", "m").await;
            let long = NewConsent {
                rights: vec!["x".repeat(500); 60],
                ..asks(&[("n", ConsentState::Given)])
            };
            let long = bench.cards.record_consent(&person(), "c", long, by("ann")).await.unwrap();
            let before = bench.cards.consent(long.record_id).await.unwrap();
            bench.state.plan_fault(FaultPlan { call, moment });
            let first = bench.cards.erase(&person(), "c", "request").await;
            let happened = bench.state.clear_fault();
            assert_eq!(happened, first.is_err(), "{call}");
            let cards = bench.cold();
            cards.erase(&person(), "c", "request").await.unwrap();
            assert_eq!(rows(&bench.state, b"consent/row/").await, []);
            assert_eq!(rows(&bench.state, b"consent/ref/").await, []);
            assert_eq!(cards.consent(long.record_id).await.unwrap(), before, "{moment:?} {call}");
            assert_eq!(cards.consent(record).await.unwrap().events.len(), 1);
            if !happened {
                assert!(call > 5, "{call}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_older_state_that_comes_back_is_parted_from_the_erased_again() {
    let bench = Bench::new();
    let record = give(&bench.cards, "c", "m").await;
    let old = rows(&bench.state, b"").await;
    bench.cards.erase(&person(), "c", "request").await.unwrap();
    let mut tx = Tx::new();
    for (key, _) in rows(&bench.state, b"").await {
        if !old.iter().any(|(row, _)| *row == key) {
            tx.delete(&key, Expect::Any);
        }
    }
    old.into_iter().for_each(|(key, value)| tx.put(&key, value, Expect::Any));
    bench.state.commit(tx).await.unwrap();
    let cards = bench.cold();
    cards.replay().await.unwrap();
    assert_eq!(rows(&bench.state, b"consent/row/").await, []);
    assert_eq!(cards.consent(record).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_status_of_erased_parts_the_records_too() {
    let bench = Bench::new();
    give(&bench.cards, "c", "m").await;
    bench.cards.set_status(&person(), "c", SubjectStatus::Erased).await.unwrap();
    assert_eq!(rows(&bench.state, b"consent/row/").await, []);
}

#[tokio::test]
async fn a_record_that_was_tampered_with_closes_every_answer_of_its_person() {
    type Tamper = fn(&mut Vec<(Vec<u8>, Vec<u8>)>, &mut Tx);
    let ways: [(&str, Tamper); 5] = [
        ("a version is changed", |rows, tx| {
            let (key, value) = rows.swap_remove(1);
            let text = String::from_utf8(value).unwrap().replace("Withdrawn", "Unknown");
            tx.put(&key, text.into_bytes(), Expect::Any);
        }),
        ("the last version is gone", |rows, tx| tx.delete(&rows[1].0, Expect::Any)),
        ("the first version is gone", |rows, tx| tx.delete(&rows[0].0, Expect::Any)),
        ("a record is gone", |rows, tx| {
            rows[..2].iter().for_each(|(key, _)| tx.delete(key, Expect::Any));
        }),
        ("a version is no version", |rows, tx| tx.put(&rows[1].0, b"{}".to_vec(), Expect::Any)),
    ];
    for (how, tamper) in ways {
        let bench = Bench::new();
        let record = give(&bench.cards, "c", "m").await;
        tell(&bench.cards, record, ConsentState::Withdrawn).await.unwrap();
        let other = give(&bench.cards, "c", "n").await;
        assert_eq!(answer(&bench.cards, "c", "n").await, Some(Consent::given(None)));
        let mut found = rows(&bench.state, b"consent/row/").await;
        found.retain(|(key, _)| key.windows(16).any(|part| part == record.0));
        let mut tx = Tx::new();
        tamper(&mut found, &mut tx);
        bench.state.commit(tx).await.unwrap();
        let cards = bench.cards.clone();
        let now = Moment::then(bench.ring.now());
        for question in ["m", "n"] {
            let stands = cards.consent_at(&person(), "c", question, now).await.unwrap();
            assert_eq!(stands.state, ConsentState::Unknown, "{how}");
        }
        assert_eq!(answer(&cards, "c", "n").await, None, "{how}: the card is closed too");
        assert!(cards.metrics().consents_broken.get() > 0, "{how}");
        let done =
            cards.consent_event(other, event("n", ConsentState::RenewedGiven), by("a")).await;
        assert!(matches!(done, Err(ConsentError::Broken)), "{how}: {done:?}");
        let done = cards.consents_of(&person(), "c").await;
        assert!(matches!(done, Err(ConsentError::Broken)), "{how}: {done:?}");
    }
}

#[tokio::test]
async fn records_in_files_outlast_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = StateConfig::Sled { path: folder.path().to_owned() };
    let bench = Bench::new();
    let open = || {
        let state = Engine::open(&config).unwrap();
        Cards::open(bench.ring.clone(), state, &SubjectsConfig::default())
    };
    let (record, before) = {
        let cards = open();
        let long =
            NewConsent { rights: vec!["x".repeat(500); 60], ..asks(&[("m", ConsentState::Given)]) };
        let made = cards.record_consent(&person(), "c", long, by("ann")).await.unwrap();
        tell(&cards, made.record_id, ConsentState::Withdrawn).await.unwrap();
        (made.record_id, cards.consent(made.record_id).await.unwrap())
    };
    let cards = open();
    assert_eq!(cards.consent(record).await.unwrap(), before);
    assert_eq!(answer(&cards, "c", "m").await, Some(Consent::Refused));
}

#[tokio::test]
async fn an_answer_from_before_there_were_records_counts_until_a_record_answers() {
    let bench = Bench::new();
    one(&bench.cards, "c").await;
    let (key, _) = rows(&bench.state, b"card/").await.remove(0);
    let old =
        r#"{"v":1,"status":"active","consents":{"m":{"given":null},"n":"refused"},"opt_outs":[]}"#;
    let mut tx = Tx::new();
    tx.put(&key, old.into(), Expect::Any);
    bench.state.commit(tx).await.unwrap();
    let cards = bench.cold();
    assert_eq!(answer(&cards, "c", "m").await, Some(Consent::given(None)));
    let now = Moment::then(bench.ring.now());
    assert!(!cards.consent_at(&person(), "c", "m", now).await.unwrap().allows());
    let asked = asks(&[("m", ConsentState::Requested)]);
    let asked = cards.record_consent(&person(), "c", asked, by("ann")).await.unwrap();
    assert_eq!(answer(&cards, "c", "m").await, Some(Consent::given(None)));
    tell(&cards, asked.record_id, ConsentState::Refused).await.unwrap();
    assert_eq!(answer(&cards, "c", "m").await, Some(Consent::Refused));
    // What stands on the card alone can be taken off it.
    cards.set_consent(&person(), "c", "n", Consent::Unknown).await.unwrap();
    assert_eq!(answer(&cards, "c", "n").await, None);
}

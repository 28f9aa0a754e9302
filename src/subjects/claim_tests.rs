//! Whom a legal claim tells, and what it leaves behind.

use super::tests::Bench;
use super::tests::look;
use super::tests::one;
use super::tests::person;
use super::*;
use crate::state::Engine;
use crate::state::StateStore;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;
use crate::types::Timestamp;

const HOUR: u64 = 3_600_000;

fn now() -> Timestamp {
    Timestamp::from_unix_s(1_000)
}

/// Cards that keep log keys for an hour.
fn keeping(bench: &Bench) -> Cards {
    let config = SubjectsConfig { unlink_after_ms: HOUR, ..SubjectsConfig::default() };
    Cards::open(bench.ring.clone(), Engine::Memory(bench.state.clone()), &config)
}

async fn asked(cards: &Cards, id: &str) -> Result<ClaimTicket, ClaimError> {
    let ticket =
        cards.prepare_claim((&person(), id), ("ada", now(), HOUR), ("C-1", "court")).await?;
    cards.settle_claim(&ticket).await?;
    Ok(ticket)
}

async fn approved(cards: &Cards, claim: &str, by: &str) -> Result<(), ClaimError> {
    let ticket = cards.may_approve_claim(claim, (by, now())).await?;
    cards.settle_claim(&ticket).await
}

async fn told(cards: &Cards, claim: &str, id: &str) -> Result<SubjectToken, ClaimError> {
    let taken = cards.take_claim(claim, (&person(), id), ("ada", now())).await;
    taken.map(|(_, token)| token)
}

#[tokio::test]
async fn two_people_are_told_once_what_the_log_calls_somebody_who_was_erased() {
    let bench = Bench::new();
    let cards = keeping(&bench);
    let token = one(&cards, "c").await.token;
    assert!(matches!(asked(&cards, "c").await, Err(ClaimError::NotKept)), "she lives");
    cards.erase(&person(), "c", "r").await.unwrap();
    one(&cards, "d").await;
    cards.erase(&person(), "d", "r").await.unwrap();
    let claim = asked(&cards, "c").await.unwrap().id;
    assert!(matches!(
        told(&cards, &claim, "c").await,
        Err(ClaimError::Accord(AccordError::Unapproved))
    ));
    for same in ["ada", "Ada"] {
        assert!(matches!(
            approved(&cards, &claim, same).await,
            Err(ClaimError::Accord(AccordError::Own))
        ));
    }
    approved(&cards, &claim, "ben").await.unwrap();
    assert!(matches!(
        approved(&cards, &claim, "eva").await,
        Err(ClaimError::Accord(AccordError::Conflict))
    ));
    assert!(matches!(told(&cards, &claim, "d").await, Err(ClaimError::NotAbout)), "another person");
    let by = cards.take_claim(&claim, (&person(), "c"), ("ben", now())).await;
    assert!(matches!(by, Err(ClaimError::Accord(AccordError::NotYours))));
    let late = ("ada", now().plus_ms(HOUR));
    let late = cards.take_claim(&claim, (&person(), "c"), late).await;
    assert!(matches!(late, Err(ClaimError::Accord(AccordError::Expired))));
    assert_eq!(told(&cards, &claim, "c").await.unwrap(), token);
    assert!(
        matches!(told(&cards, &claim, "c").await, Err(ClaimError::Accord(AccordError::NotFound))),
        "once"
    );
    let left = bench.state.scan(b"legal-claim/", None, 9).await.unwrap();
    assert!(left.items.is_empty());
}

#[tokio::test]
async fn a_claim_in_the_state_names_nobody() {
    let bench = Bench::new();
    let cards = keeping(&bench);
    let token = one(&cards, "c-planted").await.token;
    cards.erase(&person(), "c-planted", "r").await.unwrap();
    asked(&cards, "c-planted").await.unwrap();
    let record = bench.ring.record_key(&person(), "c-planted");
    let rows = bench.state.scan(b"legal-claim/", None, 9).await.unwrap();
    let row = format!("{:?}{:?}", rows.items[0].key, rows.items[0].value.value);
    let text = String::from_utf8_lossy(&rows.items[0].value.value).into_owned();
    assert!(!text.contains("planted") && !text.contains(&token.to_string()), "{text}");
    for bytes in [&record.0[..], &token.0[..]] {
        let list = format!("{bytes:?}");
        let list = list.trim_matches(['[', ']']);
        assert!(!row.contains(list) && !text.contains(&list.replace(' ', "")), "{text}");
    }
}

#[tokio::test]
async fn claims_say_why_and_not_for_ever() {
    let bench = Bench::new();
    let cards = keeping(&bench);
    one(&cards, "c").await;
    cards.erase(&person(), "c", "r").await.unwrap();
    let whom = person();
    for (case, why, valid_for) in [
        ("", "w", HOUR),
        ("c", " ", HOUR),
        ("c\n", "w", HOUR),
        ("c", "w", 0),
        ("c", "w", 25 * HOUR),
    ] {
        let made = cards.prepare_claim((&whom, "c"), ("ada", now(), valid_for), (case, why)).await;
        assert!(
            matches!(made, Err(ClaimError::Accord(AccordError::Invalid(_)))),
            "{case} {why} {valid_for}"
        );
    }
    for id in ["", "x", "../../../x", "AAAAAAAAAAAAAAAA"] {
        assert!(
            matches!(told(&cards, id, "c").await, Err(ClaimError::Accord(AccordError::NotFound))),
            "{id}"
        );
    }
    // Where nothing is kept nothing can be asked.
    one(&bench.cards, "e").await;
    bench.cards.erase(&whom, "e", "r").await.unwrap();
    assert!(matches!(asked(&cards, "e").await, Err(ClaimError::NotKept)));
    assert_eq!(cards.kept_until(&whom, "e").await.unwrap(), None);
    assert!(cards.kept_until(&whom, "c").await.unwrap().is_some());
}

#[tokio::test]
async fn what_the_log_has_of_a_version_cannot_be_compared_with_copies_of_the_state() {
    let bench = Bench::new();
    let first = one(&bench.cards, "c").await;
    let again = one(&bench.cold(), "c").await;
    assert_eq!(first.logged_version, again.logged_version, "the same version, the same number");
    assert_ne!(first.logged_version, first.version);
    assert!(first.logged_version < 1 << 48, "every program can read it");
    bench.cards.set_status(&person(), "c", SubjectStatus::Restricted).await.unwrap();
    let changed = one(&bench.cards, "c").await;
    assert_ne!(changed.logged_version, first.logged_version);
    // Two people who were made in one commit have one version, and different numbers.
    let both = look(&bench.cards, &["x", "y"]).await.unwrap();
    let [x, y] = [both[0].clone().unwrap(), both[1].clone().unwrap()];
    assert_eq!(x.version, y.version);
    assert_ne!(x.logged_version, y.logged_version);
    bench.cards.erase(&person(), "c", "r").await.unwrap();
    assert_eq!(one(&bench.cards, "c").await.logged_version, 0);
}

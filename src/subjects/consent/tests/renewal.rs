//! Notices: one text for each version; one that asks everybody anew ends what older ones got.

use super::asks;
use super::by;
use super::ledger::answer;
use super::ledger::timed;
use super::shown;
use crate::subjects::Cards;
use crate::subjects::consent::ConsentError;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::Digest;
use crate::subjects::consent::Moment;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::Notice;
use crate::subjects::tests::person;
use crate::types::Timestamp;

fn notice(version: &str, from: Timestamp, requires_renewal: bool) -> Notice {
    Notice {
        id: "shop-privacy".into(),
        version: version.into(),
        language: "en".into(),
        sha256: Digest([1; 32]),
        url: None,
        effective_from: from,
        requires_renewal,
        registered_at: from,
        registered_by: "ann".into(),
    }
}

async fn give(cards: &Cards, version: &str) -> Result<(), ConsentError> {
    let new = NewConsent { notice: Some(shown(version)), ..asks(&[("m", ConsentState::Given)]) };
    cards.record_consent(&person(), "c", new, by("ann")).await.map(drop)
}

#[tokio::test]
async fn a_version_of_a_notice_has_one_text() {
    let (bench, _) = timed();
    let (cards, now) = (&bench.cards, bench.ring.now());
    assert!(cards.register_notice(notice("1", now, false)).await.unwrap());
    assert!(!cards.register_notice(notice("1", now, false)).await.unwrap(), "twice is fine");
    let other = Notice { sha256: Digest([2; 32]), ..notice("1", now, false) };
    let done = cards.register_notice(other.clone()).await;
    assert!(matches!(done, Err(ConsentError::NoticeDiffers)), "{done:?}");
    assert!(
        bench.cold().register_notice(Notice { language: "zh-CN".into(), ..other }).await.unwrap()
    );
    // The English text in English; either where no language is named.
    let cards = bench.cold();
    for (language, text, is_fine) in [
        (None, 1, true),
        (None, 2, true),
        (None, 3, false),
        (Some("en"), 1, true),
        (Some("en"), 2, false),
        (Some("zh-CN"), 2, true),
        (Some("fr"), 9, true),
    ] {
        let notice = super::NoticeShown { sha256: Digest([text; 32]), ..shown("1") };
        let language = language.map(str::to_owned);
        let new =
            NewConsent { notice: Some(notice), language, ..asks(&[("m", ConsentState::Given)]) };
        let done = cards.record_consent(&person(), "c", new, by("ann")).await;
        assert_eq!(done.is_ok(), is_fine, "{text}: {done:?}");
    }
    assert!(give(&cards, "never-registered").await.is_ok());
}

#[tokio::test]
async fn consent_under_an_older_notice_ends_when_a_new_one_requires_renewal() {
    let (bench, clock) = timed();
    let (cards, start) = (&bench.cards, bench.ring.now());
    cards.register_notice(notice("1", start, false)).await.unwrap();
    give(cards, "1").await.unwrap();
    let allows = async |cards: &Cards, at: u64| {
        let at = start.plus_ms(at);
        answer(cards, "c", "m").await.is_some_and(|said| said.allows(at))
    };
    // A new version by itself ends nothing.
    cards.register_notice(notice("2", start.plus_ms(10), false)).await.unwrap();
    assert!(allows(cards, 1_000).await);
    // One that asks anew does from its time on, on the next look-up, whatever is in memory.
    let changes = cards.changes();
    cards.register_notice(notice("3", start.plus_ms(100), true)).await.unwrap();
    assert_ne!(cards.changes(), changes, "whoever holds cards looks again");
    for cards in [cards.clone(), bench.cold()] {
        assert!(allows(&cards, 99).await && !allows(&cards, 100).await);
    }
    clock.advance_ms(200);
    let now = Moment::then(bench.ring.now());
    let stands = cards.consent_at(&person(), "c", "m", now).await.unwrap();
    assert_eq!(stands.state, ConsentState::Unknown);
    // Renewed under the old text it stays unknown; under the new one it counts.
    give(cards, "2").await.unwrap();
    assert!(!allows(cards, 1_000).await);
    give(cards, "never-registered").await.unwrap();
    assert!(!allows(cards, 1_000).await);
    give(cards, "3").await.unwrap();
    for cards in [cards.clone(), bench.cold()] {
        assert!(allows(&cards, 1_000).await);
    }
    assert!(cards.allows_at(&person(), "c", "m", bench.ring.now().plus_ms(10)).await.unwrap());
}

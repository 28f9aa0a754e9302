//! Reversible tokens: kept before they are shown, gone with their person, opened by two people.

use std::sync::Arc;

use super::*;
use crate::keys::KeyRing;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::PurposeId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

struct Bench {
    cards: Cards,
    ring: KeyRing,
    state: Engine,
    domain: DomainId,
}

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
const HOUR: u64 = 3_600_000;

fn purpose(name: &str) -> PurposeId {
    PurposeId::parse(name).unwrap()
}

impl Bench {
    fn new() -> Self {
        let state = Engine::memory();
        let ring = KeyRing::locking(Engine::memory());
        let cards = Cards::open(ring.clone(), state.clone(), &SubjectsConfig::default());
        Self { cards, ring, state, domain: DomainId::parse("person").unwrap() }
    }

    async fn card(&self, id: &str) -> Arc<Card> {
        let mut out = Vec::new();
        self.cards.cards(&[(&self.domain, id)], &mut out).await.unwrap();
        out.remove(0).unwrap()
    }

    fn token(&self, name: &str, value: &str) -> [u8; 16] {
        self.ring.pseudonyms(&purpose(name)).unwrap().token("k", value)
    }

    fn text(&self, name: &str, value: &str) -> String {
        use base64::Engine as _;
        let token = self.token(name, value);
        format!("ps1_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token))
    }

    async fn row(&self, id: &str, value: &str) -> Result<Option<NewToken>, SubjectsError> {
        let card = self.card(id).await;
        let purpose = purpose("p");
        let of = Tokenized {
            purpose: &purpose,
            token: self.token("p", value),
            kind: "k",
            set: "shop.people",
            field: "mail",
            domain: &self.domain,
            id,
            value,
        };
        self.cards.tokenize(&card, &of)
    }

    async fn keep(&self, id: &str, value: &str) {
        let rows: Vec<_> = self.row(id, value).await.unwrap().into_iter().collect();
        self.cards.keep_tokens(&rows).await.unwrap();
    }

    async fn means(&self, name: &str, token: [u8; 16]) -> String {
        let made = self.ring.pseudonyms(&purpose(name)).unwrap();
        match self.cards.meaning(&purpose(name), &made, &token).await.unwrap() {
            Meaning::Value { value, subject } => {
                assert_ne!(subject.0, [0; 16]);
                value.as_str().to_owned()
            }
            Meaning::Destroyed => "destroyed".to_owned(),
            Meaning::Unknown => "unknown".to_owned(),
        }
    }

    async fn rows(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let page = self.state.scan(prefix, None, 1_000).await.unwrap();
        page.items.into_iter().map(|item| (item.key, item.value.value)).collect()
    }

    async fn put(&self, key: &[u8], value: Vec<u8>) {
        let mut tx = Tx::new();
        tx.put(key, value, Expect::Any);
        self.state.commit(tx).await.unwrap();
    }

    fn wish(&self, tokens: &[String]) -> Result<Reidentification, ReidentifyError> {
        let words = ("C-1", "chargeback");
        Reidentification::new(("ada", NOW, HOUR), (&purpose("p"), tokens), words)
    }
}

#[tokio::test]
async fn a_token_means_its_value_in_its_purpose_and_is_written_once() {
    let bench = Bench::new();
    bench.keep("1", "a@x.example").await;
    let token = bench.token("p", "a@x.example");
    assert_eq!(bench.means("p", token).await, "a@x.example");
    assert_eq!(bench.means("q", token).await, "unknown", "of another purpose");
    assert_eq!(bench.means("q", bench.token("q", "a@x.example")).await, "unknown");
    assert!(bench.row("1", "a@x.example").await.unwrap().is_none(), "known to be on disk");
    // The same value of another person is theirs as well.
    bench.keep("2", "a@x.example").await;
    assert_eq!(bench.rows(b"vault/row/").await.len(), 2);
    for (_, row) in bench.rows(b"vault/").await {
        assert!(!String::from_utf8_lossy(&row).contains("x.example"));
    }
    // A process that starts anew finds the rows and makes no others.
    let cold = Cards::open(bench.ring.clone(), bench.state.clone(), &SubjectsConfig::default());
    let again = Bench { cards: cold, ..bench };
    again.keep("1", "a@x.example").await;
    assert_eq!(again.rows(b"vault/row/").await.len(), 2);
}

#[tokio::test]
async fn a_row_that_is_moved_means_nothing() {
    let bench = Bench::new();
    bench.keep("1", "one").await;
    bench.keep("1", "two").await;
    bench.keep("2", "three").await;
    let rows = bench.rows(b"vault/row/").await;
    for (key, _) in &rows {
        for (other, row) in &rows {
            if key == other {
                continue;
            }
            let kept = rows.iter().find(|(it, _)| it == key).unwrap().1.clone();
            bench.put(key, row.clone()).await;
            let token: [u8; 16] = key[key.len() - 16..].try_into().unwrap();
            assert_eq!(bench.means("p", token).await, "unknown");
            bench.put(key, kept).await;
        }
    }
    assert_eq!(bench.means("p", bench.token("p", "one")).await, "one");
}

#[tokio::test]
async fn the_tokens_of_the_erased_are_destroyed_and_none_comes_after() {
    let bench = Bench::new();
    bench.keep("1", "a@x.example").await;
    bench.keep("1", "other").await;
    bench.keep("2", "b@x.example").await;
    // Sealed before the erasure, and written after it.
    let late = bench.row("1", "late").await.unwrap().unwrap();
    bench.cards.set_status(&bench.domain, "1", SubjectStatus::Erased).await.unwrap();
    assert!(matches!(bench.cards.keep_tokens(&[late]).await, Err(SubjectsError::Erased)));
    assert_eq!(bench.means("p", bench.token("p", "a@x.example")).await, "destroyed");
    assert_eq!(bench.means("p", bench.token("p", "late")).await, "unknown");
    assert_eq!(bench.means("p", bench.token("p", "b@x.example")).await, "b@x.example");
    assert_eq!(bench.rows(b"vault/row/").await.len(), 1);
    let record = bench.ring.record_key(&bench.domain, "1");
    assert_eq!(bench.cards.forget_tokens(&record).await.unwrap(), 0, "again does no harm");
}

#[tokio::test]
async fn a_token_that_is_kept_while_its_person_is_erased_leaves_no_row() {
    // The engine gives others a turn in each call, so that every delay is another interleaving.
    for delay in 0..30 {
        let bench = Bench::new();
        bench.keep("1", "before").await;
        let late = bench.row("1", "late").await.unwrap().unwrap();
        let (cards, domain) = (bench.cards.clone(), bench.domain.clone());
        let erasing =
            tokio::spawn(async move { cards.erase(&domain, "1", "request 1").await.map(drop) });
        // What comes before the tombstone is done by other threads, in a time of their own.
        while !bench.ring.is_erased(&bench.ring.subject(&bench.domain, "1")) {
            tokio::task::yield_now().await;
        }
        for _ in 0..delay {
            tokio::task::yield_now().await;
        }
        let kept = bench.cards.keep_tokens(&[late]).await;
        erasing.await.unwrap().unwrap();
        assert!(bench.rows(b"vault/row/").await.is_empty(), "delay {delay}: {kept:?}");
        assert!(bench.rows(b"vault/token/").await.is_empty(), "delay {delay}: {kept:?}");
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_kept_has_no_token() {
    let bench = Bench::new();
    for value in ["x".repeat(1_025), "\u{1}".repeat(1_024)] {
        assert!(matches!(bench.row("1", &value).await, Err(SubjectsError::Invalid { .. })));
    }
    assert!(bench.row("1", &"x".repeat(1_024)).await.unwrap().is_some());
}

#[tokio::test]
async fn two_people_open_tokens_once() {
    let bench = Bench::new();
    bench.keep("1", "a@x.example").await;
    let cards = &bench.cards;
    let request = bench.wish(&[bench.text("p", "a@x.example"), bench.text("p", "no")]).unwrap();
    let id = cards.request_meanings(&request).await.unwrap();
    // No id looks like an option of the command line.
    assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let later = NOW.plus_ms(HOUR - 1);
    let take = async |by, now| cards.take_meanings(&id, (by, now)).await.map(|(_, found)| found);
    assert!(matches!(
        take("ada", later).await,
        Err(ReidentifyError::Accord(AccordError::Unapproved))
    ));
    for name in ["ada", "Ada"] {
        let own = cards.may_approve_meanings(&id, (name, NOW)).await;
        assert!(matches!(own, Err(ReidentifyError::Accord(AccordError::Own))), "{name}");
    }
    let ticket = cards.may_approve_meanings(&id, ("ben", NOW)).await.unwrap();
    let other = cards.may_approve_meanings(&id, ("cleo", NOW)).await.unwrap();
    cards.settle(&ticket).await.unwrap();
    assert!(matches!(
        cards.settle(&other).await,
        Err(ReidentifyError::Accord(AccordError::Conflict))
    ));
    assert!(
        matches!(cards.settle(&ticket).await, Err(ReidentifyError::Accord(AccordError::Conflict))),
        "replayed"
    );
    assert!(matches!(
        take("ben", later).await,
        Err(ReidentifyError::Accord(AccordError::NotYours))
    ));
    let expired = take("ada", NOW.plus_ms(HOUR)).await;
    assert!(matches!(expired, Err(ReidentifyError::Accord(AccordError::Expired))));
    let found = take("ada", later).await.unwrap();
    let values = found.iter().filter(|(_, it)| matches!(it, Meaning::Value { .. })).count();
    assert_eq!((found.len(), values), (2, 1));
    assert!(matches!(take("ada", later).await, Err(ReidentifyError::Shown)));
    assert!(matches!(
        cards.may_approve_meanings(&id, ("ben", NOW)).await,
        Err(ReidentifyError::Shown)
    ));
}

#[tokio::test]
async fn tokens_are_neither_made_nor_opened_while_keys_are_locked() {
    let bench = Bench::new();
    bench.keep("1", "a@x.example").await;
    let (cards, purpose) = (&bench.cards, purpose("p"));
    let request = bench.wish(&[bench.text("p", "a@x.example")]).unwrap();
    let id = cards.request_meanings(&request).await.unwrap();
    let ticket = cards.may_approve_meanings(&id, ("ben", NOW)).await.unwrap();
    cards.settle(&ticket).await.unwrap();
    // What a worker may still hold from before: a card with its keys, and what makes tokens.
    let (card, made) = (bench.card("1").await, bench.ring.pseudonyms(&purpose).unwrap());
    let new = Tokenized {
        purpose: &purpose,
        token: bench.token("p", "other"),
        kind: "k",
        set: "shop.people",
        field: "mail",
        domain: &bench.domain,
        id: "1",
        value: "other",
    };
    let known = Tokenized { token: bench.token("p", "a@x.example"), value: "a@x.example", ..new };
    let token = known.token;

    bench.ring.lock_now();
    assert!(card.keys.is_some());
    for of in [&new, &known] {
        assert!(cards.tokenize(&card, of).is_err_and(|error| error.is_locked()));
    }
    let meant = cards.meaning(&purpose, &made, &token).await;
    assert!(meant.is_err_and(|error| error.is_locked()));
    let taken = cards.take_meanings(&id, ("ada", NOW)).await.map(drop);
    assert!(matches!(taken, Err(ReidentifyError::Subjects(error)) if error.is_locked()));

    bench.ring.confirm_now();
    let (_, found) = cards.take_meanings(&id, ("ada", NOW)).await.unwrap();
    assert!(matches!(&found[0].1, Meaning::Value { value, .. } if value.as_str() == "a@x.example"));
}

#[tokio::test]
async fn an_expired_or_unknown_request_is_not_approved() {
    let bench = Bench::new();
    let request = bench.wish(&[bench.text("p", "v")]).unwrap();
    let id = bench.cards.request_meanings(&request).await.unwrap();
    let late = bench.cards.may_approve_meanings(&id, ("ben", NOW.plus_ms(HOUR))).await;
    assert!(matches!(late, Err(ReidentifyError::Accord(AccordError::Expired))));
    for id in ["", "x", "../card/00000000", "AAAAAAAAAAAAAAAA"] {
        let found = bench.cards.may_approve_meanings(id, ("ben", NOW)).await;
        assert!(matches!(found, Err(ReidentifyError::Accord(AccordError::NotFound))), "{id}");
    }
}

#[test]
fn a_request_names_a_few_tokens_and_says_why() {
    let bench = Bench::new();
    let token = bench.text("p", "v");
    let many = |count: usize| (0..count).map(|n| bench.text("p", &n.to_string())).collect();
    let lists: [(Vec<String>, bool); 7] = [
        (many(1), true),
        (many(100), true),
        (many(101), false),
        (vec![], false),
        (vec!["ps1_short".into()], false),
        (vec![format!("{token}=")], false),
        (vec!["a@x.example".into()], false),
    ];
    for (tokens, right) in lists {
        assert_eq!(bench.wish(&tokens).is_ok(), right, "{} tokens", tokens.len());
    }
    assert!(bench.wish(&vec![token.clone(); 100_000]).is_err());
    assert!(bench.wish(&vec![token.clone(); 2]).is_ok_and(|request| request.count() == 1));
    let with = |case: &str, why: &str, valid| {
        let tokens = std::slice::from_ref(&token);
        Reidentification::new(("ada", NOW, valid), (&purpose("p"), tokens), (case, why)).is_ok()
    };
    assert!(with("C-1", "w", 24 * HOUR));
    for (case, why, valid) in [
        ("", "w", HOUR),
        ("C", " ", HOUR),
        ("C\n", "w", HOUR),
        ("C", "w", 0),
        ("C", "w", 24 * HOUR + 1),
    ] {
        assert!(!with(case, why, valid), "{case:?} {why:?} {valid}");
    }
    assert!(!with(&"c".repeat(301), "w", HOUR));
}

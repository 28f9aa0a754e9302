//! Keys lock on time when nobody confirms them, come back by themselves, and need no root key to
//! be destroyed.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::root::Answer;
use super::root::Change;
use super::root::Place;
use super::root::Root;
use super::slots::Stored;
use super::tests::Installation;
use super::*;
use crate::catalog::BlindIndex;
use crate::clock::Entropy;
use crate::clock::SystemEntropy;
use crate::crypto::NormalForm;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::types::DomainId;
use crate::types::PurposeId;
use crate::types::SubjectToken;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Well,
    Sealed,
    /// Never answers.
    Silent,
    /// Gives some other key.
    Lying,
}

/// A provider that is somewhere else.
struct Elsewhere {
    seal: SealKey,
    mood: Mutex<Mood>,
    asked: Mutex<u32>,
}

impl Elsewhere {
    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn answer(&self) -> Result<Mood, KeysError> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Sealed => {
                Err(KeysError::Provider { at: "elsewhere".into(), fault: ProviderFault::Sealed })
            }
            Mood::Silent => std::future::pending().await,
            mood => Ok(mood),
        }
    }
}

impl Root for Elsewhere {
    fn kind(&self) -> &'static str {
        "elsewhere"
    }

    fn wrap<'a>(
        &'a self,
        place: &'a Place,
        key: &'a Secret,
        random: &'a [u8; 16],
    ) -> Answer<'a, String> {
        Box::pin(async move {
            self.answer().await?;
            let sealed = self.seal.seal(key.expose(), &place.context, random).unwrap();
            Ok(sealed.iter().map(|byte| format!("{byte:02x}")).collect())
        })
    }

    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>> {
        Box::pin(async move {
            if self.answer().await? == Mood::Lying {
                return Ok(Some(Secret::new([9; 32])));
            }
            let hex = |at: usize| u8::from_str_radix(wrapped.get(at..at + 2).unwrap(), 16).unwrap();
            let sealed: Vec<u8> = (0..wrapped.len()).step_by(2).map(hex).collect();
            let key = self.seal.open(&sealed, &place.context).ok();
            Ok(key.and_then(|key| Secret::from_slice(&key)))
        })
    }

    fn destroy(&self, _epoch: u32) -> Answer<'_, ()> {
        Box::pin(async { self.answer().await.map(drop) })
    }

    fn name(&self, _: &[Stored]) -> String {
        "1".to_owned()
    }

    fn is_newest<'a>(&'a self, _: &'a Place, _: &'a str) -> Answer<'a, bool> {
        Box::pin(async { Ok(true) })
    }

    fn next<'a>(self: Arc<Self>, _: Change<'a>) -> Answer<'a, Arc<dyn Root>> {
        Box::pin(async { Ok(self as Arc<dyn Root>) })
    }

    fn finish(self: Arc<Self>, _: &dyn Entropy) -> Answer<'_, Arc<dyn Root>> {
        Box::pin(async { Ok(self as Arc<dyn Root>) })
    }
}

/// A ring whose root key is elsewhere, and its keeper.
struct Kept {
    ring: KeyRing,
    root: Arc<Elsewhere>,
    changes: Arc<Mutex<Vec<LockChange>>>,
    domain: DomainId,
    keeper: Option<JoinHandle<()>>,
    _home: TempDir,
}

impl Kept {
    async fn open() -> Self {
        let home = TempDir::new().unwrap();
        let config = KeysConfig {
            root: RootProvider::OpenBao(OpenBao {
                url: "https://bao.invalid".parse().unwrap(),
                mount: "transit".to_owned(),
                key: "shop".to_owned(),
                token_file: "token".into(),
                ca: None,
                namespace: None,
            }),
            cached: CACHED,
            high_water: None,
            dir: home.path().join("keys"),
            tenant: "shop".to_owned(),
        };
        let root = Arc::new(Elsewhere {
            seal: SealKey::new(&Secret::new([1; 32])),
            mood: Mutex::new(Mood::Well),
            asked: Mutex::new(0),
        });
        KeyRing::make_slots(&config, root.clone(), &SystemEntropy).await.unwrap();
        let entropy = Arc::new(SystemEntropy);
        let ring = KeyRing::open_with(&config, entropy, root.clone()).await.unwrap();
        let changes = Arc::new(Mutex::new(Vec::new()));
        let domain = DomainId::parse("person").unwrap();
        Self { ring, root, changes, domain, keeper: None, _home: home }
    }

    fn keep(mut self) -> Self {
        let (ring, changes) = (self.ring.clone(), Arc::clone(&self.changes));
        let kept = ring.keep(move |change| changes.lock().unwrap().push(change));
        self.keeper = Some(tokio::spawn(kept));
        self
    }

    fn stop_keeping(&mut self) {
        self.keeper.take().unwrap().abort();
    }

    fn changes(&self) -> Vec<LockChange> {
        self.changes.lock().unwrap().clone()
    }

    /// The name of a person with a key; makes one for whoever has none.
    async fn name(&self, id: &str) -> Result<SubjectToken, KeysError> {
        let subject = self.ring.subject(&self.domain, id);
        if let Some(held) = self.ring.held(&subject).await? {
            return Ok(held.token);
        }
        Ok(self.ring.create(&[subject]).await?.unwrap()[0].token)
    }

    /// The blind index of a value.
    fn index(&self) -> Option<Vec<u8>> {
        let index = BlindIndex { member: "i".into(), form: NormalForm::Email, bytes: 16 };
        let mut out = Vec::new();
        self.ring.blind_index("shop.people.email", &index, "a@x.example", &mut out).ok()?;
        Some(out)
    }

    fn is_wiped(&self) -> bool {
        self.ring.0.epochs.current().is_locked() && self.ring.0.values.is_locked()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

fn purpose() -> PurposeId {
    PurposeId::parse("care").unwrap()
}

/// Sleeps until `time` after `start`, and lets others run.
async fn at(start: Instant, time: Duration) {
    tokio::time::sleep_until(start + time).await;
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_lock_when_there_is_no_word_and_open_again_when_there_is() {
    let kept = Kept::open().await.keep();
    let (name, index) = (kept.name("a").await.unwrap(), kept.index());
    assert!(index.is_some() && kept.ring.pseudonyms(&purpose()).is_ok());
    for mood in [Mood::Sealed, Mood::Lying, Mood::Silent] {
        kept.changes.lock().unwrap().clear();
        // Confirmed again and again, whatever time goes by.
        at(Instant::now(), 5 * CACHED).await;
        assert!(kept.ring.is_usable() && kept.changes().is_empty());
        kept.root.is(mood);
        let until = kept.ring.0.lock.until();
        tokio::time::sleep_until(until - Duration::from_millis(2)).await;
        assert_eq!(kept.name("a").await.unwrap(), name, "until the last moment");
        at(until, Duration::from_millis(2)).await;
        assert!(!kept.ring.is_usable() && kept.is_wiped());
        assert!(kept.index().is_none() && kept.ring.pseudonyms(&purpose()).is_err());
        assert_eq!(kept.changes(), [LockChange::Locked]);
        assert_eq!(kept.ring.metrics().locked.get(), 1);
        for id in ["a", "new"] {
            let refused = kept.name(id).await.unwrap_err();
            assert!(matches!(refused, KeysError::Unavailable), "{refused}");
        }
        let told = kept.ring.status().await.unwrap();
        assert!(told.locked && told.fault.is_some(), "{mood:?}");
        at(Instant::now(), 3 * CACHED).await;
        assert!(kept.is_wiped(), "however long it takes");
        if mood == Mood::Silent {
            // A provider gives up on its own server; this one never does.
            return;
        }
        kept.root.is(Mood::Well);
        at(Instant::now(), Duration::from_secs(6)).await;
        assert!(kept.ring.is_usable() && !kept.is_wiped());
        let told = kept.ring.status().await.unwrap();
        assert!(!told.locked && told.fault.is_none(), "{mood:?}");
        assert_eq!(kept.changes(), [LockChange::Locked, LockChange::Unlocking]);
        assert_eq!(kept.ring.metrics().locked.get(), 0);
        assert_eq!(kept.name("a").await.unwrap(), name);
        assert_eq!(kept.index(), index);
        assert!(kept.ring.pseudonyms(&purpose()).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_begins_while_keys_are_locked_opens_nothing() {
    let mut kept = Kept::open().await.keep();
    kept.root.is(Mood::Sealed);
    at(Instant::now(), 2 * CACHED).await;
    assert!(kept.is_wiped());
    kept.stop_keeping();
    // Nobody has a key yet, so nothing of the old epoch is needed for it; the provider is back, and
    // was not asked again yet.
    kept.root.is(Mood::Well);
    kept.ring.roll(|_| {}).await.unwrap();
    assert!(matches!(kept.name("a").await, Err(KeysError::Unavailable)));
    assert!(kept.index().is_none());
    let kept = kept.keep();
    at(Instant::now(), Duration::from_secs(66)).await;
    assert!(kept.name("a").await.is_ok() && kept.index().is_some());
}

#[tokio::test(start_paused = true)]
async fn people_who_are_known_keep_their_epoch_while_keys_are_locked() {
    let mut kept = Kept::open().await.keep();
    let name = kept.name("a").await.unwrap();
    kept.root.is(Mood::Sealed);
    at(Instant::now(), 2 * CACHED).await;
    kept.stop_keeping();
    kept.root.is(Mood::Well);
    let number = kept.ring.epoch();
    assert!(matches!(kept.ring.roll(|_| {}).await, Err(KeysError::Unavailable)));
    assert_eq!(kept.ring.epoch(), number);
    let kept = kept.keep();
    at(Instant::now(), Duration::from_secs(66)).await;
    assert_eq!(kept.name("a").await.unwrap(), name);
    kept.ring.roll(|_| {}).await.unwrap();
    assert_eq!(kept.name("a").await.unwrap(), name);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_lies_never_opens_what_is_locked() {
    let kept = Kept::open().await.keep();
    kept.root.is(Mood::Sealed);
    at(Instant::now(), 2 * CACHED).await;
    assert!(kept.is_wiped());
    kept.root.is(Mood::Lying);
    at(Instant::now(), 2 * CACHED).await;
    assert!(kept.is_wiped() && !kept.ring.is_usable());
    assert!(kept.ring.metrics().unconfirmed.get() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_short_silence_locks_nothing() {
    let kept = Kept::open().await.keep();
    for _ in 0..3 {
        kept.root.is(Mood::Sealed);
        at(Instant::now(), CACHED / 2).await;
        kept.root.is(Mood::Well);
        at(Instant::now(), Duration::from_secs(6)).await;
    }
    assert!(kept.ring.is_usable() && kept.changes().is_empty());
    assert!(kept.name("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_that_nobody_keeps_are_not_used_either() {
    let kept = Kept::open().await;
    kept.name("a").await.unwrap();
    at(Instant::now(), CACHED).await;
    assert!(!kept.ring.is_usable());
    assert!(matches!(kept.name("a").await, Err(KeysError::Unavailable)));
}

#[tokio::test(start_paused = true)]
async fn people_are_erased_while_keys_are_locked() {
    let kept = Kept::open().await.keep();
    kept.name("a").await.unwrap();
    let name = kept.name("b").await.unwrap();
    kept.root.is(Mood::Sealed);
    at(Instant::now(), 2 * CACHED).await;
    assert!(kept.is_wiped());
    let subject = kept.ring.subject(&kept.domain, "a");
    let gone = kept.ring.erase(&subject, "request-1").await.unwrap();
    assert_eq!(gone.keys, 1);
    assert!(kept.ring.is_erased(&subject));
    kept.root.is(Mood::Well);
    at(Instant::now(), Duration::from_secs(6)).await;
    assert!(kept.ring.held(&subject).await.unwrap().is_none(), "and stay so");
    assert_eq!(kept.name("b").await.unwrap(), name);
}

#[tokio::test(start_paused = true)]
async fn a_root_key_in_this_process_never_locks() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    ring.clone().keep(|_| panic!()).await;
    at(Instant::now(), Duration::from_secs(10_000_000)).await;
    assert!(ring.is_usable());
}

const CACHED: Duration = Duration::from_secs(3_600);

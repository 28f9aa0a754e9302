//! Whoever holds the root key: what it wraps opens in its own place, and nothing it answers does
//! harm.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use tempfile::TempDir;

use super::transit_server::Mood;
use super::transit_server::TOKEN;
use super::transit_server::TransitServer;
use super::*;
use crate::clock::SystemEntropy;
use crate::keys::KeyRing;
use crate::keys::KeysConfig;
use crate::keys::OpenBao;
use crate::keys::ProviderFault;
use crate::keys::Renewed;
use crate::types::DomainId;
use crate::types::told;

/// A gateway whose root key is in a transit engine.
pub(crate) struct Site {
    pub(crate) home: TempDir,
    pub(crate) config: KeysConfig,
}

impl Site {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        let home = TempDir::new().unwrap();
        let token_file = home.path().join("token");
        write(&token_file, &format!("{token}\n"), 0o600);
        let root = RootProvider::OpenBao(OpenBao {
            url: url.parse().unwrap(),
            mount: "transit".to_owned(),
            key: "shop".to_owned(),
            token_file,
            ca: None,
            namespace: None,
        });
        let dir = home.path().join("keys");
        let config = KeysConfig {
            root,
            cached: KeysConfig::CACHED,
            high_water: None,
            dir,
            tenant: "shop".to_owned(),
        };
        Self { home, config }
    }

    pub(crate) fn settings(&mut self) -> &mut OpenBao {
        match &mut self.config.root {
            RootProvider::OpenBao(settings) => settings,
            _ => unreachable!(),
        }
    }

    pub(crate) async fn init(&self) -> Result<(), KeysError> {
        KeyRing::init(&self.config, KdfCost::FLOOR, &SystemEntropy).await.map(drop)
    }

    pub(crate) async fn open(&self) -> Result<KeyRing, KeysError> {
        KeyRing::open(&self.config, Arc::new(SystemEntropy)).await
    }

    fn slot(&self, name: &str) -> PathBuf {
        self.config.dir.join("slots").join(format!("{name}.key"))
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.home.path().join("token")
    }

    pub(super) async fn provider(&self) -> Arc<dyn Root> {
        open(&self.config.root).await.unwrap()
    }
}

pub(super) fn write(path: &Path, text: &str, mode: u32) {
    drop(fs::remove_file(path));
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn place(slot: Slot, number: u32, tenant: &str) -> Place {
    let context = crate::crypto::length_prefixed(&[
        tenant.as_bytes(),
        format!("{slot:?} {number}").as_bytes(),
    ]);
    Place { slot, number, context }
}

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), Box::pin(work)).await.unwrap()
}

/// Everything an error says, to its last cause.
pub(super) fn all_of(error: &KeysError) -> String {
    format!("{} {error:?}", told(error))
}

pub(super) fn fault(result: Result<impl Sized, KeysError>) -> ProviderFault {
    match result.map(drop) {
        Err(KeysError::Provider { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

/// What every provider that is somewhere else must do.
pub(super) async fn keeps_places_apart(root: &dyn Root) {
    let key = Secret::new([7; 32]);
    let here = place(Slot::Audit, 1, "shop");
    let wrapped = root.wrap(&here, &key, &[1; 16]).await.unwrap();
    assert!(!wrapped.contains(char::is_whitespace), "{wrapped}");
    let opened = async |place: &Place, text: &str| {
        root.unwrap(place, text).await.unwrap().map(|key| *key.expose())
    };
    assert_eq!(opened(&here, &wrapped).await, Some([7; 32]));
    assert_ne!(root.wrap(&here, &key, &[2; 16]).await.unwrap(), wrapped, "a fresh nonce");
    for (there, what) in [
        (place(Slot::Tokens, 1, "shop"), "another slot"),
        (place(Slot::Audit, 2, "shop"), "another number"),
        (place(Slot::Audit, 1, "shop2"), "another tenant"),
    ] {
        assert_eq!(opened(&there, &wrapped).await, None, "{what}");
    }
    let mut changed = wrapped.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == 'A' { 'B' } else { 'A' });
    let shorter = wrapped.split_at(wrapped.len() - 8).0;
    for wrong in [changed.as_str(), shorter, "", "x", "vault:v1:", "vault:v9:AAAA", "vault:v1:%%"] {
        assert_eq!(opened(&here, wrong).await, None, "{wrong}");
    }
}

/// What every provider that has keys for epochs must do.
pub(super) async fn ends_epochs(root: &dyn Root) {
    let key = Secret::new([9; 32]);
    let (one, two) = (place(Slot::Epoch, 1, "shop"), place(Slot::Epoch, 2, "shop"));
    let first = root.wrap(&one, &key, &[1; 16]).await.unwrap();
    let second = root.wrap(&two, &key, &[1; 16]).await.unwrap();
    assert!(root.unwrap(&two, &first).await.unwrap().is_none(), "another epoch");
    root.destroy(1).await.unwrap();
    root.destroy(1).await.unwrap();
    assert!(root.unwrap(&one, &first).await.unwrap().is_none(), "its key is gone");
    assert!(root.unwrap(&two, &second).await.unwrap().is_some(), "the other is not");
    // A key of the same name is another key.
    root.wrap(&one, &key, &[1; 16]).await.unwrap();
    assert!(root.unwrap(&one, &first).await.unwrap().is_none(), "gone for ever");
}

/// A new site works, works again after a restart, and a second one beside it is refused.
pub(super) async fn serves_a_site(site: impl Fn() -> Site) {
    let second = site();
    let site = site();
    site.init().await.unwrap();
    let token_of = async |ring: &KeyRing| {
        let domain = DomainId::parse("person").unwrap();
        let subject = ring.subject(&domain, "c-1");
        if let Some(token) = ring.token(&subject).await.unwrap() {
            return token;
        }
        ring.create(&[subject]).await.unwrap().unwrap()[0].token
    };
    let ring = site.open().await.unwrap();
    let name = token_of(&ring).await;
    drop(ring);
    site.init().await.unwrap();
    assert_eq!(token_of(&site.open().await.unwrap()).await, name);

    let (audit, tokens) = (site.slot("audit-1"), site.slot("tokens-1"));
    let (right, other) =
        (fs::read_to_string(&audit).unwrap(), fs::read_to_string(&tokens).unwrap());
    for wrong in [
        other.clone(),
        other.replace("use tokens", "use audit"),
        right.replace("number 1", "number 2"),
        format!("{right}\n"),
    ] {
        write(&audit, &wrong, 0o600);
        let refused = site.open().await.unwrap_err();
        assert!(matches!(refused, KeysError::Slot { .. }), "{refused}");
    }
    write(&audit, &right, 0o600);
    let elsewhere = KeysConfig { tenant: "another".to_owned(), ..site.config.clone() };
    let refused = KeyRing::open(&elsewhere, Arc::new(SystemEntropy)).await;
    assert!(matches!(refused, Err(KeysError::Slot { .. })), "{refused:?}");

    let refused = fault(second.init().await);
    assert!(matches!(refused, ProviderFault::Taken { .. }), "{refused}");
    assert!(site.open().await.is_ok());
}

/// What stands in every slot that the root key wraps, and not a key of its own.
pub(super) fn wrapped_by_root(config: &KeysConfig) -> Vec<String> {
    let slots = fs::read_dir(config.dir.join("slots")).unwrap().map(|entry| entry.unwrap().path());
    let of_root = slots.filter(|path| !path.to_string_lossy().contains("epoch-"));
    let text = of_root.map(|path| fs::read_to_string(path).unwrap());
    text.map(|text| text.rsplit_once(' ').unwrap().1.to_owned()).collect()
}

/// The root key is replaced while the ring is open: every slot is wrapped by the next one then,
/// and opens after a restart, also once `retire` has ended the one before; copies of before do not.
pub(super) async fn renews_its_root(
    config: &KeysConfig,
    prefix: &str,
    retire: impl AsyncFnOnce(),
) -> Renewed {
    let open = async || KeyRing::open(config, Arc::new(SystemEntropy)).await;
    let ring = open().await.unwrap();
    let (name, from) = (ring.owner_token("https://id|7"), ring.root_name().unwrap());
    let old = fs::read(config.dir.join("slots/audit-1.key")).unwrap();
    let done = ring.renew_root(&from, KdfCost::FLOOR).await.unwrap();
    assert_eq!((done.slots, done.name != from, &done.name), (6, true, &ring.root_name().unwrap()));
    let again = ring.renew_root(&from, KdfCost::FLOOR).await.unwrap();
    assert_eq!((again.slots, &again.name), (0, &done.name), "what is done is not done again");
    let slots = wrapped_by_root(config);
    assert!(slots.iter().all(|wrapped| wrapped.starts_with(prefix)), "{prefix} {slots:?}");
    ring.roll(|_| {}).await.unwrap();
    drop(ring);
    assert_eq!(open().await.unwrap().owner_token("https://id|7"), name);
    retire().await;
    assert_eq!(open().await.unwrap().owner_token("https://id|7"), name);
    KeyRing::init(config, KdfCost::FLOOR, &SystemEntropy).await.unwrap();
    let new = fs::read(config.dir.join("slots/audit-1.key")).unwrap();
    fs::write(config.dir.join("slots/audit-1.key"), old).unwrap();
    assert!(open().await.is_err(), "what the one before wrapped is refused");
    fs::write(config.dir.join("slots/audit-1.key"), new).unwrap();
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_of_the_transit_key_takes_the_place_of_the_one_before() {
    let server = TransitServer::start().await;
    let site = Site::new(&server.url(), TOKEN);
    site.init().await.unwrap();
    let retire = async || server.retire("shop", 2);
    let done = within(Box::pin(renews_its_root(&site.config, "vault:v2:", retire))).await;
    assert_eq!((done.name.as_str(), server.versions("shop")), ("2", 2));
    assert!(done.left_to_do.unwrap().contains("min_decryption_version"));
    // One that somebody else has added is taken, and none is made.
    server.rotate("shop");
    let ring = site.open().await.unwrap();
    let done = ring.renew_root("2", KdfCost::FLOOR).await.unwrap();
    assert_eq!((done.name.as_str(), done.slots, server.versions("shop")), ("3", 6, 3));
    // Nothing an unwell engine says gets further than it should.
    for mood in [Mood::Sealed, Mood::Expired, Mood::Garbage, Mood::Parrot, Mood::Lying] {
        server.is(mood);
        let refused = within(ring.renew_root("3", KdfCost::FLOOR)).await;
        assert!(refused.is_err(), "{mood:?}");
        server.is(Mood::Well);
        assert!(site.config.dir.join("slots/audit-1.key").exists());
    }
    let done = ring.renew_root("3", KdfCost::FLOOR).await.unwrap();
    assert_eq!((done.name.as_str(), server.versions("shop")), ("4", 4), "one version, not five");
    drop(ring);
    assert!(site.open().await.is_ok());
}

#[tokio::test]
async fn transit_serves_a_site() {
    let server = TransitServer::start().await;
    within(Box::pin(serves_a_site(|| Site::new(&server.url(), TOKEN)))).await;
    assert_eq!(server.keys(), ["shop", "shop-epoch-1"]);
}

#[tokio::test]
async fn what_transit_wraps_opens_in_its_place_alone() {
    let server = TransitServer::start().await;
    server.make("shop", false);
    let site = Site::new(&server.url(), TOKEN);
    let root = site.provider().await;
    within(keeps_places_apart(&*root)).await;
    within(ends_epochs(&*root)).await;
    assert_eq!(server.keys(), ["shop", "shop-epoch-1", "shop-epoch-2"]);
}

#[tokio::test]
async fn places_stay_apart_where_associated_data_is_ignored() {
    let server = TransitServer::start().await;
    server.make("shop", false);
    server.is(Mood::Loose);
    let site = Site::new(&server.url(), TOKEN);
    within(keeps_places_apart(&*site.provider().await)).await;
}

#[tokio::test]
async fn a_new_version_of_the_key_opens_what_the_old_one_wrapped() {
    let server = TransitServer::start().await;
    server.make("shop", false);
    let site = Site::new(&server.url(), TOKEN);
    let root = site.provider().await;
    let here = place(Slot::Audit, 1, "shop");
    let old = root.wrap(&here, &Secret::new([1; 32]), &[0; 16]).await.unwrap();
    server.rotate("shop");
    let new = root.wrap(&here, &Secret::new([2; 32]), &[0; 16]).await.unwrap();
    assert!(old.starts_with("vault:v1:") && new.starts_with("vault:v2:"));
    for (wrapped, key) in [(old, 1), (new, 2)] {
        let opened = root.unwrap(&here, &wrapped).await.unwrap().unwrap();
        assert_eq!(opened.expose(), &[key; 32]);
    }
}

#[tokio::test]
async fn nothing_an_unwell_engine_says_opens_a_ring_or_shows_a_secret() {
    let server = TransitServer::start().await;
    let site = Site::new(&server.url(), TOKEN);
    site.init().await.unwrap();
    for mood in
        [Mood::Sealed, Mood::Expired, Mood::Garbage, Mood::Huge, Mood::Redirecting, Mood::Parrot]
    {
        server.is(mood);
        let refused = within(site.open()).await.unwrap_err();
        assert!(matches!(refused, KeysError::Provider { .. }), "{mood:?} {refused}");
        let text = all_of(&refused);
        assert!(!text.contains(TOKEN) && !text.contains("vault:v1"), "{mood:?} {text}");
        assert!(text.contains(&server.url()), "{mood:?} {text}");
    }
    // One that unwraps to a key of its own choosing is found out by the code beside the key.
    server.is(Mood::Lying);
    assert!(matches!(site.open().await, Err(KeysError::Slot { .. })));
    server.is(Mood::Well);
    assert!(site.open().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_says_nothing_is_given_up() {
    let server = TransitServer::start().await;
    let site = Site::new(&server.url(), TOKEN);
    server.is(Mood::Silent);
    let refused = fault(site.open().await);
    assert!(matches!(refused, ProviderFault::Unreachable(_)), "{refused}");
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_listens_or_in_the_clear_beyond_this_machine() {
    let server = TransitServer::start().await;
    let gone = server.url();
    drop(server);
    for url in [gone.as_str(), "http://192.0.2.1:8200"] {
        let refused = fault(within(Site::new(url, TOKEN).open()).await);
        assert!(matches!(refused, ProviderFault::Unreachable(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_token_is_read_for_each_call_and_from_a_file_that_is_private() {
    let server = TransitServer::start().await;
    let site = Site::new(&server.url(), "expired");
    let refused = fault(site.init().await);
    assert!(matches!(refused, ProviderFault::Forbidden { .. }), "{refused}");
    assert!(refused.to_string().contains("token"), "{refused}");
    write(&site.token_file(), TOKEN, 0o600);
    site.init().await.unwrap();
    let root = site.provider().await;
    let here = place(Slot::Audit, 1, "shop");
    let wrapped = root.wrap(&here, &Secret::new([1; 32]), &[0; 16]).await.unwrap();
    let before = server.calls().len();
    write(&site.token_file(), TOKEN, 0o644);
    let refused = root.unwrap(&here, &wrapped).await.map(drop).unwrap_err();
    assert!(matches!(refused, KeysError::Open { .. }), "{refused}");
    for wrong in ["", "\n", "two words", "two\nlines", "s.über"] {
        write(&site.token_file(), wrong, 0o600);
        let refused = root.unwrap(&here, &wrapped).await.map(drop).unwrap_err();
        assert!(matches!(refused, KeysError::Token { .. }), "{wrong:?} {refused}");
        assert!(wrong.trim().is_empty() || !all_of(&refused).contains(wrong));
    }
    assert_eq!(server.calls().len(), before, "nothing was sent");
    write(&site.token_file(), TOKEN, 0o600);
    assert!(root.unwrap(&here, &wrapped).await.unwrap().is_some(), "renewed");
}

#[tokio::test]
async fn keys_that_could_leave_or_are_lost_are_refused() {
    let server = TransitServer::start().await;
    server.make("shop", true);
    let site = Site::new(&server.url(), TOKEN);
    assert!(matches!(fault(site.init().await), ProviderFault::Unfit { .. }));
    server.lose("shop");
    site.init().await.unwrap();
    server.lose("shop");
    assert!(matches!(fault(site.open().await), ProviderFault::NoKey { .. }));
    let refused = fault(site.init().await);
    assert!(matches!(refused, ProviderFault::NoKey { .. }), "a new one would open nothing");
    assert_eq!(server.keys(), ["shop-epoch-1"]);
}

#[tokio::test]
async fn a_wrong_mount_is_not_taken_for_a_destroyed_key() {
    let server = TransitServer::start().await;
    let mut site = Site::new(&server.url(), TOKEN);
    site.init().await.unwrap();
    site.settings().mount = "transit2".to_owned();
    let lost = Transit::new(site.settings()).unwrap();
    assert!(matches!(fault(lost.destroy(1).await), ProviderFault::NoMount));
    assert_eq!(server.keys(), ["shop", "shop-epoch-1"]);
}

#[tokio::test]
async fn calls_go_to_the_namespace_and_keys_of_the_settings() {
    let server = TransitServer::start().await;
    let mut site = Site::new(&server.url(), TOKEN);
    site.settings().namespace = Some("team/privacy".to_owned());
    site.init().await.unwrap();
    let calls = server.calls();
    assert!(calls.iter().all(|(_, _, namespace)| namespace == "team/privacy"));
    let sent = |method: Method, path: &str| {
        calls.iter().filter(|(m, p, _)| *m == method && p == path).count()
    };
    assert_eq!(sent(Method::POST, "/v1/transit/keys/shop-epoch-1"), 1);
    assert_eq!(sent(Method::POST, "/v1/transit/encrypt/shop-epoch-1"), 1);
    assert_eq!(sent(Method::POST, "/v1/transit/encrypt/shop"), Slot::ALL.len() - 1);
}

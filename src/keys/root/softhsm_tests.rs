//! A real token, of SoftHSM2. It learns from the environment where its tokens are, once in a
//! process, so each test runs once more in a process of its own, with the environment set.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::object::ObjectClass;
use cryptoki::session::Session;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use tempfile::TempDir;

use super::tests::all_of;
use super::tests::ends_epochs;
use super::tests::fault;
use super::tests::keeps_places_apart;
use super::tests::place;
use super::tests::renews_its_root;
use super::tests::write;
use super::*;
use crate::clock::SystemEntropy;
use crate::keys::HardwareToken;
use crate::keys::KeyRing;
use crate::keys::KeysConfig;
use crate::keys::ProviderFault;

/// A gateway whose root key is on the token of this process.
struct Site {
    home: TempDir,
    config: KeysConfig,
}

impl Site {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let pin_file = home.path().join("pin");
        write(&pin_file, &format!("{PIN}\n"), 0o600);
        let root = RootProvider::Pkcs11(HardwareToken {
            module: MODULE.into(),
            token_label: LABEL.to_owned(),
            key_label: "shop".to_owned(),
            pin_file,
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

    fn settings(&mut self) -> &mut HardwareToken {
        match &mut self.config.root {
            RootProvider::Pkcs11(settings) => settings,
            _ => unreachable!(),
        }
    }

    fn pin_file(&self) -> PathBuf {
        self.home.path().join("pin")
    }

    async fn init(&self) -> Result<(), KeysError> {
        KeyRing::init(&self.config, KdfCost::FLOOR, &SystemEntropy).await.map(drop)
    }

    async fn open(&self) -> Result<KeyRing, KeysError> {
        KeyRing::open(&self.config, Arc::new(SystemEntropy)).await
    }
}

/// Runs the test `name` in a process whose token is fresh; in that process, runs `body`.
fn on_a_token<F: Future<Output = ()>>(name: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(Box::pin(body()));
    }
    let needs = "these tests need the package softhsm2: .ci/setup test installs it";
    assert!(Path::new(MODULE).exists(), "{MODULE} is missing; {needs}");
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("tokens")).unwrap();
    let conf = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "87654321"])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .expect(needs);
    assert!(made.status.success(), "{made:?}");
    let test = format!("keys::root::softhsm_tests::{name}");
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &conf)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains("1 passed"), "{out}{err}");
}

/// A session beside the gateway's, as an administrator of the token has it. The gateway is logged
/// in already, which counts for the whole process.
fn administrator() -> Session {
    let module = Pkcs11::new(MODULE).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let label = |slot| module.get_token_info(slot).unwrap().label().to_owned();
    let slot = slots.into_iter().find(|slot| label(*slot) == LABEL).unwrap();
    let session = module.open_rw_session(slot).unwrap();
    drop(session.login(UserType::User, Some(&AuthPin::new(PIN.into()))));
    session
}

fn labels(session: &Session) -> Vec<String> {
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
    let label = |key| match &session
        .get_attributes(key, &[cryptoki::object::AttributeType::Label])
        .unwrap()[0]
    {
        Attribute::Label(label) => String::from_utf8(label.clone()).unwrap(),
        _ => unreachable!(),
    };
    let mut labels: Vec<String> = keys.into_iter().map(label).collect();
    labels.sort();
    labels
}

fn make(session: &Session, label: &str, extractable: bool) {
    let template = [
        Attribute::Token(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.into()),
        Attribute::Sensitive(!extractable),
        Attribute::Extractable(extractable),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

#[test]
fn a_token_serves_a_site() {
    on_a_token("a_token_serves_a_site", async || {
        let site = Site::new();
        site.init().await.unwrap();
        let ring = site.open().await.unwrap();
        let name = ring.owner_token("https://id|7");
        drop(ring);
        site.init().await.unwrap();
        assert_eq!(site.open().await.unwrap().owner_token("https://id|7"), name);
        assert_eq!(labels(&administrator()), ["shop", "shop-epoch-1"]);

        let slots = site.config.dir.join("slots");
        let (audit, tokens) = (slots.join("audit-1.key"), slots.join("tokens-1.key"));
        let other = fs::read_to_string(&tokens).unwrap();
        write(&audit, &other.replace("use tokens", "use audit"), 0o600);
        assert!(matches!(site.open().await, Err(KeysError::Slot { .. })));
        let elsewhere = KeysConfig { tenant: "another".to_owned(), ..site.config.clone() };
        let refused = KeyRing::open(&elsewhere, Arc::new(SystemEntropy)).await;
        assert!(matches!(refused, Err(KeysError::Slot { .. })), "{refused:?}");

        let refused = fault(Site::new().init().await);
        assert!(matches!(refused, ProviderFault::Taken { .. }), "{refused}");
    });
}

#[test]
fn what_a_token_wraps_opens_in_its_place_alone() {
    on_a_token("what_a_token_wraps_opens_in_its_place_alone", async || {
        let site = Site::new();
        site.init().await.unwrap();
        let root = open(&site.config.root).await.unwrap();
        keeps_places_apart(&*root).await;
        ends_epochs(&*root).await;
        assert_eq!(labels(&administrator()), ["shop", "shop-epoch-1", "shop-epoch-2"]);
    });
}

#[test]
fn the_next_key_on_a_token_takes_the_place_of_the_one_before() {
    on_a_token("the_next_key_on_a_token_takes_the_place_of_the_one_before", async || {
        let site = Site::new();
        site.init().await.unwrap();
        let retire = async || {
            let administrator = administrator();
            for key in administrator.find_objects(&[Attribute::Label("shop".into())]).unwrap() {
                administrator.destroy_object(key).unwrap();
            }
        };
        let done = renews_its_root(&site.config, "aes-gcm.1.2:", retire).await;
        assert_eq!(done.name, "2");
        assert!(done.left_to_do.unwrap().contains("destroy it"));
        assert_eq!(labels(&administrator()), ["shop-epoch-2", "shop-root-2"]);
        // Killed once the next key was made and before a slot was wrapped by it: it is used.
        make(&administrator(), "shop-root-3", false);
        let ring = site.open().await.unwrap();
        let done = ring.renew_root("2", KdfCost::FLOOR).await.unwrap();
        assert_eq!((done.name.as_str(), done.slots), ("3", 6));
        assert_eq!(labels(&administrator()), ["shop-epoch-2", "shop-root-2", "shop-root-3"]);
        // A new site may not take them for its own, nor is one used that could leave.
        let refused = fault(Site::new().init().await);
        assert!(matches!(refused, ProviderFault::NoKey { .. } | ProviderFault::Taken { .. }));
        make(&administrator(), "shop-root-4", true);
        let refused = fault(ring.renew_root("3", KdfCost::FLOOR).await);
        assert!(matches!(refused, ProviderFault::Exposed { .. }), "{refused}");
    });
}

#[test]
fn a_refused_pin_is_not_tried_again_and_not_told() {
    on_a_token("a_refused_pin_is_not_tried_again_and_not_told", async || {
        let site = Site::new();
        let RootProvider::Pkcs11(settings) = &site.config.root else { unreachable!() };
        let token = Token::new(settings);
        for wrong in ["9999888877776666", "not-the-pin"] {
            write(&site.pin_file(), wrong, 0o600);
            for _ in 0..3 {
                let refused = token.create(false).await.unwrap_err();
                let text = all_of(&refused);
                assert!(text.contains("was refused") && !text.contains(wrong), "{text}");
            }
        }
        write(&site.pin_file(), PIN, 0o640);
        assert!(matches!(token.create(false).await, Err(KeysError::Open { .. })));
        for wrong in ["", "\n", "12\n34", "12\u{0}34"] {
            write(&site.pin_file(), wrong, 0o600);
            assert!(matches!(token.create(false).await, Err(KeysError::Pin { .. })), "{wrong:?}");
        }
        write(&site.pin_file(), PIN, 0o600);
        token.create(false).await.unwrap();
    });
}

#[test]
fn keys_that_could_leave_or_are_two_are_refused() {
    on_a_token("keys_that_could_leave_or_are_two_are_refused", async || {
        let mut site = Site::new();
        site.settings().token_label = "another".to_owned();
        assert!(matches!(fault(site.open().await), ProviderFault::NoToken { .. }));
        site.settings().token_label = LABEL.to_owned();
        assert!(matches!(fault(site.open().await), ProviderFault::NoKey { .. }));

        // The module is loaded by now, and so can be used beside the gateway.
        let administrator = administrator();
        make(&administrator, "shop", true);
        assert!(matches!(fault(site.init().await), ProviderFault::Exposed { .. }));
        site.settings().key_label = "twice".to_owned();
        make(&administrator, "twice", false);
        site.init().await.unwrap();
        make(&administrator, "twice", false);
        assert!(matches!(fault(site.open().await), ProviderFault::Ambiguous { .. }));
    });
}

#[test]
fn a_key_that_was_lost_is_not_replaced() {
    on_a_token("a_key_that_was_lost_is_not_replaced", async || {
        let site = Site::new();
        site.init().await.unwrap();
        let root = open(&site.config.root).await.unwrap();
        let here = place(Slot::Audit, 1, "shop");
        let wrapped = root.wrap(&here, &Secret::new([3; 32]), &[0; 16]).await.unwrap();
        let administrator = administrator();
        for key in administrator.find_objects(&[Attribute::Label("shop".into())]).unwrap() {
            administrator.destroy_object(key).unwrap();
        }
        assert!(matches!(fault(root.unwrap(&here, &wrapped).await), ProviderFault::NoKey { .. }));
        assert!(matches!(fault(site.open().await), ProviderFault::NoKey { .. }));
        assert!(matches!(fault(site.init().await), ProviderFault::NoKey { .. }));
        assert_eq!(labels(&administrator), ["shop-epoch-1"]);
    });
}

#[tokio::test]
async fn what_is_no_module_is_not_loaded() {
    let mut site = Site::new();
    let module = site.home.path().join("module.so");
    site.settings().module = module.clone();
    let examined = || examine(&site.config.root).unwrap_err().to_string();
    assert!(examined().contains("cannot read"), "{}", examined());
    write(&module, "not a library", 0o666);
    assert!(examined().contains("chmod o-w"), "{}", examined());
    write(&module, "not a library", 0o644);
    assert!(examine(&site.config.root).is_ok());
    let refused = fault(site.open().await);
    assert!(matches!(refused, ProviderFault::Module { .. }), "{refused}");
}

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "privet";
const PIN: &str = "correct-horse-4711";
const INSIDE: &str = "PRIVET_TEST_ON_A_TOKEN";

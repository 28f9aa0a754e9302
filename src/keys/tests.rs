//! Keys open only where they belong, and leave no trace of themselves or of anybody's id.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::catalog::FieldIx;
use crate::clock::Entropy;
use crate::clock::EntropyError;
use crate::clock::SystemEntropy;
use crate::crypto::KdfCost;
use crate::policy::Pseudonym;
use crate::state::Engine;
use crate::transform::Plain;
use crate::types::DomainId;
use crate::types::PurposeId;
use crate::types::SubjectToken;

/// An installation in a folder of its own.
pub(crate) struct Installation {
    home: TempDir,
    pub(crate) config: KeysConfig,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let passphrase_file = home.path().join("passphrase");
        write(&passphrase_file, "correct horse battery\n", 0o600);
        let root = RootProvider::File { path: home.path().join("root.key"), passphrase_file };
        let dir = home.path().join("keys");
        Self {
            config: KeysConfig {
                root,
                cached: KeysConfig::CACHED,
                high_water: None,
                dir,
                tenant: "shop".to_owned(),
            },
            home,
        }
    }

    pub(crate) async fn initialised() -> Self {
        let installation = Self::new();
        installation.init().await.unwrap();
        installation
    }

    async fn init(&self) -> Result<(), KeysError> {
        KeyRing::init(&self.config, KdfCost::FLOOR, &SystemEntropy).await.map(drop)
    }

    pub(crate) async fn open(&self) -> Result<KeyRing, KeysError> {
        KeyRing::open(&self.config, Arc::new(SystemEntropy)).await
    }

    /// A copy of all its files, in a folder of its own.
    pub(super) fn duplicate(&self) -> Self {
        let mut copy = Self::new();
        epoch_tests::copy(self.path(), copy.path());
        copy.config.tenant.clone_from(&self.config.tenant);
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    fn root(&self) -> PathBuf {
        self.path().join("root.key")
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file below a folder, with its bytes.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

pub(super) fn person() -> DomainId {
    DomainId::parse("person").unwrap()
}

fn subject<'a>(ring: &KeyRing, domain: &'a DomainId, id: &'a str) -> Subject<'a> {
    ring.subject(domain, id)
}

fn purpose(name: &str) -> PurposeId {
    PurposeId::parse(name).unwrap()
}

fn pseudonym(ring: &KeyRing, name: &str, kind: &str, value: &str) -> String {
    let mut out = Vec::new();
    let form = Pseudonym::Token { reversible: false };
    let plain = Plain { form, field: FieldIx(0), kind, value };
    assert!(ring.pseudonyms(&purpose(name)).unwrap().write(&plain, None, &mut out));
    String::from_utf8(out).unwrap()
}

fn ephemeral() -> KeyRing {
    KeyRing::ephemeral(Engine::memory(), Arc::new(SystemEntropy)).unwrap()
}

/// Makes keys for all of them, or for none.
async fn tokens(ring: &KeyRing, subjects: &[Subject<'_>]) -> Option<Vec<SubjectToken>> {
    let made = ring.create(subjects).await.unwrap();
    made.map(|made| made.iter().map(|held| held.token).collect())
}

#[tokio::test]
async fn everything_is_the_same_after_reopening() {
    let installation = Installation::initialised().await;
    let domain = person();
    let everything = async |create: bool| {
        let ring = installation.open().await.unwrap();
        let subject = subject(&ring, &domain, "c-1");
        if create {
            ring.create(&[subject]).await.unwrap().unwrap();
        }
        let name = ring.token(&subject).await.unwrap().unwrap();
        let signer = ring.audit_signer().verifier();
        (name, signer, ring.owner_token("https://id|7"), pseudonym(&ring, "a", "k", "v"))
    };
    let first = everything(true).await;
    assert_eq!(everything(false).await, first);
    installation.init().await.unwrap();
    assert_eq!(everything(false).await, first, "after another init");
}

#[tokio::test]
async fn a_subject_has_one_key_for_ever() {
    let ring = ephemeral();
    let (domain, other) = (person(), DomainId::parse("employee").unwrap());
    let (a, b) = (subject(&ring, &domain, "a"), subject(&ring, &domain, "b"));
    assert_eq!(ring.token(&a).await.unwrap(), None);
    let names = tokens(&ring, &[a]).await.unwrap();
    assert_eq!(tokens(&ring, &[b, a]).await, None);
    assert_eq!(ring.token(&a).await.unwrap(), Some(names[0]));
    assert_eq!(ring.token(&b).await.unwrap(), None, "nothing of a refused batch is made");
    let elsewhere = subject(&ring, &other, "a");
    let others = tokens(&ring, &[b, elsewhere]).await.unwrap();
    assert!(!others.contains(&names[0]) && others[0] != others[1]);
}

#[tokio::test]
async fn no_file_holds_an_id_or_a_key() {
    let installation = Installation::initialised().await;
    let ring = installation.open().await.unwrap();
    let domain = person();
    let ids: Vec<String> = (0..50).map(|n| format!("张伟-subject-{n:04}@mail.example")).collect();
    let subjects: Vec<_> = ids.iter().map(|id| subject(&ring, &domain, id)).collect();
    ring.create(&subjects).await.unwrap().unwrap();
    let mut secrets: Vec<Vec<u8>> = ring.secrets();
    for subject in &subjects {
        secrets.push(ring.subject_secret(subject).await);
    }
    drop(ring);
    let found = files(installation.path());
    assert!(found.len() > 8, "{found:?}");
    for (path, bytes) in found {
        for id in &ids {
            assert!(!holds(&bytes, id.as_bytes()), "an id in {}", path.display());
        }
        for secret in &secrets {
            assert!(!holds(&bytes, secret), "a key in {}", path.display());
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!holds(&bytes, hex.as_bytes()), "a key in hex in {}", path.display());
        }
    }
}

pub(crate) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

#[tokio::test]
async fn key_files_are_for_this_process_alone() {
    let installation = Installation::initialised().await;
    drop(installation.open().await.unwrap());
    let slots = slots::folder(&installation.config.dir);
    for (path, _) in files(&slots).into_iter().chain([(installation.root(), vec![])]) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    for folder in [&installation.config.dir, &slots] {
        let mode = fs::metadata(folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
    }
}

#[tokio::test]
async fn a_secret_file_that_others_may_read_is_refused_with_the_fix() {
    let installation = Installation::initialised().await;
    for file in ["root.key", "passphrase", "keys/slots/epoch-1.key"] {
        let path = installation.path().join(file);
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = installation.open().await.unwrap_err();
            assert!(matches!(refused, KeysError::Open { .. }), "{refused}");
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(installation.open().await.is_ok());
}

#[tokio::test]
async fn links_devices_and_long_files_are_refused() {
    let installation = Installation::initialised().await;
    let (root, aside) = (installation.root(), installation.path().join("aside"));
    fs::rename(&root, &aside).unwrap();
    let refused = async || {
        let refused = installation.open().await.unwrap_err();
        assert!(matches!(refused, KeysError::Plain { .. }), "{refused}");
    };
    symlink(&aside, &root).unwrap();
    refused().await;
    fs::remove_file(&root).unwrap();
    symlink("/dev/zero", &root).unwrap();
    refused().await;
    fs::remove_file(&root).unwrap();
    write(&root, &"x".repeat(5_000), 0o600);
    refused().await;
}

#[tokio::test]
async fn init_does_not_replace_what_was_lost() {
    let installation = Installation::initialised().await;
    drop(installation.open().await.unwrap());
    let epoch = installation.path().join("keys/slots/epoch-1.key");
    let kept = fs::read_to_string(&epoch).unwrap();
    fs::remove_file(&epoch).unwrap();
    assert!(matches!(installation.open().await, Err(KeysError::Missing { .. })));
    assert!(matches!(installation.init().await, Err(KeysError::Lost { .. })));
    write(&epoch, &kept, 0o600);
    fs::remove_file(installation.root()).unwrap();
    assert!(matches!(installation.init().await, Err(KeysError::Lost { .. })));
}

#[tokio::test]
async fn init_says_what_it_made_and_that_indexes_were_lost() {
    let installation = Installation::new();
    let init = || KeyRing::init(&installation.config, KdfCost::FLOOR, &SystemEntropy);
    let made = init().await.unwrap();
    assert_eq!((made.files.len(), made.indexes_lost), (slots::Slot::ALL.len(), false));
    drop(installation.open().await.unwrap());
    let made = init().await.unwrap();
    assert_eq!((made.files.len(), made.indexes_lost), (0, false));
    let index = installation.path().join("keys/slots/index-1.key");
    fs::remove_file(&index).unwrap();
    let made = init().await.unwrap();
    assert_eq!((made.files, made.indexes_lost), (vec![index], true));
}

#[tokio::test]
async fn an_interrupted_init_is_completed() {
    let installation = Installation::initialised().await;
    let slots = installation.path().join("keys/slots");
    fs::remove_file(slots.join("tokens-1.key")).unwrap();
    // What a crash leaves of a file being written.
    write(&slots.join("tokens-1.key.new"), "half", 0o600);
    installation.init().await.unwrap();
    assert!(installation.open().await.is_ok());
}

#[tokio::test]
async fn a_slot_opens_only_as_itself() {
    let installation = Installation::initialised().await;
    let slots = installation.path().join("keys/slots");
    let (epoch, audit) = (slots.join("epoch-1.key"), slots.join("audit-1.key"));
    let text = fs::read_to_string(&epoch).unwrap();
    let other = fs::read_to_string(&audit).unwrap();
    for wrong in [
        other.clone(),
        other.replace("use audit", "use epoch"),
        text.replace("state 1", "state 2"),
        text.replace("number 1", "number 2"),
        text.replace("sealed ", "sealed"),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        String::new(),
    ] {
        write(&epoch, &wrong, 0o600);
        let refused = installation.open().await.unwrap_err();
        assert!(matches!(refused, KeysError::Slot { .. }), "{wrong} {refused}");
    }
    write(&epoch, &text, 0o600);
    assert!(installation.open().await.is_ok());
    let config = KeysConfig { tenant: "another".to_owned(), ..installation.config };
    let refused = KeyRing::open(&config, Arc::new(SystemEntropy)).await;
    assert!(matches!(refused, Err(KeysError::Slot { .. })));
}

#[tokio::test]
async fn a_wrong_or_short_passphrase_is_refused() {
    let installation = Installation::initialised().await;
    let passphrase = installation.path().join("passphrase");
    write(&passphrase, "correct horse batterz\n", 0o600);
    assert!(matches!(installation.open().await, Err(KeysError::Root { .. })));
    write(&passphrase, "short\n\n\n\n\n\n\n\n\n\n\n\n", 0o600);
    assert!(matches!(installation.open().await, Err(KeysError::Passphrase { .. })));
    write(&passphrase, "correct horse battery", 0o600);
    assert!(installation.open().await.is_ok(), "the line end does not count");
}

#[tokio::test]
async fn subject_keys_do_not_move_between_people() {
    let ring = ephemeral();
    let (domain, other) = (person(), DomainId::parse("employee").unwrap());
    let a = subject(&ring, &domain, "a");
    ring.create(&[a]).await.unwrap().unwrap();
    // The record of `a`, read as that of the same id in another domain.
    let moved = Subject { domain: &other, ..a };
    assert!(matches!(ring.token(&moved).await, Err(KeysError::Record(_))));
}

#[derive(Debug)]
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

#[tokio::test]
async fn without_randomness_no_key_is_made() {
    let installation = Installation::new();
    let refused = KeyRing::init(&installation.config, KdfCost::FLOOR, &NoEntropy).await;
    assert!(matches!(refused, Err(KeysError::Entropy(_))));
    assert!(!installation.root().exists());
    let refused = KeyRing::ephemeral(Engine::memory(), Arc::new(NoEntropy));
    assert!(matches!(refused, Err(KeysError::Entropy(_))));
}

#[test]
fn nothing_prints_a_subject() {
    let ring = ephemeral();
    let domain = person();
    let printed = format!("{ring:?} {:?}", subject(&ring, &domain, "zhang"));
    assert_eq!(printed, "KeyRing(..) Subject(..)");
}

#[test]
fn owners_have_different_names() {
    let ring = ephemeral();
    assert_eq!(ring.owner_token("a"), ring.owner_token("a"));
    assert_ne!(ring.owner_token("a"), ring.owner_token("b"));
    assert_ne!(ring.owner_token("a"), ephemeral().owner_token("a"));
}

proptest! {
    #[test]
    fn pseudonyms_join_within_a_purpose_and_kind_alone(
        kind in "[a-z.:]{1,12}", value in ".{0,24}", other in ".{0,24}",
    ) {
        thread_local!(static RING: KeyRing = ephemeral());
        RING.with(|ring| {
            let one = pseudonym(ring, "analytics", &kind, &value);
            prop_assert!(one.starts_with("ps1_") && one.len() == 26, "{}", one);
            prop_assert_eq!(&one, &pseudonym(ring, "analytics", &kind, &value));
            prop_assert_ne!(&one, &pseudonym(ring, "marketing", &kind, &value));
            let same_value = other == value;
            prop_assert_eq!(one == pseudonym(ring, "analytics", &kind, &other), same_value);
            // A letter that moves from the value to the kind is another value.
            if let Some(first) = value.chars().next() {
                let moved = format!("{kind}{first}");
                prop_assert_ne!(&one, &pseudonym(ring, "analytics", &moved, value.split_at(first.len_utf8()).1));
            }
            Ok(())
        })?;
    }
}

//! The ring: every key that is not a single person's, open in memory.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::RwLock;

use super::config::KeysConfig;
use super::config::RootProvider;
use super::error::KeysError;
use super::files;
use super::pseudonyms::PurposePseudonyms;
use super::slots;
use super::slots::Slot;
use super::slots::Slots;
use super::slots::random_secret;
use crate::clock::Entropy;
use crate::crypto;
use crate::crypto::KdfCost;
use crate::crypto::Mac;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::state::Engine;
use crate::state::StateConfig;
use crate::types::DomainId;
use crate::types::PurposeId;

/// All keys of an installation. Clones share them; they are wiped when the last one goes.
#[derive(Clone)]
pub struct KeyRing(pub(super) Arc<Ring>);

pub(super) struct Ring {
    pub(super) tenant: Arc<str>,
    index: Mac,
    pub(super) epoch: Secret,
    pub(super) records: Mac,
    pub(super) subjects: Engine,
    pub(super) entropy: Arc<dyn Entropy>,
    /// The keys that wrap, by domain; there are as many domains as the policy names.
    pub(super) domains: RwLock<HashMap<DomainId, Arc<SealKey>>>,
    pseudonyms: Secret,
    audit: Secret,
    tokens: Mac,
}

impl KeyRing {
    /// Makes whatever keys are missing: the root key file, sealed by the passphrase at `cost`,
    /// and the slots. Does nothing when all are there, and refuses when subject keys exist that
    /// a new key could not open. Blocks for the time of one key derivation.
    pub fn init(
        config: &KeysConfig,
        cost: KdfCost,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        let RootProvider::File { path, passphrase_file } = &config.root;
        let slot_folder = slots::folder(&config.dir);
        if !path.exists() {
            if slot_folder.exists() {
                return Err(KeysError::Lost { path: path.clone() });
            }
            create_root(path, passphrase_file, cost, entropy)?;
        }
        let root = open_root(&config.root)?;
        let slots = Slots::new(&config.dir, &config.tenant, &root);
        for slot in Slot::ALL {
            let path = slots.path(slot, FIRST);
            match (path.exists(), subject_folder(&config.dir).exists()) {
                (true, _) => drop(slots.open(slot, FIRST)?),
                // A blind index can be made anew from the values; what the others make cannot.
                (false, true) if slot != Slot::Index => return Err(KeysError::Lost { path }),
                (false, _) => slots.create(slot, FIRST, entropy)?,
            }
        }
        Ok(())
    }

    /// Whether the root key and its passphrase are there, and for nobody else to read. Derives
    /// nothing.
    pub fn examine(config: &KeysConfig) -> Result<(), KeysError> {
        let RootProvider::File { path, passphrase_file } = &config.root;
        files::read(path)?;
        read_passphrase(passphrase_file).map(drop)
    }

    /// Opens what [`Self::init`] made, and the subject keys. Blocks for the time of one key
    /// derivation: call it at start.
    pub fn open(config: &KeysConfig, entropy: Arc<dyn Entropy>) -> Result<Self, KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        let root = open_root(&config.root)?;
        let slots = Slots::new(&config.dir, &config.tenant, &root);
        let keys = Slot::ALL.map(|slot| slots.open(slot, FIRST));
        let [audit, epoch, index, pseudonyms, records, tokens] = keys;
        let (audit, epoch, pseudonyms) = (audit?, epoch?, pseudonyms?);
        let (index, records, tokens) = (Mac::new(&index?), Mac::new(&records?), Mac::new(&tokens?));
        let subjects = StateConfig::Sled { path: subject_folder(&config.dir) };
        let subjects = Engine::open(&subjects).map_err(KeysError::State)?;
        let tenant = config.tenant.as_str().into();
        let domains = RwLock::default();
        let ring = Ring {
            tenant,
            index,
            epoch,
            records,
            subjects,
            entropy,
            domains,
            pseudonyms,
            audit,
            tokens,
        };
        Ok(Self(Arc::new(ring)))
    }

    /// A ring of fresh keys, gone at exit, whose subject keys stand in `subjects`. For
    /// demonstrations and tests.
    pub fn ephemeral(subjects: Engine, entropy: Arc<dyn Entropy>) -> Result<Self, KeysError> {
        let fresh = || random_secret(entropy.as_ref());
        let ring = Ring {
            tenant: "ephemeral".into(),
            index: Mac::new(&fresh()?),
            epoch: fresh()?,
            records: Mac::new(&fresh()?),
            subjects,
            domains: RwLock::default(),
            pseudonyms: fresh()?,
            audit: fresh()?,
            tokens: Mac::new(&fresh()?),
            entropy,
        };
        Ok(Self(Arc::new(ring)))
    }

    /// The pseudonyms of one purpose: the same value gives the same one within it, and another
    /// in every other purpose.
    pub fn pseudonyms(&self, purpose: &PurposeId) -> PurposePseudonyms {
        let Ring { tenant, pseudonyms, .. } = self.0.as_ref();
        PurposePseudonyms::new(pseudonyms, tenant, FIRST, purpose)
    }

    /// The key that signs the audit log.
    pub fn audit_signer(&self) -> Signer {
        Signer::from_seed(&self.0.audit)
    }

    /// The name in the audit log of whoever owns a credential; `owner` is stable for that owner.
    pub fn owner_token(&self, owner: &str) -> [u8; 16] {
        self.0.tokens.short(&[b"privet/owner/v1", owner.as_bytes()])
    }

    /// Whether values can be opened and sealed at the moment.
    pub fn is_usable(&self) -> bool {
        true
    }

    /// The randomness that everything here is sealed with.
    pub(super) fn entropy(&self) -> &dyn Entropy {
        self.0.entropy.as_ref()
    }

    /// The key of blind indexes.
    pub(super) fn index_key(&self) -> &Mac {
        &self.0.index
    }

    /// The installation's name.
    pub(super) fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// Whether subject keys can still be made.
    pub fn writable(&self) -> bool {
        self.0.subjects.writable()
    }

    /// The engine of the subject keys, for its counters.
    pub fn engine(&self) -> &Engine {
        &self.0.subjects
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(..)")
    }
}

fn create_root(
    path: &Path,
    passphrase_file: &Path,
    cost: KdfCost,
    entropy: &dyn Entropy,
) -> Result<(), KeysError> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    let passphrase = read_passphrase(passphrase_file)?;
    let root = random_secret(entropy)?;
    let mut random = [0; 32];
    entropy.fill(&mut random).map_err(KeysError::Entropy)?;
    let sealed =
        crypto::seal_root(&root, passphrase.trim_end_matches(LINE_END).as_bytes(), cost, &random);
    let sealed = sealed.map_err(|source| KeysError::Root { path: path.to_path_buf(), source })?;
    files::create(path, &sealed)
}

fn open_root(provider: &RootProvider) -> Result<Secret, KeysError> {
    let RootProvider::File { path, passphrase_file } = provider;
    let text = files::read(path)?;
    let passphrase = read_passphrase(passphrase_file)?;
    crypto::open_root(&text, passphrase.trim_end_matches(LINE_END).as_bytes())
        .map_err(|source| KeysError::Root { path: path.clone(), source })
}

fn read_passphrase(path: &Path) -> Result<zeroize::Zeroizing<String>, KeysError> {
    let passphrase = files::read(path)?;
    if passphrase.trim_end_matches(LINE_END).len() < MIN_PASSPHRASE {
        return Err(KeysError::Passphrase { path: path.to_path_buf() });
    }
    Ok(passphrase)
}

/// Each epoch has a folder, so that it can be unlinked whole.
fn subject_folder(dir: &Path) -> PathBuf {
    dir.join(format!("epoch-{FIRST}"))
}

/// The number of the only epoch, and of the only key in each other slot, in this version.
pub(super) const FIRST: u32 = 1;
const MIN_PASSPHRASE: usize = 12;
const LINE_END: [char; 2] = ['\r', '\n'];

#[cfg(test)]
impl KeyRing {
    /// Every key that a file must not hold in the clear.
    pub(super) fn secrets(&self) -> Vec<Vec<u8>> {
        let Ring { epoch, pseudonyms, audit, .. } = self.0.as_ref();
        [epoch, pseudonyms, audit].map(|secret| secret.expose().to_vec()).to_vec()
    }
}

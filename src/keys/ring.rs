//! The ring: every key that is not a single person's, open in memory.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::RwLock;

use super::config::KeysConfig;
use super::error::KeysError;
use super::pseudonyms::PurposePseudonyms;
use super::root;
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
    pub async fn init(
        config: &KeysConfig,
        cost: KdfCost,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        root::create(&config.root, &slots::folder(&config.dir), cost, entropy).await?;
        let slots = Slots::new(&config.dir, &config.tenant, root::open(&config.root).await?);
        for slot in Slot::ALL {
            let path = slots.path(slot, FIRST);
            match (path.exists(), subject_folder(&config.dir).exists()) {
                (true, _) => drop(slots.open(slot, FIRST).await?),
                // A blind index can be made anew from the values; what the others make cannot.
                (false, true) if slot != Slot::Index => return Err(KeysError::Lost { path }),
                (false, _) => slots.create(slot, FIRST, entropy).await?,
            }
        }
        Ok(())
    }

    /// Whether the root key and its passphrase are there, and for nobody else to read. Derives
    /// nothing.
    pub fn examine(config: &KeysConfig) -> Result<(), KeysError> {
        root::examine(&config.root)
    }

    /// Opens what [`Self::init`] made, and the subject keys. Blocks for the time of one key
    /// derivation: call it at start.
    pub async fn open(config: &KeysConfig, entropy: Arc<dyn Entropy>) -> Result<Self, KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        let slots = Slots::new(&config.dir, &config.tenant, root::open(&config.root).await?);
        let audit = slots.open(Slot::Audit, FIRST).await?;
        let epoch = slots.open(Slot::Epoch, FIRST).await?;
        let index = Mac::new(&slots.open(Slot::Index, FIRST).await?);
        let pseudonyms = slots.open(Slot::Pseudonyms, FIRST).await?;
        let records = Mac::new(&slots.open(Slot::Records, FIRST).await?);
        let tokens = Mac::new(&slots.open(Slot::Tokens, FIRST).await?);
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
        crypto::self_test().map_err(KeysError::SelfTest)?;
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
    pub(crate) fn entropy(&self) -> &dyn Entropy {
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

    pub(super) fn tokens(&self) -> &Mac {
        &self.0.tokens
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

/// Each epoch has a folder, so that it can be unlinked whole.
fn subject_folder(dir: &Path) -> PathBuf {
    dir.join(format!("epoch-{FIRST}"))
}

/// The number of the only epoch, and of the only key in each other slot, in this version.
pub(super) const FIRST: u32 = 1;

#[cfg(test)]
impl KeyRing {
    /// Every key that a file must not hold in the clear.
    pub(super) fn secrets(&self) -> Vec<Vec<u8>> {
        let Ring { epoch, pseudonyms, audit, .. } = self.0.as_ref();
        [epoch, pseudonyms, audit].map(|secret| secret.expose().to_vec()).to_vec()
    }
}

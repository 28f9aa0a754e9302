//! The ring: every key that is not a single person's, open in memory.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::config::KeysConfig;
use super::config::RootProvider;
use super::epoch::Epoch;
use super::epoch::Epochs;
use super::erase;
use super::error::KeysError;
use super::home;
use super::home::Files;
use super::home::Home;
use super::kept::Kept;
use super::ledger::HighWater;
use super::ledger::Ledger;
use super::lock::Lock;
use super::metrics::KeysMetrics;
use super::pseudonyms::PurposePseudonyms;
use super::roll::Steps;
use super::root;
use super::root::Root;
use super::slots;
use super::slots::Slot;
use super::slots::Slots;
use super::slots::random_secret;
use super::values::Open as OpenValues;
use super::values::ValueKeys;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::clock::SystemClock;
use crate::crypto;
use crate::crypto::KdfCost;
use crate::crypto::Mac;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::state::Engine;
use crate::types::PurposeId;

/// All keys of an installation. Clones share them; they are wiped when the last one goes.
#[derive(Clone)]
pub struct KeyRing(pub(super) Arc<Ring>);

/// What [`KeyRing::init`] made.
#[derive(Debug, Default)]
pub struct MadeSlots {
    /// The files of the slots, none where all were there.
    pub files: Vec<PathBuf>,
    /// Whether there may be blind indexes that the new key of indexes finds no value by.
    pub indexes_lost: bool,
}

pub(super) struct Ring {
    pub(super) tenant: Arc<str>,
    pub(super) records: Mac,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ledger: Ledger,
    pub(super) kept: Option<Kept>,
    pub(super) epochs: Epochs,
    pub(super) home: Home,
    pub(super) metrics: KeysMetrics,
    pub(super) steps: Steps,
    pub(super) lock: Lock,
    pub(super) values: ValueKeys,
    audit: Secret,
    tokens: Mac,
}

impl KeyRing {
    /// Makes whatever keys are missing: the root key file, sealed by the passphrase at `cost`,
    /// and the slots. Does nothing when all are there, and refuses when subject keys exist that
    /// a new key could not open. Says which slots it made. Blocks for the time of one key
    /// derivation.
    pub async fn init(
        config: &KeysConfig,
        cost: KdfCost,
        entropy: &dyn Entropy,
    ) -> Result<MadeSlots, KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        root::create(&config.root, &slots::folder(&config.dir), cost, entropy).await?;
        let root = root::open(&config.root).await?;
        Self::make_slots(config, root, entropy).await
    }

    /// Makes the slots that are missing.
    pub(super) async fn make_slots(
        config: &KeysConfig,
        root: Arc<dyn Root>,
        entropy: &dyn Entropy,
    ) -> Result<MadeSlots, KeysError> {
        let mut made = MadeSlots::default();
        let slots = Slots::new(&config.dir, &config.tenant, root);
        let epoch = home::current(&config.dir)?;
        let in_use = home::folder(&config.dir, epoch).exists();
        let has_ledger = ledger_file(config).exists();
        for slot in Slot::ALL {
            let number = if slot == Slot::Epoch { epoch } else { FIRST };
            let path = slots.path(slot, number);
            // A blind index can be made anew from the values, and a ledger without an entry needs
            // no key that it had; what the others make cannot be made again.
            let lost = match slot {
                Slot::Index => false,
                Slot::Ledger => has_ledger,
                _ => in_use,
            };
            match (path.exists(), lost) {
                (true, _) => drop(slots.open(slot, number).await?),
                (false, true) => return Err(KeysError::Lost { path }),
                (false, _) => {
                    slots.create(slot, number, entropy).await?;
                    made.indexes_lost |= slot == Slot::Index && in_use;
                    made.files.push(path);
                }
            }
        }
        Ok(made)
    }

    /// Whether the root key and its passphrase are there, and for nobody else to read. Derives
    /// nothing.
    pub fn examine(config: &KeysConfig) -> Result<(), KeysError> {
        root::examine(&config.root)
    }

    /// Opens what [`Self::init`] made, and the subject keys; destroys what is left of earlier
    /// epochs, and carries out the erasures that an older copy of the keys has forgotten. Blocks
    /// for the time of one key derivation: call it at start.
    pub async fn open(config: &KeysConfig, entropy: Arc<dyn Entropy>) -> Result<Self, KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        let root = root::open(&config.root).await?;
        Self::open_with(config, entropy, root).await
    }

    /// Opens the ring with the root key open already.
    pub(super) async fn open_with(
        config: &KeysConfig,
        entropy: Arc<dyn Entropy>,
        root: Arc<dyn Root>,
    ) -> Result<Self, KeysError> {
        let slots = Slots::new(&config.dir, &config.tenant, root);
        let audit = slots.open(Slot::Audit, FIRST).await?;
        let index = slots.open(Slot::Index, FIRST).await?;
        let values = ValueKeys::new(&index, slots.open(Slot::Pseudonyms, FIRST).await?);
        let records = Mac::new(&slots.open(Slot::Records, FIRST).await?);
        let tokens = Mac::new(&slots.open(Slot::Tokens, FIRST).await?);
        let number = home::current(&config.dir)?;
        let key = slots.open(Slot::Epoch, number).await?;
        let lock = match config.root {
            RootProvider::File { .. } => Lock::open_for_ever(),
            RootProvider::OpenBao(_) | RootProvider::Pkcs11(_) => Lock::with(config.cached),
        };
        let metrics = KeysMetrics::default();
        let engine = home::open_engine(&config.dir, number, &metrics.engine).await?;
        let known = erase::remembered(&engine).await?;
        let kept =
            config.high_water.as_ref().map(|path| Kept::read(path, &config.dir)).transpose()?;
        let (kept, elsewhere) = kept.unzip();
        let known = [known, elsewhere.unwrap_or(HighWater::NONE)];
        let ledger = open_ledger(config, &slots, known, entropy.as_ref()).await?;
        let ring = Self(Arc::new(Ring {
            tenant: config.tenant.as_str().into(),
            records,
            entropy,
            clock: Arc::new(SystemClock),
            ledger,
            kept,
            epochs: Epochs::new(Epoch::new(number, key, engine)),
            home: Home::Files(Files::new(&config.dir, slots)),
            metrics,
            steps: Steps::default(),
            lock,
            values,
            audit,
            tokens,
        }));
        // Once there is a second epoch, nobody may have to guess.
        ring.0.home.note(number)?;
        // Only now: what is in force has been opened, so the rest is what nobody needs.
        ring.0.home.destroy_others(number, ring.0.entropy.as_ref()).await?;
        ring.settle()?;
        ring.read_covered().await?;
        ring.read_unlinked().await?;
        ring.replay().await?;
        ring.keep_mark().await?;
        ring.0.metrics.epoch.set(number.into());
        Ok(ring)
    }

    /// A ring of fresh keys, gone at exit, whose subject keys stand in `subjects`. For
    /// demonstrations and tests.
    pub fn ephemeral(subjects: Engine, entropy: Arc<dyn Entropy>) -> Result<Self, KeysError> {
        Self::ephemeral_at(subjects, entropy, Arc::new(SystemClock))
    }

    /// [`Self::ephemeral`] with another clock.
    pub(crate) fn ephemeral_at(
        subjects: Engine,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeysError> {
        crypto::self_test().map_err(KeysError::SelfTest)?;
        let fresh = || random_secret(entropy.as_ref());
        let metrics = KeysMetrics { engine: subjects.metrics().clone(), ..KeysMetrics::default() };
        let ring = Ring {
            tenant: "ephemeral".into(),
            records: Mac::new(&fresh()?),
            ledger: Ledger::ephemeral(&fresh()?),
            kept: None,
            epochs: Epochs::new(Epoch::new(FIRST, fresh()?, subjects)),
            home: Home::Memory,
            metrics,
            clock,
            steps: Steps::default(),
            lock: Lock::open_for_ever(),
            values: ValueKeys::new(&fresh()?, fresh()?),
            audit: fresh()?,
            tokens: Mac::new(&fresh()?),
            entropy,
        };
        Ok(Self(Arc::new(ring)))
    }

    /// The pseudonyms of one purpose: the same value gives the same one within it, and another
    /// in every other purpose.
    ///
    /// # Errors
    /// While the keys are locked. What was made before goes on: ask [`Self::is_usable`] once more
    /// before what it made leaves.
    pub fn pseudonyms(&self, purpose: &PurposeId) -> Result<PurposePseudonyms, KeysError> {
        let values = self.values()?;
        Ok(PurposePseudonyms::new(&values.pseudonyms, &self.0.tenant, FIRST, purpose))
    }

    /// The key that signs the audit log.
    pub fn audit_signer(&self) -> Signer {
        Signer::from_seed(&self.0.audit)
    }

    /// The key that signs consent receipts: its own, derived from the slot of credential owners,
    /// so that it outlives every root key and epoch and works while keys are locked.
    pub fn receipt_signer(&self) -> Signer {
        Signer::from_seed(&Secret::new(self.0.tokens.of_parts(&[b"privet/consent receipt/v1"])))
    }

    /// The name in the audit log of whoever owns a credential; `owner` is stable for that owner.
    pub fn owner_token(&self, owner: &str) -> [u8; 16] {
        self.0.tokens.short(&[b"privet/owner/v1", owner.as_bytes()])
    }

    /// Who holds the root key: the provider's word in the configuration, or `memory`.
    pub fn provider(&self) -> &'static str {
        match &self.0.home {
            Home::Files(files) => files.slots().provider(),
            Home::Memory => "memory",
        }
    }

    /// The number of the epoch in force.
    pub fn epoch(&self) -> u32 {
        self.0.epochs.current().number
    }

    /// Names the domains that people may have a key in. Records of the first version do not say
    /// theirs: [`Self::roll`] finds it among these. Call it before the first roll.
    pub fn know_domains<'a>(&self, domains: impl IntoIterator<Item = &'a str>) {
        let epoch = self.0.epochs.current();
        for domain in domains {
            epoch.know(domain);
        }
    }

    /// The randomness that everything here is sealed with.
    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.0.entropy.as_ref()
    }

    /// The keys of blind indexes and pseudonyms.
    pub(super) fn values(&self) -> Result<Arc<OpenValues>, KeysError> {
        if !self.is_usable() {
            return Err(KeysError::Unavailable);
        }
        self.0.values.get()
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
        self.0.epochs.current().engine.writable()
    }

    /// Counters, those of the engine of subject keys among them.
    pub fn metrics(&self) -> &KeysMetrics {
        &self.0.metrics
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(..)")
    }
}

/// The ledger of tombstones, outside the folders of epochs.
pub(super) fn ledger_file(config: &KeysConfig) -> PathBuf {
    config.dir.join("tombstones")
}

/// Opens the ledger of tombstones. Whoever has none, and remembers none, gets an empty one.
async fn open_ledger(
    config: &KeysConfig,
    slots: &Slots,
    known: [HighWater; 2],
    entropy: &dyn Entropy,
) -> Result<Ledger, KeysError> {
    let path = ledger_file(config);
    let slot = slots.path(Slot::Ledger, FIRST);
    if !slot.exists() {
        // Made by a release that had no ledger yet.
        if path.exists() || known.iter().any(|known| known.count > 0) {
            return Err(KeysError::Lost { path: slot });
        }
        slots.create(Slot::Ledger, FIRST, entropy).await?;
    }
    Ledger::open(&path, &slots.open(Slot::Ledger, FIRST).await?, &known)
}

/// The number of the first epoch, and of the only key in each other slot.
pub(super) const FIRST: u32 = 1;

#[cfg(test)]
impl KeyRing {
    /// A ring that locks, but for [`Self::lock_now`] only after an hour.
    pub(crate) fn locking(subjects: Engine) -> Self {
        let mut ring = Self::ephemeral(subjects, Arc::new(crate::clock::SystemEntropy)).unwrap();
        Arc::get_mut(&mut ring.0).unwrap().lock = Lock::with(std::time::Duration::from_secs(3_600));
        ring
    }

    /// As when there was no word for too long, and nobody has wiped a key yet.
    pub(crate) fn lock_now(&self) {
        self.0.lock.close();
    }

    /// As when there was word.
    pub(crate) fn confirm_now(&self) {
        self.0.lock.confirm(tokio::time::Instant::now());
    }

    /// Every key that a file must not hold in the clear.
    pub(super) fn secrets(&self) -> Vec<Vec<u8>> {
        let epoch = self.0.epochs.current().secret();
        let pseudonyms = self.values().unwrap().pseudonyms.expose().to_vec();
        vec![epoch, pseudonyms, self.0.audit.expose().to_vec()]
    }
}

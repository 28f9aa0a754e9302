//! What keys there are, told to operators: numbers and times. No key, no id of one, and nothing
//! about a single person.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use super::config::KeysConfig;
use super::erase::person;
use super::erase::remembered;
use super::error::KeysError;
use super::home;
use super::home::Home;
use super::ledger::HighWater;
use super::ledger::Ledger;
use super::metrics::KeysMetrics;
use super::pending::PENDING;
use super::ring::FIRST;
use super::ring::KeyRing;
use super::ring::ledger_file;
use super::roll::covered;
use super::root;
use super::slots::Slot;
use super::slots::Slots;
use super::subject_keys::SUBJECTS;
use crate::crypto::KeyState;
use crate::crypto::Signer;
use crate::crypto::SubjectKeyRecord;
use crate::state::Engine;
use crate::state::Item;
use crate::state::Page;
use crate::state::StateStore;
use crate::types::Timestamp;

/// What keys there are.
#[derive(Debug)]
pub struct KeysStatus {
    /// Who holds the root key: the provider's word in the configuration, or `memory`.
    pub provider: &'static str,
    /// Why a slot does not open just now. Nothing when one has just been opened by the gateway
    /// that runs, or all of one that does not.
    pub fault: Option<KeysError>,
    /// Whether the keys are wiped until whoever holds the root key answers again.
    pub locked: bool,
    /// The number of the epoch in force.
    pub epoch: u32,
    /// Since when it is, by the time of the file that says so.
    pub epoch_since: Option<Timestamp>,
    /// The keys of people.
    pub counts: KeyCounts,
    /// The ledger of tombstones; nothing when the key it is read with does not open.
    pub ledger: Option<LedgerStatus>,
    /// How many rows the roll that is under way has copied.
    pub roll: Option<u64>,
}

/// How many keys of people there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyCounts {
    /// People who have a key.
    pub people: u64,
    /// Generations that seal.
    pub sealing: u64,
    /// Generations before them, which open.
    pub opening: u64,
    /// Generations that do nothing.
    pub disabled: u64,
    /// Keys of records whose person is not known yet.
    pub pending: u64,
    /// Rows that cannot be read: what their keys have sealed stays closed.
    pub damaged: u64,
}

/// How far the ledger of tombstones is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LedgerStatus {
    /// The number of tombstones and the code of the last.
    pub high_water: HighWater,
    /// When the oldest was written whose person's key may stand in an older copy of the files.
    pub oldest_unshredded: Option<Timestamp>,
}

impl KeyRing {
    /// What keys there are now. Asks whoever holds the root key, and reads every row of the
    /// subject keys, one caller at a time.
    pub async fn status(&self) -> Result<KeysStatus, KeysError> {
        let ring = &self.0;
        let _one = ring.epochs.counting.lock().await;
        let fault = self.opens().await.err();
        let counts = count(&Rows::InForce(self), Some(&ring.ledger)).await?;
        let ledger = LedgerStatus {
            high_water: self.high_water(),
            oldest_unshredded: self.oldest_unshredded(),
        };
        let epoch_since = match &ring.home {
            Home::Files(files) => begun(&files.dir),
            Home::Memory => None,
        };
        let is_rolling = ring.epochs.rolling.try_lock().is_err();
        Ok(KeysStatus {
            provider: self.provider(),
            fault,
            locked: !self.is_usable(),
            epoch: self.epoch(),
            epoch_since,
            counts,
            ledger: Some(ledger),
            roll: is_rolling.then(|| ring.epochs.copied.load(Ordering::SeqCst)),
        })
    }

    /// The time by the clock that dates tombstones.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Has a slot opened that stays the same through every epoch, and compares.
    async fn opens(&self) -> Result<(), KeysError> {
        let Home::Files(files) = &self.0.home else { return Ok(()) };
        let open = async || match files.slots().open(Slot::Audit, FIRST).await {
            // It may just have been put in the place of another.
            Err(KeysError::Slot { .. }) => files.slots().open(Slot::Audit, FIRST).await,
            opened => opened,
        };
        let key = tokio::time::timeout(LONGEST_ANSWER, open()).await;
        let key = key.unwrap_or(Err(KeysError::Unavailable))?;
        if Signer::from_seed(&key).verifier() == self.audit_signer().verifier() {
            return Ok(());
        }
        Err(KeysError::Slot { path: files.slots().path(Slot::Audit, FIRST) })
    }
}

impl KeysStatus {
    /// Reads the folder of keys of an installation that does not run, and changes nothing in it.
    pub async fn of_folder(config: &KeysConfig) -> Result<Self, KeysError> {
        let epoch = home::current(&config.dir)?;
        let (opened, fault) = match open(config).await {
            Ok(opened) => {
                let fault = missing(config, &opened, epoch).await;
                (Some(opened), fault)
            }
            Err(error) => (None, Some(error)),
        };
        let metrics = KeysMetrics::default();
        // Opening would make it: a site that has its keys and never ran has no subject keys.
        let engine = if home::folder(&config.dir, epoch).exists() {
            Some(home::open_engine(&config.dir, epoch, &metrics.engine).await?)
        } else {
            None
        };
        let known = match &engine {
            Some(engine) => remembered(engine).await?,
            None => HighWater::NONE,
        };
        let ledger = match &opened {
            Some(slots) => read_ledger(config, slots, known).await?,
            None => None,
        };
        let (mut counts, mut beyond) = (KeyCounts::default(), 0);
        if let Some(engine) = &engine {
            counts = count(&Rows::Engine(engine), ledger.as_ref()).await?;
            beyond = covered(engine).await?;
        }
        let of = |ledger: &Ledger| LedgerStatus {
            high_water: ledger.high_water(),
            oldest_unshredded: ledger.oldest_after(beyond),
        };
        let none = LedgerStatus { high_water: HighWater::NONE, oldest_unshredded: None };
        Ok(Self {
            provider: config.root.kind(),
            fault,
            locked: false,
            epoch,
            epoch_since: begun(&config.dir),
            counts,
            ledger: opened.is_some().then(|| ledger.as_ref().map_or(none, of)),
            roll: None,
        })
    }
}

impl KeyCounts {
    /// Counts a row. The rows of the erased are about to go.
    fn add(&mut self, item: &Item, ledger: Option<&Ledger>) {
        if item.key.starts_with(PENDING) {
            self.pending += 1;
            return;
        }
        let is_erased = |ledger: &Ledger| person(&item.key).is_some_and(|key| ledger.has(&key));
        if ledger.is_some_and(is_erased) {
            return;
        }
        let Ok(record) = SubjectKeyRecord::decode(&item.value.value) else {
            self.damaged += 1;
            return;
        };
        self.people += 1;
        for generation in &record.generations {
            match generation.state {
                KeyState::Active => self.sealing += 1,
                KeyState::DecryptOnly => self.opening += 1,
                KeyState::Disabled => self.disabled += 1,
            }
        }
    }
}

/// Where the rows of subject keys are read.
enum Rows<'a> {
    /// In the epoch in force. Each page lets go of it, so that nobody waits for whoever counts; a
    /// switch between two pages goes unnoticed, as the rows stand under the same keys after it.
    InForce(&'a KeyRing),
    Engine(&'a Engine),
}

impl Rows<'_> {
    async fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Page, KeysError> {
        let page = match self {
            Self::InForce(ring) => {
                ring.0.epochs.used().await.engine.scan(prefix, after, PAGE).await
            }
            Self::Engine(engine) => engine.scan(prefix, after, PAGE).await,
        };
        page.map_err(KeysError::State)
    }
}

async fn count(rows: &Rows<'_>, ledger: Option<&Ledger>) -> Result<KeyCounts, KeysError> {
    let mut counts = KeyCounts::default();
    for prefix in [SUBJECTS, PENDING] {
        let mut after = None::<Vec<u8>>;
        loop {
            let page = rows.page(prefix, after.as_deref()).await?;
            page.items.iter().for_each(|item| counts.add(item, ledger));
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                break;
            }
        }
    }
    Ok(counts)
}

/// Opens the root key, and the slot of the audit log with it.
async fn open(config: &KeysConfig) -> Result<Slots, KeysError> {
    let slots = Slots::new(&config.dir, &config.tenant, root::open(&config.root).await?);
    slots.open(Slot::Audit, FIRST).await?;
    Ok(slots)
}

/// Why a start would be refused: the first slot that is not there, or does not open. One of the
/// ledger is made at a start where there is no ledger either.
async fn missing(config: &KeysConfig, slots: &Slots, epoch: u32) -> Option<KeysError> {
    for slot in Slot::ALL {
        if slot == Slot::Ledger && !ledger_file(config).exists() {
            continue;
        }
        let number = if slot == Slot::Epoch { epoch } else { FIRST };
        if let Err(error) = slots.open(slot, number).await {
            return Some(error);
        }
    }
    None
}

/// The ledger, when there is one. Refuses one that is not as far as `known`.
async fn read_ledger(
    config: &KeysConfig,
    slots: &Slots,
    known: HighWater,
) -> Result<Option<Ledger>, KeysError> {
    let path = ledger_file(config);
    if !path.exists() && known.count == 0 {
        return Ok(None);
    }
    let key = slots.open(Slot::Ledger, FIRST).await?;
    Ledger::open(&path, &key, &[known]).map(Some)
}

/// When the file was written that names the epoch in force.
fn begun(dir: &Path) -> Option<Timestamp> {
    let written = fs::metadata(home::current_file(dir)).and_then(|file| file.modified()).ok()?;
    let age = written.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix_ms(u64::try_from(age.as_millis()).ok()?))
}

/// How many rows are read at once.
const PAGE: usize = 512;
/// How long whoever looks waits for whoever holds the root key.
const LONGEST_ANSWER: Duration = Duration::from_secs(15);

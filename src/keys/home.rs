//! Where epochs stand on disk, and how they come and go.
//!
//! `current` names the epoch in force. Whatever belongs to another epoch was left behind by a
//! process that was killed, or waits to be destroyed.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use super::error::KeysError;
use super::files;
use super::ring::FIRST;
use super::slots;
use super::slots::Slot;
use super::slots::Slots;
use super::slots::random_secret;
use crate::clock::Entropy;
use crate::crypto::Secret;
use crate::state::Engine;
use crate::state::StateConfig;
use crate::state::StateMetrics;

/// Where epochs are kept.
pub(super) enum Home {
    /// In the folder of keys.
    Files(Files),
    /// In memory: gone at exit.
    Memory,
}

pub(super) struct Files {
    pub(super) dir: PathBuf,
    slots: RwLock<Arc<Slots>>,
}

impl Files {
    pub(super) fn new(dir: &Path, slots: Slots) -> Self {
        Self { dir: dir.to_path_buf(), slots: RwLock::new(Arc::new(slots)) }
    }

    /// The slots as they are wrapped at the moment.
    pub(super) fn slots(&self) -> Arc<Slots> {
        Arc::clone(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the slots opened by `slots` from now on.
    pub(super) fn hold(&self, slots: Slots) {
        *self.slots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(slots);
    }

    /// Destroys what a kill has left of a root key that was being replaced, unless it is needed.
    pub(super) fn settle(&self, entropy: &dyn Entropy) -> Result<(), KeysError> {
        // Whoever has locked it is not done yet.
        let Ok(_lock) = files::lock(&self.dir) else { return Ok(()) };
        let slots = self.slots();
        slots.sweep(entropy)?;
        match slots.stored() {
            Ok(stored) => slots.root().settle(&stored, entropy),
            Err(error) => {
                tracing::warn!(%error, "the root key could not be replaced as things stand");
                Ok(())
            }
        }
    }

    /// Writes down which epoch is in force from now on.
    fn set_current(&self, number: u32) -> Result<(), KeysError> {
        files::replace(&current_file(&self.dir), &line(number))
    }
}

impl Home {
    /// Makes the key and the engine of a new epoch. What an earlier attempt left goes first.
    pub(super) async fn make(
        &self,
        number: u32,
        entropy: &dyn Entropy,
        metrics: &StateMetrics,
    ) -> Result<(Secret, Engine), KeysError> {
        match self {
            Self::Files(files) => {
                self.destroy(number, entropy).await?;
                let slots = files.slots();
                slots.create(Slot::Epoch, number, entropy).await?;
                let key = slots.open(Slot::Epoch, number).await?;
                Ok((key, open_engine(&files.dir, number, metrics).await?))
            }
            Self::Memory => {
                let engine = Engine::open_counted(&StateConfig::Memory, metrics.clone());
                Ok((random_secret(entropy)?, engine.map_err(KeysError::State)?))
            }
        }
    }

    /// Puts `number` in force for every later start. After an error the file tells whether it
    /// is: when it may be, or may not stay so, the error is [`KeysError::Closed`].
    pub(super) fn commit(&self, number: u32) -> Result<(), KeysError> {
        let Self::Files(files) = self else { return Ok(()) };
        files.set_current(number).map_err(|error| match current(&files.dir) {
            Ok(found) if found != number => error,
            _ => {
                tracing::error!(%error, "restart the process: no key can be made any more");
                KeysError::Closed
            }
        })
    }

    /// Writes down that `number` is in force where nothing says so yet.
    pub(super) fn note(&self, number: u32) -> Result<(), KeysError> {
        match self {
            Self::Files(files) if !current_file(&files.dir).exists() => files.set_current(number),
            _ => Ok(()),
        }
    }

    /// Destroys an epoch: the provider's key, the slot, the folder. Whatever of it is gone already
    /// is no error.
    pub(super) async fn destroy(
        &self,
        number: u32,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        let Self::Files(files) = self else { return Ok(()) };
        let slots = files.slots();
        slots.destroy(number).await?;
        // Last the files by whose names the epoch is found again.
        let slot = slots.path(Slot::Epoch, number);
        for suffix in [".new", ""] {
            files::shred(&files::beside(&slot, suffix), entropy)?;
        }
        let folder = folder(&files.dir, number);
        tokio::task::spawn_blocking(move || remove(&folder))
            .await
            .unwrap_or_else(|_| Err(KeysError::Interrupted))
    }

    /// Destroys whatever is left of epochs that are not in force.
    pub(super) async fn destroy_others(
        &self,
        in_force: u32,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysError> {
        let Self::Files(files) = self else { return Ok(()) };
        for number in numbers(&files.dir)?.into_iter().filter(|number| *number != in_force) {
            tracing::info!(number, "destroying what is left of an epoch of keys");
            self.destroy(number, entropy).await?;
        }
        Ok(())
    }
}

/// Opens the engine of an epoch.
pub(super) async fn open_engine(
    dir: &Path,
    number: u32,
    metrics: &StateMetrics,
) -> Result<Engine, KeysError> {
    let (path, metrics) = (folder(dir, number), metrics.clone());
    let opened = tokio::task::spawn_blocking(move || {
        Engine::open_counted(&StateConfig::Sled { path }, metrics).map_err(KeysError::State)
    });
    opened.await.unwrap_or_else(|_| Err(KeysError::Interrupted))
}

/// Each epoch has a folder, so that it can be unlinked whole.
pub(super) fn folder(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("epoch-{number}"))
}

/// The epoch in force. Without a file that says so it is the first, as long as there is no
/// other.
pub(super) fn current(dir: &Path) -> Result<u32, KeysError> {
    let path = current_file(dir);
    let wrong = |what| KeysError::Current { path: path.clone(), what };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let number = text.strip_prefix(TITLE).and_then(|rest| rest.trim_end().parse().ok());
            number
                .filter(|number| *number >= FIRST && line(*number) == text)
                .ok_or_else(|| wrong("it is damaged"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if numbers(dir)?.iter().all(|number| *number == FIRST) {
                Ok(FIRST)
            } else {
                Err(wrong("it is missing; restore it from a backup of the same time"))
            }
        }
        Err(error) => Err(KeysError::io("read", &path)(error)),
    }
}

/// The numbers of all epochs that have left something here.
fn numbers(dir: &Path) -> Result<Vec<u32>, KeysError> {
    let mut found = Vec::new();
    for folder in [dir.to_path_buf(), slots::folder(dir)] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(KeysError::io("read", &folder)(error)),
        };
        for entry in entries {
            let name = entry.map_err(KeysError::io("read", &folder))?.file_name();
            let name = name.to_string_lossy();
            let rest = name.strip_prefix("epoch-");
            let digits = rest.and_then(|rest| rest.split('.').next());
            found.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The file that names the epoch in force.
pub(super) fn current_file(dir: &Path) -> PathBuf {
    dir.join("current")
}

fn line(number: u32) -> String {
    format!("{TITLE}{number}\n")
}

/// Unlinks a folder and its marker. A thread of the engine may still be writing to it.
fn remove(folder: &Path) -> Result<(), KeysError> {
    for attempt in 0.. {
        match fs::remove_dir_all(folder) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) if attempt == REMOVE_ATTEMPTS => {
                return Err(KeysError::io("remove", folder)(error));
            }
            Err(_) => {}
        }
    }
    for suffix in [".marker.new", ".marker"] {
        let marker = files::beside(folder, suffix);
        match fs::remove_file(&marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(KeysError::io("remove", &marker)(error));
            }
            _ => {}
        }
    }
    files::sync_folder_of(folder).map_err(KeysError::io("sync the folder of", folder))
}

const TITLE: &str = "privet-epoch/v1 ";
const REMOVE_ATTEMPTS: u32 = 16;

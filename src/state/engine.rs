//! The choice of an engine, made once at start.

use super::config::StateConfig;
use super::embedded::SledStore;
use super::error::StateError;
use super::memory::MemoryStore;
use super::metrics::StateMetrics;
use super::store::Change;
use super::store::Page;
use super::store::Rev;
use super::store::StateStore;
use super::store::Versioned;
use super::tx::Tx;

/// Any of the engines. Clones share it.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Gone at exit.
    Memory(MemoryStore),
    /// In a folder.
    Sled(SledStore),
}

impl Engine {
    /// Opens what `config` names. Reads files and blocks: call it at start.
    pub fn open(config: &StateConfig) -> Result<Self, StateError> {
        match config {
            StateConfig::Memory => Ok(Self::memory()),
            StateConfig::Sled { path } => SledStore::open(path).map(Self::Sled),
        }
    }

    /// [`Self::open`], counting where an engine before it counted.
    pub fn open_counted(config: &StateConfig, metrics: StateMetrics) -> Result<Self, StateError> {
        match config {
            StateConfig::Memory => Ok(Self::Memory(MemoryStore::counted(metrics))),
            StateConfig::Sled { path } => SledStore::open_counted(path, metrics).map(Self::Sled),
        }
    }

    /// An empty engine in memory.
    pub fn memory() -> Self {
        Self::Memory(MemoryStore::default())
    }

    /// Its counters.
    pub fn metrics(&self) -> &StateMetrics {
        match self {
            Self::Memory(store) => store.metrics(),
            Self::Sled(store) => store.metrics(),
        }
    }

    /// Whether commits can still succeed.
    pub fn writable(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Sled(store) => store.writable(),
        }
    }
}

impl StateStore for Engine {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StateError> {
        match self {
            Self::Memory(store) => store.get(key).await,
            Self::Sled(store) => store.get(key).await,
        }
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page, StateError> {
        match self {
            Self::Memory(store) => store.scan(prefix, after, limit).await,
            Self::Sled(store) => store.scan(prefix, after, limit).await,
        }
    }

    async fn commit(&self, tx: Tx) -> Result<Rev, StateError> {
        match self {
            Self::Memory(store) => store.commit(tx).await,
            Self::Sled(store) => store.commit(tx).await,
        }
    }

    async fn changes(&self, from: Rev, limit: usize) -> Result<Vec<Change>, StateError> {
        match self {
            Self::Memory(store) => store.changes(from, limit).await,
            Self::Sled(store) => store.changes(from, limit).await,
        }
    }

    fn rev(&self) -> Rev {
        match self {
            Self::Memory(store) => store.rev(),
            Self::Sled(store) => store.rev(),
        }
    }
}

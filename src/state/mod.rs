//! Durable key-value state behind one trait: memory and sled engines.
//!
//! A commit that returns `Ok` is on disk, and so is everything a read returns: a value that has
//! been written but not yet synced is not shown to anybody, because what is done on the strength
//! of it could outlive it.

mod config;
mod embedded;
mod engine;
mod error;
mod frame;
mod marker;
mod memory;
mod metrics;
mod store;
mod tx;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use self::config::StateConfig;
pub use self::embedded::{Durability, SledStore};
pub use self::engine::Engine;
pub use self::error::{RolledBack, StateError};
pub use self::memory::{FaultMoment, FaultPlan, MemoryStore};
pub use self::metrics::StateMetrics;
pub use self::store::{Change, Item, Page, Rev, StateStore, Versioned};
pub use self::tx::{Expect, MAX_KEY_BYTES, MAX_OPS, MAX_VALUE_BYTES, Tx};

//! What every engine does.

use super::error::StateError;
use super::tx::Tx;

/// A number that every commit raises by one. Also the version of each value it wrote.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Rev(pub u64);

/// A value and the revision that wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Versioned {
    /// What was put.
    pub value: Vec<u8>,
    /// The revision of that commit. A key that is deleted and put again never repeats a version.
    pub version: Rev,
}

/// A value and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// The whole key, prefix included.
    pub key: Vec<u8>,
    /// The value and its version.
    pub value: Versioned,
}

/// Part of a scan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// In the order of their keys.
    pub items: Vec<Item>,
    /// Whether keys after the last item remain; ask again with `after` set to its key.
    pub more: bool,
}

/// One commit, seen from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its revision.
    pub rev: Rev,
    /// Every key it put or deleted.
    pub keys: Vec<Vec<u8>>,
}

/// A durable, ordered map of small values with optimistic transactions.
///
/// Futures may be dropped at any time; a commit whose future was dropped may still happen.
pub trait StateStore: Clone + Send + Sync + 'static {
    /// The value of `key`.
    fn get(&self, key: &[u8])
    -> impl Future<Output = Result<Option<Versioned>, StateError>> + Send;

    /// At most `limit` (and never more than 1,024) values whose keys start with `prefix`, from
    /// the first key greater than `after`. Not a snapshot: each value is as of its own reading.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StateError>> + Send;

    /// Applies all of `tx`, or nothing when an expectation fails. `Ok`: it is on disk.
    /// [`StateError::Conflict`]: nothing happened. Any other error: it may or may not have
    /// happened, and the caller must read before it trusts what it knew.
    fn commit(&self, tx: Tx) -> impl Future<Output = Result<Rev, StateError>> + Send;

    /// At most `limit` commits after `from`, oldest first, without gaps.
    /// [`StateError::ChangesGone`] when the engine no longer keeps them all: read everything anew.
    fn changes(
        &self,
        from: Rev,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Change>, StateError>> + Send;

    /// The last commit that is durable.
    fn rev(&self) -> Rev;
}

/// The longest page or list of changes.
pub(super) const MAX_PAGE: usize = 1_024;
/// How many commits [`StateStore::changes`] reaches back.
pub(super) const CHANGES_KEPT: u64 = 4_096;

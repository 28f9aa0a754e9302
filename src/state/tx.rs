//! Transactions: what to write, and what must hold for it to be written.

use std::collections::HashSet;

use super::error::StateError;
use super::store::Rev;

/// What a key must be for the transaction to happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// It has no value.
    Absent,
    /// Whatever it is.
    Any,
    /// It has exactly this version.
    Version(Rev),
}

impl Expect {
    pub(super) fn holds(self, current: Option<Rev>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::Any => true,
            Self::Version(version) => current == Some(version),
        }
    }
}

/// A list of writes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Tx(Vec<Op>);

#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) key: Vec<u8>,
    pub(super) expect: Expect,
    pub(super) write: Write,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Delete,
    Nothing,
    Put(Vec<u8>),
}

impl Tx {
    /// An empty transaction.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>, expect: Expect) {
        self.0.push(Op { key: key.to_vec(), expect, write: Write::Put(value) });
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8], expect: Expect) {
        self.0.push(Op { key: key.to_vec(), expect, write: Write::Delete });
    }

    /// Writes nothing, but the whole transaction happens only when the expectation holds.
    pub fn require(&mut self, key: &[u8], expect: Expect) {
        self.0.push(Op { key: key.to_vec(), expect, write: Write::Nothing });
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn ops(&self) -> &[Op] {
        &self.0
    }

    /// The keys it writes.
    pub(super) fn written(&self) -> Vec<Vec<u8>> {
        let writes = self.0.iter().filter(|op| !matches!(op.write, Write::Nothing));
        writes.map(|op| op.key.clone()).collect()
    }

    /// Checks the limits every engine shares, and that no key appears twice: with two operations
    /// on one key it would be open which expectation sees which write.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let invalid = |why| Err(StateError::Invalid { why });
        if self.0.is_empty() {
            return invalid("a transaction needs an operation");
        }
        if self.0.len() > MAX_OPS {
            return invalid("a transaction has more than 1,024 operations");
        }
        let mut seen = HashSet::with_capacity(self.0.len());
        for op in &self.0 {
            if op.key.is_empty() || op.key.len() > MAX_KEY_BYTES {
                return invalid("a key has no bytes or more than 256");
            }
            if matches!(&op.write, Write::Put(value) if value.len() > MAX_VALUE_BYTES) {
                return invalid("a value is longer than 5,120 bytes");
            }
            if !seen.insert(op.key.as_slice()) {
                return invalid("a transaction has two operations on one key");
            }
        }
        Ok(())
    }
}

/// The most operations of one transaction.
pub const MAX_OPS: usize = 1_024;
/// The longest key.
pub const MAX_KEY_BYTES: usize = 256;
/// The longest value. sled moves a tree node (up to 20 entries after a merge) of more than 128 KiB
/// into a file of its own that it never syncs; entries of this size cannot make one.
pub const MAX_VALUE_BYTES: usize = 5_120;

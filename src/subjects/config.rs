//! How much is kept, and for how long.

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubjectsConfig {
    /// How many cards stay in memory; about 400 bytes each.
    pub cached_cards: usize,
    /// For how long after an erasure it is kept which entries of the audit log were about the
    /// person, in milliseconds.
    pub unlink_after_ms: u64,
}

impl Default for SubjectsConfig {
    fn default() -> Self {
        Self { cached_cards: 100_000, unlink_after_ms: 0 }
    }
}

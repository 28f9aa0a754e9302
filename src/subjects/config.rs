//! How much is kept at hand.

/// How much is kept at hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubjectsConfig {
    /// How many cards stay in memory; about 400 bytes each.
    pub cached_cards: usize,
}

impl Default for SubjectsConfig {
    fn default() -> Self {
        Self { cached_cards: 100_000 }
    }
}

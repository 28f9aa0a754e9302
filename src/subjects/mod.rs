//! Subject cards: what Privet keeps about each person, at hand for every record.

mod cache;
mod card;
mod cards;
mod changes;
mod config;
mod error;
mod metrics;

#[cfg(test)]
mod tests;

pub use self::card::{Card, MAX_NAMES};
pub use self::cards::Cards;
pub use self::config::SubjectsConfig;
pub use self::error::SubjectsError;
pub use self::metrics::SubjectsMetrics;

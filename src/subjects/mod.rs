//! Subject cards: what Privet keeps about each person, at hand for every record.

mod accord;
mod approvals;
mod cache;
mod card;
mod cards;
mod changes;
mod claims;
mod config;
pub mod consent;
mod erase;
mod error;
mod exports;
mod hold;
mod holds;
mod metrics;
mod reidentify;
mod representatives;
mod vault;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod erase_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vault_tests;

pub use self::accord::{Accord, AccordError};
pub use self::approvals::{
    Approval, ApprovalError, ApprovalMetrics, ApprovalState, Approvals, Asked, FRESH_MFA_S,
    Finding, People, Review, ReviewState, Settling,
};
pub use self::card::{Card, MAX_HOLDS, MAX_NAMES};
pub use self::cards::Cards;
pub use self::claims::{ClaimError, ClaimTicket, LegalClaim};
pub use self::config::SubjectsConfig;
pub use self::error::SubjectsError;
pub use self::exports::{Admission, Exports, Notice, YearCount};
pub use self::hold::Hold;
pub use self::metrics::SubjectsMetrics;
pub use self::reidentify::{Reidentification, ReidentifyError, Ticket};
pub use self::representatives::{MAX_REPRESENTATIVES, Person};
pub use self::vault::{Meaning, NewToken, Tokenized};

//! Which keys exist, for what, and where they are kept.
//!
//! ```text
//! root key (sealed file) → slots: epoch, records, pseudonyms, audit, tokens   (one file each)
//! epoch key → domain key → subject keys                 (in the folder of their epoch)
//! subject key → log key → the person's name in the audit log
//! ```
//!
//! No epoch key is ever in a database or a backup of one: destroying its slot destroys every
//! subject key of the epoch, also in copies. No file holds a subject id: records stand under an
//! HMAC of it.

mod config;
mod epoch;
mod erase;
mod error;
mod fault;
mod files;
mod home;
mod keeper;
mod kept;
mod ledger;
mod lock;
mod log_keys;
mod metrics;
mod operators;
mod pending;
mod pseudonyms;
mod renew;
mod ring;
mod roll;
mod root;
mod rotate;
mod seals;
mod slots;
mod status;
mod subject_keys;
mod values;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod epoch_tests;
#[cfg(test)]
mod renew_tests;
#[cfg(test)]
mod hygiene;
#[cfg(test)]
mod keeper_tests;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod log_key_tests;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod status_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use self::config::{HardwareToken, KeysConfig, OpenBao, RootProvider};
pub use self::erase::Destroyed;
pub use self::error::KeysError;
pub use self::fault::ProviderFault;
pub use self::keeper::LockChange;
pub use self::ledger::HighWater;
pub use self::log_keys::KeptName;
pub use self::metrics::KeysMetrics;
pub use self::operators::OperatorSecrets;
pub use self::pending::{Awaiting, Pending};
pub use self::pseudonyms::PurposePseudonyms;
pub use self::renew::Renewed;
pub use self::ring::{KeyRing, MadeSlots};
pub use self::roll::Rolled;
pub use self::seals::{RecordSeals, SubjectKeys};
pub use self::status::{KeyCounts, KeysStatus, LedgerStatus};
pub use self::subject_keys::{Held, RecordKey, Subject};

//! The consent ledger: what people agreed to, version upon version, and what follows from it.

mod bounds;
mod canonical;
mod error;
mod forget;
mod ids;
mod machine;
mod model;
mod notices;
mod once;
mod read;
mod registry;
mod rows;
mod say;
mod standing;
mod time;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use self::bounds::{MAX_ITEMS, MAX_KEY_BYTES, MAX_RECORD_BYTES, MAX_TEXT_BYTES};
pub use self::canonical::{canonical, digest};
pub use self::error::ConsentError;
pub use self::ids::{Digest, RecordId, SubjectRef};
pub use self::model::{
    ConsentChange, ConsentEvent, ConsentRecord, ConsentVersion, DataCategory, Evidence, Guardian,
    NewConsent, NewEvent, NoticeShown, Party, Process, Retention, SCHEMA, Withdrawal,
};
pub use self::notices::{Notice, Notices};
pub use self::read::ConsentPage;
pub use self::say::Said;
pub use self::standing::{Moment, OPT_OUT_REGIMES, Standing, standing};
pub use self::words::{Channel, ConsentState, ConsentType, Entity, Necessity};
pub use self::write::{Filing, Recorded};

pub(super) use self::notices::tags;
pub(super) use self::registry::Registry;

//! Tamper-evident log of every decision: append, durable receipt, verify, search.
//!
//! The log is a folder in the C2SP tlog-tiles layout that tools nobody here wrote can check, plus
//! a journal: one append-only, checksummed sequence of entries that is the durable truth. Tiles,
//! entry bundles and checkpoints are derived from it and can be made again.

mod committer;
mod config;
mod cosigned;
mod cursor;
mod derive;
mod disk;
mod entry;
mod error;
mod export;
mod folder;
mod fields;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod gaps;
mod history;
mod index;
mod journal;
mod log;
mod metrics;
mod observations;
mod observed;
mod open;
mod page;
mod proof;
mod prune;
mod publisher;
mod query;
mod search;
mod shared;
mod token;
mod verify;
mod waiter;
mod words;

#[cfg(test)]
mod tests;

pub use self::config::{AuditConfig, Durability};
pub use self::cosigned::{Cosigned, Witnessed, witnessed};
pub use self::cursor::{CursorError, Order, cursor_behind};
pub use self::entry::{Ending, Entry, Kind, MAX_ENTRY_BYTES, Shown, Strength, Verdict};
pub use self::error::AuditError;
pub use self::export::{
    Confirm, ExportConfig, ExportError, ExportMetrics, ExportStatus, Exporter, Format, Receiver,
    Writer, csv_line, examine as examine_export, export,
};
pub use self::fields::{FieldView, FieldViews};
pub use self::gaps::{Gap, GapSearch, Gaps, MAX_GAPS, gaps};
pub use self::index::{IndexError, ReindexError, Reindexed, reindex};
pub use self::log::{IntentReceipt, Log, Receipt, ReleaseReceipt};
pub use self::metrics::{AuditMetrics, WitnessMetrics};
pub use self::observations::{Key, Line, Observations, Row, lines as observed_lines};
pub use self::observed::{MAX_OBSERVED_FIELDS, Observed, ObservedField};
pub use self::page::{MOST_ROWS, Page, Wish, page};
pub use self::proof::{
    ProofError, Proven, check_consistency, check_inclusion, prove, prove_consistency,
};
pub use self::query::{FILTER_NAMES, FilterError, moment};
pub use self::search::{Filter, Search, SearchError, search};
pub use self::token::{ActorToken, parse_subject_token};
pub use self::verify::{Verified, VerifyError, published, verify};

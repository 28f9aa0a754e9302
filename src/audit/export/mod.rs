//! Copies entries to other systems: JSONL, CSV or OCSF, into files, to a webhook, to syslog.
//!
//! Each export has a task and a place of its own. The place is on the disk and moves only after the
//! receiver has taken what comes before it, so every published entry arrives at least once and in
//! order, whatever is killed in between. An export that cannot deliver waits and tries again; the
//! log and the traffic never wait for it.

mod batch;
mod config;
mod csv;
mod error;
mod file;
mod format;
mod metrics;
mod ocsf;
mod once;
mod place;
mod run;
mod status;
mod syslog;
mod webhook;

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod syslog_tests;
#[cfg(test)]
mod tests;

pub use self::config::{Confirm, ExportConfig, Receiver};
pub use self::csv::csv_line;
pub use self::error::ExportError;
pub use self::format::{Format, Writer};
pub use self::metrics::ExportMetrics;
pub use self::once::export;
pub use self::run::{Exporter, examine};
pub use self::status::ExportStatus;

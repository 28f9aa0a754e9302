//! Moves the values of a data set into envelopes and out of them, record by record, through the
//! store's own routes.
//!
//! An [`Order`] says what an operator asks for; a [`Backfill`] is the work of jobs of that kind.
//! A job goes over the data set in passes, page by page. What a record becomes is decided in
//! [`crate::transform::convert`]; what changes is read again by itself and written back as the
//! version that was read. A pass that found something to do, or did not see all from its
//! beginning, is followed by another: records may come, go and change places meanwhile.
//!
//! Repeating a step does no harm: whatever is sealed already opens, and stays.

mod batch;
mod count;
mod error;
mod order;
mod page;
mod people;
mod place;
mod work;

#[cfg(test)]
mod tests;

pub use self::error::BackfillError;
pub use self::order::{Order, Request};
pub use self::work::Backfill;

/// The kind of job.
pub const KIND: &str = "backfill";
/// A list with more records is taken for one that does not end.
pub const MOST_RECORDS: u64 = 1_000_000_000;

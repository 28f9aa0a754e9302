//! Rewrites records on their way out, as a verdict obliges. No I/O.
//!
//! A [`Reader`] takes an answer in pieces of any size, checks it strictly and puts its records
//! into a [`Batch`]; [`Batch::raw`] gives the values a verdict needs; a [`Writer`] writes what the
//! verdict's views show. Nothing is built in memory but places in the text: what is not listed is
//! never looked at again, and what is shown is copied byte for byte.

mod around;
mod batch;
mod columns;
mod csv;
mod edit;
mod error;
mod escape;
mod flat;
#[doc(hidden)]
pub mod fuzz;
mod names;
mod parse;
mod places;
pub mod pseudonyms;
mod reader;
mod record;
mod rewrite;
mod scan;
mod seals;
mod seek;
mod sets;
mod shape;
mod sheet;
mod state;
mod unlisted;
mod views;
mod writer;

pub use self::around::Around;
pub use self::batch::{Batch, Raw};
pub use self::columns::Columns;
pub use self::edit::{Conversion, ConvertError, Converted, Fate, Holder, Move, convert};
pub use self::edit::{Edit, EditError, Edited, Mode, NewRecord, create, edit, opened};
pub use self::error::{Malformed, TransformError};
pub use self::flat::Flat;
pub use self::reader::Reader;
pub use self::rewrite::{rewrite_one, validate};
pub use self::seals::{Miss, Misses, NoSeals, Seals, Unopened, Unsealed};
pub use self::sets::{SetReader, Text};
pub use self::shape::Shape;
pub use self::state::{Format, Limits, Progress};
pub use self::unlisted::{
    JsonKind, KnownMembers, MAX_UNLISTED_PATH, MemberKey, NewMember, Unlisted,
};
pub use self::writer::{Plain, Pseudonyms, Showing, Writer};

#[cfg(test)]
mod tests;

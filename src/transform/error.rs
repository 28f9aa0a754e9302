//! Why an answer of a store cannot be released.

use crate::types::ClientError;
use crate::types::ErrorKind;
use std::borrow::Cow;

/// An answer that is not what its route says, or not strict JSON. Nothing of its batch may leave.
///
/// Carries places, never content: a value quoted in an error would be personal data in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransformError {
    /// The text breaks a rule of JSON, or one of the stricter rules records are held to.
    #[error("record {record}, byte {byte} of the answer: {what}")]
    Malformed {
        /// Records read before this one.
        record: u64,
        /// Bytes of the answer before the offending one.
        byte: u64,
        /// The broken rule.
        what: Malformed,
    },
    /// The answer has no member where the route says its records are.
    #[error("the answer has no records where the route says they are")]
    NoRecords,
    /// A record, or the object or array the selector names, is of another kind of value.
    #[error("record {record}, byte {byte} of the answer: expected {expected}")]
    Shape {
        /// Records read before this one.
        record: u64,
        /// Bytes of the answer before the offending value.
        byte: u64,
        /// What the selector says stands here.
        expected: &'static str,
    },
    /// One record, or the members around the records, are larger than the limit.
    #[error("record {record} is longer than {limit} bytes")]
    TooLong {
        /// Records read before this one.
        record: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer ended inside a record or before its last bracket.
    #[error("the answer ended inside record {record}")]
    Truncated {
        /// Records read before this one.
        record: u64,
    },
    /// The selector names members around the records, or one record: lines of NDJSON and rows of
    /// CSV stand alone, and are many.
    #[error("the route's selector names members or one record, but the answer is lines or rows")]
    Unselectable,
}

impl ClientError for TransformError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }

    fn client_message(&self) -> Cow<'static, str> {
        "the data store's answer could not be released".into()
    }
}

/// A rule of RFC 8259 that was broken, or one of the rules Privet adds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// A row of CSV without anything in it, which some readers skip and some count.
    #[error("an empty row")]
    BlankRow,
    /// A byte order mark (RFC 8259 §8.1 forbids sending one).
    #[error("a byte order mark")]
    Bom,
    /// A row of CSV with another number of cells than the first one.
    #[error("a row with more or fewer cells than the header row")]
    Cells,
    /// A column without a name, or with one that another column has.
    #[error("a column without a name of its own")]
    Column,
    /// A control character inside a string or cell.
    #[error("a control character in a string or cell")]
    Control,
    /// Two members of one object have the same name, compared after unescaping. Readers differ in
    /// which of the two they believe.
    #[error("a name that the object already has")]
    DuplicateName,
    /// A backslash followed by something that is no escape.
    #[error("an escape that JSON does not have")]
    Escape,
    /// `NaN`, `True`, a bare word.
    #[error("a word that is neither true, false nor null")]
    Literal,
    /// CSV without the row that names the columns.
    #[error("no header row")]
    Headless,
    /// Half of a surrogate pair; it names no character.
    #[error("an unpaired surrogate")]
    LoneSurrogate,
    /// Bytes that are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// A number with a leading zero, a sign or a point that JSON does not allow.
    #[error("a number that JSON does not have")]
    Number,
    /// A quote inside a cell that does not begin with one, or something after the closing one.
    #[error("a quote in the middle of a cell")]
    Quote,
    /// A bracket, comma, colon or name is missing or stands in the wrong place.
    #[error("a character that may not stand here")]
    Structure,
    /// More brackets inside each other than the limit.
    #[error("too many brackets inside each other")]
    TooDeep,
    /// More columns than are looked at.
    #[error("too many columns")]
    TooManyColumns,
    /// Something after the end of the answer.
    #[error("bytes after the end")]
    Trailing,
}

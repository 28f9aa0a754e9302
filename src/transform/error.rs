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
    /// The selector names members around the records, which lines of NDJSON do not have.
    #[error("the route's selector names members, but the answer is NDJSON")]
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
    /// A byte order mark (RFC 8259 §8.1 forbids sending one).
    #[error("a byte order mark")]
    Bom,
    /// A control character inside a string.
    #[error("a control character in a string")]
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
    /// Half of a surrogate pair; it names no character.
    #[error("an unpaired surrogate")]
    LoneSurrogate,
    /// Bytes that are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// A number with a leading zero, a sign or a point that JSON does not allow.
    #[error("a number that JSON does not have")]
    Number,
    /// A bracket, comma, colon or name is missing or stands in the wrong place.
    #[error("a character that may not stand here")]
    Structure,
    /// More brackets inside each other than the limit.
    #[error("too many brackets inside each other")]
    TooDeep,
    /// Something after the end of the answer.
    #[error("bytes after the end")]
    Trailing,
}

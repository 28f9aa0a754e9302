//! What a reader is told, what it tells, and where it stands.

use super::error::TransformError;

/// How the records of an answer follow one another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One record a row, after a row with the names of the columns.
    Csv,
    /// One JSON text; the selector says where in it.
    Json,
    /// One record a line.
    Ndjson,
}

/// What one answer may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most bytes of one record, and of all member names around the records.
    pub record_bytes: usize,
    /// Most brackets inside each other.
    pub depth: usize,
}

impl Limits {
    /// No record may be longer, whatever is configured: places in it are kept in 32 bits.
    pub const MAX_RECORD: usize = 1 << 30;
    /// No text may be deeper, whatever is configured: the parser calls itself.
    pub const MAX_DEPTH: usize = 128;

    pub(super) fn bounded(self) -> Self {
        Self {
            record_bytes: self.record_bytes.min(Self::MAX_RECORD),
            depth: self.depth.min(Self::MAX_DEPTH),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 1 << 20, depth: Self::MAX_DEPTH }
    }
}

/// Why [`Reader::read`](super::Reader::read) came back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The batch is full; there may be more to read.
    BatchFull,
    /// The answer ended where it should; the batch may hold its last records.
    End,
    /// All that was pushed is read; the batch may hold records.
    NeedMore,
}

/// What is expected next. A level counts the objects around the records, from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// The comma or bracket after a record in an array.
    AfterItem,
    /// The comma or bracket after a member.
    AfterMember { level: usize },
    /// The colon after a name.
    Colon { level: usize, member: Member },
    /// The first record of an array, or its end.
    FirstItem,
    /// The first name in an object, or its end.
    FirstName { level: usize },
    /// A line of NDJSON.
    Line,
    /// A name.
    Name { level: usize },
    /// A record in an array.
    NextItem,
    /// The value of a member around the records.
    OtherValue { level: usize, kept: Option<usize> },
    /// A row of CSV.
    Row,
    /// The object, array or record that the steps lead to.
    Target { level: usize },
    /// Nothing but white space.
    Trailing,
}

/// What a member around the records is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Member {
    /// The way to the records.
    Step,
    /// Beside it; `kept` is its place among the members that are passed on.
    Beside { kept: Option<usize> },
}

/// What stopped the reader for now.
pub(super) enum Halt {
    Failed(TransformError),
    Needs,
}

impl From<TransformError> for Halt {
    fn from(error: TransformError) -> Self {
        Self::Failed(error)
    }
}

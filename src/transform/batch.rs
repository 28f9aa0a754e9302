//! Records that were read and checked, with the places of their listed values.

use super::escape;
use super::shape::NodeIx;
use super::shape::Shape;
use crate::catalog::FieldIx;
use crate::crypto::Envelope;
use crate::crypto::Kid;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Records that wait for their verdicts. Its memory is used again from batch to batch.
pub struct Batch {
    max_records: usize,
    max_bytes: usize,
    shape: Option<Arc<Shape>>,
    text: String,
    tape: Vec<Entry>,
    records: Vec<Bounds>,
    /// Whether a record had anything in it that is not on the tape.
    has_skipped: bool,
}

/// One value or bracket of a record, in the order of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) what: What,
    /// Whether it is an item of an array, so that no name is written before it.
    pub(super) is_item: bool,
    pub(super) node: NodeIx,
    /// Place in the record's text.
    pub(super) start: u32,
    /// For an opening bracket the place of its closing one on the record's tape; else the end in
    /// the record's text.
    pub(super) end: u32,
}

/// What a tape entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// `true` or `false`.
    Bool,
    /// The end of an array of which items are on the tape.
    CloseArray,
    /// The end of an object of which members are on the tape.
    CloseObject,
    /// A container where one value is listed: the span of all of it.
    Container,
    /// A string with escapes in it; the span is its inside.
    EscapedText,
    /// `null`.
    Null,
    /// A number.
    Number,
    /// An array of which items are on the tape.
    OpenArray,
    /// An object of which members are on the tape.
    OpenObject,
    /// A string without escapes; the span is its inside.
    Text,
}

/// Where one record's text and tape start and end.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    text: (usize, usize),
    tape: (usize, usize),
    /// Where the record stood in the answer, in bytes from its start.
    at: (u64, u64),
    /// Whether it had anything that is not listed.
    has_skipped: bool,
}

/// The value of a field as the store sent it.
#[derive(Clone, Eq, PartialEq)]
pub enum Raw<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// The record has no such member.
    Missing,
    /// `null`.
    Null,
    /// A number, as it is written.
    Number(&'a str),
    /// An object, an array, or a value inside an array: not one value.
    Other,
    /// A string, unescaped.
    Text(Cow<'a, str>),
}

/// Says what kind of value it is, never the value.
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool(_) => "Bool(..)",
            Self::Missing => "Missing",
            Self::Null => "Null",
            Self::Number(_) => "Number(..)",
            Self::Other => "Other",
            Self::Text(_) => "Text(..)",
        })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("records", &self.records.len())
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

impl Batch {
    /// An empty batch that is full with `max_records` records, or with the record that brings it
    /// to `max_bytes`. It never holds more than `max_bytes` and one record.
    pub const fn new(max_records: usize, max_bytes: usize) -> Self {
        Self {
            max_records,
            max_bytes,
            shape: None,
            text: String::new(),
            tape: Vec::new(),
            records: Vec::new(),
            has_skipped: false,
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes its records have as the store sent them.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether the next record has to wait for another batch.
    pub fn is_full(&self) -> bool {
        self.records.len() >= self.max_records.max(1)
            || (!self.is_empty() && self.text.len() >= self.max_bytes)
    }

    /// Forgets the records, keeping the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.tape.clear();
        self.records.clear();
        self.has_skipped = false;
    }

    /// Whether its records had members or values that are not listed, and so never leave.
    pub fn has_skipped(&self) -> bool {
        self.has_skipped
    }

    /// The value of `field` in record number `record`. A record or field that is not there is
    /// [`Raw::Missing`].
    pub fn raw(&self, record: usize, field: FieldIx) -> Raw<'_> {
        let (Some((text, tape)), Some(shape)) = (self.record(record), &self.shape) else {
            return Raw::Missing;
        };
        let found = tape.iter().find_map(|entry| {
            let node = shape.node(entry.node)?;
            (node.field == Some(field)).then_some((entry, node.repeats))
        });
        match found {
            None => Raw::Missing,
            Some((_, true)) => Raw::Other,
            Some((entry, false)) => entry.raw(text),
        }
    }

    /// The keys that values of sealed fields of a record claim to be sealed with.
    pub fn envelopes(&self, record: usize) -> impl Iterator<Item = (FieldIx, Kid)> + '_ {
        let found = self.record(record).zip(self.shape.as_ref());
        found.into_iter().flat_map(|((text, tape), shape)| {
            let scalars = tape.iter().filter(|entry| entry.what == What::Text);
            scalars.filter_map(move |entry| {
                let field = shape.node(entry.node)?.field?;
                shape.seal(field)?;
                Some((field, Envelope::claimed_kid(entry.span(text))?))
            })
        })
    }

    /// Where record number `record` stood in the answer, in bytes from its start.
    pub fn span(&self, record: usize) -> Option<(u64, u64)> {
        self.records.get(record).map(|bounds| bounds.at)
    }

    /// Whether record number `record` had members or values that are not listed.
    pub fn has_unlisted(&self, record: usize) -> bool {
        self.records.get(record).is_some_and(|bounds| bounds.has_skipped)
    }

    /// The listed fields that record number `record` has a value in, in the order in which they
    /// stand there; those of arrays as often as they do.
    pub fn listed(&self, record: usize) -> impl Iterator<Item = FieldIx> + '_ {
        let found = self.record(record).zip(self.shape.as_ref());
        found.into_iter().flat_map(|((_, tape), shape)| {
            let values = tape.iter().filter(|entry| entry.what != What::Null);
            values.filter_map(move |entry| shape.node(entry.node)?.field)
        })
    }

    /// Record number `record` as it was sent, an object in strict JSON.
    pub fn text(&self, record: usize) -> Option<&str> {
        self.record(record).map(|(text, _)| text)
    }

    /// The text and the tape of one record.
    pub(super) fn record(&self, record: usize) -> Option<(&str, &[Entry])> {
        let bounds = self.records.get(record)?;
        let text = self.text.get(bounds.text.0..bounds.text.1)?;
        Some((text, self.tape.get(bounds.tape.0..bounds.tape.1)?))
    }

    /// The tape, for the parser to write on, and where the record it reads now starts on it.
    pub(super) fn tape(&mut self) -> &mut Vec<Entry> {
        &mut self.tape
    }

    /// Adds the record whose entries the parser wrote last, and which stood `at` in the answer.
    pub(super) fn add(
        &mut self,
        text: &str,
        shape: &Arc<Shape>,
        (at, has_skipped): ((u64, u64), bool),
    ) {
        self.has_skipped |= has_skipped;
        if self.shape.as_ref().is_none_or(|known| !Arc::ptr_eq(known, shape)) {
            self.shape = Some(Arc::clone(shape));
        }
        let last = self.records.last().copied().unwrap_or_default();
        self.text.push_str(text);
        self.records.push(Bounds {
            text: (last.text.1, self.text.len()),
            tape: (last.tape.1, self.tape.len()),
            at,
            has_skipped,
        });
    }

    /// Takes back what the parser wrote of a record that was not added.
    pub(super) fn retract(&mut self) {
        self.tape.truncate(self.records.last().map_or(0, |last| last.tape.1));
    }
}

impl Entry {
    /// The bytes of the value as they were written; of a string its inside.
    #[inline]
    pub(super) fn span<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn raw<'a>(&self, text: &'a str) -> Raw<'a> {
        match self.what {
            What::Bool => Raw::Bool(self.span(text) == "true"),
            What::Null => Raw::Null,
            What::Number => Raw::Number(self.span(text)),
            What::Text => Raw::Text(Cow::Borrowed(self.span(text))),
            What::EscapedText => {
                let mut plain = Vec::with_capacity(self.span(text).len());
                escape::unescape(self.span(text).as_bytes(), &mut plain);
                // Unescaped text of a validated string is UTF-8; were it not, it is no value.
                String::from_utf8(plain).map_or(Raw::Other, |plain| Raw::Text(plain.into()))
            }
            What::CloseArray
            | What::CloseObject
            | What::Container
            | What::OpenArray
            | What::OpenObject => Raw::Other,
        }
    }
}

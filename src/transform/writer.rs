//! Writes records in the form their verdicts oblige.

use super::around::Around;
use super::batch::Batch;
use super::columns::Columns;
use super::escape;
use super::record::Job;
use super::record::Scratch;
use super::seals::Misses;
use super::seals::Seals;
use super::shape::Shape;
use super::sheet::Sheet;
use super::state::Format;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::policy::Pseudonym;
use crate::policy::View;
use std::fmt;
use std::sync::Arc;

/// A value that is to be shown as a pseudonym.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    /// What is to stand in for it.
    pub form: Pseudonym,
    /// Where it stands.
    pub field: FieldIx,
    /// What keeps apart values that mean different things: see [`Shape::pseudonym_kind`].
    pub kind: &'a str,
    /// The value: the unescaped text, a number's digits as written, `true` or `false`.
    pub value: &'a str,
}

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("form", &self.form)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Makes the pseudonyms of one record: view [`View::Pseudonymize`].
pub trait Pseudonyms {
    /// Appends the pseudonym of a value in its form; false when it has none, and the value is then
    /// not shown at all. Values of one kind have equal tokens when they are equal; of two kinds
    /// they never have.
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool;
}

/// What one record is written with.
#[derive(Clone, Copy)]
pub struct Showing<'a> {
    /// The view of each field, by [`FieldIx`]. A field without one is dropped.
    pub views: &'a [View],
    /// Makes the tokens.
    pub pseudonyms: &'a dyn Pseudonyms,
    /// Opens what is sealed.
    pub seals: &'a dyn Seals,
}

impl fmt::Debug for Showing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Showing").field("views", &self.views).finish_non_exhaustive()
    }
}

/// Writes the released records of one answer: only listed members that a view shows, with names
/// and brackets written anew and shown values copied byte for byte.
pub struct Writer {
    format: Format,
    records: Records,
    /// The opening brackets and names around the records, and how many objects to close.
    before: Vec<u8>,
    objects: usize,
    shape: Arc<Shape>,
    sheet: Sheet,
    is_first: bool,
    scratch: Scratch,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer of an answer in `format`, with its records where `selector` says.
    pub fn new(format: Format, selector: &Selector, shape: Arc<Shape>) -> Self {
        let steps: &[Box<str>] = match format {
            Format::Json => &selector.steps,
            Format::Csv | Format::Ndjson => &[],
        };
        let mut before = Vec::new();
        for step in steps {
            before.extend_from_slice(b"{\"");
            escape::escape(step.as_bytes(), &mut before);
            before.extend_from_slice(b"\":");
        }
        Self {
            format,
            records: selector.records,
            before,
            objects: steps.len(),
            shape,
            sheet: Sheet::default(),
            is_first: true,
            scratch: Scratch::default(),
        }
    }

    /// Says which columns the answer has, and the most that any record shows: CSV has one header
    /// row for all of them. To be called before [`Self::begin`]; without it, CSV is empty.
    pub fn columns(&mut self, columns: &Columns, widest: &[View]) {
        self.sheet = Sheet::new(&self.shape, columns, widest);
    }

    /// Appends what comes before the first record.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.is_first = true;
        if self.format == Format::Csv {
            self.sheet.header(out);
        }
        out.extend_from_slice(&self.before);
        if self.is_array() {
            out.push(b'[');
        }
    }

    /// Appends record number `record` of `batch`, each field in its view. A record that is not there
    /// appends nothing. What did not open is left out; [`Self::misses`] says what it was.
    pub fn record(
        &mut self,
        batch: &Batch,
        record: usize,
        showing: Showing<'_>,
        out: &mut Vec<u8>,
    ) {
        self.scratch.misses.clear();
        let Some((text, tape)) = batch.record(record) else { return };
        if self.is_array() && !self.is_first {
            out.push(b',');
        }
        self.is_first = false;
        let job = Job { shape: &self.shape, text, tape, showing };
        if self.format == Format::Csv {
            self.sheet.row(&job, &mut self.scratch, out);
            return;
        }
        job.write(&mut self.scratch, out);
        if self.format == Format::Ndjson {
            out.push(b'\n');
        }
    }

    /// What did not open of the record that was written last.
    pub fn misses(&self) -> &Misses {
        &self.scratch.misses
    }

    /// Appends what comes after the last record. `around` is the reader's, once it is at the end.
    pub fn end(&mut self, around: &Around, out: &mut Vec<u8>) {
        if self.is_array() {
            out.push(b']');
        }
        for level in (0..self.objects).rev() {
            around.write(level, out);
            out.push(b'}');
        }
    }

    fn is_array(&self) -> bool {
        self.format == Format::Json && self.records == Records::Each
    }
}

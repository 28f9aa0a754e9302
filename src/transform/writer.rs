//! Writes records in the form their verdicts oblige.

use super::around::Around;
use super::batch::Batch;
use super::batch::Entry;
use super::batch::What;
use super::escape;
use super::shape::Shape;
use super::state::Format;
use super::views;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::policy::Generalize;
use crate::policy::View;
use std::fmt;
use std::sync::Arc;

/// Makes the tokens of view [`View::Pseudonymize`].
pub trait Pseudonyms {
    /// Appends the token of `value`, in letters, digits, `_` and `-`. Values of one `kind` have
    /// equal tokens when they are equal; of two kinds they never have.
    fn write(&self, kind: &str, value: &[u8], out: &mut Vec<u8>);
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
    is_first: bool,
    /// The unescaped text of the value at hand.
    scratch: Vec<u8>,
}

/// What one record is written with.
struct Job<'a> {
    text: &'a str,
    tape: &'a [Entry],
    views: &'a [View],
    pseudonyms: &'a dyn Pseudonyms,
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
            Format::Ndjson => &[],
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
            is_first: true,
            scratch: Vec::new(),
        }
    }

    /// Appends what comes before the first record.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.is_first = true;
        out.extend_from_slice(&self.before);
        if self.is_array() {
            out.push(b'[');
        }
    }

    /// Appends record number `record` of `batch`, each field in its view of `views` (by
    /// [`FieldIx`]). A field without a view is dropped; a record that is not there appends nothing.
    pub fn record(
        &mut self,
        batch: &Batch,
        record: usize,
        (views, pseudonyms): (&[View], &dyn Pseudonyms),
        out: &mut Vec<u8>,
    ) {
        let Some((text, tape)) = batch.record(record) else { return };
        if self.is_array() && !self.is_first {
            out.push(b',');
        }
        self.is_first = false;
        self.entries(&Job { text, tape, views, pseudonyms }, out);
        if self.format == Format::Ndjson {
            out.push(b'\n');
        }
    }

    /// Appends what comes after the last record. `around` is the reader's, once it is at the end.
    pub fn end(&mut self, around: &Around, out: &mut Vec<u8>) {
        if self.is_array() {
            out.push(b']');
        }
        for left in (0..self.objects).rev() {
            if left == 0 {
                around.write(out);
            }
            out.push(b'}');
        }
    }

    fn is_array(&self) -> bool {
        self.format == Format::Json && self.records == Records::Each
    }

    fn entries(&mut self, job: &Job<'_>, out: &mut Vec<u8>) {
        let mut at = 0;
        while let Some(entry) = job.tape.get(at) {
            at += 1;
            match entry.what {
                What::CloseArray => out.push(b']'),
                What::CloseObject => out.push(b'}'),
                What::OpenArray | What::OpenObject => {
                    if self.is_alive(entry, job.views) {
                        self.name(entry, out);
                        out.push(if entry.what == What::OpenArray { b'[' } else { b'{' });
                    } else {
                        // Past its closing bracket: nothing of it is shown to this caller.
                        at += entry.end as usize;
                    }
                }
                _ => self.value(entry, job, out),
            }
        }
    }

    /// Whether anything at or below the entry may be shown. It depends on the views alone, so
    /// that brackets say nothing about values that are not shown.
    fn is_alive(&self, entry: &Entry, views: &[View]) -> bool {
        let Some(node) = self.shape.node(entry.node) else { return false };
        let is_shown = |field: &FieldIx| views.get(field.index()).is_some_and(|v| v.reveals());
        self.shape.leaves(node).iter().any(is_shown) || entry.node.is_record()
    }

    /// Appends the comma before a value and, of a member, its name.
    #[inline]
    fn name(&self, entry: &Entry, out: &mut Vec<u8>) {
        // INVARIANT: a value never ends in an opening bracket, so one before it means it is first.
        if !entry.node.is_record() && !matches!(out.last(), Some(b'{' | b'[')) {
            out.push(b',');
        }
        if let (false, Some(node)) = (entry.is_item, self.shape.node(entry.node)) {
            out.extend_from_slice(&node.key);
        }
    }

    #[inline]
    fn value(&mut self, entry: &Entry, job: &Job<'_>, out: &mut Vec<u8>) {
        let Some(node) = self.shape.node(entry.node) else { return };
        let Some(field) = node.field else {
            // `null` where an object or array is expected.
            if entry.what == What::Null && self.is_alive(entry, job.views) {
                self.name(entry, out);
                out.extend_from_slice(b"null");
            }
            return;
        };
        let view = job.views.get(field.index()).copied().unwrap_or(View::Drop);
        if !view.reveals() {
            return;
        }
        let is_one_value = node.is_one_value();
        let start = out.len();
        self.name(entry, out);
        let is_written = match (entry.what, view) {
            (What::Null, _) => {
                out.extend_from_slice(b"null");
                true
            }
            (What::Container, View::Mask(_)) if is_one_value => {
                views::mask_all(out);
                true
            }
            (What::Container, view) if !(is_one_value && view.is_raw()) => false,
            (_, view) if view.is_raw() => {
                copy(entry, job.text, out);
                true
            }
            (_, view) => self.changed(entry, (view, field), job, out),
        };
        if !is_written {
            out.truncate(start);
        }
    }

    /// Appends another form of a scalar; false when it has none.
    fn changed(
        &mut self,
        entry: &Entry,
        (view, field): (View, FieldIx),
        job: &Job<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let span = entry.span(job.text);
        let plain = if entry.what == What::EscapedText {
            escape::unescape(span.as_bytes(), &mut scratch);
            // The validator let only whole characters through.
            std::str::from_utf8(&scratch).ok()
        } else {
            Some(span)
        };
        let is_written = match (plain, view) {
            (Some(plain), View::Pseudonymize) => self.pseudonym(plain, field, job.pseudonyms, out),
            (Some(plain), view) => changed(entry.what, plain, view, out),
            (None, _) => false,
        };
        self.scratch = scratch;
        is_written
    }

    fn pseudonym(
        &self,
        plain: &str,
        field: FieldIx,
        pseudonyms: &dyn Pseudonyms,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(kind) = self.shape.pseudonym_kind(field) else { return false };
        out.push(b'"');
        let start = out.len();
        pseudonyms.write(kind, plain.as_bytes(), out);
        let token = out.get(start..).unwrap_or_default();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_token = !token.is_empty() && token.iter().all(is_plain);
        out.push(b'"');
        is_token
    }
}

/// Appends a masked or coarser scalar; false when it has no such form.
fn changed(what: What, plain: &str, view: View, out: &mut Vec<u8>) -> bool {
    match (view, what) {
        // Of two possible values any character would tell which.
        (View::Mask(_), What::Bool) => {
            views::mask_all(out);
            true
        }
        (View::Mask(mask), _) => {
            views::mask(mask, plain, out);
            true
        }
        (View::Generalize(Generalize::Part), _) => false,
        (View::Generalize(how), What::Number) => views::generalize_number(how, plain, out),
        (View::Generalize(how), What::Text | What::EscapedText) => {
            views::generalize_text(how, plain, out)
        }
        _ => false,
    }
}

/// Appends a value as it was written.
#[inline]
fn copy(entry: &Entry, text: &str, out: &mut Vec<u8>) {
    let span = entry.span(text).as_bytes();
    if matches!(entry.what, What::Text | What::EscapedText) {
        out.push(b'"');
        out.extend_from_slice(span);
        out.push(b'"');
    } else {
        out.extend_from_slice(span);
    }
}

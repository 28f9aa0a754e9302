//! Writes records as rows of CSV.

use super::batch::Entry;
use super::batch::What;
use super::columns::Columns;
use super::csv::safe_cell;
use super::escape;
use super::record::Job;
use super::record::Scratch;
use super::record::what;
use super::shape::Shape;
use super::views;
use crate::catalog::FieldIx;
use crate::crypto::ValueKind;
use crate::policy::Generalize;
use crate::policy::View;
use zeroize::Zeroizing;

/// The columns that are written.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    shown: Vec<Shown>,
    /// A value in the form of JSON.
    form: Zeroizing<Vec<u8>>,
}

#[derive(Debug)]
struct Shown {
    /// Its place on the tape of every record.
    place: usize,
    field: FieldIx,
    name: Box<str>,
}

impl Sheet {
    /// The columns of which `widest`, the most that any record shows, shows something. No record
    /// decides whether a column is there.
    pub(super) fn new(shape: &Shape, columns: &Columns, widest: &[View]) -> Self {
        let listed = columns.listed().iter().enumerate();
        let is_shown = |field: FieldIx| shape.view(widest, field).reveals();
        let shown = listed.filter(|(_, column)| is_shown(column.field));
        let shown = shown.map(|(place, column)| Shown {
            place,
            field: column.field,
            name: column.name.clone(),
        });
        Self { shown: shown.collect(), form: Zeroizing::default() }
    }

    /// Appends the header row.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        for (at, column) in self.shown.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            safe_cell(&column.name, out);
        }
        if !self.shown.is_empty() {
            out.extend_from_slice(LINE_END);
        }
    }

    /// Appends one record. A field that this record does not show is an empty cell.
    pub(super) fn row(&mut self, job: &Job<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let start = out.len();
        for (at, column) in self.shown.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let view = job.view(column.field);
            let entry = job.tape.get(column.place);
            let entry = entry.filter(|entry| view.reveals() && entry.what != What::Null);
            if let Some(entry) = entry {
                value(job, (entry, view, column.field), (&mut self.form, scratch), out);
            }
        }
        if self.shown.is_empty() {
            return;
        }
        if out.len() == start {
            // Some readers skip a row without anything in it.
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(LINE_END);
    }
}

/// Appends the cell of one value.
fn value(
    job: &Job<'_>,
    (entry, view, field): (&Entry, View, FieldIx),
    (form, scratch): (&mut Vec<u8>, &mut Scratch),
    out: &mut Vec<u8>,
) {
    let text = entry.span(job.text);
    let shown = (view, field);
    if job.shape.seal(field).is_none() {
        return cell(job, (kind_of(text), text), shown, (form, &mut scratch.plain), out);
    }
    if view == View::Ciphertext {
        if job.is_envelope(entry, field, scratch) {
            safe_cell(text, out);
        }
        return;
    }
    match job.open(entry, field, scratch) {
        // No cell holds a container.
        Ok(ValueKind::Json) | Err(false) => {}
        Ok(kind) => {
            let Scratch { plain, opened, .. } = scratch;
            let Ok(text) = std::str::from_utf8(opened) else { return };
            let what = if kind == ValueKind::Text { kind_of(text) } else { what(kind) };
            cell(job, (what, text), shown, (form, plain), out);
        }
        Err(true) => cell(job, (kind_of(text), text), shown, (form, &mut scratch.plain), out),
    }
}

/// What a cell holds: all are text here, and of two possible values any character would tell which.
fn kind_of(text: &str) -> What {
    let is_bool = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_bool { What::Bool } else { What::Text }
}

/// Appends the cell of one value that is in clear.
fn cell(
    job: &Job<'_>,
    (what, text): (What, &str),
    (view, field): (View, FieldIx),
    (form, plain): (&mut Vec<u8>, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    if view.is_raw() {
        safe_cell(text, out);
        return;
    }
    form.clear();
    let is_written = match view {
        View::Ciphertext => false,
        // Numbers are text here.
        View::Generalize(how @ Generalize::Number { .. }) => {
            views::generalize_number(how, text, form)
        }
        view => {
            let what = if what == What::Bool { What::Bool } else { What::Text };
            job.changed((what, text), (view, field), form)
        }
    };
    let inside = form.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    plain.clear();
    match inside {
        Some(inside) => escape::unescape(inside, plain),
        None => plain.extend_from_slice(form),
    }
    if let (true, Ok(text)) = (is_written, std::str::from_utf8(plain)) {
        safe_cell(text, out);
    }
}

/// RFC 4180 §2.
const LINE_END: &[u8] = b"\r\n";

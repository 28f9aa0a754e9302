//! Writes records as rows of CSV.

use super::batch::Entry;
use super::batch::What;
use super::columns::Columns;
use super::csv::safe_cell;
use super::escape;
use super::record::Job;
use super::views;
use crate::catalog::FieldIx;
use crate::policy::Generalize;
use crate::policy::View;

/// The columns that are written.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    shown: Vec<Shown>,
    /// A value in the form of JSON.
    form: Vec<u8>,
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
    pub(super) fn new(columns: &Columns, widest: &[View]) -> Self {
        let listed = columns.listed().iter().enumerate();
        let is_shown =
            |field: FieldIx| widest.get(field.index()).is_some_and(|view| view.reveals());
        let shown = listed.filter(|(_, column)| is_shown(column.field));
        let shown = shown.map(|(place, column)| Shown {
            place,
            field: column.field,
            name: column.name.clone(),
        });
        Self { shown: shown.collect(), form: Vec::new() }
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
    pub(super) fn row(&mut self, job: &Job<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        let start = out.len();
        for (at, column) in self.shown.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let view = job.views.get(column.field.index()).copied().unwrap_or(View::Drop);
            if let Some(entry) = job.tape.get(column.place).filter(|_| view.reveals()) {
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
    (form, scratch): (&mut Vec<u8>, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let text = entry.span(job.text);
    if entry.what == What::Null {
        return;
    }
    if view.is_raw() {
        safe_cell(text, out);
        return;
    }
    form.clear();
    let is_bool = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let what = if is_bool { What::Bool } else { What::Text };
    let is_written = match view {
        // Numbers are text here.
        View::Generalize(how @ Generalize::Number { .. }) => {
            views::generalize_number(how, text, form)
        }
        view => job.changed(&Entry { what, ..*entry }, (view, field), scratch, form),
    };
    let inside = form.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    scratch.clear();
    match inside {
        Some(inside) => escape::unescape(inside, scratch),
        None => scratch.extend_from_slice(form),
    }
    if let (true, Ok(text)) = (is_written, std::str::from_utf8(scratch)) {
        safe_cell(text, out);
    }
}

/// RFC 4180 §2.
const LINE_END: &[u8] = b"\r\n";

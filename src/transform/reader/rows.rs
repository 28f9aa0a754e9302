//! Records that are rows of CSV.

use super::Reader;
use super::utf8;
use crate::transform::batch::Batch;
use crate::transform::batch::Entry;
use crate::transform::batch::What;
use crate::transform::columns::Columns;
use crate::transform::csv::Row;
use crate::transform::csv::Scan;
use crate::transform::error::Malformed;
use crate::transform::error::TransformError;
use crate::transform::parse::Stop;
use crate::transform::state::Halt;
use crate::transform::state::State;
use std::sync::Arc;

/// Where the reader stands among rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    scan: Scan,
    columns: Option<Arc<Columns>>,
    /// The listed cells of the row at hand, unquoted, one after the other.
    text: String,
}

impl Rows {
    pub(super) fn columns(&self) -> Option<&Arc<Columns>> {
        self.columns.as_ref()
    }

    /// How many cells a row may have, and what more of them are.
    fn most(&self) -> (usize, Malformed) {
        match &self.columns {
            Some(columns) => (columns.count(), Malformed::Cells),
            None => (Columns::MOST, Malformed::TooManyColumns),
        }
    }
}

impl Reader {
    /// Reads one row: the first names the columns, every other one is a record.
    pub(super) fn row(&mut self, batch: &mut Batch) -> Result<Option<State>, Halt> {
        self.byte_order_mark()?;
        let Some(row) = self.whole_row()? else { return Ok(None) };
        let limit = self.limits.record_bytes;
        if row.len > limit {
            return Err(TransformError::TooLong { record: self.count, limit }.into());
        }
        let bytes = self.buffer.get(self.pos..self.pos + row.len).unwrap_or_default();
        let place = (self.byte(self.pos), self.byte(self.pos + row.next));
        let broken = match utf8(bytes) {
            Ok(text) if text.starts_with('\u{feff}') => Some(Malformed::Bom),
            Ok("") => Some(Malformed::BlankRow),
            Ok(text) => match &self.rows.columns {
                None => match Columns::new(self.rows.scan.cells(), text, &self.shape) {
                    Ok(columns) => {
                        if let Some(unlisted) = &mut self.unlisted {
                            columns.others().for_each(|name| unlisted.see_column(name));
                        }
                        self.rows.columns = Some(Arc::new(columns));
                        None
                    }
                    Err(what) => Some(what),
                },
                Some(columns) if columns.count() != self.rows.scan.cells().len() => {
                    Some(Malformed::Cells)
                }
                Some(columns) => {
                    keep(columns, &self.rows.scan, (text, &mut self.rows.text), batch);
                    batch.add(&self.rows.text, &self.shape, (place, columns.has_unlisted()));
                    self.count += 1;
                    None
                }
            },
            Err(Stop::Bad(what)) => Some(what),
            Err(Stop::More) => Some(Malformed::NotUtf8),
        };
        if let Some(what) = broken {
            return Err(self.malformed(self.pos, what).into());
        }
        self.pos += row.next;
        self.rows.scan.clear();
        Ok(Some(State::Row))
    }

    /// Finds the end of the row at the current place; `None`: no row follows.
    fn whole_row(&mut self) -> Result<Option<Row>, Halt> {
        let limit = self.limits.record_bytes;
        let rest = self.buffer.get(self.pos..).unwrap_or_default();
        // A row and its line end.
        let looked_at = rest.get(..limit.saturating_add(2)).unwrap_or(rest);
        let most = self.rows.most();
        let found = self.rows.scan.advance(looked_at, most);
        let found = match found {
            Ok(None) if looked_at.len() == limit.saturating_add(2) => {
                return Err(TransformError::TooLong { record: self.count, limit }.into());
            }
            Ok(None) if !self.has_ended => return Err(Halt::Needs),
            Ok(None) if self.rows.scan.is_untouched() && self.rows.columns.is_some() => {
                return Ok(None);
            }
            Ok(None) if self.rows.scan.is_untouched() => Err((0, Malformed::Headless)),
            Ok(None) => self.rows.scan.finish(most),
            found => found,
        };
        match found {
            Ok(Some(row)) => Ok(Some(row)),
            Ok(None) => Err(TransformError::Truncated { record: self.count }.into()),
            Err((at, what)) => Err(self.malformed(self.pos + at, what).into()),
        }
    }

    /// Drops the mark at the very start, with which spreadsheets say that they write UTF-8.
    fn byte_order_mark(&mut self) -> Result<(), Halt> {
        let is_start = self.before == 0 && self.pos == 0 && self.rows.columns.is_none();
        if !is_start || !self.rows.scan.is_untouched() {
            return Ok(());
        }
        let start = self.buffer.get(..MARK.len()).unwrap_or(&self.buffer);
        if start == MARK {
            self.pos = MARK.len();
        } else if MARK.starts_with(start) && !self.has_ended {
            return Err(Halt::Needs);
        }
        Ok(())
    }
}

/// Puts the listed cells of a row into `cells` and onto the batch's tape.
fn keep(columns: &Columns, scan: &Scan, (row, cells): (&str, &mut String), batch: &mut Batch) {
    cells.clear();
    // INVARIANT: a row is no longer than `Limits::MAX_RECORD`, so its places fit.
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    for column in columns.listed() {
        let Some(cell) = scan.cells().get(column.place) else { continue };
        let start = place(cells.len());
        cell.unquote(row, cells);
        let what = if cell.is_absent() { What::Null } else { What::Text };
        let end = place(cells.len());
        batch.tape().push(Entry { what, is_item: false, node: column.node, start, end });
    }
}

/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

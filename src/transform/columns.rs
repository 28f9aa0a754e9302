//! The columns of CSV: which of them hold listed fields.

use super::csv::Cell;
use super::error::Malformed;
use super::shape::NodeIx;
use super::shape::Shape;
use crate::catalog::FieldIx;
use std::collections::BTreeSet;
use std::fmt;

/// The columns that a header row names.
pub struct Columns {
    count: usize,
    listed: Vec<Column>,
    /// The names of the others.
    others: Vec<Box<str>>,
}

/// A column that holds a listed field.
#[derive(Debug)]
pub(super) struct Column {
    /// Its place in a row.
    pub(super) place: usize,
    pub(super) node: NodeIx,
    pub(super) field: FieldIx,
    /// The field's path.
    pub(super) name: Box<str>,
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Columns {
    /// The most columns that are looked at.
    pub const MOST: usize = 4096;

    /// Reads a header row.
    pub(super) fn new(cells: &[Cell], row: &str, shape: &Shape) -> Result<Self, Malformed> {
        let mut names = BTreeSet::new();
        let (mut listed, mut others) = (Vec::new(), Vec::new());
        for (place, cell) in cells.iter().enumerate() {
            let mut name = String::new();
            cell.unquote(row, &mut name);
            if name.contains('\u{feff}') {
                return Err(Malformed::Bom);
            }
            if let Some((node, field)) = shape.column(&name) {
                listed.push(Column { place, node, field, name: name.as_str().into() });
            } else {
                others.push(name.as_str().into());
            }
            if name.is_empty() || !names.insert(name) {
                return Err(Malformed::Column);
            }
        }
        Ok(Self { count: cells.len(), listed, others })
    }

    /// How many there are, listed or not.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Those that hold listed fields, in their order.
    pub(super) fn listed(&self) -> &[Column] {
        &self.listed
    }

    /// The names of the others.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(AsRef::as_ref)
    }

    /// Whether there are others, which never leave.
    pub(super) fn has_unlisted(&self) -> bool {
        self.listed.len() < self.count
    }
}

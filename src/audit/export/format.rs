//! How entries are written for others: a row each.

use super::csv;
use super::ocsf;
use crate::audit::AuditError;
use crate::audit::Entry;

/// How an entry is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// A JSON object a line: the entry as the log has it, and its index.
    #[default]
    Jsonl,
    /// A line of values, safe to open in a spreadsheet.
    Csv,
    /// An OCSF event a line.
    Ocsf,
}

impl Format {
    /// Reads the word used in configuration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "jsonl" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "ocsf" => Some(Self::Ocsf),
            _ => None,
        }
    }

    /// The ending of a file's name.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Ocsf => "ocsf.jsonl",
        }
    }
}

/// Writes entries of one log in one format.
#[derive(Clone, Debug)]
pub struct Writer {
    format: Format,
    origin: String,
}

impl Writer {
    /// A writer of entries of the log called `origin`.
    pub fn new(format: Format, origin: impl Into<String>) -> Self {
        Self { format, origin: origin.into() }
    }

    /// What stands before the first row of a file, with the end of its line.
    pub fn head(&self) -> Vec<u8> {
        match self.format {
            Format::Csv => csv::head(),
            Format::Jsonl | Format::Ocsf => Vec::new(),
        }
    }

    /// Appends an entry's row, with the end of its line.
    pub fn line(&self, index: u64, entry: &Entry, to: &mut Vec<u8>) -> Result<(), AuditError> {
        match self.format {
            Format::Csv => csv::row(index, entry, to),
            Format::Jsonl | Format::Ocsf => {
                self.object(index, entry, to)?;
                to.push(b'\n');
            }
        }
        Ok(())
    }

    /// Appends an entry as a JSON object; CSV has none, and is written as JSONL.
    pub(super) fn object(
        &self,
        index: u64,
        entry: &Entry,
        to: &mut Vec<u8>,
    ) -> Result<(), AuditError> {
        match self.format {
            Format::Ocsf => ocsf::event(&self.origin, index, entry, to),
            Format::Jsonl | Format::Csv => {
                let bytes = entry.to_bytes()?;
                to.extend_from_slice(format!("{{\"index\":{index},").as_bytes());
                // An entry always has a kind, so its object is not empty.
                to.extend_from_slice(bytes.strip_prefix(b"{").unwrap_or(&bytes));
                Ok(())
            }
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

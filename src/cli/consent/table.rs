//! CSV as people's systems write it (RFC 4180), a line at a time.

use std::io::BufRead;

/// The cells of a table.
pub(super) struct Table<R> {
    from: R,
    /// The line the last row began in, from one.
    line: u64,
    lines: u64,
}

/// A table cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    /// The file.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A quote that nothing closes, or that stands inside a cell.
    #[error("line {0}: a quote stands where none belongs, or nothing closes it")]
    Quote(u64),
    /// More than a row can have.
    #[error("line {0}: a row is longer than {LONGEST} bytes")]
    TooLong(u64),
}

impl<R: BufRead> Table<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, line: 0, lines: 0 }
    }

    /// The line that the last row began in.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next row that is not empty.
    pub(super) fn row(&mut self) -> Result<Option<Vec<String>>, TableError> {
        loop {
            let mut text = String::new();
            self.line = self.lines + 1;
            loop {
                if !self.more(&mut text)? {
                    return if text.is_empty() { Ok(None) } else { Err(self.quote()) };
                }
                // A row goes on in the next line while a quote is open.
                if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 0 {
                    break;
                }
            }
            let row = text.strip_suffix('\n').unwrap_or(&text);
            let row = row.strip_suffix('\r').unwrap_or(row);
            // What some systems put in front to say that it is UTF-8.
            let row = if self.line == 1 { row.trim_start_matches('\u{feff}') } else { row };
            if !row.is_empty() {
                return cells(row).map(Some).ok_or_else(|| self.quote());
            }
        }
    }

    fn more(&mut self, text: &mut String) -> Result<bool, TableError> {
        let room = u64::try_from(LONGEST.saturating_sub(text.len())).unwrap_or(0);
        let read = std::io::Read::take(&mut self.from, room + 1).read_line(text)?;
        self.lines += 1;
        if text.len() > LONGEST { Err(TableError::TooLong(self.line)) } else { Ok(read > 0) }
    }

    fn quote(&self) -> TableError {
        TableError::Quote(self.line)
    }
}

/// The cells of a row, unquoted; `None` where a quote does not belong.
fn cells(row: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = row;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (cell, after) = rest.split_at_checked(end)?;
                if cell.contains('"') {
                    return None;
                }
                (cell.to_owned(), after)
            }
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// A cell behind its opening quote, and what follows the closing one.
fn quoted_cell(quoted: &str) -> Option<(String, &str)> {
    let (mut cell, mut rest) = (String::new(), quoted);
    loop {
        let (part, after) = rest.split_once('"')?;
        cell.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((cell, after)),
        }
    }
}

/// The longest row, in bytes.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, Vec<String>)>, TableError> {
        let mut table = Table::new(text.as_bytes());
        let mut rows = Vec::new();
        while let Some(row) = table.row()? {
            rows.push((table.line(), row));
        }
        Ok(rows)
    }

    #[test]
    fn cells_are_read_as_they_are_written() {
        let read = |text| {
            let rows = rows(text).unwrap();
            rows.into_iter().map(|(line, row)| (line, row.join("|"))).collect::<Vec<_>>()
        };
        let owned = |rows: &[(u64, &str)]| {
            rows.iter().map(|(line, row)| (*line, (*row).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(read("\u{feff}a,b\r\n1,2\r\n"), owned(&[(1, "a|b"), (2, "1|2")]));
        assert_eq!(read("a,\"b,\"\"c\"\"\"\n\n,"), owned(&[(1, "a|b,\"c\""), (3, "|")]));
        assert_eq!(read("\"a\nb\",c\nd,e"), owned(&[(1, "a\nb|c"), (3, "d|e")]));
        assert_eq!(read(""), owned(&[]));
    }

    #[test]
    fn what_is_no_table_says_where() {
        for (text, wanted) in [
            ("a,b\n\"c,d\n", "line 2: a quote"),
            ("a,b\nc\"d\",e\n", "line 2: a quote"),
            ("\"a\"b,c\n", "line 1: a quote"),
        ] {
            let error = rows(text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{text:?}: {error}");
        }
        let error = rows(&format!("a\n{}\n", "x".repeat(LONGEST + 1))).unwrap_err().to_string();
        assert!(error.starts_with("line 2: a row is longer"), "{error}");
    }

    proptest! {
        #[test]
        fn it_reads_what_another_writer_wrote(
            wanted in prop::collection::vec(prop::collection::vec("[a-c\",\r\n;\u{e9} ]{1,6}", 1..4), 1..6)
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &wanted {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = rows(&text).unwrap();
            prop_assert_eq!(read.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), wanted);
        }
    }
}

//! Rows of CSV (RFC 4180): cells found strictly, and written so that every reader reads the same.
//!
//! Readers differ in what they make of a quote in the middle of a cell, of a lone carriage return
//! or of text after a closing quote; all of that is refused. So the cells are found here, from the
//! bytes as they are written, and not by a reader that has already decided.

use super::error::Malformed;

/// One cell of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Its inside: without the quotes around it.
    start: usize,
    end: usize,
    form: Form,
}

/// How a cell is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// In quotes, with doubled ones inside.
    Doubled,
    Plain,
    Quoted,
}

/// The search for the end of a row that arrives in pieces; every byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct Scan {
    state: State,
    /// Bytes looked at.
    at: usize,
    /// Where the cell at hand starts.
    start: usize,
    is_doubled: bool,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// Inside a cell without quotes.
    Plain,
    /// After a quote inside quotes: the end of the cell, or half of a doubled one.
    Quote,
    /// Inside quotes.
    Quoted,
    /// After a carriage return inside quotes.
    QuotedReturn,
    /// After the carriage return of a line end.
    Return,
    /// Before a cell.
    #[default]
    Start,
}

/// A complete row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its length without the line end.
    pub(super) len: usize,
    /// Where the next one starts.
    pub(super) next: usize,
}

/// Where in the row a rule is broken, and which one.
pub(super) type Broken = (usize, Malformed);

impl Cell {
    /// The text of the cell, appended to `out`. `row` is valid UTF-8.
    pub(super) fn unquote(&self, row: &str, out: &mut String) {
        let inside = row.get(self.start..self.end).unwrap_or_default();
        if self.form == Form::Doubled {
            let mut parts = inside.split("\"\"");
            out.push_str(parts.next().unwrap_or_default());
            for part in parts {
                out.push('"');
                out.push_str(part);
            }
        } else {
            out.push_str(inside);
        }
    }

    /// Whether nothing at all is written there: no value, which is not the empty text `""`.
    pub(super) fn is_absent(&self) -> bool {
        self.form == Form::Plain && self.start == self.end
    }
}

impl Scan {
    /// The cells found so far.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Starts anew, with the next row.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        (self.state, self.at, self.start, self.is_doubled) = (State::Start, 0, 0, false);
    }

    /// Whether nothing of a row was there yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.at == 0
    }

    /// Goes on from where it stood in `row`, which starts with the row and has grown since. A row
    /// of more than `most` cells is an error, `too_many`.
    pub(super) fn advance(
        &mut self,
        row: &[u8],
        (most, too_many): (usize, Malformed),
    ) -> Result<Option<Row>, Broken> {
        while let Some(byte) = row.get(self.at) {
            let at = self.at;
            self.at += 1;
            let next = match (self.state, byte) {
                (State::Start, b'"') => {
                    (self.start, self.is_doubled) = (at + 1, false);
                    State::Quoted
                }
                (State::Start | State::Plain | State::Quote, b',' | b'\n' | b'\r') => {
                    self.cell(at, (most, too_many))?;
                    match byte {
                        b',' => State::Start,
                        b'\r' => State::Return,
                        _ => return Ok(Some(Row { len: at, next: at + 1 })),
                    }
                }
                (State::Return, b'\n') => return Ok(Some(Row { len: at - 1, next: at + 1 })),
                (State::Plain, b'"') => return Err((at, Malformed::Quote)),
                (State::Quote, b'"') => {
                    self.is_doubled = true;
                    State::Quoted
                }
                (State::Quote, _) => return Err((at, Malformed::Quote)),
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, b'\r') => State::QuotedReturn,
                (State::Quoted | State::QuotedReturn, b'\n') => State::Quoted,
                (State::Return | State::QuotedReturn, _) => return Err((at, Malformed::Control)),
                (_, byte) if byte.is_ascii_control() && *byte != b'\t' => {
                    return Err((at, Malformed::Control));
                }
                (State::Quoted, _) => State::Quoted,
                (State::Start | State::Plain, _) => State::Plain,
            };
            self.state = next;
        }
        Ok(None)
    }

    /// Ends the last row, which has no line end. `None`: it is cut off inside a quoted cell.
    pub(super) fn finish(
        &mut self,
        (most, too_many): (usize, Malformed),
    ) -> Result<Option<Row>, Broken> {
        match self.state {
            State::Plain | State::Quote | State::Start => {
                self.cell(self.at, (most, too_many))?;
                Ok(Some(Row { len: self.at, next: self.at }))
            }
            State::Quoted | State::QuotedReturn => Ok(None),
            State::Return => Err((self.at, Malformed::Control)),
        }
    }

    /// Notes the cell that ends before `at`.
    fn cell(&mut self, at: usize, (most, too_many): (usize, Malformed)) -> Result<(), Broken> {
        if self.cells.len() >= most {
            return Err((at, too_many));
        }
        let (end, form) = match self.state {
            State::Quote if self.is_doubled => (at - 1, Form::Doubled),
            State::Quote => (at - 1, Form::Quoted),
            _ => (at, Form::Plain),
        };
        self.cells.push(Cell { start: self.start, end, form });
        self.start = at + 1;
        Ok(())
    }
}

/// Appends a cell that holds exactly `text`, quoted where readers could differ.
pub(super) fn cell(text: &str, out: &mut Vec<u8>) {
    let edge = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let must = text.contains([',', '"', '\r', '\n'])
        || edge(text.chars().next())
        || edge(text.chars().next_back());
    if must {
        quoted("", text, out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// As [`cell`], for people who open the file in a spreadsheet: one that would be calculated gets
/// an apostrophe before it.
pub(super) fn safe_cell(text: &str, out: &mut Vec<u8>) {
    if is_formula(text) { quoted("'", text, out) } else { cell(text, out) }
}

fn quoted(before: &str, text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(before.as_bytes());
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

/// Whether a spreadsheet would calculate the cell and not show it.
///
/// Numbers and phone numbers are left alone, so that what reads the file with a program gets them
/// as they are: nothing can be called or pointed at without a letter. Apostrophes at the start
/// are looked through, so that a cell that was guarded can be told from one that was not.
pub(super) fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    let unseen = |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}');
    let inner = text.trim_start_matches(unseen);
    let mut rest = inner.chars();
    match rest.next() {
        Some('+' | '-') => !is_number(rest.as_str()),
        // The last ones become the first ones where text is folded to its plain form.
        Some('=' | '@' | '＝' | '＠' | '＋' | '－' | '﹦' | '﹫' | '﹢' | '﹣') => true,
        _ => text.starts_with(['\t', '\r', '\n']),
    }
}

/// Whether what follows a sign is a number, a phone number or a masked one.
fn is_number(text: &str) -> bool {
    let harmless = |c: char| c.is_ascii_digit() || " .,-()*%".contains(c);
    let has_exponent = || {
        let (number, exponent) = text.split_once(['e', 'E'])?;
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        (digits(whole) && digits(fraction) && digits(exponent)).then_some(())
    };
    text.chars().all(harmless) || has_exponent().is_some()
}

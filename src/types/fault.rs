//! What is wrong in a file, where, and what would help.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file that was read, kept so that its lines can be shown.
#[derive(Debug, Eq, PartialEq)]
pub struct SourceFile {
    /// Its name, as the user wrote it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A stretch of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Byte offsets into its text.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column of the start, both from one; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.file.text.get(..self.span.start).unwrap_or(&self.file.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }

    /// The part of this place that stands on its first line: what a caret can show.
    #[must_use]
    pub fn first_line(&self) -> Self {
        let text = self.file.text.get(self.span.clone()).unwrap_or_default();
        let line = text.split('\n').next().unwrap_or_default().trim_end();
        Self { file: Arc::clone(&self.file), span: self.span.start..self.span.start + line.len() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.name)
    }
}

/// Whether a fault stops the file from being used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; somebody should look.
    Warning,
    /// The file can be used, and this was meant: told in one line.
    Remark,
}

/// One thing wrong in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Whether it stops the file from being used.
    pub severity: Severity,
    /// Where, when it has a place.
    pub place: Option<Place>,
    /// What is wrong: lower case, no full stop, backticks round the user's words.
    pub what: String,
    /// What would help.
    pub help: Option<String>,
}

impl Fault {
    /// Whether it stops the file from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Fault {
    /// `file:line:col: what`, the line, a caret, a help line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error() { "" } else { "warning: " };
        let what = printable(&self.what);
        let help = self.help.as_deref().map(printable);
        let Some(place) = &self.place else {
            write!(f, "{word}{what}")?;
            return help.iter().try_for_each(|help| write!(f, "\n  help: {help}"));
        };
        let (line, column) = place.line_column();
        write!(f, "{place}: {word}{what}")?;
        if self.severity == Severity::Remark {
            return Ok(());
        }
        let text = place.file.text.lines().nth(line - 1);
        if let Some(text) = text.filter(|text| !sets_secret(text)) {
            let width = place.file.text.get(place.span.clone()).map_or(1, |span| {
                span.lines().next().map_or(1, |first| first.trim_end().chars().count()).max(1)
            });
            let (text, column) = window(text, column);
            let width = width.min(text.chars().count().saturating_sub(column - 1)).max(1);
            let gutter = line.to_string().len();
            write!(f, "\n {line} | {}\n {:gutter$} | ", printable(&text), "")?;
            write!(f, "{:1$}{2}", "", column - 1, "^".repeat(width))?;
        }
        help.iter().try_for_each(|help| write!(f, "\n  help: {help}"))
    }
}

/// Whether a line of settings gives a secret in so many words. Secrets come from files, so this is
/// a mistake, and the fault that tells of it must not put the secret into a log.
fn sets_secret(line: &str) -> bool {
    let words = ["api_key", "bearer", "credential", "pass", "private_key", "secret", "token"];
    let line = line.to_ascii_lowercase();
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.trim_end().trim_end_matches(['"', '\'']);
        let start = key.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
        let key = key.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
        let names_place = ["_file", "_url"].iter().any(|end| key.ends_with(end));
        let is_text = after.trim_start().starts_with(['"', '\'']);
        let is_secret = key == "pin" || words.iter().any(|word| key.contains(word));
        if is_text && !names_place && is_secret {
            return true;
        }
        rest = after;
    }
    false
}

/// The part of a long line around `column`, and the column within it.
fn window(line: &str, column: usize) -> (Cow<'_, str>, usize) {
    if line.chars().nth(MAX_SHOWN).is_none() {
        return (Cow::Borrowed(line), column);
    }
    let from = column.saturating_sub(MAX_SHOWN / 2);
    (Cow::Owned(line.chars().skip(from).take(MAX_SHOWN).collect()), column - from)
}

/// Text in which nothing speaks to the terminal: a file is shown, never obeyed.
fn printable(text: &str) -> Cow<'_, str> {
    let silent = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if !text.chars().any(|c| c.is_control() || silent(c)) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() || silent(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Longer lines are shown in part, in characters.
const MAX_SHOWN: usize = 160;

/// Every fault found so far. Checking goes on after a fault, so that one run shows them all.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error at `place`.
    pub fn error(&mut self, place: &Place, what: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, Some(place.clone()), what.into(), help.into());
    }

    /// Adds a warning at `place`.
    pub fn warning(&mut self, place: &Place, what: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, Some(place.clone()), what.into(), help.into());
    }

    /// Adds a remark at `place`: a warning that takes one line.
    pub fn remark(&mut self, place: &Place, what: impl Into<String>) {
        self.push(Severity::Remark, Some(place.clone()), what.into(), String::new());
    }

    /// Adds an error that has no place, such as a missing file.
    pub fn error_nowhere(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, None, what.into(), help.into());
    }

    /// Takes over all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds a warning that has no place, such as a file that is not read.
    pub fn warning_nowhere(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, None, what.into(), help.into());
    }

    /// How many faults stop the files from being used.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|fault| fault.severity == Severity::Error).count()
    }

    /// Whether any fault stops the files from being used.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// The faults in the order of their places.
    pub fn into_sorted(mut self) -> Vec<Fault> {
        let key = |fault: &Fault| {
            fault.place.as_ref().map(|place| (place.file.name.clone(), place.span.start))
        };
        self.0.sort_by_key(key);
        self.0
    }

    /// The faults as found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    fn push(&mut self, severity: Severity, place: Option<Place>, what: String, help: String) {
        let help = (!help.is_empty()).then_some(help);
        self.0.push(Fault { severity, place, what, help });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_gives_a_secret_is_not_shown() {
        let secret = [
            "auth = { bearer = \"s\" }",
            "client_secret='s'",
            "\"api_key\" = \"s\"",
            "a = 1, Passphrase = \"s\"",
        ];
        for line in secret {
            assert!(sets_secret(line), "{line}");
        }
        let plain = [
            "auth = { bearer_file = \"certs/token\" }",
            "token_url = \"https://id.example\"",
            "url = \"http://a/?token=b\"",
            "tokens: [a]",
            "x = 1",
        ];
        for line in plain {
            assert!(!sets_secret(line), "{line}");
        }
    }
}

//! What is wrong in a file, where, and what would help.

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

impl fmt::Display for Fault {
    /// `file:line:col: what`, the line, a caret, a help line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.severity == Severity::Warning { "warning: " } else { "" };
        let Some(place) = &self.place else {
            write!(f, "{word}{}", self.what)?;
            return self.help.iter().try_for_each(|help| write!(f, "\n  help: {help}"));
        };
        let (line, column) = place.line_column();
        write!(f, "{place}: {word}{}", self.what)?;
        if let Some(text) = place.file.text.lines().nth(line - 1) {
            let width = place.file.text.get(place.span.clone()).map_or(1, |span| {
                span.lines().next().map_or(1, |first| first.trim_end().chars().count()).max(1)
            });
            let gutter = line.to_string().len();
            write!(f, "\n {line} | {text}\n {:gutter$} | ", "")?;
            write!(f, "{:1$}{2}", "", column - 1, "^".repeat(width))?;
        }
        self.help.iter().try_for_each(|help| write!(f, "\n  help: {help}"))
    }
}

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

    /// Adds an error that has no place, such as a missing file.
    pub fn error_nowhere(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, None, what.into(), help.into());
    }

    /// Takes over all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether any fault stops the files from being used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|fault| fault.severity == Severity::Error)
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

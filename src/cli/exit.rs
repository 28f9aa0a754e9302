//! Exit codes, and how a failure is told.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::types::told;

/// Why a command ends with something other than 0 (DESIGN §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    /// Something failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Configuration or policy does not compile.
    Config = 3,
    /// A policy test failed.
    Tests = 4,
    /// A proof does not verify.
    Proof = 5,
    /// Policy refused.
    Refused = 6,
}

/// A command that did not succeed: the code, and what to tell.
#[derive(Debug)]
pub(super) struct Failure {
    code: Exit,
    text: String,
}

impl Failure {
    /// A failure that says `text`; empty when everything was said already.
    pub(super) fn new(code: Exit, text: impl fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }

    /// An error with its causes, the outermost first.
    pub(super) fn caused(code: Exit, error: &dyn std::error::Error) -> Self {
        Self { code, text: told(error) }
    }

    /// The same failure with more at the end of its text.
    pub(super) fn with_suffix(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }

    /// Tells it on stderr and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        if !self.text.is_empty() {
            tell(&format!("privet: {}", self.text));
        }
        ExitCode::from(self.code as u8)
    }
}

/// Writes a line of talk to stderr. Nobody may be listening, which is no failure of the command.
pub(super) fn tell(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Writes data to stdout. A closed pipe (`privet … | head`) ends the command without complaint.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format_args!("cannot write the output: {e}")))
        }
        _ => Ok(()),
    }
}

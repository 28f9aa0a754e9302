//! The operator's log: text for people, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sends the log to stderr: text on a terminal, else one JSON object a line. `PRIVET_LOG` chooses
/// what is logged, such as `info,privet::upstream=debug`.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub(super) fn start(default: &str) {
    let wanted = std::env::var("PRIVET_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(default));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only the first subscriber of a process counts, and there is but one.
    drop(if terminal {
        log.with_ansi(colour()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    });
}

/// Colour unless the user asked for none (no-color.org).
fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

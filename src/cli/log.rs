//! The operator's log: text for people, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::access;
use super::access::AccessLog;
use super::access::Flush;

/// Sends the log to stderr: text on a terminal, else one JSON object a line. `PRIVET_LOG` chooses
/// what is logged, such as `info,privet::upstream=debug`. Keep what it returns to the end of the
/// command: it writes the last lines of the access log.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub(super) fn start(default: &str) -> Option<Flush> {
    let wanted = std::env::var("PRIVET_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::registry().with(filter);
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // Only the first subscriber of a process counts, and there is but one.
    if std::io::stderr().is_terminal() {
        drop(log.with(text.with_ansi(colour())).try_init());
        return None;
    }
    let json = text.json().flatten_event(true);
    match AccessLog::start(std::io::stderr()) {
        Ok((lines, flush)) => {
            let rest = json.with_filter(filter_fn(|event| !access::is_access(event)));
            drop(log.with(rest).with(lines).try_init());
            Some(flush)
        }
        Err(_) => {
            drop(log.with(json).try_init());
            None
        }
    }
}

/// Colour unless the user asked for none (no-color.org).
fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

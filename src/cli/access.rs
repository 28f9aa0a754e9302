//! The access log: a line for each call, gathered in memory and written by a thread of its own, so
//! that no call waits for whoever reads the log.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::Event;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Layer;

use crate::clock::Clock;
use crate::clock::SystemClock;

/// Whether an event is a line of the access log.
pub(super) fn is_access(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

/// Writes the access log, one JSON object a line, in the form of the rest of the log.
pub(super) struct AccessLog {
    lines: Arc<Lines>,
    clock: SystemClock,
}

/// Writes what is left when dropped.
#[must_use]
pub(super) struct Flush {
    lines: Arc<Lines>,
    writer: Option<JoinHandle<()>>,
}

/// The lines that wait for the writer.
#[derive(Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// Lines there was no room for.
    lost: u64,
    /// The writer sleeps and must be woken.
    asleep: bool,
    closing: bool,
}

impl AccessLog {
    /// A log on `out`, and what ends it in good order.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let lines = Arc::new(Lines::default());
        let shared = Arc::clone(&lines);
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || shared.write_all(out))?;
        let flush = Flush { lines: Arc::clone(&lines), writer: Some(writer) };
        Ok((Self { lines, clock: SystemClock }, flush))
    }
}

impl<S: Subscriber> Layer<S> for AccessLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !is_access(event.metadata()) {
            return;
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            // Writing to memory does not fail.
            drop(write!(line, "{{\"timestamp\":\"{}\",\"level\":\"INFO\"", self.clock.now()));
            event.record(&mut Fields(line));
            line.extend_from_slice(b",\"target\":\"access\"}\n");
            self.lines.push(line);
        });
    }
}

/// Appends members to a JSON object.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        // The names are words of the product and need no escapes.
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(field.name().as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        drop(serde_json::to_writer(&mut *self.0, &value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        drop(serde_json::to_writer(&mut *self.0, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Lines {
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() + line.len() > ROOM {
            waiting.lost += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        let is_due = waiting.text.len() > ENOUGH && waiting.text.len() - line.len() <= ENOUGH;
        if std::mem::take(&mut waiting.asleep) || is_due {
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Writes until closing, some lines at a time.
    fn write_all(&self, mut out: impl Write) {
        let mut text = Vec::new();
        while let Some(lost) = self.take(&mut text) {
            // Nobody may be listening, which is no failure of the gateway.
            drop(out.write_all(&text));
            if lost > 0 {
                tracing::warn!(lost, "lines of the access log had no room: its reader is too slow");
            }
            text.clear();
        }
    }

    /// Moves what waits to `text`, which is empty; waits for it. None when closing.
    fn take(&self, text: &mut Vec<u8>) -> Option<u64> {
        let mut waiting = self.lock();
        while waiting.text.is_empty() && !waiting.closing {
            waiting.asleep = true;
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        let goes_on = |it: &mut Waiting| !it.closing && it.text.len() <= ENOUGH;
        let waited = self.wake.wait_timeout_while(waiting, GATHER, goes_on);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.text, text);
        let is_over = waiting.closing && text.is_empty();
        (!is_over).then(|| std::mem::take(&mut waiting.lost))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.lines.lock().closing = true;
        self.lines.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The target of the access log's events.
const TARGET: &str = "access";
/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(50);
/// More than this is written at once.
const ENOUGH: usize = 256 * 1024;
/// More than this is not kept for a reader who does not read.
const ROOM: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_one_json_object_and_none_is_lost_at_the_end() {
        let kept = Kept::default();
        let (log, flush) = AccessLog::start(kept.clone()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), || {
            for status in 200..300_u16 {
                tracing::info!(target: "access", method = "GET", route = "a\"b", status);
                tracing::info!("not of the access log");
            }
        });
        drop(flush);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 100);
        let last = lines.last().unwrap();
        assert_eq!((&last["status"], &last["route"]), (&299.into(), &"a\"b".into()));
        assert_eq!((&last["target"], &last["level"]), (&"access".into(), &"INFO".into()));
        assert!(last["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn what_a_reader_does_not_take_is_counted_and_not_kept() {
        let lines = Lines::default();
        let line = [b'x'; 1024];
        for _ in 0..ROOM / line.len() + 3 {
            lines.push(&line);
        }
        let mut text = Vec::new();
        assert_eq!(lines.take(&mut text), Some(3));
        assert_eq!(text.len(), ROOM);
    }
}

//! The way from a call that ended to whoever exports its span: bounded, and never waited for.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use super::Sample;
use super::Span;

/// Takes spans of calls. Cloning shares the queue.
#[derive(Clone, Debug)]
pub struct Spans {
    sample: Sample,
    queue: mpsc::Sender<Span>,
    metrics: SpanMetrics,
}

/// The other end: what is to be exported.
#[derive(Debug)]
pub struct Queue {
    /// The spans, in the order the calls ended.
    pub spans: mpsc::Receiver<Span>,
    /// Counts what becomes of them.
    pub metrics: SpanMetrics,
}

/// What became of spans. Cloning shares the counts.
#[derive(Clone, Debug, Default)]
pub struct SpanMetrics {
    /// Spans a collector has.
    pub exported: Counter,
    /// Spans that found no room because the collector is slower than the calls.
    pub dropped: Counter,
    /// Spans that a collector did not take.
    pub failed: Counter,
}

impl Spans {
    /// A queue with room for two thousand spans.
    pub fn queue(sample: Sample, metrics: SpanMetrics) -> (Self, Queue) {
        let (queue, spans) = mpsc::channel(ROOM);
        (Self { sample, queue, metrics: metrics.clone() }, Queue { spans, metrics })
    }

    /// Whether a trace that begins here is recorded.
    pub fn takes(&self, trace: [u8; 16]) -> bool {
        self.sample.takes(trace)
    }

    /// Hands a span over, or counts that there was no room for it.
    pub fn add(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.metrics.dropped.inc();
        }
    }
}

impl SpanMetrics {
    /// Makes the counters visible under `privet_telemetry_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("privet_telemetry");
        let mut add = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        add("spans_exported", "Spans a collector took", &self.exported);
        add("spans_dropped", "Spans for which the queue had no room", &self.dropped);
        add("spans_failed", "Spans a collector did not take", &self.failed);
    }
}

/// At the size of a span this is a few hundred KiB, and more than a second of a busy gateway when
/// a tenth is sampled.
const ROOM: usize = 2048;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::http::RequestId;
    use crate::protocol::http::TraceParent;
    use crate::types::Timestamp;

    fn span() -> Span {
        Span {
            context: TraceParent::root([1; 16], [2; 8]),
            parent: None,
            ended: Timestamp::from_unix_ms(0),
            took: Duration::ZERO,
            waited: Duration::ZERO,
            method: "GET",
            route: None,
            status: 200,
            store: None,
            data_set: None,
            purpose: None,
            action: None,
            decision_id: RequestId::new(Timestamp::from_unix_ms(0), &[0; 10]),
            decision: "refuse",
            outcome: "failed",
            reason: None,
            is_fault: false,
            records: 0,
            left_out: 0,
            bytes: 0,
        }
    }

    #[test]
    fn a_queue_that_nobody_empties_drops_spans_and_counts_them() {
        let (spans, mut queue) = Spans::queue(Sample::ALL, SpanMetrics::default());
        (0..ROOM + 3).for_each(|_| spans.add(span()));
        assert_eq!(queue.metrics.dropped.get(), 3);
        assert!(queue.spans.try_recv().is_ok());
        spans.add(span());
        assert_eq!(queue.metrics.dropped.get(), 3);
        drop(queue);
        spans.add(span());
        assert_eq!(spans.metrics.dropped.get(), 4);
    }
}

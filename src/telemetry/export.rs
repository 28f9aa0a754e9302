//! Sends spans to a collector, in batches and beside the traffic.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::Uri;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::NetError;
use crate::net::post;
use crate::types::told;

use super::Queue;
use super::Span;
use super::TelemetryConfig;
use super::otlp;

/// Exports what comes through a queue until it is told to finish.
#[derive(Debug)]
pub struct Exporter {
    closing: Arc<Notify>,
    task: JoinHandle<()>,
}

struct Export {
    fetch: Fetch,
    queue: Queue,
    batch: Vec<Span>,
    /// Whether the last batch failed, so that a collector that is down is told of once.
    is_failing: bool,
}

impl Exporter {
    /// Starts on the runtime this is called in.
    ///
    /// # Errors
    /// When the collector's address or its authorities cannot be used.
    pub fn start(config: &TelemetryConfig, queue: Queue) -> Result<Self, NetError> {
        let fetch = Fetch {
            url: traces(&config.otlp)?,
            tls: tls(config)?,
            limit_bytes: ANSWER_BYTES,
            timeout: TIMEOUT,
        };
        let closing = Arc::new(Notify::new());
        let mut export =
            Export { fetch, queue, batch: Vec::with_capacity(BATCH), is_failing: false };
        let closed = Arc::clone(&closing);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = export.run() => {}
                () = closed.notified() => export.rest().await,
            }
        });
        Ok(Self { closing, task })
    }

    /// Sends what waits, but not for longer than a collector may take for one batch.
    pub async fn finish(self) {
        self.closing.notify_one();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(TIMEOUT, self.task).await.is_err() {
            abort.abort();
        }
    }
}

impl Export {
    async fn run(&mut self) {
        while self.fill(GATHERING).await {
            self.send().await;
        }
    }

    /// What came before the end, and the batch that the end interrupted.
    async fn rest(&mut self) {
        self.queue.spans.close();
        while self.fill(Duration::ZERO).await {
            self.send().await;
        }
    }

    /// Waits for a first span, and a moment for others; `false` when there will be none.
    async fn fill(&mut self, moment: Duration) -> bool {
        let Self { queue, batch, .. } = self;
        if batch.is_empty() && queue.spans.recv_many(batch, BATCH).await == 0 {
            return false;
        }
        let until = Instant::now() + moment;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let more = queue.spans.recv_many(batch, room);
            if !matches!(tokio::time::timeout_at(until, more).await, Ok(1..)) {
                break;
            }
        }
        true
    }

    /// One try: spans that a collector does not take are counted and gone.
    async fn send(&mut self) {
        let sent = post(&self.fetch, PROTOBUF, otlp::written(&self.batch)).await;
        let count = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
        match &sent {
            Ok(_) => self.queue.metrics.exported.inc_by(count),
            Err(_) => self.queue.metrics.failed.inc_by(count),
        };
        match &sent {
            Ok(_) if self.is_failing => tracing::info!("the collector takes traces again"),
            Err(error) if !self.is_failing => {
                tracing::warn!(error = told(error), "the collector takes no traces");
            }
            _ => {}
        }
        self.is_failing = sent.is_err();
        self.batch.clear();
    }
}

/// In the clear there is nobody to believe, so that a machine without authorities will do.
fn tls(config: &TelemetryConfig) -> Result<Option<ClientTls>, NetError> {
    let is_tls = config.otlp.scheme_str() == Some("https");
    is_tls.then(|| ClientTls::new(config.ca.as_deref())).transpose()
}

/// Where traces go: the base address may have a path.
fn traces(base: &Uri) -> Result<Uri, NetError> {
    let text = format!("{}/v1/traces", base.to_string().trim_end_matches('/'));
    text.parse().map_err(|_| NetError::Url { text: text.into(), what: "it is no base address" })
}

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// The most spans of one export.
const BATCH: usize = 512;
/// How long a span may wait for others.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer of a collector that is read.
const ANSWER_BYTES: usize = 64 << 10;

//! The export of traces, where it is configured and compiled in.

#[cfg(not(feature = "otel"))]
use std::future::Ready;
#[cfg(not(feature = "otel"))]
use std::future::ready;

use prometheus_client::registry::Registry;

use crate::net::NetError;
#[cfg(feature = "otel")]
use crate::telemetry::Exporter;
#[cfg(feature = "otel")]
use crate::telemetry::SpanMetrics;
use crate::telemetry::Spans;
use crate::telemetry::TelemetryConfig;

/// What exports traces, or nothing.
#[derive(Debug, Default)]
pub(super) struct Telemetry {
    spans: Option<Spans>,
    #[cfg(feature = "otel")]
    exporter: Option<Exporter>,
}

impl Telemetry {
    /// Starts the export on the runtime this is called in.
    #[cfg(feature = "otel")]
    pub(super) fn start(
        config: Option<&TelemetryConfig>,
        registry: &mut Registry,
    ) -> Result<Self, NetError> {
        let Some(config) = config else { return Ok(Self::default()) };
        let metrics = SpanMetrics::default();
        metrics.register(registry);
        let (spans, queue) = Spans::queue(config.sample, metrics);
        let exporter = Exporter::start(config, queue)?;
        Ok(Self { spans: Some(spans), exporter: Some(exporter) })
    }

    /// Nothing: a configuration that wants an export was refused.
    #[cfg(not(feature = "otel"))]
    pub(super) fn start(
        config: Option<&TelemetryConfig>,
        _: &mut Registry,
    ) -> Result<Self, NetError> {
        debug_assert!(config.is_none(), "refused when it was read");
        Ok(Self::default())
    }

    pub(super) fn spans(&self) -> Option<Spans> {
        self.spans.clone()
    }

    /// Sends what is left, for a moment.
    #[cfg(feature = "otel")]
    pub(super) async fn finish(self) {
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
    }

    /// There is nothing to send.
    #[cfg(not(feature = "otel"))]
    pub(super) fn finish(self) -> Ready<()> {
        drop(self);
        ready(())
    }
}

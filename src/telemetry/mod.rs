//! Traces of calls, for a collector that speaks OTLP. The exporter is compiled in with the feature
//! `otel`; without it nothing makes a [`Spans`], and calls are not looked at.
//!
//! A [`Span`] names a call by words of the product and the policy. It has no place for a value, a
//! path, a raw id or a token.

mod config;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod otlp;
mod span;
mod spans;

pub use self::config::{Sample, TelemetryConfig};
#[cfg(feature = "otel")]
pub use self::export::Exporter;
pub use self::span::Span;
pub use self::spans::{Queue, SpanMetrics, Spans};

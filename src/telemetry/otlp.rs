//! Spans as OTLP writes them.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use opentelemetry_proto::tonic::trace::v1::Span as Written;
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

use super::Span;

/// The body of one export.
pub(super) fn written(spans: &[Span]) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    let resource = Resource {
        attributes: vec![text("service.name", "privet"), text("service.version", version)],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "privet".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(one).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let of_resource =
        ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec().into()
}

fn one(span: &Span) -> Written {
    let end = span.ended.unix_ms().saturating_mul(1_000_000);
    let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
    let status = if span.is_fault { StatusCode::Error } else { StatusCode::Unset };
    Written {
        trace_id: span.context.trace_id().to_vec(),
        span_id: span.context.span_id().to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |id| id.to_vec()),
        flags: SAMPLED,
        name: name(span),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: end.saturating_sub(took),
        end_time_unix_nano: end,
        attributes: attributes(span),
        status: Some(Status { message: String::new(), code: status.into() }),
        ..Written::default()
    }
}

/// As the conventions want it: the method and the template, or the method alone.
fn name(span: &Span) -> String {
    let method = if span.method == UNKNOWN { "HTTP" } else { span.method };
    span.route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// INVARIANT: words of the product and the policy, ids of Privet's own, and counts.
fn attributes(span: &Span) -> Vec<KeyValue> {
    let method = if span.method == UNKNOWN { "_OTHER" } else { span.method };
    let mut found = vec![
        text("http.request.method", method),
        number("http.response.status_code", span.status.into()),
        text("privet.decision_id", span.decision_id.as_str()),
        text("privet.decision", span.decision),
        text("privet.outcome", span.outcome),
        number("privet.upstream_us", i64::try_from(span.waited.as_micros()).unwrap_or(i64::MAX)),
        number("privet.records", span.records.into()),
        number("privet.left_out", span.left_out.into()),
        number("privet.bytes", i64::try_from(span.bytes).unwrap_or(i64::MAX)),
    ];
    let words = [
        ("http.route", span.route.as_deref()),
        ("privet.store", span.store.as_ref().map(|id| id.as_str())),
        ("privet.data_set", span.data_set.as_ref().map(|id| id.as_str())),
        ("privet.purpose", span.purpose.as_ref().map(|id| id.as_str())),
        ("privet.action", span.action.map(|action| action.as_str())),
        ("privet.reason", span.reason.as_deref()),
        ("error.type", span.reason.as_deref().filter(|_| span.is_fault)),
    ];
    found.extend(words.into_iter().filter_map(|(key, word)| word.map(|word| text(key, word))));
    found
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The word for a method that the product does not know.
const UNKNOWN: &str = "other";
/// The trace flags of W3C: only sampled spans come here.
const SAMPLED: u32 = 1;

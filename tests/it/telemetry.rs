//! Traces of calls, as a collector receives them over OTLP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use privet::app::Loaded;
use privet::app::Plan;
use privet::app::Running;
use privet::app::Trust;
use privet::clock::SystemEntropy;
use privet::net::Inherited;
use privet::telemetry::Exporter;
use privet::telemetry::Sample;
use privet::telemetry::SpanMetrics;
use privet::telemetry::Spans;
use privet::telemetry::TelemetryConfig;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::exchange;

const POLICY: &str = r#"
privet: policy/v1
name: traced
purposes:
  care: { basis: contract }
roles:
  clerk: { claim: roles, has: clerk }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$", query: [v] }
      - { on: "PATCH /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
      city: { category: user.contact.address.city }
      email: { category: user.contact.email }
grants:
  - id: clerk-care
    roles: [clerk]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    find_by: [id]
    fields: { id: show, city: show, email: email-hint }
    writes: [city]
"#;

const ROW: &str = r#"{"id":"id-planted","city":"city-planted","email":"mail-planted@mail.example","secret":"planted"}"#;
const PATH: &str = "/shop/customers/id-planted";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    bodies: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, bodies) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sender.send(receive(stream).await).unwrap();
            }
        });
        Self { address, bodies }
    }

    /// The next spans, with the bytes they came in.
    async fn next(&mut self) -> (Vec<Span>, Vec<u8>) {
        let body = tokio::time::timeout(Duration::from_secs(30), self.bodies.recv());
        let body = body.await.expect("spans come in time").unwrap();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let resource = request.resource_spans[0].resource.clone().unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
        let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
        (scopes.flat_map(|it| it.spans).collect(), body)
    }

    /// Spans until there are `count`.
    async fn spans(&mut self, count: usize) -> (Vec<Span>, Vec<u8>) {
        let (mut spans, mut bytes) = self.next().await;
        while spans.len() < count {
            let (more, body) = self.next().await;
            spans.extend(more);
            bytes.extend(body);
        }
        assert_eq!(spans.len(), count, "{spans:?}");
        (spans, bytes)
    }
}

async fn receive(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes.drain(..end).collect()).unwrap().to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let length: usize = length.parse().unwrap();
    while bytes.len() < length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    bytes
}

/// A gateway whose spans go to `collector`, and what ends the export.
fn traced(
    store: &FakeStore,
    collector: SocketAddr,
    share: &str,
) -> (Gateway, Exporter, SpanMetrics) {
    let config = TelemetryConfig {
        otlp: format!("http://{collector}").parse().unwrap(),
        ca: None,
        sample: Sample::parse(share).unwrap(),
    };
    let metrics = SpanMetrics::default();
    let (spans, queue) = Spans::queue(config.sample, metrics.clone());
    let exporter = Exporter::start(&config, queue).unwrap();
    let setup = Setup { spans: Some(spans), ..Setup::new(POLICY, store) };
    (Gateway::start(setup), exporter, metrics)
}

async fn call(gateway: &Gateway, method: &str, more: &str, body: &str) -> Reply {
    let token = gateway.token(&["clerk"], &["care"]);
    let request = format!(
        "{method} {PATH}?v=query-planted HTTP/1.1\r\nHost: gateway.test\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
        body.len()
    );
    let request =
        if body.is_empty() { request.replace("Content-Length: 0\r\n", "") } else { request };
    let request = if method == "PATCH" { request.replace("?v=query-planted", "") } else { request };
    Reply::parse(exchange(gateway.address, request.as_bytes()).await, false)
}

fn from_caller(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: state=planted\r\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The attributes of a span, as text.
fn attributes(span: &Span) -> BTreeMap<String, String> {
    let word = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let found = span.attributes.iter();
    found
        .map(|it| (it.key.clone(), word(it.value.as_ref().unwrap().value.as_ref().unwrap())))
        .collect()
}

fn assert_nothing_planted(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for word in ["planted", "mail.example", "eyJ", "Bearer", "agent-1", "gateway.test"] {
        assert!(!text.contains(word), "`{word}` is in what was exported: {text}");
    }
}

#[tokio::test]
async fn a_call_is_one_span_between_the_callers_and_the_stores() {
    let mut collector = Collector::start().await;
    let (_, store) = Table::start(Versions::Strong, &[("id-planted", ROW)]).await;
    let (gateway, _exporter, metrics) = traced(&store, collector.address, "0");
    let reply = call(&gateway, "GET", &from_caller("01"), "").await;
    assert_eq!(reply.status, 200, "{}", reply.raw_text());
    assert!(reply.text().contains("city-planted"));
    let (spans, bytes) = collector.spans(1).await;
    let span = &spans[0];
    assert_eq!(span.name, "GET /customers/{id}");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.trace_state, "");
    assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Unset);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    // The store hears of this span as its parent.
    let upstream = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(store.asked()[0].header("traceparent"), Some(upstream.as_str()));
    assert_eq!(store.asked()[0].header("tracestate"), None);
    let told = attributes(span);
    let word = |key: &str| told.get(key).map(String::as_str);
    assert_eq!(word("http.route"), Some("/customers/{id}"));
    assert_eq!(word("http.request.method"), Some("GET"));
    assert_eq!(word("http.response.status_code"), Some("200"));
    assert_eq!(word("privet.store"), Some("shop"));
    assert_eq!(word("privet.data_set"), Some("shop.customers"));
    assert_eq!(word("privet.purpose"), Some("care"));
    assert_eq!(word("privet.decision"), Some("permit"));
    assert_eq!(word("privet.outcome"), Some("complete"));
    assert_eq!(word("privet.records"), Some("1"));
    assert_eq!(word("privet.bytes"), Some(reply.body.len().to_string().as_str()));
    let decision = format!("allow;id=\"{}\"", word("privet.decision_id").unwrap());
    assert_eq!(reply.header("privet-decision"), Some(decision.as_str()));
    let took = span.end_time_unix_nano - span.start_time_unix_nano;
    let waited: u64 = word("privet.upstream_us").unwrap().parse().unwrap();
    assert!(waited > 0 && waited * 1000 <= took, "{waited} us of {took} ns");
    assert_nothing_planted(&bytes);
    assert_eq!((metrics.failed.get(), metrics.dropped.get()), (0, 0));
}

#[tokio::test]
async fn every_question_of_a_write_has_the_span_of_the_call() {
    let mut collector = Collector::start().await;
    let (table, store) = Table::start(Versions::Strong, &[("id-planted", ROW)]).await;
    let (gateway, _exporter, _) = traced(&store, collector.address, "1");
    let more = "Content-Type: application/json\r\n";
    let reply = call(&gateway, "PATCH", more, r#"{"city":"new-planted"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.raw_text());
    assert!(table.row("id-planted").unwrap().contains("new-planted"));
    let (spans, bytes) = collector.spans(1).await;
    let span = &spans[0];
    // The trace begins here.
    assert_eq!((span.name.as_str(), span.parent_span_id.len()), ("PATCH /customers/{id}", 0));
    assert_eq!(attributes(span)["privet.action"], "update");
    let upstream = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    let asked = store.asked();
    assert!(asked.len() >= 2, "{asked:?}");
    assert!(asked.iter().all(|it| it.header("traceparent") == Some(&upstream)), "{asked:?}");
    assert_nothing_planted(&bytes);
}

#[tokio::test]
async fn a_trace_is_taken_or_left_as_its_beginning_says() {
    let mut collector = Collector::start().await;
    let (_, store) = Table::start(Versions::Strong, &[("id-planted", ROW)]).await;
    let (gateway, exporter, metrics) = traced(&store, collector.address, "1");
    assert_eq!(call(&gateway, "GET", &from_caller("00"), "").await.status, 200);
    let left = store.asked()[0].header("traceparent").unwrap().to_owned();
    assert!(left.starts_with(&format!("00-{TRACE}-")) && left.ends_with("-00"), "{left}");
    // A call that nobody was permitted is a call: its span says so, and nothing of the caller.
    let refused = exchange(
        gateway.address,
        b"BREW /shop/path-planted HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n",
    );
    assert!(Reply::parse(refused.await, false).status >= 400);
    let stranger =
        format!("GET {PATH} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n");
    let refused = Reply::parse(exchange(gateway.address, stranger.as_bytes()).await, false);
    assert_eq!(refused.status, 401);
    let (spans, bytes) = collector.spans(2).await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["HTTP", "GET"]);
    let told = attributes(&spans[1]);
    assert_eq!(told["http.response.status_code"], "401");
    assert_eq!((told["privet.decision"].as_str(), told.get("privet.store")), ("refuse", None));
    assert_eq!(attributes(&spans[0])["http.request.method"], "_OTHER");
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE));
    assert_nothing_planted(&bytes);
    exporter.finish().await;
    assert_eq!((metrics.exported.get(), metrics.failed.get()), (2, 0));

    // Without a share of its own, the gateway begins no recorded trace.
    let (quiet, exporter, metrics) = traced(&store, collector.address, "0");
    assert_eq!(call(&quiet, "GET", "", "").await.status, 200);
    let begun = store.asked().pop().unwrap().header("traceparent").unwrap().to_owned();
    assert!(begun.ends_with("-00"), "{begun}");
    exporter.finish().await;
    assert_eq!((metrics.exported.get(), metrics.failed.get()), (0, 0));
}

#[tokio::test]
async fn a_collector_that_is_down_costs_calls_nothing_and_is_counted() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_, store) = Table::start(Versions::Strong, &[("id-planted", ROW)]).await;
    let (gateway, exporter, metrics) = traced(&store, gone, "1");
    for _ in 0..3 {
        assert_eq!(call(&gateway, "GET", "", "").await.status, 200);
    }
    exporter.finish().await;
    assert_eq!((metrics.failed.get(), metrics.exported.get()), (3, 0));
    // Nobody takes spans any more: they are dropped, and calls go on.
    assert_eq!(call(&gateway, "GET", "", "").await.status, 200);
    assert_eq!((metrics.failed.get(), metrics.dropped.get()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_gateway_exports_and_sends_what_is_left_when_it_stops() {
    let mut collector = Collector::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let site = folder.path().join("site");
    let plan = Plan { gateway: 0, admin: 0, demo: true, ..Plan::default() };
    privet::app::init(&site, &plan, &SystemEntropy).await.unwrap();
    let file = site.join("privet.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let otlp = format!("http://{}/", collector.address);
    text.push_str(&format!("\n[telemetry]\notlp = \"{otlp}\"\nsample = 1.0\n"));
    std::fs::write(&file, text).unwrap();
    let loaded = Loaded::read(&file).unwrap();
    let expected = TelemetryConfig { otlp: otlp.parse().unwrap(), ca: None, sample: Sample::ALL };
    assert_eq!(loaded.config.telemetry, Some(expected));
    let running = Running::start(loaded, Trust::Demo, &Inherited::default()).await.unwrap();
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n");
    let reply =
        Reply::parse(exchange(running.addresses().gateway, request.as_bytes()).await, false);
    assert_eq!(reply.status, 401);
    running.stop().await;
    let (spans, bytes) = collector.spans(1).await;
    assert_eq!(attributes(&spans[0])["http.response.status_code"], "401");
    assert_nothing_planted(&bytes);
}

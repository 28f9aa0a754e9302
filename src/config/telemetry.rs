//! `[telemetry]`: where traces go.

use crate::telemetry::Sample;
use crate::telemetry::TelemetryConfig;
use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::auth;
use super::paths::Paths;

/// Reads the section also where nothing could act on it, so that all of its faults show at once.
pub(super) fn read(entry: &Entry, paths: &Paths, faults: &mut Faults) -> Option<TelemetryConfig> {
    let mut map = MapReader::new(&entry.node, "`[telemetry]`", faults)?;
    let otlp = map.required("otlp", faults).and_then(|n| collector(n, faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    let sample = map.optional("sample").map_or(Some(Sample::ALL), |n| sample(n, faults));
    map.finish(faults);
    if !cfg!(feature = "otel") {
        let what = "this program was built without the export of traces";
        let help =
            "build it with `cargo build --release --features otel`, or leave [telemetry] out";
        faults.error(&entry.key_place, what, help);
    }
    let ca = match ca {
        Some(ca) => Some(ca?),
        None => None,
    };
    Some(TelemetryConfig { otlp: otlp?, ca, sample: sample? })
}

fn collector(node: &Node, faults: &mut Faults) -> Option<http::Uri> {
    let help =
        "in the clear only a collector on this machine will do, such as \"http://127.0.0.1:4318\"";
    let url = auth::safe_url(node, "let a collector on this machine add them", help, faults)?;
    if url.query().is_some() {
        return node.mismatch("a base address", "`/v1/traces` comes after it", faults);
    }
    Some(url)
}

fn sample(node: &Node, faults: &mut Faults) -> Option<Sample> {
    let read = match &node.value {
        Value::Number(digits) => Sample::parse(digits),
        _ => None,
    };
    match read {
        Some(sample) => Some(sample),
        None => node.unexpected("a number from 0 to 1", "0.1 is one trace in ten", faults),
    }
}

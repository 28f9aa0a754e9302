//! Entries as OCSF events of the class API Activity (6003).
//!
//! Version 1.6.0 of <https://schema.ocsf.io>: `events/application/api_activity.json` asks for
//! `actor`, `api` and `src_endpoint` beside what every event has. What OCSF has no word for, such
//! as purpose, legal basis and the people concerned, stands under `unmapped`, as the log has it.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Verdict;
use crate::types::Action;

const VERSION: &str = "1.6.0";
const CATEGORY: u64 = 6;
const CLASS: u64 = 6003;

/// Appends an entry as one event.
pub(super) fn event(
    origin: &str,
    index: u64,
    entry: &Entry,
    to: &mut Vec<u8>,
) -> Result<(), AuditError> {
    let encode = |source| AuditError::Encode { source: Arc::new(source) };
    let (activity, activity_name) = activity(entry);
    let (status, status_name) = status(entry);
    let (severity, severity_name) = severity(entry.kind);
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("API Activity: {activity_name}"),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "time": entry.time.unix_ms(),
        "metadata": {
            "version": VERSION,
            "product": {
                "name": "Privet",
                "vendor_name": "Privet",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "uid": format!("{origin}/{index}"),
            "log_name": origin,
            "sequence": index,
            "event_code": entry.kind.as_str(),
        },
        "actor": actor(entry),
        "api": api(entry),
        // The log holds no addresses of callers.
        "src_endpoint": { "type_id": 0, "name": "not recorded" },
    });
    if let Some(fields) = event.as_object_mut() {
        optional(entry, fields);
        fields.insert("unmapped".into(), unmapped(entry).map_err(encode)?);
    }
    serde_json::to_writer(&mut *to, &event).map_err(encode)
}

/// The parts that not every entry has.
fn optional(entry: &Entry, event: &mut Map<String, Value>) {
    if let Some(reason) = &entry.reason {
        event.insert("status_detail".into(), json!(reason));
    }
    if let Some(status) = entry.status {
        event.insert("http_response".into(), json!({ "code": status }));
    }
    if let Some(store) = &entry.store {
        event.insert("dst_endpoint".into(), json!({ "svc_name": store.as_str() }));
    }
    if let Some(set) = &entry.data_set {
        let mut labels: Vec<&str> =
            entry.fields.iter().map(|field| field.category.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        let resource = json!({ "uid": set.as_str(), "type": "data set", "labels": labels });
        event.insert("resources".into(), json!([resource]));
    }
    if let (Some(id), Some(metadata)) = (&entry.request_id, event.get_mut("metadata")) {
        metadata["correlation_uid"] = json!(id);
    }
}

/// Who acted. OCSF wants somebody in every event: what nobody asked for, the gateway did.
fn actor(entry: &Entry) -> Value {
    let Some(token) = &entry.actor else { return json!({ "app_name": "privet" }) };
    json!({ "user": { "uid": token.to_string(), "type_id": 0 } })
}

fn api(entry: &Entry) -> Value {
    let operation = entry.route.as_deref().unwrap_or(entry.kind.as_str());
    let mut api = Map::from_iter([("operation".to_owned(), json!(operation))]);
    let mut add = |name: &str, value: Value| api.insert(name.to_owned(), value);
    if let Some(store) = &entry.store {
        add("service", json!({ "name": store.as_str() }));
    }
    if let Some(id) = &entry.request_id {
        add("request", json!({ "uid": id }));
    }
    if let Some(status) = entry.status {
        add("response", json!({ "code": status }));
    }
    Value::Object(api)
}

const fn activity(entry: &Entry) -> (u64, &'static str) {
    match entry.action {
        Some(Action::Create) => (1, "Create"),
        Some(Action::Read | Action::Export) => (2, "Read"),
        Some(Action::Update) => (3, "Update"),
        Some(Action::Delete) => (4, "Delete"),
        None => (99, entry.kind.as_str()),
    }
}

fn status(entry: &Entry) -> (u64, &'static str) {
    use crate::audit::Ending;

    match (entry.kind, entry.decision, entry.outcome) {
        (Kind::Refusal, ..) | (_, Some(Verdict::Refuse), _) => (2, "Failure"),
        (_, _, Some(Ending::Complete)) => (1, "Success"),
        (_, _, Some(_)) => (2, "Failure"),
        (_, Some(Verdict::Permit), None) => (1, "Success"),
        _ => (0, "Unknown"),
    }
}

const fn severity(kind: Kind) -> (u64, &'static str) {
    match kind {
        Kind::Alert => (4, "High"),
        Kind::Refusal => (2, "Low"),
        _ => (1, "Informational"),
    }
}

/// What stands nowhere else in the event, under the names of the log.
fn unmapped(entry: &Entry) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(entry)?;
    if let Some(fields) = value.as_object_mut() {
        for mapped in MAPPED {
            fields.shift_remove(mapped);
        }
    }
    Ok(value)
}

const MAPPED: [&str; 7] = ["actor", "kind", "reason", "request_id", "route", "status", "time"];

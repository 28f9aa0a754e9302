//! Fields that were seen in answers and that no policy lists.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::catalog::guess;
use crate::protocol::http::ProblemKind;
use crate::proxy::Seen;
use crate::transform::JsonKind;
use crate::types::DataSetId;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// Lists them: those of one data set with `data`, those that were dismissed as well with `all=true`.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let (mut data, mut all) = (None, false);
    for (name, value) in form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes()) {
        match (&*name, &*value) {
            ("data", set) => data = Some(data_set(set)?),
            ("all", "true") => all = true,
            _ => return Err(wrong("an inbox takes `data`, and `all=true`")),
        }
    }
    let seen = admin.inbox.list(admin.gateway.policy().sets());
    let is_wanted = |seen: &&Seen| {
        (all || !seen.is_dismissed) && data.as_ref().is_none_or(|set| seen.data_set == *set)
    };
    let rows: Vec<Value> = seen.iter().filter(is_wanted).map(row).collect();
    Ok(json(&json!({ "rows": rows })))
}

/// What is to be shown no more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dismissed {
    data: String,
    path: Option<String>,
}

/// Shows fields no more, once that is recorded.
pub(super) async fn dismiss(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Dismissed = serde_json::from_slice(&body).map_err(|_| {
        wrong("send {\"data\": \"store.set\", \"path\": \"field\"}; without `path`, all")
    })?;
    let set = data_set(&wish.data)?;
    let mut entry = Entry::new(Kind::Admin);
    entry.data_set = Some(set.clone());
    admin.record(&operator, Kind::Admin, "inbox_dismissed", entry).await?;
    match admin.inbox.dismiss(&set, wish.path.as_deref()).await {
        Ok(0) => Err(Refused::new(ProblemKind::NotFound, "no such field is in the inbox")),
        Ok(count) => Ok(json(&json!({ "dismissed": count }))),
        Err(error) => {
            tracing::error!(error = told(&error), "the inbox cannot be written");
            Err(Refused::new(ProblemKind::Unavailable, "the inbox cannot be written"))
        }
    }
}

fn row(seen: &Seen) -> Value {
    let guess = guess::by_name(&seen.path).map(|guess| {
        json!({ "category": guess.category, "confidence": guess.confidence, "what": guess.what })
    });
    let kinds: Vec<&str> = seen.kinds.iter().copied().map(JsonKind::as_str).collect();
    json!({
        "data_set": seen.data_set.as_str(),
        "path": seen.path,
        "count": seen.count,
        "first": seen.first.to_string(),
        "last": seen.last.to_string(),
        "kinds": kinds,
        "guess": guess,
        "dismissed": seen.is_dismissed,
    })
}

fn data_set(text: &str) -> Result<DataSetId, Refused> {
    DataSetId::parse(text).map_err(|error| wrong(&error.to_string()))
}

fn wrong(detail: &str) -> Refused {
    Refused::new(ProblemKind::BadRequest, detail)
}

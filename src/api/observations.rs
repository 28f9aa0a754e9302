//! What enforcing the policy would change, where it is only observed.

use std::path::Path;
use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;

use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::audit::Observations;
use crate::audit::SearchError;
use crate::protocol::http::ProblemKind;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// Sums up what was observed: since `since`, in the data set `data`, or all of it.
pub(super) async fn report(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Auditor)?;
    let filter = filter(query.as_deref().unwrap_or_default())?;
    let (from, set) = (filter.from, filter.data_set.clone());
    // What was recorded before this is on disk with it.
    let mut entry = Entry::new(Kind::Admin);
    entry.data_set.clone_from(&set);
    admin.record(&operator, Kind::Admin, "observations_read", entry).await?;
    let sum = admin.log.read(move |dir| sum(dir, &filter)).await;
    let sum = match sum {
        Some(Ok(sum)) => sum,
        Some(Err(error)) => {
            tracing::error!(error = told(&error), "the audit log cannot be searched");
            return Err(Refused::new(ProblemKind::Unavailable, "the audit log cannot be read now"));
        }
        None => return Err(Refused::new(ProblemKind::Internal, "the search did not finish")),
    };
    let seen = admin.inbox.list(admin.gateway.policy().sets());
    let is_meant = |it: &&crate::proxy::Seen| {
        !it.is_dismissed && set.as_ref().is_none_or(|set| it.data_set == *set)
    };
    let unlisted: Vec<_> = seen
        .iter()
        .filter(is_meant)
        .map(|it| json!({ "data_set": it.data_set.as_str(), "path": it.path, "count": it.count }))
        .collect();
    let (calls, changed) = sum.calls();
    Ok(json(&json!({
        "since": from.map(|from| from.to_string()),
        "calls": calls,
        "changed": changed,
        "rows": audit::observed_lines(&sum),
        "unlisted": unlisted,
        "advice": sum.advice(),
    })))
}

fn filter(query: &str) -> Result<Filter, Refused> {
    let wrong = |detail: String| Refused::new(ProblemKind::BadRequest, detail);
    let mut filter = Filter { kind: Some(Kind::Outcome), observed: true, ..Filter::default() };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let name = match &*name {
            "since" => "from",
            "until" => "until",
            "data" => "data_set",
            _ => return Err(wrong("observations take `since`, `until` and `data`".to_owned())),
        };
        filter.set(name, &value).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(filter)
}

fn sum(dir: &Path, filter: &Filter) -> Result<Observations, SearchError> {
    let mut sum = Observations::default();
    for found in audit::search(dir, filter, 0)? {
        sum.add(&found?.1);
    }
    Ok(sum)
}

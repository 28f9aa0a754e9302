//! Whom data is passed to, and how many people's left their country.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use crate::policy::ExportClass;
use crate::policy::MechanismKind;
use crate::policy::Threshold;
use crate::policy::thresholds;
use crate::protocol::http::ProblemKind;
use crate::subjects::Exports;
use crate::subjects::YearCount;
use crate::types::ClientError;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// Shows the people counted by year, the thresholds, and every recipient with what allows it.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let now = admin.keys.now();
    let counted = admin.cards.exports().report(now).await.map_err(|error| {
        tracing::error!(error = told(&error), "people who were counted cannot be read");
        Refused::new(ProblemKind::Unavailable, error.client_message())
    })?;
    let year = Exports::year(now);
    let this = counted.iter().find(|counted| counted.year == year).copied();
    let reached: Vec<Value> = thresholds().iter().map(|it| reached(it, this)).collect();
    Ok(json(&json!({
        "year": year,
        "counted": counted,
        "thresholds": reached,
        "recipients": admin.gateway.policy().register(now),
    })))
}

/// How near a threshold is.
fn reached(threshold: &Threshold, counted: Option<YearCount>) -> Value {
    let counted = counted.map_or(0, |year| match threshold.class {
        ExportClass::Other => year.other,
        ExportClass::Sensitive => year.sensitive,
    });
    let mechanisms = threshold.mechanisms.iter().map(|kind| MechanismKind::as_str(*kind));
    json!({
        "law": threshold.law,
        "country": threshold.home.as_str(),
        "class": threshold.class.as_str(),
        "people": threshold.people,
        "counted": counted,
        "percent": counted.saturating_mul(100) / threshold.people.max(1),
        "mechanisms": mechanisms.collect::<Vec<_>>(),
    })
}

//! Turning reversible tokens back into values: asked for by one operator, approved by another,
//! shown once, and each of these with a second factor.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::protocol::http::ProblemKind;
use crate::subjects::Meaning;
use crate::subjects::Reidentification;
use crate::subjects::ReidentifyError;
use crate::types::PurposeId;
use crate::types::told;

use super::OperatorRole;
use super::accord;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    purpose: String,
    tokens: Vec<String>,
    case: String,
    why: String,
    /// In seconds.
    valid_for: u64,
}

/// Asks for the values of tokens.
pub(super) async fn request(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let wish: Wish = serde_json::from_slice(&body).map_err(|_| {
        Refused::new(
            ProblemKind::BadRequest,
            "send {\"purpose\", \"tokens\", \"case\", \"why\", \"valid_for\"}, the last in seconds",
        )
    })?;
    let purpose = PurposeId::parse(&wish.purpose)
        .map_err(|_| Refused::new(ProblemKind::BadRequest, "this is no purpose"))?;
    let request = Reidentification::new(
        (&operator.name, admin.mfa.now(), wish.valid_for.saturating_mul(1_000)),
        (&purpose, &wish.tokens),
        (&wish.case, &wish.why),
    )
    .map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Admin, "reidentification_requested", entry(&request)).await?;
    let id = admin.cards.request_meanings(&request).await.map_err(|error| refused(&error))?;
    Ok(json(&page(&id, &request)))
}

/// Agrees to another operator's request.
pub(super) async fn approve(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let asked = (&*operator.name, admin.mfa.now());
    let ticket = admin.cards.may_approve_meanings(&id, asked).await;
    let ticket = ticket.map_err(|error| refused(&error))?;
    let approved = entry(&ticket.request);
    admin.record(&operator, Kind::Admin, "reidentification_approved", approved).await?;
    admin.cards.settle(&ticket).await.map_err(|error| refused(&error))?;
    Ok(json(&page(&id, &ticket.request)))
}

/// Gives the values out, once, to whoever asked for them and sends another code: the token of an
/// operator alone shows nobody. Whom they are about is in the log before.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let asked = (&*operator.name, admin.mfa.now());
    let taken = admin.cards.take_meanings(&id, asked).await;
    let (request, found) = taken.map_err(|error| refused(&error))?;
    let mut entry = entry(&request);
    let subject = |(_, meaning): &(String, Meaning)| match meaning {
        Meaning::Value { subject, .. } => Some(*subject),
        Meaning::Destroyed | Meaning::Unknown => None,
    };
    entry.subjects = found.iter().filter_map(subject).collect();
    entry.subjects.sort_unstable();
    entry.subjects.dedup();
    admin.record(&operator, Kind::Admin, "reidentified", entry).await?;
    let values: Vec<Value> = found
        .iter()
        .map(|(token, meaning)| match meaning {
            Meaning::Value { value, .. } => json!({ "token": token, "value": value.as_str() }),
            Meaning::Destroyed => json!({ "token": token, "gone": "destroyed" }),
            Meaning::Unknown => json!({ "token": token, "gone": "unknown" }),
        })
        .collect();
    Ok(json(&json!({ "id": id, "case": request.accord.case, "values": values })))
}

/// Who, how many, for what; no token and no value.
fn entry(request: &Reidentification) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    entry.purpose = PurposeId::parse(&request.purpose).ok();
    entry.records = u32::try_from(request.count()).ok();
    accord::note(&mut entry, &request.accord);
    entry
}

fn page(id: &str, request: &Reidentification) -> Value {
    let more = [("purpose", json!(request.purpose)), ("tokens", json!(request.count()))];
    accord::page(id, &request.accord, &more)
}

fn refused(error: &ReidentifyError) -> Refused {
    let kind = match error {
        ReidentifyError::Accord(error) => accord::kind(*error),
        ReidentifyError::Shown => ProblemKind::Conflict,
        ReidentifyError::Subjects(source) if source.is_locked() => return Refused::locked(),
        ReidentifyError::Subjects(source) => {
            tracing::error!(error = told(source), "the vault is not available");
            ProblemKind::Unavailable
        }
    };
    Refused::new(kind, error.to_string())
}

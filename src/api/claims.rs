//! Legal claims about people who were erased: asked by one operator, approved by another, both
//! with their second factor, answered once with the person's token in the log.
//!
//! INVARIANT: no entry here names the person. It would tie the claim to their token for ever.

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
use crate::subjects::ClaimError;
use crate::subjects::LegalClaim;

use super::OperatorRole;
use super::accord;
use super::answer::Refused;
use super::answer::json;
use super::cards::Subject;
use super::cards::Who;
use super::cards::read;
use super::cards::state;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    domain: Option<String>,
    id: String,
    case: String,
    why: String,
    /// In seconds.
    valid_for: u64,
}

/// Asks for the token of an erased person.
pub(super) async fn request(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let wish: Wish = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    let asked = (&*operator.name, admin.mfa.now(), wish.valid_for.saturating_mul(1_000));
    let whom = (&subject.domain, subject.id.expose());
    let ticket = admin.cards.prepare_claim(whom, asked, (&wish.case, &wish.why)).await;
    let ticket = ticket.map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Admin, "legal_claim_requested", entry(&ticket.claim)).await?;
    admin.cards.settle_claim(&ticket).await.map_err(|error| refused(&error))?;
    Ok(json(&page(&ticket.id, &ticket.claim)))
}

/// Agrees to another operator's claim.
pub(super) async fn approve(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let asked = (&*operator.name, admin.mfa.now());
    let ticket = admin.cards.may_approve_claim(&id, asked).await;
    let ticket = ticket.map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Admin, "legal_claim_approved", entry(&ticket.claim)).await?;
    admin.cards.settle_claim(&ticket).await.map_err(|error| refused(&error))?;
    Ok(json(&page(&id, &ticket.claim)))
}

/// Tells the token, once, to whoever made the claim and names the person again.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Officer).await?;
    let who: Who = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), who.domain.as_deref(), &who.id)?;
    let asked = (&*operator.name, admin.mfa.now());
    let taken = admin.cards.take_claim(&id, (&subject.domain, subject.id.expose()), asked).await;
    let (claim, token) = taken.map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Admin, "legal_claim_shown", entry(&claim)).await?;
    Ok(json(&json!({ "id": id, "case": claim.accord.case, "token": token.to_string() })))
}

/// Who and for what.
fn entry(claim: &LegalClaim) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    accord::note(&mut entry, &claim.accord);
    entry
}

fn page(id: &str, claim: &LegalClaim) -> Value {
    accord::page(id, &claim.accord, &[])
}

fn refused(error: &ClaimError) -> Refused {
    let kind = match error {
        ClaimError::Accord(error) => accord::kind(*error),
        ClaimError::NotAbout | ClaimError::NotKept => ProblemKind::NotFound,
        ClaimError::Subjects(source) => return state(source),
    };
    Refused::new(kind, error.to_string())
}

//! Legal holds: placed, listed, released. Ids of people travel in bodies, never in paths.

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
use crate::subjects::Hold;
use crate::types::Timestamp;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::cards::Subject;
use super::cards::about;
use super::cards::read;
use super::cards::refused;
use super::cards::wrong;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    domain: Option<String>,
    id: String,
    case: String,
    why: String,
    /// In milliseconds since 1970.
    until: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    why: String,
    domain: Option<String>,
    id: Option<String>,
}

/// Places a hold.
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Add = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    let until = wish.until.map(Timestamp::from_unix_ms);
    let now = admin.mfa.now();
    let hold = Hold::new((&operator.name, now), (&wish.case, &wish.why), until);
    let hold = hold.map_err(|error| refused(&error))?;
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("case".into(), (*hold.case).into());
    if let Some(until) = until {
        entry.facts.insert("until".into(), until.to_string().into());
    }
    admin.record(&operator, Kind::Consent, "hold_added", entry).await?;
    match admin.cards.add_hold(&subject.domain, subject.id.expose(), hold).await {
        Ok(hold) => {
            // Its id ties this entry to the one of its release.
            let mut entry = about(&card);
            entry.facts.insert("hold".into(), (*hold.id).into());
            admin.record(&operator, Kind::Consent, "hold_in_force", entry).await?;
            Ok(json(&page(&hold, now)))
        }
        Err(error) => {
            let failed = Entry::new(Kind::Admin);
            admin.record(&operator, Kind::Admin, "change_failed", failed).await?;
            Err(refused(&error))
        }
    }
}

/// Lists all holds.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    admin.record(&operator, Kind::Admin, "holds_listed", Entry::new(Kind::Admin)).await?;
    let found = admin.cards.holds(MOST).await;
    let (holds, more) = found.map_err(|error| refused(&error))?;
    let now = admin.mfa.now();
    let holds: Vec<Value> = holds.iter().map(|hold| page(hold, now)).collect();
    Ok(json(&json!({ "holds": holds, "more": more })))
}

/// Lists the holds on one person's data.
pub(super) async fn of_person(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let (_, _, card) = admin.known_person(&body).await?;
    admin.record(&operator, Kind::Admin, "holds_listed", about(&card)).await?;
    let now = admin.mfa.now();
    let holds: Vec<Value> = card.holds.iter().map(|hold| page(hold, now)).collect();
    Ok(json(&json!({ "holds": holds, "more": false })))
}

/// Releases a hold. The reason stays in the log.
pub(super) async fn release(
    State(admin): State<Arc<Admin>>,
    Path(hold): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Release = read(&body)?;
    let now = admin.mfa.now();
    if Hold::new((&operator.name, now), ("release", &wish.why), None).is_err() {
        return Err(wrong("`why` takes 1 to 300 bytes of text: why the hold is no longer needed"));
    }
    let subject = match &wish.id {
        Some(id) => Some(Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), id)?),
        None => None,
    };
    let mut entry = match &subject {
        Some(subject) => about(&*admin.card(subject).await?),
        None => Entry::new(Kind::Consent),
    };
    if !hold.bytes().all(|byte| byte.is_ascii_hexdigit()) || hold.len() != HOLD_DIGITS {
        return Err(Refused::new(ProblemKind::NotFound, NONE));
    }
    entry.facts.insert("hold".into(), hold.as_str().into());
    entry.facts.insert("why".into(), wish.why.trim().into());
    admin.record(&operator, Kind::Consent, "hold_released", entry).await?;
    let person = subject.as_ref().map(|subject| (&subject.domain, subject.id.expose()));
    let released = admin.cards.release_hold(&hold, person).await;
    let failure = match released {
        Ok(Some(hold)) => return Ok(json(&json!({ "released": page(&hold, now) }))),
        Ok(None) => Refused::new(ProblemKind::NotFound, NONE),
        Err(error) => refused(&error),
    };
    let failed = Entry::new(Kind::Admin);
    admin.record(&operator, Kind::Admin, "change_failed", failed).await?;
    Err(failure)
}

/// A hold as operators see it; it names nobody.
pub(super) fn page(hold: &Hold, now: Timestamp) -> Value {
    json!({
        "hold": &*hold.id,
        "case": &*hold.case,
        "why": &*hold.why,
        "by": hold.by.as_deref(),
        "placed": hold.placed.to_string(),
        "until": hold.until.map(|until| until.to_string()),
        "in_force": hold.is_open(now),
    })
}

const HOLD_DIGITS: usize = 32;
const NONE: &str = "there is no hold with this id; `privet hold list` shows those there are, and \
                    one of an earlier release is named together with its person (`--of ID`)";
/// Holds of one list.
const MOST: usize = 1_000;

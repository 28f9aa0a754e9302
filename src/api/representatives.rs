//! Who may act for a person: named and taken back. Ids of people travel in bodies.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Kind;
use crate::subjects::Card;
use crate::types::RepresentativeKind;
use crate::types::Statuses;
use crate::types::Timestamp;

use super::OperatorRole;
use super::answer::Refused;
use super::cards::Subject;
use super::cards::about;
use super::cards::read;
use super::cards::wrong;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    domain: Option<String>,
    /// Who is represented.
    id: String,
    by_domain: Option<String>,
    /// Who acts for them.
    by: String,
    kind: String,
    /// In milliseconds since 1970.
    until: u64,
    proof: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    domain: Option<String>,
    id: String,
    by_domain: Option<String>,
    by: String,
}

/// Names a representative.
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Add = read(&body)?;
    let policy = admin.gateway.policy();
    let subject = Subject::read(&policy, wish.domain.as_deref(), &wish.id)?;
    let by_domain = wish.by_domain.as_deref().or(wish.domain.as_deref());
    let by = Subject::read(&policy, by_domain, &wish.by)?;
    let Some(kind) = RepresentativeKind::parse(&wish.kind) else {
        return Err(wrong("`kind` is one of guardian, next_of_kin, agent"));
    };
    let until = Timestamp::from_unix_ms(wish.until);
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.subjects.push(admin.card(&by).await?.token);
    entry.facts.insert("kind".into(), kind.as_str().into());
    entry.facts.insert("until".into(), until.to_string().into());
    admin.record(&operator, Kind::Consent, "representative_added", entry).await?;
    let (person, by) = ((&subject.domain, subject.id.expose()), (&by.domain, by.id.expose()));
    let named = (kind, until, wish.proof.as_str());
    let done = admin.cards.add_representative(person, by, named).await;
    admin.changed(&subject, &operator, done).await
}

/// Takes back that somebody may act for a person.
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Remove = read(&body)?;
    let policy = admin.gateway.policy();
    let subject = Subject::read(&policy, wish.domain.as_deref(), &wish.id)?;
    let by_domain = wish.by_domain.as_deref().or(wish.domain.as_deref());
    let by = Subject::read(&policy, by_domain, &wish.by)?;
    let card = admin.card(&subject).await?;
    admin.record(&operator, Kind::Consent, "representative_removed", about(&card)).await?;
    let (person, by) = ((&subject.domain, subject.id.expose()), (&by.domain, by.id.expose()));
    let removed = admin.cards.remove_representative(person, by).await;
    if matches!(removed, Ok(false)) {
        return Err(wrong("nothing says that this person may act for the other"));
    }
    admin.changed(&subject, &operator, removed.map(|_| 0)).await
}

/// Who may act for somebody, without saying who they are.
pub(super) fn page(card: &Card, status: Statuses, now: Timestamp) -> Vec<Value> {
    let named = card.representatives.iter().map(|it| {
        json!({
            "kind": it.kind.as_str(),
            "until": it.until.to_string(),
            "proof": &*it.proof,
            "in_force": it.is_in_force(it.who, status, now),
        })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read_strictly() {
        let sent = Bytes::from(
            r#"{"id":"kim","by":"ana","kind":"guardian","until":1,"proof":"p","more":1}"#,
        );
        assert!(read::<Add>(&sent).is_err());
    }
}

//! What an operator may set in a person's card. Ids travel in bodies, never in paths.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::protocol::http::ProblemKind;
use crate::subjects::Card;
use crate::subjects::SubjectsError;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::Operator;
use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    domain: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetStatus {
    domain: String,
    id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetConsent {
    domain: String,
    id: String,
    consent: String,
    given: bool,
    until: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetOptOut {
    domain: String,
    id: String,
    name: String,
    out: bool,
}

/// A person, read from a body.
struct Subject {
    domain: DomainId,
    id: SubjectId,
}

/// Shows a card. One that does not exist yet is made, as a first read would make it.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let who: Who = read(&body)?;
    let subject = Subject::read(&who.domain, &who.id)?;
    let card = admin.card(&subject).await?;
    admin.record(&operator, Kind::Admin, "subject_shown", about(&card)).await?;
    Ok(json(&page(&card)))
}

/// Sets the status.
pub(super) async fn set_status(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetStatus = read(&body)?;
    let subject = Subject::read(&wish.domain, &wish.id)?;
    let settable = SubjectStatus::parse(&wish.status).filter(|s| *s != SubjectStatus::Erased);
    let Some(status) = settable else {
        return Err(wrong(
            "`status` is one of active, restricted, objected, held, minor, deceased",
        ));
    };
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("status".into(), status.as_str().into());
    admin.record(&operator, Kind::Consent, "status_set", entry).await?;
    let done = admin.cards.set_status(&subject.domain, subject.id.expose(), status).await;
    admin.changed(&subject, &operator, done).await
}

/// Records a consent or its withdrawal.
pub(super) async fn set_consent(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetConsent = read(&body)?;
    let subject = Subject::read(&wish.domain, &wish.id)?;
    let name = word(&wish.consent)?;
    let consent = if wish.given {
        Consent::Given { until: wish.until.map(Timestamp::from_unix_ms) }
    } else {
        Consent::Refused
    };
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("consent".into(), name.into());
    entry.facts.insert("given".into(), if wish.given { "true".into() } else { "false".into() });
    admin.record(&operator, Kind::Consent, "consent_set", entry).await?;
    let done = admin.cards.set_consent(&subject.domain, subject.id.expose(), name, consent).await;
    admin.changed(&subject, &operator, done).await
}

/// Records an opt-out, or takes it back.
pub(super) async fn set_opt_out(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetOptOut = read(&body)?;
    let subject = Subject::read(&wish.domain, &wish.id)?;
    let name = word(&wish.name)?;
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("opt_out".into(), name.into());
    entry.facts.insert("out".into(), if wish.out { "true".into() } else { "false".into() });
    admin.record(&operator, Kind::Consent, "opt_out_set", entry).await?;
    let done = admin.cards.set_opt_out(&subject.domain, subject.id.expose(), name, wish.out).await;
    admin.changed(&subject, &operator, done).await
}

impl Subject {
    fn read(domain: &str, id: &str) -> Result<Self, Refused> {
        let domain = DomainId::parse(domain).map_err(|_| wrong("`domain` is not a word"))?;
        let id = SubjectId::parse(id).map_err(|_| wrong("`id` is not an id"))?;
        Ok(Self { domain, id })
    }
}

impl Admin {
    async fn card(&self, subject: &Subject) -> Result<Arc<Card>, Refused> {
        let mut found = Vec::new();
        let wanted = [(&subject.domain, subject.id.expose())];
        self.cards.cards(&wanted, &mut found).await.map_err(|e| state(&e))?;
        found.pop().flatten().ok_or_else(|| wrong("nothing is known about that id"))
    }

    /// The card after a change. A change that failed is recorded too: its entry came first.
    async fn changed(
        &self,
        subject: &Subject,
        operator: &Operator,
        done: Result<u64, SubjectsError>,
    ) -> Result<Response, Refused> {
        if let Err(error) = done {
            let failed = Entry::new(Kind::Admin);
            self.record(operator, Kind::Admin, "change_failed", failed).await?;
            return Err(state(&error));
        }
        Ok(json(&page(&*self.card(subject).await?)))
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    // serde's text names members and types of our own, and a value only where it is not a string.
    serde_json::from_slice(body).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => wrong("the body lacks a member, or has a wrong one"),
        _ => wrong("the body is not JSON"),
    })
}

/// A consent's or opt-out's name is a word of the policy.
fn word(text: &str) -> Result<&str, Refused> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if fits { Ok(text) } else { Err(wrong("a name is 1 to 64 letters, digits, `.`, `_` or `-`")) }
}

fn wrong(detail: &'static str) -> Refused {
    Refused::new(ProblemKind::BadRequest, detail)
}

fn state(error: &SubjectsError) -> Refused {
    tracing::error!(%error, "a subject card cannot be read or written");
    Refused::new(ProblemKind::Unavailable, "the subject's card cannot be read or written now")
}

fn about(card: &Card) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    entry.subjects.push(card.token);
    entry
}

fn page(card: &Card) -> Value {
    let consents: serde_json::Map<String, Value> = card
        .consents
        .iter()
        .map(|(name, consent)| {
            let answer = match consent {
                Consent::Given { until: None } => json!({ "given": true }),
                Consent::Given { until: Some(until) } => {
                    json!({ "given": true, "until": until.to_string() })
                }
                Consent::Refused => json!({ "given": false }),
                Consent::Unknown => json!({ "given": null }),
            };
            (name.to_string(), answer)
        })
        .collect();
    json!({
        "token": card.token.to_string(),
        "status": card.status.as_str(),
        "consents": consents,
        "opt_outs": card.opt_outs.iter().collect::<Vec<_>>(),
        "version": card.version,
    })
}

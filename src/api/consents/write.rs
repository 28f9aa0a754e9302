//! Recording what people answer: a record, or what happened to one. Ids travel in bodies.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::Operator;
use crate::api::answer::Refused;
use crate::api::answer::json;
use crate::api::cards::Subject;
use crate::api::cards::about;
use crate::api::cards::known;
use crate::api::cards::read;
use crate::api::cards::wrong;
use crate::api::routes::Admin;
use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::protocol::http::ProblemKind;
use crate::subjects::consent::ConsentError;
use crate::subjects::consent::Filing;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::NewEvent;
use crate::subjects::consent::Recorded;

use super::fault::refused;
use super::look::record_id;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create<'a> {
    domain: Option<String>,
    id: String,
    #[serde(borrow)]
    consent: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened<'a> {
    domain: Option<String>,
    id: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// A record that is to be made, read and checked as far as it can be before anybody is looked at.
pub(super) struct Wish {
    pub(super) subject: Subject,
    pub(super) consent: NewConsent,
}

/// Makes a record. `Idempotency-Key` names the attempt: the same one again gets the same answer.
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.collector(&headers)?;
    let Some(key) = attempt(&headers)? else {
        let what = "send `Idempotency-Key` with a text of your own for each attempt, such as a \
                    UUID: then it can be repeated without being recorded twice";
        return Err(wrong(what));
    };
    let wish = admin.wish(&body)?;
    if wish.consent.idempotency_key.as_ref().is_some_and(|own| *own != key) {
        return Err(wrong("`Idempotency-Key` and `consent.idempotency_key` differ"));
    }
    let done = admin.record_consent(&operator, wish, key).await?;
    Ok((StatusCode::CREATED, json(&done)).into_response())
}

/// Adds what happened to a record: a withdrawal, a renewal, a refusal. The body names the person,
/// so that nobody's record is changed by whoever got hold of its id alone.
pub(super) async fn happened(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.collector(&headers)?;
    let (record, key) = (record_id(&id)?, attempt(&headers)?);
    let wish: Happened<'_> = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    let event = NewEvent::read(wish.event.get().as_bytes()).map_err(|e| refused(&e))?;
    let (domain, person) = (&subject.domain, subject.id.expose());
    let is_theirs = admin.cards.is_consent_of(record, domain, person).await;
    if !is_theirs.map_err(|error| refused(&error))? {
        return Err(refused(&ConsentError::NotFound));
    }
    let mut entry = admin.entry_about(&subject).await?;
    entry.facts.insert("record".into(), record.to_string().into());
    entry.facts.insert("consent".into(), event.purpose_key.as_str().into());
    entry.facts.insert("state".into(), event.state.as_str().into());
    let filing = admin.file(&operator, ("consent_event", entry), key).await?;
    let done = admin.cards.consent_event(record, event, filing).await;
    let done = admin.settled(&operator, done).await?;
    Ok((StatusCode::CREATED, json(&done)).into_response())
}

impl Admin {
    /// Reads the body of a record that is to be made.
    pub(super) fn wish(&self, body: &[u8]) -> Result<Wish, Refused> {
        let create: Create<'_> = read(body)?;
        let policy = self.gateway.policy();
        let subject = Subject::read(&policy, create.domain.as_deref(), &create.id)?;
        let consent = NewConsent::read(create.consent.get().as_bytes());
        let consent = consent.map_err(|error| refused(&error))?;
        let asked = policy.consents();
        for process in &consent.process {
            // One that no purpose asks for would be stored and change nothing.
            known("consent", "no purpose asks for it", &process.purpose_key, &asked)?;
        }
        Ok(Wish { subject, consent })
    }

    /// Makes a record, once for each `key`.
    pub(super) async fn record_consent(
        &self,
        operator: &Operator,
        wish: Wish,
        key: String,
    ) -> Result<Recorded, Refused> {
        let Wish { subject, consent } = wish;
        let mut entry = about(&*self.card(&subject).await?);
        let names: Vec<String> = consent
            .events
            .iter()
            .map(|event| format!("{} {}", event.purpose_key, event.state))
            .collect();
        entry.facts.insert("consents".into(), names.join(", ").into());
        if let Some(notice) = &consent.notice {
            entry.facts.insert("notice".into(), notice.sha256.to_string().into());
        }
        let filing = self.file(operator, ("consent_record", entry), Some(key)).await?;
        let (domain, id) = (&subject.domain, subject.id.expose());
        let done = self.cards.record_consent(domain, id, consent, filing).await;
        self.settled(operator, done).await
    }

    /// Records that something is about to be recorded, and says where that stands.
    async fn file(
        &self,
        operator: &Operator,
        (reason, entry): (&'static str, Entry),
        idempotency_key: Option<String>,
    ) -> Result<Filing, Refused> {
        let index = self.record_at(operator, Kind::Consent, reason, entry).await?;
        let by = ActorToken(self.keys.owner_token(&operator.name)).to_string();
        Ok(Filing { by, audit_seq: Some(index), idempotency_key })
    }

    /// What came of it. That nothing did is recorded too: its entry came first.
    async fn settled(
        &self,
        operator: &Operator,
        done: Result<Recorded, ConsentError>,
    ) -> Result<Recorded, Refused> {
        match done {
            Ok(done) => Ok(done),
            Err(error) => {
                let failed = Entry::new(Kind::Consent);
                self.record(operator, Kind::Consent, "change_failed", failed).await?;
                Err(refused(&error))
            }
        }
    }
}

/// The name of the attempt: `Idempotency-Key`, as a string of RFC 9651 or bare.
fn attempt(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let mut sent = headers.get_all("idempotency-key").iter();
    let key = match (sent.next(), sent.next()) {
        (None, _) => return Ok(None),
        (Some(key), None) => key.to_str().unwrap_or_default().trim(),
        // Two are as bad as none: it would be open which one counts.
        (Some(_), Some(_)) => return Err(wrong("`Idempotency-Key` was sent twice")),
    };
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if bare.is_empty() {
        return Err(Refused::new(ProblemKind::BadRequest, "`Idempotency-Key` is empty"));
    }
    // Its letters are looked at where it is kept.
    Ok(Some(bare.to_owned()))
}

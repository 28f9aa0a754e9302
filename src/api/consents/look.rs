//! Looking at consents: one person's, one record, all of them; each look is recorded before.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::OperatorRole;
use crate::api::answer::Refused;
use crate::api::answer::json;
use crate::api::cards::Subject;
use crate::api::cards::about;
use crate::api::cards::known;
use crate::api::cards::read;
use crate::api::cards::state;
use crate::api::cards::wrong;
use crate::api::routes::Admin;
use crate::audit;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::protocol::http::ProblemKind;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::Moment;
use crate::subjects::consent::RecordId;
use crate::subjects::consent::Standing;
use crate::subjects::consent::standing;
use crate::types::Timestamp;

use super::fault::refused;
use super::kantara;
use super::receipt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find {
    domain: Option<String>,
    id: String,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    domain: Option<String>,
    id: String,
    consent: String,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A person's records, and what stands of them now or stood at a time. Of somebody who was never
/// met there are none, as of somebody who has none.
pub(super) async fn find(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.collector(&headers)?;
    let wish: Find = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    let at = moment(wish.at.as_deref())?;
    let person = (&subject.domain, subject.id.expose());
    let entry = admin.entry_about(&subject).await?;
    let records = admin.cards.consents_of(person.0, person.1).await;
    let records = records.map_err(|error| refused(&error))?;
    let notices = admin.cards.notices().await.map_err(|error| state(&error))?;
    admin.record(&operator, Kind::Consent, "consents_shown", entry).await?;
    let at = Moment::then(at.unwrap_or_else(|| admin.mfa.now()));
    let questions: BTreeSet<&str> = records
        .iter()
        .flat_map(|record| &record.consent.process)
        .map(|process| process.purpose_key.as_str())
        .collect();
    let stands: Vec<Value> = questions
        .into_iter()
        .map(|name| stands(name, &standing(&records, &notices, name, at)))
        .collect();
    let called = records.first().map(|record| record.subject_ref);
    Ok(json(&json!({
        "subject_ref": called,
        "at": at.at.to_string(),
        "standing": stands,
        "records": records,
    })))
}

/// Whether a person's consent to one question stands, now or at a time.
pub(super) async fn allows(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.collector(&headers)?;
    let wish: Ask = read(&body)?;
    let policy = admin.gateway.policy();
    let subject = Subject::read(&policy, wish.domain.as_deref(), &wish.id)?;
    let name = known("consent", "no purpose asks for it", &wish.consent, &policy.consents())?;
    let at = moment(wish.at.as_deref())?.unwrap_or_else(|| admin.mfa.now());
    let mut entry = admin.entry_about(&subject).await?;
    entry.facts.insert("consent".into(), name.into());
    let (domain, id) = (&subject.domain, subject.id.expose());
    let found = admin.cards.consent_at(domain, id, name, Moment::then(at)).await;
    let found = found.map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Consent, "consent_asked", entry).await?;
    let mut page = stands(name, &found);
    if let Some(page) = page.as_object_mut() {
        page.insert("at".into(), at.to_string().into());
        page.insert("allows".into(), found.allows().into());
    }
    Ok(json(&page))
}

/// A record with every version of it.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let id = record_id(&id)?;
    let record = admin.consent(id).await?;
    let history = admin.cards.consent_history(id).await.map_err(|error| refused(&error))?;
    admin.record(&operator, Kind::Consent, "consent_shown", named(id)).await?;
    Ok(json(&json!({ "record": record, "history": history })))
}

/// The signed receipt of a record.
pub(super) async fn receipt(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.collector(&headers)?;
    let id = record_id(&id)?;
    let record = admin.consent(id).await?;
    admin.record(&operator, Kind::Consent, "consent_receipt", named(id)).await?;
    let receipt = receipt::signed(&record, &admin.keys.receipt_signer());
    let kind = "application/consent-receipt+jwt";
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((head, receipt).into_response())
}

/// What stands of a record in the form of the Kantara Initiative.
pub(super) async fn kantara(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let id = record_id(&id)?;
    let record = admin.consent(id).await?;
    let key = crate::protocol::jws::key_set(admin.keys.receipt_signer().verifier());
    let key = key.pointer("/keys/0/x").and_then(Value::as_str).unwrap_or_default();
    let page = kantara::export(&record, key, admin.mfa.now());
    let page = page.map_err(|error| Refused::new(ProblemKind::Conflict, error.to_string()))?;
    admin.record(&operator, Kind::Consent, "consent_exported", named(id)).await?;
    Ok(json(&page))
}

/// Part of all records, one a line; where there are more, `Privet-Next` says what to ask for.
pub(super) async fn export(
    State(admin): State<Arc<Admin>>,
    Query(part): Query<Part>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let after = part.cursor.as_deref().map(|text| {
        RecordId::parse(text).ok_or_else(|| wrong("`cursor` is not one that was given out"))
    });
    let limit = part.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(wrong(format!("`limit` is 1 to {PAGE}")));
    }
    let page = admin.cards.all_consents(after.transpose()?, limit).await;
    let page = page.map_err(|error| refused(&error))?;
    let mut text = String::new();
    for record in &page.records {
        let line = serde_json::to_string(record);
        let line = line.map_err(|_| Refused::new(ProblemKind::Internal, "a record is no JSON"))?;
        // Writing to a String does not fail.
        writeln!(text, "{line}").unwrap_or_default();
    }
    for id in &page.broken {
        writeln!(text, "{}", json!({ "record_id": id, "broken": true })).unwrap_or_default();
    }
    let mut entry = Entry::new(Kind::Consent);
    entry.records = u32::try_from(page.records.len()).ok();
    admin.record(&operator, Kind::Consent, "consents_exported", entry).await?;
    let head =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    let mut answer = (head, text).into_response();
    if let Some(next) = page.next.and_then(|next| next.to_string().parse().ok()) {
        answer.headers_mut().insert("privet-next", next);
    }
    Ok(answer)
}

impl Admin {
    async fn consent(&self, id: RecordId) -> Result<ConsentRecord, Refused> {
        self.cards.consent(id).await.map_err(|error| refused(&error))
    }

    /// An entry that names the person, if they were ever met. Asking makes no card.
    pub(super) async fn entry_about(&self, subject: &Subject) -> Result<Entry, Refused> {
        let found = self.cards.find(&subject.domain, subject.id.expose()).await;
        let card = found.map_err(|error| state(&error))?;
        Ok(card.map_or_else(|| Entry::new(Kind::Consent), |card| about(&card)))
    }
}

/// An entry about a record: its id is random and tells nothing of its person.
pub(super) fn named(id: RecordId) -> Entry {
    let mut entry = Entry::new(Kind::Consent);
    entry.facts.insert("record".into(), id.to_string().into());
    entry
}

pub(super) fn record_id(text: &str) -> Result<RecordId, Refused> {
    let none = || Refused::new(ProblemKind::NotFound, "there is no such consent record");
    RecordId::parse(text).ok_or_else(none)
}

fn moment(text: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    let read = |text| {
        audit::moment(text).ok_or_else(|| wrong("`at` is no time; write 2026-11-21T09:00:00Z"))
    };
    text.map(read).transpose()
}

fn stands(name: &str, standing: &Standing) -> Value {
    let mut page = json!({
        "consent": name,
        "state": standing.state,
        "since": standing.since.map(|at| at.to_string()),
        "until": standing.until.map(|at| at.to_string()),
        "record": standing.record,
        "separate": standing.separate,
        "by_guardian": standing.by_guardian,
    });
    if let Some(page) = page.as_object_mut() {
        page.retain(|_, value| !value.is_null());
    }
    page
}

/// The most records of one part.
const PAGE: usize = 256;

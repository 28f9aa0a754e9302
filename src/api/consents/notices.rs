//! The notices that people are shown, by the hash of their text.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::OperatorRole;
use crate::api::answer::Refused;
use crate::api::answer::json;
use crate::api::cards::read;
use crate::api::cards::state;
use crate::api::cards::wrong;
use crate::api::routes::Admin;
use crate::audit;
use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::subjects::consent::Digest;
use crate::subjects::consent::Notice;
use crate::types::Timestamp;

use super::fault::refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNotice {
    id: String,
    version: String,
    language: String,
    sha256: String,
    url: Option<String>,
    effective_from: Option<String>,
    #[serde(default)]
    requires_renewal: bool,
}

/// Registers a version of a notice. Registered again with the same text it stays as it is.
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: NewNotice = read(&body)?;
    let sha256 = Digest::parse(&wish.sha256);
    let sha256 = sha256.ok_or_else(|| wrong("`sha256` is 64 lowercase hexadecimal digits"))?;
    let now = admin.mfa.now();
    let known = admin.cards.notices().await.map_err(|error| state(&error))?;
    // Sent again without a time it is the notice that is there.
    let since = known
        .iter()
        .find(|known| (&known.id, &known.version) == (&wish.id, &wish.version))
        .filter(|known| known.language == wish.language)
        .map(|known| known.effective_from);
    let from = wish.effective_from.as_deref().map(moment).transpose()?.or(since).unwrap_or(now);
    let notice = Notice {
        id: wish.id,
        version: wish.version,
        language: wish.language,
        sha256,
        url: wish.url,
        effective_from: from,
        requires_renewal: wish.requires_renewal,
        registered_at: now,
        registered_by: ActorToken(admin.keys.owner_token(&operator.name)).to_string(),
    };
    notice.check().map_err(|error| refused(&error))?;
    let mut entry = Entry::new(Kind::Consent);
    entry.facts.insert("sha256".into(), notice.sha256.to_string().into());
    entry.facts.insert("requires_renewal".into(), notice.requires_renewal.to_string().into());
    admin.record(&operator, Kind::Consent, "notice_registered", entry).await?;
    let is_new = admin.cards.register_notice(notice.clone()).await;
    let is_new = is_new.map_err(|error| refused(&error))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, json(&notice)).into_response())
}

/// All notices.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let notices = admin.cards.notices().await.map_err(|error| state(&error))?;
    Ok(json(&json!({ "notices": notices.iter().collect::<Vec<_>>() })))
}

fn moment(text: &str) -> Result<Timestamp, Refused> {
    let wrong = || wrong("`effective_from` is no time; write 2026-11-21T09:00:00Z");
    audit::moment(text).ok_or_else(wrong)
}

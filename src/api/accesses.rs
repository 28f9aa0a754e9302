//! Who saw a person's data: every entry that names them, and what left without naming anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::audit::Page;
use crate::protocol::http::ProblemKind;
use crate::types::Action;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::audit::Asked;
use super::audit::look;
use super::cards::Subject;
use super::cards::UNKNOWN;
use super::cards::about;
use super::cards::read;
use super::cards::state;
use super::cards::wrong;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    domain: Option<String>,
    id: String,
    from: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    /// Ask for what names nobody, and so may be about anybody.
    #[serde(default)]
    possible: bool,
    /// Look at every entry, as if there were no index.
    #[serde(default)]
    scan: bool,
}

/// Lists the entries about a person, the newest first, a page at a time.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: Wish = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    let found = admin.cards.find(&subject.domain, subject.id.expose()).await;
    let Some(card) = found.map_err(|e| state(&e))? else {
        return Err(Refused::new(ProblemKind::NotFound, UNKNOWN));
    };
    if card.status.contains(SubjectStatus::Erased) {
        let kept = admin.cards.kept_until(&subject.domain, subject.id.expose()).await;
        let why = match kept.map_err(|e| state(&e))? {
            Some(until) => format!(
                "{ERASED}; until {until} two operators together can ask for it with `privet claim request`"
            ),
            None => ERASED.to_owned(),
        };
        return Err(Refused::new(ProblemKind::Conflict, why));
    }
    let mut filter = Filter { nameless: wish.possible, ..Filter::default() };
    filter.subject = (!wish.possible).then_some(card.token);
    for (name, time) in [("from", &wish.from), ("until", &wish.until)] {
        let Some(time) = time else { continue };
        filter.set(name, time).map_err(|error| wrong(error.to_string()))?;
    }
    if wish.cursor.is_none() {
        // What was recorded a moment ago belongs to the answer.
        admin.log.flush().await.map_err(|error| {
            tracing::error!(error = told(&error), "the audit log cannot be written");
            Refused::new(ProblemKind::Unavailable, "the audit log cannot be written")
        })?;
    }
    let asked = Asked { scan: wish.scan, ..Asked::newest(filter, wish.cursor, ROWS) };
    let page = look(&admin.log, asked).await?;
    let mut entry = about(&card);
    entry.facts.insert("rows".into(), page.rows.len().to_string().into());
    admin.record(&operator, Kind::Admin, "accesses_reported", entry).await?;
    let rows = match wish.possible {
        true => possible(&page),
        false => page.rows.iter().map(|(index, entry)| row(*index, entry)).collect(),
    };
    Ok(json(&json!({
        "rows": rows,
        "next": page.next,
        "size": page.size,
        "minimum": page.minimum,
        "unindexed": page.unindexed,
        "damaged": page.damaged,
    })))
}

/// What an entry says to the person it is about: of others it tells only how many they are.
fn row(index: u64, entry: &Entry) -> Value {
    let fields: Vec<Value> = entry
        .fields
        .iter()
        .map(|field| {
            json!({
                "category": field.category.as_str(),
                "level": field.level.as_str(),
                "view": field.view.as_str(),
            })
        })
        .collect();
    let mut row = json!({
        "index": index,
        "time": entry.time.to_string(),
        "kind": entry.kind.as_str(),
        "action": entry.action.map(Action::as_str),
        "decision": entry.decision.map(|decision| decision.as_str()),
        "reason": entry.reason.as_deref(),
        "actor": entry.actor.map(|actor| actor.to_string()),
        "operator": entry.facts.get("operator").map(|name| &**name),
        "on_behalf_of": entry.on_behalf_of.map(|actor| actor.to_string()),
        "strength": entry.strength.map(|strength| strength.as_str()),
        "roles": entry.roles.iter().map(RoleId::as_str).collect::<Vec<_>>(),
        "purpose": entry.purpose.as_ref().map(|purpose| purpose.as_str()),
        "basis": entry.basis.as_deref(),
        "store": entry.store.as_ref().map(|store| store.as_str()),
        "data_set": entry.data_set.as_ref().map(|set| set.as_str()),
        "fields": fields,
        "rules": entry.rules.iter().map(RuleId::as_str).collect::<Vec<_>>(),
        "recipient": entry.recipient.as_deref(),
        "region": entry.region.map(|region| region.to_string()),
        "people": entry.subjects.len(),
        "request_id": entry.request_id.as_deref(),
        "decision_id": entry.decision_id.as_deref(),
    });
    if let Some(row) = row.as_object_mut() {
        row.retain(|_, value| !value.is_null() && *value != json!([]));
    }
    row
}

/// Releases that name nobody, by data set and purpose.
fn possible(page: &Page) -> Vec<Value> {
    #[derive(Clone, Copy)]
    struct Group {
        releases: u64,
        records: u64,
        times: (Timestamp, Timestamp),
    }
    let mut groups: BTreeMap<[Option<&str>; 3], Group> = BTreeMap::new();
    for (_, entry) in &page.rows {
        let key = [
            entry.store.as_ref().map(|store| store.as_str()),
            entry.data_set.as_ref().map(|set| set.as_str()),
            entry.purpose.as_ref().map(|purpose| purpose.as_str()),
        ];
        let new = Group { releases: 0, records: 0, times: (entry.time, entry.time) };
        let group = groups.entry(key).or_insert(new);
        group.releases += 1;
        group.records += u64::from(entry.records.unwrap_or(0));
        group.times = (group.times.0.min(entry.time), group.times.1.max(entry.time));
    }
    let row = |([store, data_set, purpose], group): ([Option<&str>; 3], Group)| {
        json!({
            "store": store,
            "data_set": data_set,
            "purpose": purpose,
            "releases": group.releases,
            "records": group.records,
            "first": group.times.0.to_string(),
            "last": group.times.1.to_string(),
        })
    };
    groups.into_iter().map(row).collect()
}

/// Entries of a page.
const ROWS: usize = 500;
const ERASED: &str = "the person was erased: nobody is told which entries were about them";

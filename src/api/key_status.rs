//! What keys there are, and what is done with them: numbers, times and jobs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use crate::jobs::Job;
use crate::jobs::Listed;
use crate::keys::KeysStatus;
use crate::keys::LedgerStatus;
use crate::protocol::http::ProblemKind;
use crate::types::ClientError;
use crate::types::Timestamp;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// Shows what keys there are, and which jobs replace some.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let status = admin.keys.status().await.map_err(|error| {
        tracing::error!(error = told(&error), "the keys cannot be counted");
        Refused::new(ProblemKind::Unavailable, error.client_message())
    })?;
    if let Some(fault) = &status.fault {
        tracing::warn!(error = told(fault), "whoever holds the root key does not open a slot");
    }
    let listed = admin.jobs.list().await.map_err(|error| {
        tracing::error!(error = told(&error), "jobs cannot be read");
        Refused::new(ProblemKind::Unavailable, error.client_message())
    })?;
    let jobs: Vec<Value> = listed
        .iter()
        .filter_map(|listed| match listed {
            Listed::Job(job) => replaces_keys(job).then(|| brief(job)),
            Listed::Damaged(_) => None,
        })
        .collect();
    let mut page = keys_page(&status, admin.shred_within, admin.keys.now());
    if let Some(page) = page.as_object_mut() {
        page.insert("jobs".into(), jobs.into());
    }
    Ok(json(&page))
}

/// What operators are told of keys. `shred_within` is the bound of the configuration.
pub fn keys_page(status: &KeysStatus, shred_within: Duration, now: Timestamp) -> Value {
    let counts = &status.counts;
    let copied = status.roll.map(|copied| json!({ "copied": copied }));
    json!({
        "root": {
            "provider": status.provider,
            "answers": status.fault.is_none(),
            "keys_locked": status.locked,
        },
        "epoch": {
            "number": status.epoch,
            "since": status.epoch_since.map(|since| since.to_string()),
            "age_s": status.epoch_since.map(|since| now.ms_since(since) / 1_000),
        },
        "subject_keys": {
            "people": counts.people,
            "seal": counts.sealing,
            "only_open": counts.opening,
            "disabled": counts.disabled,
            "pending": counts.pending,
            "damaged": counts.damaged,
            "destroyed": status.ledger.map(|ledger| ledger.high_water.count),
        },
        "ledger": status.ledger.map(|ledger| json!({
            "tombstones": ledger.high_water.count,
            "high_water": ledger.high_water.to_string(),
        })),
        "shred": shred(status.ledger, shred_within, now),
        "roll": copied,
    })
}

/// When the oldest erasure that is not beyond recall must be, and when the epoch ends for it.
fn shred(ledger: Option<LedgerStatus>, within: Duration, now: Timestamp) -> Value {
    let oldest = ledger.and_then(|ledger| ledger.oldest_unshredded);
    let after = |time: Duration| {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        oldest.map(|oldest| oldest.plus_ms(ms))
    };
    let due = after(within);
    json!({
        "within_s": within.as_secs(),
        "oldest": oldest.map(|time| time.to_string()),
        "roll_at": after(within / 2).map(|time| time.to_string()),
        "due_at": due.map(|time| time.to_string()),
        "left_s": due.map(|due| due.ms_since(now) / 1_000),
        "late_s": due.map(|due| now.ms_since(due) / 1_000),
    })
}

fn replaces_keys(job: &Job) -> bool {
    !job.state.is_finished() && job.kind.starts_with("rotate_")
}

/// A job without whom it is about.
fn brief(job: &Job) -> Value {
    json!({
        "id": job.id.as_str(),
        "kind": &*job.kind,
        "state": job.state.as_str(),
        "done": job.progress.done,
        "total": job.progress.total,
        "failures": job.failures,
    })
}

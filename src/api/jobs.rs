//! Jobs: looking at them, approving, cancelling. A kind's own path makes them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::jobs::APPROVAL_MS;
use crate::jobs::Job;
use crate::jobs::JobId;
use crate::jobs::JobState;
use crate::jobs::JobsError;
use crate::jobs::Listed;
use crate::jobs::Wish;
use crate::keys::KeyRing;
use crate::protocol::http::ProblemKind;
use crate::types::ClientError;
use crate::types::SubjectToken;
use crate::types::Timestamp;
use crate::types::told;

use super::Operator;
use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    #[serde(default)]
    from: u32,
}

/// Lists jobs, the newest first: all that are not finished, and the newest of the others.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let mut finished = 0;
    let listed = admin.jobs.list().await.map_err(|e| refused(&e))?;
    let rows: Vec<Value> = listed
        .iter()
        .filter(|listed| match listed {
            Listed::Job(job) if job.state.is_finished() => {
                finished += 1;
                finished <= MOST_FINISHED
            }
            _ => true,
        })
        .map(|listed| match listed {
            Listed::Job(job) => brief(&admin, job),
            Listed::Damaged(name) => json!({ "id": name, "state": "damaged" }),
        })
        .collect();
    Ok(json(&json!({ "jobs": rows })))
}

/// Shows one job.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let job = admin.jobs.get(&read(&id)?).await.map_err(|e| refused(&e))?;
    Ok(json(&page(&admin, &job)))
}

/// Shows rows of a job's report.
pub(super) async fn report(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Query(From { from }): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    admin.operator(&headers, OperatorRole::Auditor)?;
    let rows = admin.jobs.report(&read(&id)?, from).await.map_err(|e| refused(&e))?;
    let next = rows.last().map(|last| last.row + 1);
    let rows: Vec<Value> = rows.into_iter().map(|row| row.value).collect();
    Ok(json(&json!({ "rows": rows, "next": next })))
}

/// Approves a job that somebody else requested.
pub(super) async fn approve(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let id = read(&id)?;
    let approval = admin.jobs.may_approve(&id, &operator.name).await.map_err(|e| refused(&e))?;
    let entry = job_entry(&admin.keys, approval.job());
    admin.record(&operator, Kind::Admin, "job_approved", entry).await?;
    let done = admin.jobs.approve(approval).await;
    admin.after(&operator, done).await
}

/// Cancels a job.
pub(super) async fn cancel(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let id = read(&id)?;
    let end = admin.jobs.may_cancel(&id, &operator.name).await.map_err(|e| refused(&e))?;
    let entry = job_entry(&admin.keys, end.job());
    admin.record(&operator, Kind::Admin, "job_cancel", entry).await?;
    let done = admin.jobs.cancel(end).await;
    admin.after(&operator, done).await
}

impl Admin {
    /// Makes a job, recorded before it is there. For the paths of the kinds: the caller has
    /// checked the operator's role. `lane`: of jobs with the same one only one is unfinished.
    pub(super) async fn request_job(
        &self,
        operator: &Operator,
        kind: &'static str,
        args: Value,
        lane: Option<String>,
    ) -> Result<Response, Refused> {
        let wish = Wish { kind, args, lane, by: Arc::clone(&operator.name) };
        self.request_job_about(operator, wish, None).await
    }

    /// The same of a job about one person, whom the entry names.
    pub(super) async fn request_job_about(
        &self,
        operator: &Operator,
        wish: Wish,
        subject: Option<SubjectToken>,
    ) -> Result<Response, Refused> {
        let prepared = self.jobs.prepare(wish).await.map_err(|e| refused(&e))?;
        let mut entry = job_entry(&self.keys, prepared.job());
        entry.subjects.extend(subject);
        self.record(operator, Kind::Admin, "job_requested", entry).await?;
        let done = self.jobs.create(prepared).await;
        self.after(operator, done).await
    }

    /// The job after a change. A change that failed is recorded too: its entry came first.
    async fn after(
        &self,
        operator: &Operator,
        done: Result<Job, JobsError>,
    ) -> Result<Response, Refused> {
        match done {
            Ok(job) => Ok(json(&page(self, &job))),
            Err(error) => {
                let failed = Entry::new(Kind::Admin);
                self.record(operator, Kind::Admin, "change_failed", failed).await?;
                Err(refused(&error))
            }
        }
    }
}

/// An entry about a job: what it is to do, and the operators by their tokens.
pub fn job_entry(keys: &KeyRing, job: &Job) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    entry.facts.insert("job".into(), job.id.as_str().into());
    entry.facts.insert("kind".into(), Arc::clone(&job.kind));
    // What was asked for is what was approved and what was done: arguments hold no value and no id.
    entry.facts.insert("args".into(), job.args.to_string().into());
    let people = [
        ("requested_by", Some(&job.requested_by)),
        ("approved_by", job.approved_by.as_ref()),
        ("cancelled_by", job.cancelled_by.as_ref()),
    ];
    for (fact, name) in people {
        let Some(name) = name else { continue };
        let token = ActorToken(keys.owner_token(name)).to_string();
        entry.facts.insert(Cow::Borrowed(fact), token.into());
    }
    entry
}

fn read(id: &str) -> Result<JobId, Refused> {
    JobId::parse(id).ok_or_else(|| refused(&JobsError::NotFound))
}

fn refused(error: &JobsError) -> Refused {
    let kind = match error {
        JobsError::NotFound => ProblemKind::NotFound,
        JobsError::Own | JobsError::Expired | JobsError::Clock => ProblemKind::Denied,
        JobsError::TooLong(_) | JobsError::UnknownKind => ProblemKind::BadRequest,
        JobsError::TooMany => ProblemKind::Overloaded,
        JobsError::Entropy(_) | JobsError::State(_) => {
            tracing::error!(error = told(error), "jobs cannot be read or written");
            ProblemKind::Unavailable
        }
        _ => ProblemKind::Conflict,
    };
    Refused::new(kind, error.client_message())
}

/// A job as the list shows it.
fn brief(admin: &Admin, job: &Job) -> Value {
    let expires = match job.state {
        JobState::WaitingApproval => Some(job.requested_at.plus_ms(APPROVAL_MS)),
        _ => None,
    };
    json!({
        "id": job.id.as_str(),
        "kind": &*job.kind,
        "known": admin.jobs.knows(&job.kind),
        "state": job.state.as_str(),
        "requested_by": &*job.requested_by,
        "requested_at": job.requested_at.to_string(),
        "approved_by": job.approved_by.as_deref(),
        "approval_expires": text(expires),
        "done": job.progress.done,
        "total": job.progress.total,
        "worked_ms": job.worked_ms,
        "finished_at": text(job.finished_at),
        "reason": job.reason.as_deref(),
    })
}

/// A job with all that operators may know of it.
fn page(admin: &Admin, job: &Job) -> Value {
    let mut page = brief(admin, job);
    let rest = json!({
        "args": job.args,
        "needs_approval": job.needs_approval,
        "approved_at": text(job.approved_at),
        "cancelled_by": job.cancelled_by.as_deref(),
        "started_at": text(job.started_at),
        "failures": job.failures,
        "tried_again_at": text(job.not_before),
        "under_way": job.lease.is_some(),
        "turns": job.turns,
        "summary": job.summary,
        "report_rows": job.report_rows,
        "report_lost": job.report_lost,
    });
    if let (Value::Object(page), Value::Object(rest)) = (&mut page, rest) {
        page.extend(rest);
    }
    page
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// The most finished jobs that the list shows.
const MOST_FINISHED: usize = 100;

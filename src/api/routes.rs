//! The paths of the admin listener and who may use them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::middleware;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use http::HeaderMap;
use http::StatusCode;
use http::header;
use serde_json::json;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::audit::Strength;
use crate::authn::Authenticator;
use crate::jobs::Jobs;
use crate::keys::KeyRing;
use crate::policy::PolicySet;
use crate::protocol::http::ProblemKind;
use crate::proxy::Inbox;
use crate::subjects::Approvals;
use crate::subjects::Cards;
use crate::types::told;

use super::Check;
use super::Operator;
use super::OperatorRole;
use super::Operators;
use super::accesses;
use super::answer::Refused;
use super::answer::json;
use super::approvals;
use super::audit;
use super::cards;
use super::checks;
use super::claims;
use super::consents;
use super::holds;
use super::host;
use super::inbox;
use super::jobs;
use super::key_status;
use super::mfa;
use super::mfa::Mfa;
use super::observations;
use super::policy;
use super::prune;
use super::reidentify;
use super::representatives;
use super::rotation;
use super::rotation::RotateSubject;
use super::stores;
use super::transfers;

/// What the admin listener asks of the running gateway. Implemented above, in `app`.
pub trait Gateway: Send + Sync + std::fmt::Debug {
    /// Everything that must work for protected data to leave.
    fn checks(&self) -> Vec<Check>;
    /// The policy in force.
    fn policy(&self) -> Arc<PolicySet>;
    /// All metrics in the Prometheus text format.
    fn metrics(&self) -> String;
    /// Reads policies and certificates again. The text says what is in force now, or, when it
    /// failed, why the old ones still are.
    fn reload(&self) -> Result<Reloaded, String>;
}

/// What came of a reload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reloaded {
    /// The hash of the policy that is in force now.
    pub policy: String,
    /// Parts of privet.toml that changed and take effect at a restart only.
    pub at_restart: Vec<&'static str>,
}

/// What the handlers share.
#[derive(Debug)]
pub struct Admin {
    /// The running gateway.
    pub gateway: Arc<dyn Gateway>,
    /// The subject cards.
    pub cards: Cards,
    /// Believes callers of the gateway, who come here for approvals.
    pub authenticator: Authenticator,
    /// What was approved for them, and what they broke glass for.
    pub approvals: Approvals,
    /// The jobs.
    pub jobs: Jobs,
    /// For the operators' tokens in the log.
    pub keys: KeyRing,
    /// Whose keys are to be replaced.
    pub rotation: Arc<RotateSubject>,
    /// How soon an erasure must be beyond recall.
    pub shred_within: Duration,
    /// The second factors of operators.
    pub mfa: Mfa,
    /// Fields that no policy lists.
    pub inbox: Inbox,
    /// Every change is recorded before it is made.
    pub log: Log,
    /// Who may use the listener; replaced on reload.
    pub operators: Arc<ArcSwap<Operators>>,
}

/// The admin listener's paths. `/livez`, `/readyz` and `/metrics` are open: they hold no data.
pub fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/approvals", get(approvals::list).post(approvals::request))
        .route("/api/v1/approvals/break-glass", post(approvals::break_glass))
        .route("/api/v1/approvals/{id}", get(approvals::show))
        .route("/api/v1/approvals/{id}/approve", post(approvals::approve))
        .route("/api/v1/approvals/{id}/refuse", post(approvals::refuse))
        .route("/api/v1/approvals/{id}/revoke", post(approvals::revoke))
        .route("/api/v1/approvals/{id}/review", post(approvals::review))
        .route("/api/v1/policy", get(policy::show))
        .route("/api/v1/audit", get(audit::search))
        .route("/api/v1/audit/prune", post(prune::request))
        .route("/api/v1/operator/verify", post(mfa::verify))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/{id}", get(jobs::show))
        .route("/api/v1/jobs/{id}/report", get(jobs::report))
        .route("/api/v1/jobs/{id}/approve", post(jobs::approve))
        .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/v1/keys", get(key_status::show))
        .route("/api/v1/keys/rotate/epoch", post(rotation::epoch))
        .route("/api/v1/keys/rotate/root", post(rotation::root))
        .route("/api/v1/keys/rotate/subject", post(rotation::subject))
        .route("/api/v1/reidentifications", post(reidentify::request))
        .route("/api/v1/reidentifications/{id}/approve", post(reidentify::approve))
        .route("/api/v1/reidentifications/{id}/show", post(reidentify::show))
        .route("/api/v1/legal-claims", post(claims::request))
        .route("/api/v1/legal-claims/{id}/approve", post(claims::approve))
        .route("/api/v1/legal-claims/{id}/show", post(claims::show))
        .route("/api/v1/observations", get(observations::report))
        .route("/api/v1/stores/inbox", get(inbox::list))
        .route("/api/v1/stores/inbox/dismiss", post(inbox::dismiss))
        .route("/api/v1/stores/backfill", post(stores::backfill))
        .route("/api/v1/holds", get(holds::list).post(holds::add))
        .route("/api/v1/holds/list", post(holds::of_person))
        .route("/api/v1/holds/{hold}/release", post(holds::release))
        .route("/api/v1/subjects/representatives/add", post(representatives::add))
        .route("/api/v1/subjects/representatives/remove", post(representatives::remove))
        .route("/api/v1/subjects/show", post(cards::show))
        .route("/api/v1/subjects/accesses", post(accesses::list))
        .route("/api/v1/subjects/status", post(cards::set_status))
        .route("/api/v1/subjects/consent", post(cards::set_consent))
        .route("/api/v1/subjects/opt-out", post(cards::set_opt_out))
        .route("/api/v1/subjects/erase-key", post(cards::erase_key))
        .route("/api/v1/transfers", get(transfers::show))
        .merge(consents::routes())
        .fallback(|| async { Refused::new(ProblemKind::NotFound, "no such page") })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(host::check))
        .with_state(admin)
}

async fn ready(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> Response {
    let checks = admin.gateway.checks();
    let status =
        if checks::all_pass(&checks) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if query.is_some_and(|query| query == "verbose" || query.starts_with("verbose=")) {
        return (status, checks::page(&checks)).into_response();
    }
    (status, checks::sum(&checks)).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.gateway.metrics()).into_response()
}

async fn status(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Auditor)?;
    Ok(json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "operator": &*operator.name,
        "checks": admin.gateway.checks(),
        "checkpoint": admin.log.checkpoint().as_deref(),
    })))
}

async fn reload(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Admin)?;
    admin.record(&operator, Kind::Admin, "reload", Entry::new(Kind::Admin)).await?;
    let gateway = Arc::clone(&admin.gateway);
    // Reading files and compiling policies takes tens of milliseconds of one thread.
    let done = tokio::task::spawn_blocking(move || gateway.reload()).await;
    match done {
        Ok(Ok(now)) => {
            Ok(json(&json!({ "in_force": now.policy, "takes_effect_at_restart": now.at_restart })))
        }
        Ok(Err(why)) => Err(Refused::new(ProblemKind::BadRequest, why)),
        Err(_) => Err(Refused::new(ProblemKind::Internal, "the reload did not finish")),
    }
}

impl Admin {
    /// The operator whose token the call carries, when their role is enough.
    pub(super) fn operator(
        &self,
        headers: &HeaderMap,
        least: OperatorRole,
    ) -> Result<Operator, Refused> {
        let operator = self.known_operator(headers)?;
        if operator.role < least {
            let role = least.as_str();
            return Err(Refused::new(ProblemKind::Denied, format!("this needs the role `{role}`")));
        }
        Ok(operator)
    }

    /// The operator whose token the call carries, whatever they may do.
    pub(super) fn known_operator(&self, headers: &HeaderMap) -> Result<Operator, Refused> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let operators = self.operators.load();
        let known = token.and_then(|token| operators.authenticate(token.trim()));
        known.cloned().ok_or_else(|| {
            Refused::new(
                ProblemKind::Unauthenticated,
                "send the token of an operator that this gateway knows; `privet operator add NAME` makes one, and a reload makes it known",
            )
        })
    }

    /// Records what the operator is about to do; without the entry it is not done.
    pub(super) async fn record(
        &self,
        operator: &Operator,
        kind: Kind,
        reason: &'static str,
        entry: Entry,
    ) -> Result<(), Refused> {
        self.record_at(operator, kind, reason, entry).await.map(|_| ())
    }

    /// [`Self::record`], and the entry's index in the log.
    pub(super) async fn record_at(
        &self,
        operator: &Operator,
        kind: Kind,
        reason: &'static str,
        mut entry: Entry,
    ) -> Result<u64, Refused> {
        entry.kind = kind;
        entry.reason = Some(reason.into());
        entry.strength = Some(Strength::Operator);
        entry.actor = Some(ActorToken(self.keys.owner_token(&operator.name)));
        entry.facts.insert("operator".into(), Arc::clone(&operator.name));
        if operator.second_factor {
            entry.facts.insert("second_factor".into(), "totp".into());
        }
        match self.log.record(entry).await {
            Ok(receipt) => {
                tracing::info!(index = receipt.index(), reason, "admin entry recorded");
                Ok(receipt.index())
            }
            Err(error) => {
                tracing::error!(error = told(&error), "the audit log cannot be written");
                Err(Refused::new(ProblemKind::Unavailable, "the audit log cannot be written"))
            }
        }
    }
}

const LONGEST_BODY: usize = 16 * 1024;

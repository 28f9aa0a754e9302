//! The consent ledger as operators and the back ends that collect consents reach it.

mod fault;
mod import;
mod kantara;
mod keys;
mod lines;
mod look;
mod notices;
mod receipt;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::routing::post;
use http::HeaderMap;

use crate::protocol::http::ProblemKind;

use super::Operator;
use super::answer::Refused;
use super::routes::Admin;

/// The `typ` of receipts: nothing else that is signed here counts as one (RFC 8725 §3.11).
pub const RECEIPT_TYPE: &str = "consent-receipt+jwt";

/// The paths below `/api/v1/consents` and `/api/v1/notices`. Those without a remark have the body
/// limit of the listener; that of an import is a limit for each line.
pub(super) fn routes() -> Router<Arc<Admin>> {
    let records = post(write::create).layer(DefaultBodyLimit::max(RECORD)).get(look::export);
    Router::new()
        .route("/api/v1/consents", records)
        .route("/api/v1/consents/allows", post(look::allows))
        .route("/api/v1/consents/find", post(look::find))
        .route("/api/v1/consents/import", post(import::import))
        .route("/api/v1/consents/keys", get(keys::show))
        .route("/api/v1/consents/{id}", get(look::show))
        .route("/api/v1/consents/{id}/events", post(write::happened))
        .route("/api/v1/consents/{id}/kantara", get(look::kantara))
        .route("/api/v1/consents/{id}/receipt", get(look::receipt))
        .route("/api/v1/notices", post(notices::add).get(notices::list))
}

impl Admin {
    /// The operator whose token the call carries, when they may record consents and ask for those
    /// of one person.
    fn collector(&self, headers: &HeaderMap) -> Result<Operator, Refused> {
        let operator = self.known_operator(headers)?;
        if operator.role.may_collect() {
            return Ok(operator);
        }
        Err(Refused::new(ProblemKind::Denied, "this needs the role `collector`, or `officer`"))
    }
}

/// The longest body that makes a record, in bytes: a record, and room for whom it is about.
const RECORD: usize = lines::LONGEST;

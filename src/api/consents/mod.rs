//! The consent ledger as operators and the back ends that collect consents reach it.

mod keys;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::routes::Admin;

/// The `typ` of receipts: nothing else that is signed here counts as one (RFC 8725 §3.11).
pub const RECEIPT_TYPE: &str = "consent-receipt+jwt";

/// The paths below `/api/v1/consents` and `/api/v1/notices`.
pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new().route("/api/v1/consents/keys", get(keys::show))
}

//! The public key of receipts, for everybody: it holds no data.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use http::header;

use crate::api::routes::Admin;
use crate::protocol::jws;

/// The key set of receipts (RFC 7517). It may be kept: a receipt stays checkable with it.
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Response {
    let set = jws::key_set(admin.keys.receipt_signer().verifier());
    let kind = [(header::CONTENT_TYPE, "application/jwk-set+json")];
    (kind, format!("{set:#}\n")).into_response()
}

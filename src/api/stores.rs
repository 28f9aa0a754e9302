//! Work on whole data sets of a store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;

use crate::backfill;
use crate::backfill::BackfillError;
use crate::backfill::Order;
use crate::backfill::Request;
use crate::protocol::http::ProblemKind;
use crate::types::ClientError;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::routes::Admin;

/// Asks for the values of a data set to be sealed, opened, or sealed anew. A dry run begins at
/// once; anything else waits for a second operator.
pub(super) async fn backfill(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let request: Request = serde_json::from_slice(&body).map_err(|_| {
        let help = "the body is JSON with `set`, and may have `move` (encrypt, decrypt, reseal, \
                    reindex), `dry_run`, `per_second` and `cursor`";
        Refused::new(ProblemKind::BadRequest, help)
    })?;
    let order = Order::of(request, &admin.gateway.policy(), &admin.jobs).await;
    let (args, lane) = order.map_err(|error| refused(&error))?.into_job();
    admin.request_job(&operator, backfill::KIND, args, lane).await
}

fn refused(error: &BackfillError) -> Refused {
    let kind = match error {
        BackfillError::UnknownSet => ProblemKind::NotFound,
        BackfillError::NoDryRun => ProblemKind::Conflict,
        BackfillError::Jobs(_) => {
            tracing::error!(error = told(error), "jobs cannot be read");
            ProblemKind::Unavailable
        }
        _ => ProblemKind::BadRequest,
    };
    Refused::new(kind, error.client_message())
}

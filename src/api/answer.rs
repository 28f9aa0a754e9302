//! Answers of the admin listener: JSON, or a problem document.

use axum::response::IntoResponse;
use axum::response::Response;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde::Serialize;

use crate::protocol::http::Language;
use crate::protocol::http::Problem;
use crate::protocol::http::ProblemKind;

/// A refusal, to be returned with `?`.
#[derive(Debug)]
pub(super) struct Refused(Box<Problem>);

impl Refused {
    /// A refusal that tells the operator what is wrong.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(kind, Language::En).with_detail(detail)))
    }

    /// What is asked for needs keys, which are locked.
    pub(super) fn locked() -> Self {
        let why = "the root key's provider does not answer, so that keys are locked; \
                   `/readyz?verbose` says when they are open again";
        Self::new(ProblemKind::KeyUnavailable, why)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static(Problem::MEDIA_TYPE);
        let mut response = (self.0.status(), self.0.to_json()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.0.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"privet admin\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A JSON answer that no cache keeps.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

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
use crate::protocol::http::StepUp;

/// A refusal, to be returned with `?`.
#[derive(Debug)]
pub(super) struct Refused(Box<Problem>, Option<HeaderValue>);

impl Refused {
    /// A refusal that tells the operator what is wrong.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(kind, Language::En).with_detail(detail)), None)
    }

    /// What is asked for needs a second factor that was shown within so many seconds (RFC 9470).
    pub(super) fn step_up(why: &str, max_age_s: u64, acr: Option<&str>) -> Self {
        let step_up = StepUp { realm: "privet admin", description: why, max_age_s, acr };
        let problem = Problem::new(ProblemKind::MfaRequired, Language::En)
            .with_status(StatusCode::UNAUTHORIZED)
            .with_missing(vec!["mfa_within"])
            .with_detail(why);
        Self(Box::new(problem), Some(step_up.challenge()))
    }

    /// What it tells the operator.
    pub(super) fn detail(&self) -> &str {
        self.0.detail().unwrap_or_default()
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
            let plain = HeaderValue::from_static("Bearer realm=\"privet admin\"");
            let scheme = self.1.unwrap_or(plain);
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

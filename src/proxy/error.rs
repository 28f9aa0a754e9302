//! Why a call comes to nothing, in words for the log and in words for the client.

use std::borrow::Cow;

use http::StatusCode;

use crate::audit::AuditError;
use crate::authn::AuthnError;
use crate::clock::EntropyError;
use crate::policy::Refusal;
use crate::policy::RefusalReason;
use crate::protocol::http::HeadError;
use crate::protocol::http::ProblemKind;
use crate::subjects::SubjectsError;
use crate::transform::TransformError;
use crate::types::ClientError;
use crate::types::DataSetId;
use crate::types::ErrorKind;
use crate::types::Fault;
use crate::types::PurposeId;
use crate::types::RuleId;
use crate::types::StoreId;
use crate::upstream::UpstreamError;

use super::admission::Busy;
use super::budget::NoRoom;
use super::write_error::WriteFault;

/// The gateway cannot be put together, or not with that policy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No randomness to start from.
    #[error("ids cannot be made unique")]
    Entropy(#[source] EntropyError),
    /// Two routes match the same paths.
    #[error("the routes of the policy are ambiguous")]
    Routes {
        /// Where, and how.
        faults: Vec<Fault>,
    },
    /// A data set of a store that is not configured.
    #[error("data set `{set}` belongs to store `{store}`, which is not configured")]
    UnknownStore {
        /// The data set.
        set: DataSetId,
        /// Its store.
        store: StoreId,
    },
}

/// Why a call comes to nothing.
///
/// `Display` is for the operator's log and may name causes; what the client reads is made from
/// [`kind`](Self::kind) and [`detail`](Self::detail) alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("an entry could not be written")]
    Audit(#[source] AuditError),
    #[error("the credential was refused")]
    Authn(#[source] AuthnError),
    #[error("limit `{rule}`: too many people were shown")]
    Bulk { rule: RuleId },
    #[error("{0}")]
    Busy(#[source] Busy),
    #[error("the request is not well-formed")]
    Head(#[source] HeadError),
    #[error("what is sealed cannot be opened: the keys cannot be used at the moment")]
    Locked,
    #[error("the store's answer is of a type that is not released")]
    Media,
    #[error("the method is not served on this route")]
    Method { allow: Box<str> },
    #[error("nothing the client accepts can be answered")]
    NotAcceptable,
    #[error("nothing the caller may see is there")]
    NotFound,
    #[error("{0}")]
    NoRoom(#[source] NoRoom),
    #[error("a value that records are selected by is none that the field can have")]
    Filter,
    #[error("a query parameter is not listed on the route")]
    Parameter { listed: Box<str> },
    #[error("the policy in force no longer lets this call go on")]
    PolicyChanged,
    #[error("refused: {}", .0.reason.as_str())]
    Refused(Refusal),
    #[error("the store's answer about a record that may be hidden could not be used")]
    Hidden(#[source] Box<Self>),
    #[error("no route leads there")]
    Route,
    #[error("the store answered with status {0}")]
    Status(StatusCode),
    #[error("the file may not be shown any more")]
    Withdrawn,
    #[error("what is known of the people in the records could not be read")]
    Subjects(#[source] SubjectsError),
    #[error("the store's answer could not be read")]
    Transform(#[source] TransformError),
    #[error("the store could not be asked")]
    Upstream(#[source] UpstreamError),
    #[error("{0}")]
    Write(#[source] WriteFault),
}

impl CallError {
    /// A short word for metrics, the access log and the audit log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Audit(_) => "audit",
            Self::Authn(error) => error.reason(),
            Self::Bulk { .. } => "bulk",
            Self::Busy(Busy::Concurrent) => "concurrent",
            Self::Busy(Busy::Rate) => "rate",
            Self::Busy(Busy::Owners) => "owners",
            Self::Head(_) => "bad_request",
            Self::Hidden(cause) => cause.reason(),
            Self::Locked => "keys",
            Self::Subjects(error) if error.is_locked() => "keys",
            Self::Media => "store_content_type",
            Self::Method { .. } => "method",
            Self::NotAcceptable => "not_acceptable",
            Self::NotFound => "not_found",
            Self::NoRoom(_) => "buffers",
            Self::Filter | Self::Parameter { .. } => "parameter",
            Self::PolicyChanged => "policy_changed",
            Self::Refused(refusal) => refusal.reason.as_str(),
            Self::Route => "no_route",
            Self::Status(_) => "store_status",
            Self::Subjects(_) => "subjects",
            Self::Transform(_) => "store_body",
            Self::Upstream(_) => "store",
            Self::Withdrawn => "withdrawn",
            Self::Write(fault) => fault.reason(),
        }
    }

    /// The kind of problem the client is shown.
    pub(crate) fn kind(&self) -> ProblemKind {
        match self {
            Self::Locked => ProblemKind::KeyUnavailable,
            Self::Subjects(error) if error.is_locked() => ProblemKind::KeyUnavailable,
            Self::Audit(_) | Self::NoRoom(_) | Self::Subjects(_) | Self::Busy(Busy::Owners) => {
                ProblemKind::Unavailable
            }
            Self::Authn(error) => match error_kind(error) {
                ErrorKind::Unavailable | ErrorKind::Internal => ProblemKind::Unavailable,
                _ => ProblemKind::Unauthenticated,
            },
            Self::Busy(_) => ProblemKind::Overloaded,
            Self::Bulk { .. } | Self::PolicyChanged => ProblemKind::Denied,
            Self::Refused(refusal) if refusal.reason == RefusalReason::Expired => {
                ProblemKind::Unauthenticated
            }
            Self::Refused(_) => ProblemKind::Denied,
            Self::Head(HeadError::Method) => ProblemKind::NotServed,
            Self::Filter | Self::Head(_) | Self::Parameter { .. } => ProblemKind::BadRequest,
            Self::Media | Self::Transform(_) => ProblemKind::Store,
            Self::Method { .. } => ProblemKind::MethodNotAllowed,
            Self::NotAcceptable => ProblemKind::NotAcceptable,
            Self::Hidden(_) | Self::NotFound | Self::Route | Self::Withdrawn => {
                ProblemKind::NotFound
            }
            Self::Status(status) => kind_of_status(*status),
            Self::Upstream(error) => match error_kind(error) {
                ErrorKind::Unavailable | ErrorKind::Overloaded => ProblemKind::Unavailable,
                _ => ProblemKind::Store,
            },
            Self::Write(fault) => fault.kind(),
        }
    }

    /// Another status than the kind's usual one.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Head(error) => error.status(),
            Self::Busy(Busy::Concurrent | Busy::Rate) => StatusCode::TOO_MANY_REQUESTS,
            Self::Refused(refusal) if refusal.missing == [MFA] => StatusCode::UNAUTHORIZED,
            other => other.kind().status(),
        }
    }

    /// What the client reads beside the title; nothing for what is not its business. Words of the
    /// policy and of the product, never of the caller or of a store.
    pub(crate) fn detail(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Audit(error) => error.client_message(),
            Self::Authn(error) => error.client_message(),
            Self::Head(error) => error.to_string().into(),
            Self::Parameter { listed } => listed_parameters(listed).into(),
            Self::Refused(refusal) => refusal_detail(refusal),
            Self::Status(status) => status_detail(*status)?.into(),
            Self::Subjects(error) if error.is_locked() => LOCKED.into(),
            Self::Transform(error) => transform_detail(error).into(),
            Self::Upstream(error) => error.client_message(),
            Self::Write(fault) => fault.detail(),
            other => other.fixed_detail()?.into(),
        })
    }

    /// What the client reads where one text does for all.
    const fn fixed_detail(&self) -> Option<&'static str> {
        Some(match self {
            Self::Bulk { .. } => "too many people were shown in this time",
            Self::Busy(Busy::Concurrent) => "too many calls are under way for this credential",
            Self::Busy(Busy::Rate) => "calls are started too fast for this credential",
            Self::Busy(Busy::Owners) => "too many callers are active; try again later",
            Self::Filter => {
                "a parameter that selects records is empty once it is in the form in which its \
                 field is compared, or two of them select by one field"
            }
            Self::Locked => LOCKED,
            Self::Media => {
                "the data store's answer is not what the route says: its media type is not one \
                 of records"
            }
            Self::Method { .. } => "the route answers to the methods under `Allow`",
            Self::NoRoom(_) => "the gateway's buffers are full; try again later",
            Self::NotAcceptable => {
                "records leave as JSON, or of a list also as NDJSON or CSV, whichever the data \
                 store answers with: accept that one"
            }
            Self::PolicyChanged => "the policy changed while the call was under way; call again",
            Self::Route => "no route of the policy matches this path",
            Self::Subjects(_) => "consents and restrictions cannot be read at the moment",
            _ => return None,
        })
    }

    /// In how many seconds trying again may help, where that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Upstream(error) => error.retry_after().map(|it| it.as_secs().saturating_add(1)),
            _ => None,
        }
    }

    /// Whether the connection must not be used again: what follows may not be a request.
    pub(crate) fn closes_connection(&self) -> bool {
        match self {
            Self::Head(error) => error.closes_connection(),
            Self::Write(fault) => matches!(fault, WriteFault::Slow | WriteFault::BrokenOff),
            _ => false,
        }
    }

    /// Whether somebody should look: a fault of the gateway or what it depends on.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::Write(fault) if fault.is_fault())
            || matches!(
                self,
                Self::Audit(_)
                    | Self::Hidden(_)
                    | Self::Locked
                    | Self::Media
                    | Self::Status(_)
                    | Self::Subjects(_)
                    | Self::Transform(_)
                    | Self::Upstream(_)
            )
    }

    /// The rule that refused, when one did.
    pub(crate) fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Bulk { rule } => Some(rule),
            Self::Refused(refusal) => refusal.rule.as_ref(),
            _ => None,
        }
    }

    /// The purpose that was refused, when it is one of the policy.
    pub(crate) fn purpose(&self) -> Option<&PurposeId> {
        match self {
            Self::Refused(refusal) => refusal.purpose.as_ref(),
            _ => None,
        }
    }

    /// What was not there.
    pub(crate) fn missing(&self) -> &[&'static str] {
        match self {
            Self::Authn(AuthnError::Missing) => &["credential"],
            Self::Refused(refusal) => &refusal.missing,
            Self::Write(fault) => fault.missing(),
            _ => &[],
        }
    }

    /// How old a second factor may be, in seconds, and of which credential, where a fresh one is
    /// among what is missing: `false` for the caller's own, `true` for the second.
    pub(crate) fn step_up(&self) -> Option<(u64, bool)> {
        match self {
            Self::Refused(refusal) => Some((refusal.mfa_within_s()?, refusal.is_of_second())),
            _ => None,
        }
    }

    /// The same cause where the client may not learn that there is a record at all.
    pub(crate) fn hidden(self) -> Self {
        match self {
            Self::Media | Self::NotAcceptable | Self::Transform(_) => Self::Hidden(Box::new(self)),
            Self::Status(status) if status.is_redirection() => Self::Hidden(Box::new(self)),
            other => other,
        }
    }

    /// Whether policy said no, which is written down as a decision.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Bulk { .. } | Self::PolicyChanged | Self::Refused(_))
            || matches!(self, Self::Write(fault) if fault.is_refusal())
    }
}

fn error_kind(error: &impl ClientError) -> ErrorKind {
    error.kind()
}

/// What a store's status means to the client. Only classes that say nothing about a record pass.
fn kind_of_status(status: StatusCode) -> ProblemKind {
    match status.as_u16() {
        400 | 414 | 422 => ProblemKind::BadRequest,
        // Gone would say that a record was there, which only a verdict may.
        404 | 410 => ProblemKind::NotFound,
        408 | 429 | 503 | 504 => ProblemKind::Unavailable,
        _ => ProblemKind::Store,
    }
}

fn refusal_detail(refusal: &Refusal) -> Cow<'_, str> {
    match refusal.detail.as_str() {
        "" => refusal.reason.words().into(),
        detail => detail.into(),
    }
}

fn listed_parameters(listed: &str) -> String {
    if listed.is_empty() {
        return "the route lists no query parameters".to_owned();
    }
    format!("a query parameter is not listed on the route, which lists {listed}")
}

/// Nothing where the status may be told from a record that is not there.
fn status_detail(status: StatusCode) -> Option<&'static str> {
    match kind_of_status(status) {
        ProblemKind::BadRequest => Some("the data store did not accept the request"),
        ProblemKind::NotFound => None,
        _ => Some("the data store answered with an error status"),
    }
}

const fn transform_detail(error: &TransformError) -> &'static str {
    match error {
        TransformError::Truncated { .. } => "the data store's answer broke off",
        TransformError::Malformed { .. } => "the data store's answer is not well-formed",
        TransformError::TooLong { .. } => "a record of the data store is longer than the limit",
        TransformError::NoRecords | TransformError::Shape { .. } | TransformError::Unselectable => {
            "the data store's answer is not what the route says: its records are not where \
             `records` looks for them"
        }
    }
}

/// What callers read while keys are locked.
const LOCKED: &str = "the keys of this data cannot be used at the moment; try again later";
/// The need of a fresh second factor, as refusals name it.
const MFA: &str = "mfa_within";

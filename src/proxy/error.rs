//! Why a call comes to nothing, in words for the log and in words for the client.

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
use crate::types::DataSetId;
use crate::types::ErrorKind;
use crate::types::Fault;
use crate::types::RuleId;
use crate::types::StoreId;
use crate::upstream::UpstreamError;

use super::admission::Busy;
use super::budget::NoRoom;

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
    #[error("the store's answer is of a type that is not released")]
    Media,
    #[error("the method is not served on this route")]
    Method { allow: &'static str },
    #[error("nothing the client accepts can be answered")]
    NotAcceptable,
    #[error("nothing the caller may see is there")]
    NotFound,
    #[error("{0}")]
    NoRoom(#[source] NoRoom),
    #[error("a query parameter is not listed on the route")]
    Parameter,
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
    #[error("what is known of the people in the records could not be read")]
    Subjects(#[source] SubjectsError),
    #[error("the store's answer could not be read")]
    Transform(#[source] TransformError),
    #[error("the store could not be asked")]
    Upstream(#[source] UpstreamError),
    #[error("writes are not in this version")]
    Writes,
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
            Self::Media => "store_content_type",
            Self::Method { .. } => "method",
            Self::NotAcceptable => "not_acceptable",
            Self::NotFound => "not_found",
            Self::NoRoom(_) => "buffers",
            Self::Parameter => "parameter",
            Self::PolicyChanged => "policy_changed",
            Self::Refused(refusal) => refusal.reason.as_str(),
            Self::Route => "no_route",
            Self::Status(_) => "store_status",
            Self::Subjects(_) => "subjects",
            Self::Transform(_) => "store_body",
            Self::Upstream(_) => "store",
            Self::Writes => "writes",
        }
    }

    /// The kind of problem the client is shown.
    pub(crate) fn kind(&self) -> ProblemKind {
        match self {
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
            Self::Head(_) | Self::Parameter => ProblemKind::BadRequest,
            Self::Media | Self::Transform(_) => ProblemKind::Store,
            Self::Method { .. } => ProblemKind::MethodNotAllowed,
            Self::NotAcceptable => ProblemKind::NotAcceptable,
            Self::Hidden(_) | Self::NotFound | Self::Route => ProblemKind::NotFound,
            Self::Status(status) => kind_of_status(*status),
            Self::Upstream(error) => match error_kind(error) {
                ErrorKind::Unavailable | ErrorKind::Overloaded => ProblemKind::Unavailable,
                _ => ProblemKind::Store,
            },
            Self::Writes => ProblemKind::NotServed,
        }
    }

    /// Another status than the kind's usual one.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Head(error) => error.status(),
            Self::Busy(Busy::Concurrent | Busy::Rate) => StatusCode::TOO_MANY_REQUESTS,
            other => other.kind().status(),
        }
    }

    /// What the client reads beside the title; nothing for what is not its business.
    pub(crate) fn detail(&self) -> Option<&'static str> {
        Some(match self {
            Self::Bulk { .. } => "too many people were shown in this time",
            Self::Busy(Busy::Concurrent) => "too many calls are under way for this credential",
            Self::Busy(Busy::Rate) => "calls are started too fast for this credential",
            Self::Parameter => "the route lists no such query parameter",
            Self::PolicyChanged => "the policy changed while the call was under way",
            Self::Writes => "writes are not in this version",
            Self::Refused(refusal) => refusal_detail(refusal.reason),
            Self::Status(status) if kind_of_status(*status) == ProblemKind::BadRequest => {
                "the data store did not accept the request"
            }
            _ => return None,
        })
    }

    /// Whether the connection must not be used again: what follows may not be a request.
    pub(crate) fn closes_connection(&self) -> bool {
        matches!(self, Self::Head(error) if error.closes_connection())
    }

    /// Whether somebody should look: a fault of the gateway or what it depends on.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Audit(_)
                | Self::Hidden(_)
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

    /// The needs that were not met.
    pub(crate) fn missing(&self) -> &[&'static str] {
        match self {
            Self::Refused(refusal) => &refusal.missing,
            _ => &[],
        }
    }

    /// The same cause where the client may not learn that there is a record at all.
    pub(crate) fn hidden(self) -> Self {
        match self {
            Self::Media | Self::Transform(_) => Self::Hidden(Box::new(self)),
            Self::Status(status) if status.is_redirection() => Self::Hidden(Box::new(self)),
            other => other,
        }
    }

    /// Whether policy said no, which is written down as a decision.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Bulk { .. } | Self::PolicyChanged | Self::Refused(_))
    }
}

fn error_kind(error: &impl crate::types::ClientError) -> ErrorKind {
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

const fn refusal_detail(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Expired => "the credential has expired",
        RefusalReason::FindBy => "records may not be selected by this field",
        RefusalReason::Limit => "a limit refuses this call",
        RefusalReason::NeedsUnmet => "a grant covers this call, but not all it needs is there",
        RefusalReason::NoGrant => "no grant covers this call",
        RefusalReason::NoPurpose => "name a purpose in `Privet-Purpose`",
        RefusalReason::PurposeNotInToken => "the credential may not be used for this purpose",
        RefusalReason::RowsUnmet => {
            "a grant covers this call, but a signed claim it needs is missing"
        }
        RefusalReason::UnknownPurpose => "no purpose has this name",
        RefusalReason::UnknownSet => "the data set is not in the policy",
    }
}

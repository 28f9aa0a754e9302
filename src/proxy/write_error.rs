//! Why a write comes to nothing.

use std::borrow::Cow;

use http::StatusCode;

use crate::protocol::http::FormError;
use crate::protocol::http::ProblemKind;
use crate::transform::EditError;
use crate::transform::TransformError;
use crate::types::ClientError;
use crate::types::ErrorKind;
use crate::upstream::WriteError;

/// Why a write comes to nothing, where reads have no such reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFault {
    #[error("the body cannot be read")]
    Body(#[source] TransformError),
    #[error("a DELETE has a body, or another write has none")]
    BodyPresence { wanted: bool },
    #[error("the body broke off")]
    BrokenOff,
    #[error("the body is of a type or coding that is not read")]
    Media { accepted: &'static str },
    #[error("the record changed each time it was about to be written")]
    Changing,
    #[error("a condition in the head is not served")]
    Condition,
    #[error("the store says that the write conflicts with what is there")]
    Conflict,
    #[error("the body is no CSV")]
    Csv(#[source] TransformError),
    #[error("the change is refused")]
    Edit(#[source] EditError),
    #[error("the record holds something that its format cannot say")]
    Flat,
    #[error("the body is no form")]
    Form(#[source] FormError),
    #[error("the person's data is held")]
    Held,
    #[error("the record would be one that the call may not write")]
    Moved,
    #[error("the new record does not say whom it is about")]
    NoSubject,
    #[error("the version named by the client is not the one that is there")]
    Precondition,
    #[error("the call may not write this record")]
    Record,
    #[error("the store gave no version of the record")]
    Unsafe,
    #[error("the version of the file that is to be written over is not named")]
    Unconditional,
    #[error("the body came too slowly")]
    Slow,
    #[error("the body, or a record in it, is longer than the limit")]
    TooLong,
    #[error("the body has more records than the limit")]
    TooMany,
    #[error("the fate of the write is unknown")]
    Unknown(#[source] WriteError),
    #[error("the store answered with status {0}, so the fate of the write is unknown")]
    UnknownStatus(StatusCode),
    #[error("the key of a new record could not be given to its person")]
    Unlinked,
    #[error("something stands beside the records in the body")]
    Unlisted,
}

impl WriteFault {
    /// A short word for metrics, the access log and the audit log.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Body(_)
            | Self::BodyPresence { .. }
            | Self::BrokenOff
            | Self::Csv(_)
            | Self::Form(_) => "body",
            Self::Changing | Self::Conflict => "conflict",
            Self::Condition | Self::Precondition => "precondition",
            Self::Edit(EditError::NotWritable { .. } | EditError::Fixed { .. }) => "writes",
            Self::Edit(EditError::Forged { .. }) => "forged_envelope",
            Self::Edit(EditError::Locked | EditError::NoKey { .. }) => "keys",
            Self::Edit(_) | Self::Flat | Self::Unlisted => "edit",
            Self::Held => "held",
            Self::Media { .. } => "content_type",
            Self::Moved | Self::Record => "record",
            Self::NoSubject => "subject",
            Self::Slow => "client_slow",
            Self::TooLong | Self::TooMany => "too_large",
            Self::Unknown(_) | Self::UnknownStatus(_) => "write_unknown",
            Self::Unlinked => "unlinked",
            Self::Unconditional | Self::Unsafe => "unsafe_writes",
        }
    }

    /// The kind of problem the client is shown.
    pub(crate) fn kind(&self) -> ProblemKind {
        match self {
            Self::Body(_)
            | Self::BodyPresence { .. }
            | Self::BrokenOff
            | Self::Condition
            | Self::Csv(_)
            | Self::Form(_) => ProblemKind::BadRequest,
            Self::Changing | Self::Conflict | Self::Held | Self::Unconditional | Self::Unsafe => {
                ProblemKind::Conflict
            }
            Self::Edit(EditError::Forged { .. }) => ProblemKind::ForgedEnvelope,
            Self::Edit(EditError::Locked) => ProblemKind::KeyUnavailable,
            Self::Edit(error) => match error.kind() {
                ErrorKind::Denied => ProblemKind::Denied,
                ErrorKind::Unavailable => ProblemKind::Unavailable,
                _ => ProblemKind::Unprocessable,
            },
            Self::Flat | Self::NoSubject | Self::Unlisted => ProblemKind::Unprocessable,
            Self::Media { .. } => ProblemKind::UnsupportedMedia,
            Self::Moved | Self::Record => ProblemKind::Denied,
            Self::Precondition => ProblemKind::PreconditionFailed,
            Self::Slow => ProblemKind::Timeout,
            Self::TooLong | Self::TooMany => ProblemKind::TooLarge,
            Self::Unknown(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Overloaded => ProblemKind::Unavailable,
                _ => ProblemKind::Store,
            },
            Self::UnknownStatus(StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                ProblemKind::Unavailable
            }
            Self::Unlinked | Self::UnknownStatus(_) => ProblemKind::Store,
        }
    }

    /// What the client reads: words of the policy and of the product.
    pub(crate) fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::Csv(TransformError::Malformed { what, .. }) => {
                format!("the body is no CSV that is read here: {what}").into()
            }
            Self::Edit(error) => error.client_message(),
            Self::Form(error) => error.client_message(),
            Self::Media { accepted } => format!("send {accepted}, without a content coding").into(),
            Self::Unknown(error) => error.client_message(),
            other => other.fixed_detail().into(),
        }
    }

    const fn fixed_detail(&self) -> &'static str {
        match self {
            Self::Body(TransformError::Truncated { .. }) => {
                "the body ends in the middle of a value"
            }
            Self::Body(TransformError::Malformed { .. }) => {
                "the body is not strict JSON: one value, no name twice, valid UTF-8"
            }
            Self::Body(_) => {
                "the body has no records where the route's `records` says: one JSON object at `$`, \
                 an array of them at `$[*]`"
            }
            Self::BodyPresence { wanted: true } => "this write needs a body",
            Self::BodyPresence { wanted: false } => "a DELETE has no body",
            Self::BrokenOff => "the body broke off",
            Self::Changing => {
                "somebody else changes the record at the same time; read it and try again"
            }
            Self::Condition => {
                "of conditions only `If-Match` is served on writes, and no part of a record"
            }
            Self::Conflict => "the data store says that the write conflicts with what is there",
            Self::Csv(_) => "the body ends in the middle of a cell",
            Self::Flat => {
                "the record holds a list or a value that is nothing, which a form cannot say; \
                 send JSON"
            }
            Self::Held => "data of this person is held, so it may be neither changed nor removed",
            Self::Moved => {
                "the record as it would be is not one that the policy lets this call write: its rows, \
                 region or person would no longer fit; a PUT removes what it leaves out"
            }
            Self::NoSubject => {
                "the record does not say whom it is about, and the data store does not give that id"
            }
            Self::Precondition => {
                "the record is not the version named in `If-Match`; read it again, and send no \
                 `If-Match` where the answer has no `ETag`: changes by others are noticed anyway"
            }
            Self::Record => "the policy does not let this call write this record",
            Self::Unsafe => {
                "the data store names no version of the record, so a change by somebody else could \
                 be lost; the route would need `unsafe_writes: accepted`"
            }
            Self::Unconditional => {
                "a change by somebody else could be lost: name the version of the file in `If-Match`, \
                 as a read gave it; the route would need `unsafe_writes: accepted` to do without"
            }
            Self::Slow => "the body came too slowly",
            Self::TooLong => "the body, or a record in it, is longer than the limit",
            Self::TooMany => "one call creates at most 256 records",
            Self::UnknownStatus(_) => {
                "the data store failed, so the write may have happened or not; read the record \
                 before you write again"
            }
            Self::Unlinked => {
                "the record was made, but the data store did not say in one way which id it has; \
                 look for it before you write again, within a day: a record that nobody reads until \
                 then loses what is sealed in it"
            }
            Self::Unlisted => "something stands beside the records in the body",
            Self::Edit(_) | Self::Form(_) | Self::Media { .. } | Self::Unknown(_) => "",
        }
    }

    /// What was not there.
    pub(crate) const fn missing(&self) -> &'static [&'static str] {
        match self {
            Self::Edit(EditError::NotWritable { .. } | EditError::Fixed { .. }) => &["writes"],
            Self::Moved | Self::Record => &["record"],
            Self::Unconditional => &["if_match"],
            Self::Unsafe => &["unsafe_writes"],
            _ => &[],
        }
    }

    /// Whether somebody should look.
    pub(crate) const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Edit(EditError::Locked)
                | Self::Unknown(_)
                | Self::UnknownStatus(_)
                | Self::Unlinked
                | Self::Unsafe
        )
    }

    /// Whether policy said no, which is written down as a decision.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Edit(
                EditError::NotWritable { .. } | EditError::Fixed { .. } | EditError::NoKey { .. }
            ) | Self::Held
                | Self::Moved
                | Self::Record
        )
    }
}

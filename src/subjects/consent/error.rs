//! What can go wrong with consent records. No text names a person.

use std::borrow::Cow;

use super::words::ConsentState;
use crate::subjects::SubjectsError;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// A consent record or an event was not recorded, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// A record's versions do not follow from each other: somebody changed or removed one.
    #[error("the versions of a consent record do not follow from each other")]
    Broken,
    /// A member is wrong, too long or missing.
    #[error("`{path}` {what}")]
    Invalid {
        /// Where it stands, such as `process[0].purpose_key`.
        path: String,
        /// What is wrong with it.
        what: Cow<'static, str>,
    },
    /// The same idempotency key came with another body.
    #[error("that idempotency key was used for something else")]
    KeyReused,
    /// A notice of this id and version has another text.
    #[error("the notice's text is not the one that is registered for this version")]
    NoticeDiffers,
    /// No such record, or none about that person.
    #[error("there is no such consent record")]
    NotFound,
    /// The record has given way to another.
    #[error("another record has taken the place of this one; consent is given in that one")]
    Superseded,
    /// More records or versions than are kept.
    #[error("a person has at most {records} consent records, and a record {versions} versions")]
    TooMany {
        /// The most records of a person.
        records: usize,
        /// The most versions of a record, withdrawals aside.
        versions: u32,
    },
    /// The state cannot follow the one before.
    #[error("{}", transition(*from, *to, why))]
    Transition {
        /// The state that holds at the time of the event.
        from: Option<ConsentState>,
        /// The state that was to follow.
        to: ConsentState,
        /// What to do about it.
        why: &'static str,
    },
    /// Cards, keys or state.
    #[error(transparent)]
    Subjects(#[from] SubjectsError),
}

impl ConsentError {
    /// Whether the keys are locked, and may be open again soon.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Subjects(error) if error.is_locked())
    }

    pub(super) fn invalid(path: impl Into<String>, what: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { path: path.into(), what: what.into() }
    }
}

fn transition(from: Option<ConsentState>, to: ConsentState, why: &str) -> String {
    let from = from.map_or("nothing", ConsentState::as_str);
    format!("`{to}` cannot follow `{from}`: {why}")
}

impl ClientError for ConsentError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Subjects(error) => error.kind(),
            Self::Broken => ErrorKind::Unavailable,
            Self::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::BadRequest,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Subjects(error) => error.client_message(),
            Self::Broken => "the consent record was tampered with; tell the operator".into(),
            other => other.to_string().into(),
        }
    }
}

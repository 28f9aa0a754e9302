//! What can go wrong with jobs. No text holds arguments, values or ids of people.

use std::borrow::Cow;

use crate::clock::EntropyError;
use crate::state::StateError;
use crate::types::ClientError;
use crate::types::ErrorKind;

use super::job::JobId;

/// A job could not be read, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// Another unfinished job does the same.
    #[error("job {0} of the same kind is not finished")]
    Busy(JobId),
    /// The time now is before that of the request.
    #[error("the clock shows a time before the job was requested")]
    Clock,
    /// Somebody else changed the job in the meantime.
    #[error("the job was changed by somebody else")]
    Contended,
    /// The stored row cannot be understood.
    #[error("the stored row of the job is damaged or not of this release")]
    Damaged,
    /// No randomness for an id.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The approval comes too late.
    #[error("nobody approved the job in time")]
    Expired,
    /// The job is over.
    #[error("the job is finished")]
    Finished,
    /// No such job.
    #[error("there is no such job")]
    NotFound,
    /// What must come before the approval has not.
    #[error("{0}")]
    NotReady(&'static str),
    /// The job does not wait for approval.
    #[error("the job does not wait for an approval")]
    NotWaiting,
    /// The approver is the requester.
    #[error("the requester approves their own job")]
    Own,
    /// The state could not be read or written.
    #[error("the jobs cannot be read or written")]
    State(#[source] StateError),
    /// A part of a job is longer than its row takes.
    #[error("the {0} of the job is too long")]
    TooLong(&'static str),
    /// As many jobs as there may be are unfinished.
    #[error("too many unfinished jobs")]
    TooMany,
    /// This release has no such kind of job.
    #[error("this release has no such kind of job")]
    UnknownKind,
}

impl From<StateError> for JobsError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Conflict { .. } => Self::Contended,
            error => Self::State(error),
        }
    }
}

impl ClientError for JobsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Own | Self::Expired | Self::Clock => ErrorKind::Denied,
            Self::TooMany => ErrorKind::Overloaded,
            Self::Damaged | Self::Entropy(_) | Self::State(_) => ErrorKind::Unavailable,
            _ => ErrorKind::BadRequest,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Busy(id) => {
                format!("job {id} does the same and is not finished; wait for it, or cancel it")
                    .into()
            }
            Self::Clock => "the gateway's clock shows a time before the job was requested".into(),
            Self::Contended => "the job was changed in the meantime; look at it again".into(),
            Self::Damaged => "the stored job is damaged or not of this release".into(),
            Self::Expired => "nobody approved the job in 24 hours; request it again".into(),
            Self::Finished => "the job is finished".into(),
            Self::NotFound => "there is no such job; `privet job list` shows them".into(),
            Self::NotReady(why) => (*why).into(),
            Self::NotWaiting => "the job does not wait for an approval".into(),
            Self::Own => {
                "you requested this job; somebody else must approve it, by another name".into()
            }
            Self::TooLong(what) => format!("the {what} of the job is too long").into(),
            Self::TooMany => "too many jobs are unfinished; cancel some".into(),
            Self::UnknownKind => "this release has no such kind of job".into(),
            Self::Entropy(_) | Self::State(_) => "jobs cannot be read or written now".into(),
        }
    }
}

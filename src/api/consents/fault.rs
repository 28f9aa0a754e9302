//! What is told of a consent that was not recorded or cannot be read.

use crate::api::answer::Refused;
use crate::api::cards::state;
use crate::protocol::http::ProblemKind;
use crate::subjects::consent::ConsentError;

/// The refusal. No text of an error names a person or repeats a value.
pub(super) fn refused(error: &ConsentError) -> Refused {
    let kind = match error {
        ConsentError::Subjects(error) => return state(error),
        ConsentError::Broken => ProblemKind::Unavailable,
        ConsentError::Invalid { .. } => ProblemKind::BadRequest,
        // The draft of the Idempotency-Key header, §2.7.
        ConsentError::KeyReused => ProblemKind::Unprocessable,
        ConsentError::NotFound => ProblemKind::NotFound,
        ConsentError::NoticeDiffers
        | ConsentError::Superseded
        | ConsentError::TooMany { .. }
        | ConsentError::Transition { .. } => ProblemKind::Conflict,
    };
    Refused::new(kind, error.to_string())
}

//! What can go wrong with cards. No text names a subject.

use std::borrow::Cow;

use crate::keys::KeysError;
use crate::state::StateError;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// A card could not be read or changed. Whoever needed it keeps the record closed.
#[derive(Debug, thiserror::Error)]
pub enum SubjectsError {
    /// Others went on changing the same cards.
    #[error("the same cards were changed from several sides again and again")]
    Contended,
    /// A stored card cannot be understood.
    #[error("a stored card is not of this release")]
    Damaged,
    /// The person was erased; nothing about them changes any more.
    #[error("the subject was erased, which is final")]
    Erased,
    /// A hold keeps the person's data, and their key with it.
    #[error("the subject is on hold; release the hold first")]
    Held,
    /// What was said is not what it should be.
    #[error("{what} is not valid")]
    Invalid {
        /// Which of them.
        what: &'static str,
    },
    /// The change was cut off; it may or may not have happened.
    #[error("the change was cut off")]
    Interrupted,
    /// A key could not be made or read.
    #[error("the keys of subjects are not available")]
    Keys(#[source] KeysError),
    /// The subject has a key but no card.
    #[error("the card of the subject is lost: restore the state")]
    Orphaned,
    /// The state could not be read or written.
    #[error("the cards of subjects are not available")]
    State(#[source] StateError),
    /// A card holds only so much.
    #[error("the card has {limit} consents, opt-outs, holds or representatives already")]
    TooMany {
        /// How many it holds of them.
        limit: usize,
    },
}

impl SubjectsError {
    /// Whether the keys are locked, and may be open again soon.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Keys(KeysError::Unavailable))
    }
}

impl ClientError for SubjectsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::TooMany { .. } => ErrorKind::BadRequest,
            Self::Erased | Self::Held => ErrorKind::Denied,
            _ => ErrorKind::Unavailable,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Invalid { .. } => "the subject id or the name is not valid".into(),
            Self::TooMany { .. } => {
                "the subject has too many consents, opt-outs, holds or representatives".into()
            }
            Self::Erased => "the subject was erased".into(),
            Self::Held => "the subject is on hold; release the hold first".into(),
            _ => "the gateway cannot read what it keeps about this person".into(),
        }
    }
}

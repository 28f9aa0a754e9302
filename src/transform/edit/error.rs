//! Why a change is refused.

use crate::types::ClientError;
use crate::types::ErrorKind;
use crate::types::FieldPath;
use std::borrow::Cow;

/// A change that is refused. Names fields as policy writes them, never what was sent or is stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EditError {
    /// The field says which record it is, or whom it is about.
    #[error("`{field}` says which record it is or whom it is about")]
    Fixed {
        /// The field.
        field: FieldPath,
    },
    /// Policy lists a value of another kind.
    #[error("another kind of value stands where `{field}` is listed")]
    Kind {
        /// The field, or the first one below.
        field: FieldPath,
    },
    /// What was sent, or what the store has, is no record.
    #[error("the text is not one record")]
    NoRecord,
    /// The caller may not set the field.
    #[error("`{field}` is not among the fields the caller may write")]
    NotWritable {
        /// The field.
        field: FieldPath,
    },
    /// The value has the form the field is shown in, but it is not what is shown now.
    #[error("the value for `{field}` has the form of a view and is not the current one")]
    Stale {
        /// The field.
        field: FieldPath,
    },
    /// A member that policy does not list.
    #[error("a member is not listed in the data set")]
    Unlisted,
    /// It would overwrite what the caller was not shown.
    #[error("`{field}` stands in a value that holds what the caller was not shown")]
    Unseen {
        /// The field, or the first one below.
        field: FieldPath,
    },
}

impl ClientError for EditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Fixed { .. } | Self::NotWritable { .. } => ErrorKind::Denied,
            Self::Kind { .. }
            | Self::NoRecord
            | Self::Stale { .. }
            | Self::Unlisted
            | Self::Unseen { .. } => ErrorKind::BadRequest,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Fixed { field } => format!(
                "`{field}` says which record it is or whom it is about, and never changes; leave \
                 it out or send it as it was shown"
            )
            .into(),
            Self::Kind { field } => {
                format!("what was sent has another kind of value where the policy lists `{field}`")
                    .into()
            }
            Self::NoRecord => "a record is one JSON object".into(),
            Self::NotWritable { field } => format!(
                "the policy does not let this call write `{field}`; leave it out or send it as \
                 it was shown"
            )
            .into(),
            Self::Stale { field } => format!(
                "the value for `{field}` looks like the form this field is shown in, but it is \
                 not what is shown now; read the record again, and leave the field out or send a \
                 full value"
            )
            .into(),
            Self::Unlisted => {
                "a member was sent that the policy does not list; look for a misspelt \
                               name, and send nothing that was not shown or may not be set"
                    .into()
            }
            Self::Unseen { field } => format!(
                "`{field}` stands in a value that holds something not shown to this call, so \
                 changing it could destroy that; leave it out or send it as it was shown"
            )
            .into(),
        }
    }
}

//! Why a change is refused.

use crate::crypto::plain_len;
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
    /// A value claims to be sealed, and is not the one that was shown.
    #[error("the value for `{field}` claims to be sealed")]
    Forged {
        /// The field.
        field: FieldPath,
    },
    /// Policy lists a value of another kind.
    #[error("another kind of value stands where `{field}` is listed")]
    Kind {
        /// The field, or the first one below.
        field: FieldPath,
    },
    /// The keys cannot be used at the moment.
    #[error("the keys cannot be used at the moment")]
    Locked,
    /// Nobody has a key to seal the field of this record with.
    #[error("there is no key to seal `{field}` with")]
    NoKey {
        /// The field.
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
    /// The value is longer than the store's field once it is sealed.
    #[error("the value for `{field}` is longer than {limit} bytes when it is sealed")]
    TooLong {
        /// The field.
        field: FieldPath,
        /// The most bytes that the store keeps in it.
        limit: usize,
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
            Self::Fixed { .. } | Self::NoKey { .. } | Self::NotWritable { .. } => ErrorKind::Denied,
            Self::Locked => ErrorKind::Unavailable,
            Self::Forged { .. }
            | Self::Kind { .. }
            | Self::NoRecord
            | Self::Stale { .. }
            | Self::TooLong { .. }
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
            Self::Forged { field } => format!(
                "the value for `{field}` begins as a sealed one does; send the value itself, or \
                 leave the field out: only the sealed text this call is shown now may come back"
            )
            .into(),
            Self::Kind { field } => {
                format!("what was sent has another kind of value where the policy lists `{field}`")
                    .into()
            }
            Self::Locked => "the keys that protect this data cannot be used at the moment".into(),
            Self::NoKey { field } => {
                format!("`{field}` is kept sealed, and nothing can be sealed for this record")
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
            Self::TooLong { field, limit } => format!(
                "the value for `{field}` is too long: sealed, the data store keeps at most {limit} \
                 bytes of it; send at most {} bytes",
                plain_len(*limit)
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

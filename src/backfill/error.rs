//! Why a data set cannot be moved as asked.

use std::borrow::Cow;

use crate::jobs::JobsError;
use crate::types::ClientError;
use crate::types::DataSetId;
use crate::types::ErrorKind;

/// Why a data set cannot be moved as asked.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The parameter to go on by is none that the list takes, or its field is none of a record.
    #[error("the list does not take the named parameter, or there is no such field")]
    Cursor,
    /// What was done before cannot be looked up.
    #[error("the jobs cannot be read")]
    Jobs(#[source] JobsError),
    /// Nothing was tried before.
    #[error("nothing was tried under the policy in force")]
    NoDryRun,
    /// No route lists the records.
    #[error("no route lists the records of {0}")]
    NoList(DataSetId),
    /// No field of it is sealed.
    #[error("no field of {0} is sealed")]
    NothingSealed(DataSetId),
    /// No field of it may hold plain values.
    #[error("no sealed field of {0} is migrating")]
    NotMigrating(DataSetId),
    /// No route changes one record.
    #[error("no route changes one record of {0}")]
    NoWrite(DataSetId),
    /// A rate that is none.
    #[error("the rate is out of range")]
    Rate,
    /// No such data set.
    #[error("there is no such data set")]
    UnknownSet,
}

impl ClientError for BackfillError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownSet => ErrorKind::NotFound,
            Self::Jobs(error) => error.kind(),
            _ => ErrorKind::BadRequest,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Cursor => "`cursor` is written PARAMETER=FIELD: a parameter that the list \
                             route's `query` names, and a field of the records"
                .into(),
            Self::Jobs(error) => error.client_message(),
            Self::NoDryRun => "do a dry run first: there is none of this data set and direction \
                               under the policy in force"
                .into(),
            Self::NoList(set) => format!(
                "no GET route of {set} without variables has `records` that end in `[*]`, so its \
                 records cannot be listed"
            )
            .into(),
            Self::NothingSealed(set) => format!("no field of {set} says `at_rest: encrypt`").into(),
            Self::NotMigrating(set) => format!(
                "no sealed field of {set} says `encryption: migrating`; write it before values \
                 are moved, and `strict` once they are"
            )
            .into(),
            Self::NoWrite(set) => {
                format!("no PATCH or PUT route of {set} changes one record").into()
            }
            Self::Rate => "`per_second` is between 1 and 10000".into(),
            Self::UnknownSet => "the policy has no such data set; it is written STORE.SET".into(),
        }
    }
}

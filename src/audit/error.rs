//! What can go wrong with the log.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::types::ClientError;
use crate::types::ErrorKind;

/// An error of the log. Whatever it is, no protected data may leave because of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// What is on disk is not what was written, and it is not the torn end of a power cut.
    #[error("the audit log is damaged: {file}: {what}")]
    Damaged {
        /// The file, relative to the folder of the log.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// An entry could not be written as JSON.
    #[error("an audit entry could not be encoded")]
    Encode {
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// An entry is longer than the format allows.
    #[error("an audit entry is {bytes} bytes long, more than 65535")]
    EntryTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Another process holds the log.
    #[error("the audit log in {dir} is in use by another process")]
    InUse {
        /// The folder of the log.
        dir: PathBuf,
    },
    /// The file system failed.
    #[error("the audit log could not {action} {file}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file, relative to the folder of the log.
        file: String,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// The folder holds a log under another name, or one signed with another key.
    #[error("the audit log in this folder belongs to another name or key: {what}")]
    NotOurs {
        /// What differs.
        what: String,
    },
    /// Too many entries wait for the disk.
    #[error("the audit log is behind: {waiting} entries wait")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// The log cannot be written now; it tries again by itself.
    #[error("the audit log cannot be written: {why}")]
    Unwritable {
        /// The last failure.
        why: Arc<str>,
    },
}

impl ClientError for AuditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Encode { .. } | Self::EntryTooLarge { .. } => ErrorKind::Internal,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
            _ => ErrorKind::Unavailable,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self.kind() {
            ErrorKind::Overloaded => "the audit log is behind; try again later".into(),
            ErrorKind::Internal => "the call could not be recorded".into(),
            _ => "the audit log cannot be written, so no protected data may leave".into(),
        }
    }
}

//! What can go wrong with state.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use crate::types::ClientError;
use crate::types::ErrorKind;

/// An operation on the state did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The changes asked for are no longer kept.
    #[error("changes that old are no longer kept; read everything anew")]
    ChangesGone,
    /// An expectation did not hold; nothing was written.
    #[error("operation {op} of the transaction expected another version")]
    Conflict {
        /// Which operation, counted from 0.
        op: usize,
    },
    /// A stored value is not what was written.
    #[error("stored value is damaged: {what}")]
    Corrupt {
        /// What does not fit.
        what: &'static str,
    },
    /// The engine reported a failure of its own.
    #[error("{what} failed")]
    Engine {
        /// What was being done.
        what: &'static str,
        /// What the engine says.
        #[source]
        source: sled::Error,
    },
    /// An earlier write failed; what is on disk is unknown until the process starts again.
    #[error("an earlier write failed; restart the process to read what is on disk")]
    Failed,
    /// The transaction or the question breaks a limit.
    #[error("{why}")]
    Invalid {
        /// Which one.
        why: &'static str,
    },
    /// A file operation failed.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was being done, as a verb.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process has the database open.
    #[error("`{}` is in use by another process", path.display())]
    Locked {
        /// Its main file.
        path: PathBuf,
    },
    /// The marker file cannot be understood.
    #[error(
        "`{}` is not a marker of this release: restore it together with the folder beside it",
        path.display()
    )]
    Marker {
        /// The marker file.
        path: PathBuf,
    },
    /// The engine panicked.
    #[error("the state engine broke down while {what}; its files may be damaged: restore a backup")]
    Panicked {
        /// What was being done.
        what: &'static str,
    },
    /// The folder holds less than the marker says was made durable.
    #[error(
        "`{}` holds generation {} revision {}, but `{}` says {} and {}: the folder is empty, \
         damaged or an older copy. Restore the folder and the marker from one backup",
        rolled.path.display(), rolled.found.0, rolled.found.1,
        rolled.marker.display(), rolled.expected.0, rolled.expected.1
    )]
    RolledBack {
        /// What was found, and what was expected.
        rolled: Box<RolledBack>,
    },
    /// There is a database but no marker.
    #[error(
        "`{}` has files in it but `{}` is missing, so an older copy could not be told from the \
         current one. Restore both from one backup, or move the folder away to start empty",
        path.display(), marker.display()
    )]
    Unmarked {
        /// The folder.
        path: PathBuf,
        /// Where the marker should be.
        marker: PathBuf,
    },
}

/// A database that is older than its marker.
#[derive(Debug)]
pub struct RolledBack {
    /// The folder.
    pub path: PathBuf,
    /// The marker file.
    pub marker: PathBuf,
    /// Generation and revision in the folder.
    pub found: (u64, u64),
    /// The least generation and revision there must be.
    pub expected: (u64, u64),
}

impl StateError {
    /// For `map_err` on a file operation.
    pub(super) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

impl ClientError for StateError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }

    fn client_message(&self) -> Cow<'static, str> {
        "the gateway cannot read its own state".into()
    }
}

//! What can go wrong with an export.

use std::io;
use std::path::PathBuf;

use crate::audit::SearchError;
use crate::net::NetError;

/// Why an export does not come on. It tries again by itself.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An entry of the log cannot be read.
    #[error("entry {index} cannot be read; check the log with `privet audit verify`")]
    Damaged {
        /// Which.
        index: u64,
    },
    /// A file of the export failed.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The place of the export is not one.
    #[error(
        "`{}` does not say where the export stands: {what}; remove it to send everything again",
        path.display()
    )]
    Place {
        /// The file of the place.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The log is shorter than what was exported of it: an older copy was put back.
    #[error("{next} entries were exported, and the log has {size}: an older copy was put back")]
    Shorter {
        /// Entries exported.
        next: u64,
        /// Entries of the log.
        size: u64,
    },
    /// The receiver could not be reached, its TLS not be believed, or a file for it not be read.
    #[error("nothing can be sent to the receiver")]
    Net(#[from] NetError),
    /// The webhook answered with another status than 2xx.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// The secret is none.
    #[error(
        "the file of the secret holds none; each line is `whsec_` and 24 to 64 bytes in base64"
    )]
    Secret,
    /// The connection broke before the receiver had confirmed.
    #[error("the receiver did not confirm the batch: {0}")]
    Unconfirmed(&'static str),
    /// The connection broke.
    #[error("the connection to the receiver broke")]
    Broken(#[source] io::Error),
    /// The log could not be read.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// What was exported could not be written.
    #[error("the entries could not be written")]
    Write(#[source] io::Error),
    /// A thread of the export was ended.
    #[error("the task of the export was ended")]
    Ended,
}

impl ExportError {
    /// What happened, without names of hosts and files: for pages that anybody may read.
    pub(super) fn word(&self) -> String {
        let word = match self {
            Self::Damaged { .. } | Self::Search(_) => "an entry cannot be read",
            Self::File { .. } | Self::Write(_) => "a file cannot be written",
            Self::Place { .. } => "its place is damaged",
            Self::Shorter { .. } => "the log is shorter than what was exported",
            Self::Net(_) => "the receiver cannot be reached",
            Self::Status(status) => return format!("the receiver answers with {status}"),
            Self::Secret => "its secret is none",
            Self::Unconfirmed(_) | Self::Broken(_) => "the receiver does not confirm",
            Self::Ended => "its task was ended",
        };
        word.to_owned()
    }
}

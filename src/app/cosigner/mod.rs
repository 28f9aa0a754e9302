//! `privet witness`: a small server that co-signs the checkpoints of logs it was told to watch
//! (C2SP tlog-witness). It runs under other control than the logs; it needs their public keys and
//! sees none of their entries.
//!
//! It signs a checkpoint only when that continues the last one it signed, and writes it down
//! durably before it answers. So a log that was cut, changed or forked gets no more signatures.

mod book;
mod folder;
mod server;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use crate::clock::EntropyError;
use crate::crypto::note::NoteError;
use crate::net::NetError;

pub use self::folder::init;
pub use self::server::{CosignerSetup, RunningCosigner};

/// A witness could not be set up or started.
#[derive(Debug, thiserror::Error)]
pub enum CosignerError {
    /// Another process holds the folder.
    #[error("another witness runs on `{0}`: stop it, or use another folder")]
    Busy(PathBuf),
    /// What it remembers of a log cannot be read. Without its memory a witness could be made to
    /// sign a second history.
    #[error(
        "`{path}` is not what this witness wrote, so it no longer knows what it has signed: \
         restore it from a backup"
    )]
    Forgotten {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// A file or folder.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A key in a file.
    #[error("`{path}`, line {line}: write one public key of a log a line, `name+hash+base64`")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// Its own name.
    #[error("choose a name such as `witness.example/w1`")]
    Name(#[source] NoteError),
    /// A socket, a certificate, or a file that others may write.
    #[error(transparent)]
    Net(#[from] NetError),
    /// There is nothing to witness.
    #[error("`{0}` names no log: write the public key of each log you watch into it, one a line")]
    NoLogs(PathBuf),
    /// The folder is none that `privet witness init` made.
    #[error("`{0}` is missing: make a witness with `privet witness init`")]
    NoWitness(PathBuf),
    /// Plain HTTP beyond this machine.
    #[error(
        "plain HTTP on {0}, which is not this machine alone: add --tls-cert and --tls-key, or \
         listen on 127.0.0.1"
    )]
    Open(std::net::SocketAddr),
    /// No randomness for a key.
    #[error(transparent)]
    Random(#[from] EntropyError),
    /// The key file holds no key.
    #[error("`{0}` does not hold the key that `privet witness init` wrote")]
    Seed(PathBuf),
    /// There is a witness already; nothing was touched.
    #[error("`{0}` exists already; choose another folder")]
    Taken(PathBuf),
}

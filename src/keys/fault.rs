//! What can be wrong with a provider of the root key outside this process. No text here repeats
//! what a provider answered, nor what it was sent.

use std::path::PathBuf;

use crate::net::NetError;

/// Why a provider of the root key is of no use just now.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFault {
    /// The token may not do this.
    #[error("the token may not do this, or has expired: renew `{}`, or allow it in the policy (see docs/keys.md)", token_file.display())]
    Forbidden {
        /// Where the token stands.
        token_file: PathBuf,
    },
    /// The answer is not one of this protocol.
    #[error("its answer makes no sense: does the address belong to it?")]
    Garbage,
    /// The key is not there.
    #[error(
        "it has no key `{key}`: `privet key init` makes one for a new site; for others it was lost"
    )]
    NoKey {
        /// Its name.
        key: Box<str>,
    },
    /// No transit engine answers at the mount.
    #[error("no transit engine is mounted there: is `mount` right?")]
    NoMount,
    /// The engine is sealed.
    #[error("it is sealed, or not ready")]
    Sealed,
    /// Another status.
    #[error("it answered with the status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// A key for a new installation is there already.
    #[error(
        "its key `{key}` belongs to another installation: choose another `key`, or delete it if nobody needs it"
    )]
    Taken {
        /// Its name.
        key: Box<str>,
    },
    /// The key is there still.
    #[error("its key `{key}` could not be destroyed")]
    Undestroyed {
        /// Its name.
        key: Box<str>,
    },
    /// The key is of another type, or could leave the provider.
    #[error(
        "its key `{key}` is not of the kind that is needed: aes256-gcm96, not derived, never to be exported or backed up in plain"
    )]
    Unfit {
        /// Its name.
        key: Box<str>,
    },
    /// No answer.
    #[error("it cannot be reached")]
    Unreachable(#[source] Box<NetError>),
}

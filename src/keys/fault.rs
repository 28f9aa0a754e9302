//! What can be wrong with a provider of the root key outside this process. No text here repeats
//! what a provider answered, nor what it was sent.

use std::path::PathBuf;

use crate::net::NetError;

/// Why a provider of the root key is of no use just now.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFault {
    /// Several of one name.
    #[error("there are several {what} named `{label}`: which one is meant?")]
    Ambiguous {
        /// Tokens or keys.
        what: &'static str,
        /// Their name.
        label: Box<str>,
    },
    /// The key could leave the token.
    #[error(
        "its key `{key}` is not of the kind that is needed: AES of 256 bits, sensitive, never to be extracted"
    )]
    Exposed {
        /// Its name.
        key: Box<str>,
    },
    /// The token may not do this.
    #[error("the token may not do this, or has expired: renew `{}`, or allow it in the policy (see docs/keys.md)", token_file.display())]
    Forbidden {
        /// Where the token stands.
        token_file: PathBuf,
    },
    /// The answer is not one of this protocol.
    #[error("its answer makes no sense: does the address belong to it?")]
    Garbage,
    /// One more wrong PIN would lock the token, or it is locked.
    #[error("its PIN is locked, or has one try left: unlock it with the tools of its maker")]
    LastTry,
    /// The module cannot be loaded.
    #[error("the module cannot be loaded")]
    Module {
        /// What the loader says.
        #[source]
        source: Box<cryptoki::error::Error>,
    },
    /// The token cannot seal with AES-GCM.
    #[error("it does not offer CKM_AES_GCM to its keys, which is needed")]
    NoGcm,
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
    /// No token of that label.
    #[error("there is no token `{label}`: is it connected, and is `token_label` right?")]
    NoToken {
        /// The label.
        label: Box<str>,
    },
    /// The PIN is wrong. It is not tried again.
    #[error("the PIN in `{}` was refused and is not tried again: too many wrong ones lock the token", pin_file.display())]
    PinRefused {
        /// Where it stands.
        pin_file: PathBuf,
    },
    /// The engine is sealed.
    #[error("it is sealed, or not ready")]
    Sealed,
    /// The token does not come to an end.
    #[error("it did not answer in time")]
    Slow,
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
    /// The token refused something.
    #[error("it refused")]
    Token(#[source] Box<cryptoki::error::Error>),
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

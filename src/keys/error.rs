//! What can go wrong with keys. No text here names a subject or shows a byte of a key.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::fault::ProviderFault;
use crate::clock::EntropyError;
use crate::crypto::RecordFault;
use crate::crypto::RootFileError;
use crate::crypto::SelfTestError;
use crate::net::NetError;
use crate::state::StateError;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Whom to believe when connecting to the provider of the root key cannot be read.
    #[error("the authorities for the root key's provider cannot be used")]
    Authority(#[source] NetError),
    /// Another process is replacing the root key, or its passphrase.
    #[error("another process is changing the root key just now; try again")]
    Busy,
    /// Others went on creating the same keys.
    #[error("the same subject keys were created from several sides again and again")]
    Contended,
    /// Whether the next epoch will be in force after a restart is not known.
    #[error("the next epoch of keys could not be put in force for good; restart the process")]
    Closed,
    /// Which epoch is in force cannot be told, or was not made durable.
    #[error("`{}` does not say which epoch is in force: {what}", path.display())]
    Current {
        /// The file that says it.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// An entry of the ledger of tombstones was changed.
    #[error(
        "entry {entry} of `{}` was changed: restore the newest copy of that file; without it \
         people who were erased could come back", path.display()
    )]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// Its number, from 1; 0 for the title.
        entry: u64,
    },
    /// An earlier write to the ledger failed.
    #[error("an earlier write to `{}` failed; restart the process to read what is on disk", path.display())]
    LedgerFailed {
        /// The ledger.
        path: PathBuf,
    },
    /// The file of the high-water mark holds something else.
    #[error(
        "`{}` does not hold a high-water mark: restore it. If it is lost, and the ledger of \
         tombstones is its newest copy: truncate -s 0 {}", path.display(), path.display()
    )]
    KeptDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The file of the high-water mark is gone.
    #[error(
        "`{}` is missing, but the ledger's high-water mark was kept there: restore it, or correct \
         `high_water`. If it is lost, and the ledger of tombstones is its newest copy: touch {}",
        path.display(), path.display()
    )]
    KeptMissing {
        /// The file.
        path: PathBuf,
    },
    /// The ledger is not the one that others remember.
    #[error(
        "the first {known} entries of `{}` are not those that are remembered: an older copy was \
         put back and continued. Restore the newest copy of that file", path.display()
    )]
    LedgerForked {
        /// The ledger.
        path: PathBuf,
        /// How many entries are remembered.
        known: u64,
    },
    /// The ledger is older than others remember.
    #[error(
        "`{}` has {found} tombstones, but {known} are remembered: it is an older copy, and people \
         who were erased since would come back. Restore the newest copy of that file; \
         the erasures that are missing are carried out again then", path.display()
    )]
    LedgerShort {
        /// The ledger.
        path: PathBuf,
        /// How many entries it has.
        found: u64,
        /// How many are remembered.
        known: u64,
    },
    /// Subject keys exist, so a slot that is missing was lost and must not be made anew.
    #[error("`{}` is missing but subject keys exist: restore it from a backup; a new one would open none of them", path.display())]
    Lost {
        /// The missing file.
        path: PathBuf,
    },
    /// A person has as many generations of their key as a record holds.
    #[error(
        "a subject has {limit} generations of their key; re-seal their values and destroy the old ones"
    )]
    Generations {
        /// How many that is.
        limit: usize,
    },
    /// The work was cut off; it may or may not have been done.
    #[error("work on the keys was cut off")]
    Interrupted,
    /// A row of the subject keys is none that this release knows.
    #[error("a row among the subject keys is not of this release")]
    Row,
    /// No randomness.
    #[error("no key could be made")]
    Entropy(#[source] EntropyError),
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
    /// A key file does not exist.
    #[error("`{}` does not exist: restore it from a backup, or name the right file; `privet key init` makes the keys of a new site", path.display())]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// Others may read a secret file.
    #[error("`{}` can be read by others (mode {mode:o}): run `chmod 600 {}`", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The passphrase is too short to protect anything.
    #[error("the passphrase in `{}` is shorter than 12 bytes", path.display())]
    Passphrase {
        /// The file it stands in.
        path: PathBuf,
    },
    /// Only a sealed file has a passphrase.
    #[error("the root key is held by `{provider}`, where it has no passphrase")]
    NoPassphrase {
        /// The provider's word.
        provider: &'static str,
    },
    /// There is no root key.
    #[error("these keys are in memory alone, without a root key")]
    NoRoot,
    /// The file of a PIN does not hold one.
    #[error("`{}` does not hold one line with a PIN", path.display())]
    Pin {
        /// The file.
        path: PathBuf,
    },
    /// A secret file is a link, a device or too long.
    #[error("`{}` is not a plain file of less than 4 KiB", path.display())]
    Plain {
        /// The file.
        path: PathBuf,
    },
    /// The provider of the root key is of no use.
    #[error("{at}")]
    Provider {
        /// Which, and where.
        at: Box<str>,
        /// Why.
        #[source]
        fault: ProviderFault,
    },
    /// A stored subject key does not open.
    #[error("a stored subject key cannot be used")]
    Record(#[source] RecordFault),
    /// A subject key is wrapped by an epoch this ring does not hold.
    #[error("a stored subject key belongs to epoch {epoch}, whose key is not here")]
    Epoch {
        /// The epoch of the record.
        epoch: u32,
    },
    /// The root key file does not open.
    #[error("cannot open the root key `{}`", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RootFileError,
    },
    /// The root key is being replaced.
    #[error(
        "`{}` is there: the root key is being replaced. Let `privet key rotate root` come to its \
         end first", path.display()
    )]
    RootUnderWay {
        /// The file of the next root key.
        path: PathBuf,
    },
    /// A primitive computes wrongly.
    #[error("cryptography does not work here")]
    SelfTest(#[source] SelfTestError),
    /// A slot does not open.
    #[error("`{}` is not a key of this root key and tenant, or was changed", path.display())]
    Slot {
        /// The file.
        path: PathBuf,
    },
    /// A file among the slots is of another release, or not Privet's.
    #[error(
        "`{}` is not a slot that this release knows: what it holds would be lost with the root \
         key that wraps it", path.display()
    )]
    Stranger {
        /// The file.
        path: PathBuf,
    },
    /// The folder of subject keys could not be read or written.
    #[error("subject keys cannot be read or written")]
    State(#[source] StateError),
    /// The file of a token does not hold one.
    #[error("`{}` does not hold one line with a token", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// There was no word from the provider of the root key for longer than keys may be used
    /// without.
    #[error("keys are locked until the root key's provider answers again")]
    Unavailable,
    /// Everybody may change a program that is to be loaded.
    #[error("`{}` can be changed by everybody (mode {mode:o}): run `chmod o-w {}`", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A fresh key could not be wrapped.
    #[error("the root key could not wrap a new key")]
    Wrap,
}

impl KeysError {
    /// For `map_err` on a file operation.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

impl ClientError for KeysError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }

    fn client_message(&self) -> Cow<'static, str> {
        "the gateway cannot use its keys".into()
    }
}

//! Where keys are kept.

use std::path::PathBuf;

/// Where keys are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysConfig {
    /// Who holds the root key.
    pub root: RootProvider,
    /// The folder of slots and subject keys; only this process may read it.
    pub dir: PathBuf,
    /// The installation's name: part of every sealed value, so it never changes.
    pub tenant: String,
}

/// Who holds the root key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RootProvider {
    /// A file sealed by a passphrase that stands in another file.
    File {
        /// The sealed key.
        path: PathBuf,
        /// The passphrase; a line end after it does not count.
        passphrase_file: PathBuf,
    },
}

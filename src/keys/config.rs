//! Where keys are kept.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

/// Where keys are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysConfig {
    /// Who holds the root key.
    pub root: RootProvider,
    /// How long keys are used without word from whoever holds the root key. A file always
    /// answers.
    pub cached: Duration,
    /// Where the ledger's high-water mark is kept apart from everything else.
    pub high_water: Option<PathBuf>,
    /// The folder of slots and subject keys; only this process may read it.
    pub dir: PathBuf,
    /// The installation's name: part of every sealed value, so it never changes.
    pub tenant: String,
}

impl KeysConfig {
    /// Unless something else is written: an hour covers a restart of the provider, and is little
    /// for whoever waits for the keys to go.
    pub const CACHED: Duration = Duration::from_secs(3_600);
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
    /// The transit engine of OpenBao or Vault.
    OpenBao(OpenBao),
    /// A token of PKCS#11.
    Pkcs11(HardwareToken),
}

impl RootProvider {
    /// Its word in privet.toml.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::OpenBao(_) => "openbao",
            Self::Pkcs11(_) => "pkcs11",
        }
    }
}

/// Where a transit engine is, and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenBao {
    /// Where it answers; `https`, or `http` on this machine.
    pub url: Uri,
    /// Where the engine is mounted.
    pub mount: String,
    /// Its key. The keys of epochs have its name with `-epoch-N` after it, so that no two
    /// installations may share it.
    pub key: String,
    /// The file of the token, read for each call.
    pub token_file: PathBuf,
    /// Whom to believe; the system's authorities without.
    pub ca: Option<PathBuf>,
    /// The namespace, where there are several.
    pub namespace: Option<String>,
}

/// Where a token of PKCS#11 is, and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HardwareToken {
    /// The maker's module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token_label: String,
    /// The label of its key. The keys of epochs have it with `-epoch-N` after it, so that no two
    /// installations may share it.
    pub key_label: String,
    /// The file of the user's PIN.
    pub pin_file: PathBuf,
}

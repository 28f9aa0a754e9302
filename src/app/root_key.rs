//! What a start would refuse in the settings of the root key, and what in them is unwise.

use crate::config::Config;
use crate::keys::KeyRing;
use crate::keys::KeysError;
use crate::keys::RootProvider;
use crate::types::Faults;
use crate::types::told;

/// Looks at the files that the provider needs here. Asks nobody.
pub(super) fn examine(config: &Config, faults: &mut Faults) {
    let Err(error) = KeyRing::examine(&config.keys) else { return };
    let path = match &error {
        KeysError::Io { path, .. }
        | KeysError::Missing { path }
        | KeysError::Open { path, .. }
        | KeysError::Passphrase { path }
        | KeysError::Pin { path }
        | KeysError::Plain { path }
        | KeysError::Token { path }
        | KeysError::Writable { path, .. } => Some(path),
        _ => None,
    };
    let key = match &config.keys.root {
        RootProvider::File { passphrase_file, .. } if path == Some(passphrase_file) => {
            "passphrase_file"
        }
        RootProvider::File { .. } => "path",
        RootProvider::OpenBao(_) if matches!(error, KeysError::Authority(_)) => "ca",
        RootProvider::OpenBao(_) => "token_file",
        RootProvider::Pkcs11(token) if path == Some(&token.module) => "module",
        RootProvider::Pkcs11(_) => "pin_file",
    };
    faults.error(&config.place(&["keys", "root", key]), told(&error), "");
}

/// Warns of settings that work and protect less than they seem to.
pub(super) fn risks(config: &Config, faults: &mut Faults) {
    let mut tell = |key, what: &str, help: &str| {
        faults.warning(&config.place(&["keys", "root", key]), what, help);
    };
    match &config.keys.root {
        RootProvider::File { path, passphrase_file } => {
            if path.parent() == passphrase_file.parent() {
                let what =
                    "the passphrase lies beside the key it opens: who copies the folder has both";
                let help = "keep it elsewhere, such as a credential of systemd (LoadCredential=)";
                tell("passphrase_file", what, help);
            }
        }
        RootProvider::OpenBao(openbao) => {
            if openbao.url.scheme_str() == Some("http") {
                let what = "the token and keys travel in the clear: who may watch the loopback interface reads them";
                let help = "write `url` with https, and `ca` for an authority of your own";
                tell("url", what, help);
            }
        }
        RootProvider::Pkcs11(_) => {}
    }
}

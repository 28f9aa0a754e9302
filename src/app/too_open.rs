//! What everybody could use, and is therefore refused at a start.

use std::net::SocketAddr;

use crate::authn::IssuerStatus;
use crate::keys::KeysConfig;
use crate::keys::RootProvider;

use super::init::DEMO_PASSPHRASE;
use super::start::StartError;
use super::start::Trust;

/// Refuses a root key that everybody can open.
pub(super) fn refuse_demo_key(keys: &KeysConfig, trust: Trust) -> Result<(), StartError> {
    let RootProvider::File { passphrase_file, .. } = &keys.root else { return Ok(()) };
    // A passphrase that cannot be read is reported by whoever opens the key.
    let passphrase = std::fs::read(passphrase_file).unwrap_or_default();
    let is_demo = passphrase.trim_ascii_end() == DEMO_PASSPHRASE.as_bytes();
    if is_demo && trust == Trust::Real { Err(StartError::DemoKey) } else { Ok(()) }
}

/// Refuses a development issuer beyond loopback: whoever can read its key can sign for it.
pub(super) fn refuse_dev_issuer(
    listen: &[SocketAddr],
    issuers: &[IssuerStatus],
) -> Result<(), StartError> {
    let open = listen.iter().find(|address| !address.ip().is_loopback());
    let development = issuers.iter().any(|issuer| issuer.development);
    match open {
        Some(address) if development => Err(StartError::DevIssuer(*address)),
        _ => Ok(()),
    }
}

//! Opens the audit log, and publishes the key that verifies it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::AuditConfig;
use crate::audit::Log;
use crate::clock::Clock;
use crate::crypto::note::NoteKey;
use crate::keys::KeyRing;

use super::start::StartError;

/// Opens the log under the key that signs its checkpoints, and publishes the key's public half.
///
/// # Errors
/// When the log cannot be opened, or its public key not written.
pub(super) fn open_log(
    config: &AuditConfig,
    keys: &KeyRing,
    clock: &Arc<dyn Clock>,
) -> Result<Log, StartError> {
    let key = NoteKey::new(&config.origin, Arc::new(keys.audit_signer()))
        .map_err(|e| StartError::AuditKey(e.to_string()))?;
    let public = key.verifier().to_string();
    let log = Log::open(config.clone(), key, Arc::clone(clock))?;
    publish_key(config, &public)?;
    Ok(log)
}

/// Writes the log's public key beside the log, for `audit verify`. Officers keep their own copy.
fn publish_key(config: &AuditConfig, public: &str) -> Result<(), StartError> {
    let path = public_key_file(&config.dir);
    let wrong = |source| StartError::Folder { path: path.clone(), source };
    let text = format!("{public}\n");
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        _ => std::fs::write(&path, text).map_err(wrong),
    }
}

/// Where the public key of the log in `dir` is kept: beside the folder, not in it.
pub fn public_key_file(dir: &std::path::Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

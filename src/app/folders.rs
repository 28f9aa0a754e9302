//! The folders that hold keys, state and log: nobody else may put files into them.

use std::path::Path;

use crate::config::Config;
use crate::net;
use crate::net::NetError;
use crate::state::StateConfig;
use crate::types::Faults;
use crate::types::told;

/// Refuses a folder whose files everybody could replace, or the one it stands in. One that is not
/// there yet is made for this process alone.
pub(super) fn examine(config: &Config, faults: &mut Faults) {
    let state = match &config.state {
        StateConfig::Sled { path } => Some((["state", "url"], path.as_path())),
        StateConfig::Memory => None,
    };
    let others = [(["keys", "root"], &*config.keys.dir), (["audit", "dir"], &*config.audit.dir)];
    let mut looked_at = Vec::new();
    for (key, folder) in others.into_iter().chain(state) {
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            if looked_at.contains(&folder) {
                continue;
            }
            looked_at.push(folder);
            if let Err(error) = guarded(folder) {
                faults.error(&config.place(&key), told(&error), "");
            }
        }
    }
}

fn guarded(folder: &Path) -> Result<(), NetError> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match net::check_folder(here) {
        Err(NetError::Read { .. }) if !here.exists() => Ok(()),
        other => other,
    }
}

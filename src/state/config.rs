//! Where state is kept.

use std::path::PathBuf;

/// Where state is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StateConfig {
    /// In memory, gone at exit. For demonstrations and tests.
    Memory,
    /// In a folder of sled files. The marker stands beside the folder, with `.marker` appended.
    Sled {
        /// The folder; made when missing.
        path: PathBuf,
    },
}

impl StateConfig {
    /// Reads a URL such as `sled:data/state`; the error is a sentence for the operator.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("postgres" | "postgresql", _)) => {
                Err("state in PostgreSQL is not in this version; write \"sled:data/state\"")
            }
            Some(("sled", path)) if path.trim_matches('/').is_empty() => {
                Err("`sled:` needs a folder, such as \"sled:data/state\"")
            }
            Some(("sled", path)) => Ok(Self::Sled { path: PathBuf::from(path) }),
            _ => Err("write where state is kept as \"sled:FOLDER\""),
        }
    }
}

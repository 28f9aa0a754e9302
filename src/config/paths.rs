//! Paths in a file are relative to it.

use std::path::Path;
use std::path::PathBuf;

use crate::types::Faults;
use crate::types::doc::Node;

/// Makes the paths of one file absolute or relative to the working folder.
pub(super) struct Paths(PathBuf);

impl Paths {
    /// Paths relative to the folder of `file`.
    pub(super) fn beside(file: &Path) -> Self {
        Self(file.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// The path a text names.
    pub(super) fn join(&self, text: &str) -> PathBuf {
        self.0.join(text)
    }

    /// The path a node names.
    pub(super) fn read(&self, node: &Node, faults: &mut Faults) -> Option<PathBuf> {
        node.text(faults).map(|text| self.join(text))
    }
}

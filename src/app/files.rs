//! Reads the files that people write, within bounds.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::net;
use crate::net::NetError;
use crate::policy::PolicyFile;

/// A file or folder could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`")]
pub struct ReadError {
    /// Which.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The policy files of a folder: rules and, apart from them, tests.
#[derive(Debug, Default)]
pub(super) struct PolicyFiles {
    pub(super) rules: Vec<PolicyFile>,
    pub(super) tests: Vec<PolicyFile>,
    /// Files that look like policies but are not read, such as `x.yml`.
    pub(super) passed_over: Vec<PathBuf>,
}

/// Reads every `*.yaml` below `folder`, in the order of their names.
pub(super) fn policies(folder: &Path) -> Result<PolicyFiles, ReadError> {
    let mut paths = Vec::new();
    walk(folder, 0, &mut paths)?;
    paths.sort();
    let mut found = PolicyFiles::default();
    for path in paths {
        let name = path.display().to_string();
        if name.ends_with(".yml") {
            found.passed_over.push(path);
        } else if name.ends_with(".yaml") {
            let file = PolicyFile { text: text(&path, LONGEST)?, name };
            let is_test = file.name.ends_with(".test.yaml");
            if is_test { found.tests.push(file) } else { found.rules.push(file) }
        }
    }
    Ok(found)
}

/// The text of a file of at most `limit` bytes.
pub(super) fn text(path: &Path, limit: u64) -> Result<String, ReadError> {
    let bytes = net::read_bounded(path, limit).map_err(|error| refused(path, error))?;
    String::from_utf8(bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        ReadError { path: path.to_owned(), source }
    })
}

/// The text of a file of at most `limit` bytes that only its owner may read.
pub(super) fn secret_text(path: &Path, limit: u64) -> Result<Zeroizing<String>, ReadError> {
    let bytes = net::read_secret(path, limit).map_err(|error| refused(path, error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        ReadError { path: path.to_owned(), source }
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Refuses a folder in which anybody may put or replace files.
pub(super) fn guarded(folder: &Path) -> Result<(), ReadError> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    net::check_folder(here).map_err(|error| refused(here, error))
}

fn refused(path: &Path, error: NetError) -> ReadError {
    let source = match error {
        NetError::Read { source, .. } => source,
        error => io::Error::other(error),
    };
    ReadError { path: path.to_owned(), source }
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    let wrong = |source| ReadError { path: folder.to_owned(), source };
    guarded(folder)?;
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() && depth < DEEPEST {
            walk(&path, depth + 1, found)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Far above any policy that people can read.
pub(super) const LONGEST: u64 = 4 * 1024 * 1024;
const DEEPEST: usize = 8;

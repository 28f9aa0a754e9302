//! Where an export stands: a small file that is replaced whole, and is on the disk before the next
//! batch is read.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use super::ExportError;

/// Where an export stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    v: u16,
    /// The name of the log.
    log: String,
    /// The first entry that the receiver has not taken.
    pub(super) next: u64,
    /// The file that is written to, when the receiver is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<Part>,
}

/// A file that is not finished.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Its first entry.
    pub(super) first: u64,
    /// Its bytes up to `next`; what follows was written and never counted.
    pub(super) bytes: u64,
}

/// The file of a place.
#[derive(Clone, Debug)]
pub(super) struct PlaceFile {
    path: PathBuf,
    log: String,
}

impl PlaceFile {
    /// The place of the export `name` of the log in `dir`: beside the log's folder, not in it.
    pub(super) fn new(dir: &Path, name: &str, log: &str) -> Self {
        let mut folder = dir.as_os_str().to_owned();
        folder.push(".exports");
        Self { path: Path::new(&folder).join(name), log: log.to_owned() }
    }

    /// Reads it; a new export stands before the first entry.
    pub(super) fn load(&self) -> Result<Place, ExportError> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Place { v: VERSION, log: self.log.clone(), next: 0, file: None });
            }
            bytes => bytes.map_err(|source| failed("read", &self.path, source))?,
        };
        let wrong = |what| ExportError::Place { path: self.path.clone(), what };
        let place: Place = serde_json::from_slice(&bytes).map_err(|_| wrong("it is damaged"))?;
        match place {
            Place { v, .. } if v != VERSION => Err(wrong("it is of another version")),
            Place { log, .. } if log != self.log => Err(wrong("it is about another log")),
            place => Ok(place),
        }
    }

    /// Writes it: on the disk when this returns.
    pub(super) fn store(&self, place: &Place) -> Result<(), ExportError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make_folder(folder)?;
        let text = serde_json::to_vec(place).unwrap_or_default();
        replace(&self.path, &text)
    }
}

/// Makes a folder and those above it, durable by name.
pub(super) fn make_folder(folder: &Path) -> Result<(), ExportError> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
    made.map_err(|source| failed("make the folder", folder, source))?;
    sync_folder(
        folder.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    )
}

/// Puts a whole file in place at once, durably.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o640);
    let mut file = options.open(&new).map_err(|source| failed("create", &new, source))?;
    file.write_all(bytes).map_err(|source| failed("write", &new, source))?;
    file.sync_all().map_err(|source| failed("sync", &new, source))?;
    rename(&new, path)
}

/// Renames a file, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), ExportError> {
    fs::rename(from, to).map_err(|source| failed("put in place", to, source))?;
    sync_folder(to.parent().unwrap_or(Path::new(".")))
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), ExportError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|source| failed("sync the folder", folder, source))
}

pub(super) fn failed(action: &'static str, path: &Path, source: std::io::Error) -> ExportError {
    ExportError::File { action, path: path.to_owned(), source }
}

const VERSION: u16 = 1;

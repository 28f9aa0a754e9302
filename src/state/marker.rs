//! The file beside a database that says how far it had come.
//!
//! sled opens an empty, truncated or older folder without a word. The marker is what lets Privet
//! notice: it is written only after what it speaks of is on disk.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use super::error::StateError;

/// How far a database had come, at least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// Counts how often the database was opened. 0: being made, nothing was ever acknowledged.
    pub(super) generation: u64,
    /// The last revision known to be durable.
    pub(super) rev: u64,
}

/// The marker of the database in `folder`: beside it, so that a copied or restored folder does
/// not bring its own.
pub(super) fn place(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".marker");
    folder.with_file_name(name)
}

/// Reads the marker, when there is one.
pub(super) fn read(place: &Path) -> Result<Option<Mark>, StateError> {
    let text = match fs::read_to_string(place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::io("read", place)(error)),
    };
    let damaged = || StateError::Marker { path: place.to_path_buf() };
    let mut numbers = text.strip_prefix(TITLE).ok_or_else(damaged)?.split(' ');
    let mut number = || numbers.next().and_then(|word| word.trim_end().parse().ok());
    let (Some(generation), Some(rev)) = (number(), number()) else {
        return Err(damaged());
    };
    let mark = Mark { generation, rev };
    if text == format(mark) { Ok(Some(mark)) } else { Err(damaged()) }
}

/// Replaces the marker and makes it durable.
pub(super) fn write(place: &Path, mark: Mark) -> Result<(), StateError> {
    let mut name = place.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    let fresh = place.with_file_name(name);
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(format(mark).as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| fs::rename(&fresh, place))
        .and_then(|()| sync_folder_of(place))
        .map_err(StateError::io("write", place))
}

/// Makes the names in the folder that holds `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn format(mark: Mark) -> String {
    let body = format!("{TITLE}{} {}", mark.generation, mark.rev);
    let crc = crc32fast::hash(body.as_bytes());
    format!("{body} {crc:08x}\n")
}

const TITLE: &str = "privet-state/v1 ";

//! Entries into files: appended and synced batch by batch, ended by size. The file that is written
//! to is called `….part`; one without it is finished and is not touched again.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::ExportError;
use super::Writer;
use super::batch::Batch;
use super::place;
use super::place::Part;
use super::place::Place;
use super::place::failed;

/// A folder that takes entries.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) rotate_bytes: u64,
    pub(super) writer: Writer,
}

impl Folder {
    /// Writes a batch, and gives the file that is written to from now on. What an attempt before
    /// has left behind the counted bytes is written over.
    pub(super) fn take(&self, batch: &Batch, place: &Place) -> Result<Part, ExportError> {
        place::make_folder(&self.dir)?;
        let fresh = Part { first: batch.first(), bytes: 0 };
        let part = match &place.file {
            Some(part) if part.bytes >= self.rotate_bytes => {
                self.finish(part)?;
                fresh
            }
            Some(part) if self.length(part)? >= part.bytes => part.clone(),
            // Somebody took it away.
            Some(_) | None => fresh,
        };
        let path = self.path(&part, PART);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o640);
        let file = options.open(&path).map_err(|source| failed("open", &path, source))?;
        let mut rows = if part.bytes == 0 { self.writer.head() } else { Vec::new() };
        for (index, entry) in &batch.entries {
            let damaged = |_| ExportError::Damaged { index: *index };
            self.writer.line(*index, entry, &mut rows).map_err(damaged)?;
        }
        write(&file, &part, &rows).map_err(|source| failed("write", &path, source))?;
        if part.bytes == 0 {
            place::sync_folder(&self.dir)?;
        }
        Ok(Part { bytes: part.bytes + rows.len() as u64, ..part })
    }

    /// Gives a file its final name. One that is gone had it before, or was taken away.
    fn finish(&self, part: &Part) -> Result<(), ExportError> {
        let path = self.path(part, PART);
        if self.length(part)? < part.bytes {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(|source| failed("open", &path, source))?;
        file.set_len(part.bytes).map_err(|source| failed("cut", &path, source))?;
        file.sync_all().map_err(|source| failed("sync", &path, source))?;
        place::rename(&path, &self.path(part, ""))
    }

    /// The bytes of a file that is not finished; 0 when there is none.
    fn length(&self, part: &Part) -> Result<u64, ExportError> {
        let path = self.path(part, PART);
        match fs::metadata(&path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(failed("look at", &path, source)),
        }
    }

    fn path(&self, part: &Part, suffix: &str) -> PathBuf {
        let ending = self.writer.format().ending();
        self.dir.join(format!("{}-{:020}.{ending}{suffix}", self.name, part.first))
    }
}

fn write(file: &File, part: &Part, rows: &[u8]) -> std::io::Result<()> {
    file.set_len(part.bytes)?;
    file.write_all_at(rows, part.bytes)?;
    file.sync_all()
}

const PART: &str = ".part";

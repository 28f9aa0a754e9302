//! Reading a log's folder as anybody may: while it is written to, without its lock or its key.

use std::fs;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::crypto::cosignature::WitnessKey;
use crate::protocol::tlog::Tile;

use super::cosigned;
use super::derive::CHECKPOINT;
use super::frame;
use super::journal;
use super::prune;
use super::prune::Minimum;

/// A log's folder.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The published checkpoint; `None` when there is none.
    pub(super) fn checkpoint(&self) -> io::Result<Option<String>> {
        let Some(bytes) = self.read(CHECKPOINT)? else { return Ok(None) };
        let not_text = |_| io::Error::new(ErrorKind::InvalidData, "the checkpoint is not text");
        String::from_utf8(bytes).map(Some).map_err(not_text)
    }

    /// The first entry that is still there, as the folder says it; `verify` says whether that
    /// is true.
    pub(super) fn minimum(&self) -> u64 {
        let text = self.read(prune::FILE).ok().flatten().and_then(|b| String::from_utf8(b).ok());
        let found = text.as_deref().and_then(|note| {
            let text = note.split_inclusive("\n\n").next()?.strip_suffix('\n')?;
            Minimum::parse(text)
        });
        found.map_or(0, |known| known.index)
    }

    /// The signed note of the minimum; `None` when nothing was pruned.
    pub(super) fn minimum_note(&self) -> io::Result<Option<String>> {
        let Some(bytes) = self.read(prune::FILE)? else { return Ok(None) };
        let not_text = |_| io::Error::new(ErrorKind::InvalidData, "the minimum is not text");
        String::from_utf8(bytes).map(Some).map_err(not_text)
    }

    /// The newest checkpoint that a witness signed; `None` when there is none.
    pub(super) fn cosigned(&self, witness: &WitnessKey) -> io::Result<Option<String>> {
        let Some(bytes) = self.read(&cosigned::file_of(witness))? else { return Ok(None) };
        // What is not text holds no signature.
        Ok(String::from_utf8(bytes).ok())
    }

    /// Entries the journal holds behind the first `size`: those a checkpoint is still to name.
    /// `None` when there is no journal.
    pub(super) fn unpublished(&self, size: u64) -> io::Result<Option<u64>> {
        let names = match fs::read_dir(self.root.join(journal::FOLDER)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            names => names?,
        };
        let first =
            names.filter_map(|file| journal::segment_first(file.ok()?.file_name().to_str()?)).max();
        let Some(first) = first else { return Ok(None) };
        let bytes = fs::read(self.root.join(journal::segment_name(first)))?;
        Ok(Some(frame::scan(&bytes, first).next.saturating_sub(size)))
    }

    /// The bytes of a tile or bundle with at least `tile.width` hashes or entries; `None` when
    /// there is none. An unfinished one may have been replaced by a longer state meanwhile.
    pub(super) fn tile(&self, tile: Tile) -> io::Result<Option<Vec<u8>>> {
        for candidate in [tile, tile.full()] {
            if let Some(bytes) = self.read(&candidate.to_string())? {
                return Ok(Some(bytes));
            }
        }
        let longer = match fs::read_dir(self.root.join(tile.unfinished_folder())) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
            Ok(files) => files
                .filter_map(|file| file.ok()?.file_name().to_str()?.parse::<u16>().ok())
                .filter(|width| *width > tile.width)
                .max(),
        };
        let Some(width) = longer else { return Ok(None) };
        // Between the listing and the reading it may have become full.
        match self.read(&Tile { width, ..tile }.to_string())? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.read(&tile.full().to_string()),
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let named = |error: io::Error| {
            let path = self.root.join(name);
            io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
        };
        let file = match fs::File::open(self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(named)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(named)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("{name} is too long")));
        }
        Ok(Some(bytes))
    }
}

/// The longest a bundle can be: 256 entries of 65,535 bytes with their lengths.
const MAX_FILE_BYTES: u64 = 256 * (65_535 + 2);

//! From entries to the files others read: entry bundles, tiles of hashes, checkpoints. Everything
//! here can be made again from the journal.

use std::collections::VecDeque;

use crate::crypto::merkle::Frontier;
use crate::crypto::merkle::FullTile;
use crate::crypto::merkle::Hash;
use crate::crypto::merkle::fold;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::AuditError;
use super::disk::Disk;

/// The file of the published checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// The right edge of the log, and the finished files that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Deriver {
    frontier: Frontier,
    /// The entries of the unfinished bundle.
    bundle: Vec<u8>,
    full: Vec<FullTile>,
    todo: VecDeque<(Tile, Vec<u8>)>,
}

impl Deriver {
    /// Goes on from a log of `size` entries, a multiple of 256, whose tiles are on the disk.
    pub(super) fn resume(disk: &Disk, size: u64) -> Result<Self, AuditError> {
        let damaged = || AuditError::Damaged {
            file: "tile".to_owned(),
            what: format!("there are no tiles for {size} entries"),
        };
        let mut levels = vec![Vec::new()];
        let mut below = size >> 8;
        while below > 0 {
            let level = u8::try_from(levels.len() - 1).map_err(|_| damaged())?;
            let start = below & !255;
            let hashes: Result<Vec<Hash>, AuditError> = (start..below)
                .map(|index| Ok(fold(&read_tile(disk, Tile::hashes(level, index, tlog::FULL))?)))
                .collect();
            levels.push(hashes?);
            below >>= 8;
        }
        let frontier = Frontier::resume(size, levels).ok_or_else(damaged)?;
        Ok(Self { frontier, ..Self::default() })
    }

    /// Entries added.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over them.
    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &[u8], leaf: Hash) {
        // The length was checked when the entry was made, and again when it was framed.
        let fits = tlog::append_entry(&mut self.bundle, entry);
        debug_assert!(fits, "an entry in the journal is too long for a bundle");
        self.frontier.push(leaf, &mut self.full);
        let size = self.frontier.size();
        if size.is_multiple_of(u64::from(tlog::FULL)) {
            let bundle = std::mem::take(&mut self.bundle);
            let tile = Tile::entries((size >> 8) - 1, tlog::FULL);
            self.bundle.reserve(bundle.len() + bundle.len() / 8);
            self.todo.push_back((tile, bundle));
        }
        for full in self.full.drain(..) {
            let tile = Tile::hashes(full.level, full.index, tlog::FULL);
            self.todo.push_back((tile, full.hashes.concat()));
        }
    }

    /// The finished files that wait to be written.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Tile> {
        self.todo.iter().map(|(tile, _)| *tile)
    }

    /// Writes the finished files; those that are written are appended to `written`. What fails is
    /// tried again by the next call.
    pub(super) fn write(&mut self, disk: &Disk, written: &mut Vec<Tile>) -> Result<(), AuditError> {
        while let Some((tile, bytes)) = self.todo.front() {
            disk.replace(&tile.to_string(), bytes)?;
            written.push(*tile);
            self.todo.pop_front();
        }
        Ok(())
    }

    /// As [`write`](Self::write), but leaves alone what is already there. For opening a log.
    pub(super) fn restore(
        &mut self,
        disk: &Disk,
        written: &mut Vec<Tile>,
    ) -> Result<(), AuditError> {
        while let Some((tile, bytes)) = self.todo.front() {
            let name = tile.to_string();
            if disk.read(&name)?.as_ref() != Some(bytes) {
                disk.replace(&name, bytes)?;
            }
            written.push(*tile);
            self.todo.pop_front();
        }
        Ok(())
    }

    /// Writes the unfinished tiles and bundle a checkpoint of this size needs.
    pub(super) fn write_unfinished(&self, disk: &Disk) -> Result<Vec<Tile>, AuditError> {
        let width = |len: usize| u16::try_from(len).unwrap_or(tlog::FULL);
        let mut written = Vec::new();
        for (level, index, hashes) in self.frontier.partial() {
            let tile = Tile::hashes(level, index, width(hashes.len()));
            disk.replace(&tile.to_string(), &hashes.concat())?;
            written.push(tile);
            if level == 0 {
                let tile = Tile::entries(index, tile.width);
                disk.replace(&tile.to_string(), &self.bundle)?;
                written.push(tile);
            }
        }
        Ok(written)
    }
}

/// The hashes of a tile that must be on the disk.
fn read_tile(disk: &Disk, tile: Tile) -> Result<Vec<Hash>, AuditError> {
    let file = tile.to_string();
    let damaged = |what: &str| AuditError::Damaged { file: file.clone(), what: what.to_owned() };
    let bytes = disk.read(&file)?.ok_or_else(|| damaged("it is missing"))?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() != usize::from(tile.width) {
        return Err(damaged("it has the wrong length"));
    }
    Ok(hashes.to_vec())
}

//! What a log says about its own past: for those who compare it with what they kept elsewhere.

use crate::crypto::merkle;
use crate::crypto::merkle::Hash;
use crate::crypto::merkle::Nodes;
use crate::crypto::merkle::fold;
use crate::crypto::note::Checkpoint;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::Entry;
use super::Filter;
use super::Log;
use super::SearchError;
use super::folder::Folder;
use super::search;

impl Log {
    /// The last published checkpoint. What it covers is on the disk.
    pub fn published(&self) -> Option<Checkpoint> {
        let note = self.checkpoint()?;
        let text = note.split_inclusive("\n\n").next()?.strip_suffix('\n')?;
        Checkpoint::parse(text).ok()
    }

    /// The root over the first `size` published entries; `None` when there are fewer. Reads a few
    /// tiles and blocks on the disk.
    pub fn root_at(&self, size: u64) -> Result<Option<Hash>, SearchError> {
        let Some(published) = self.published().filter(|known| known.size >= size) else {
            return Ok(None);
        };
        let tiles = Tiles { folder: Folder::new(self.dir()), size: published.size };
        if merkle::root(&tiles, published.size)? != published.root {
            return Err(SearchError::Damaged { index: 0 });
        }
        merkle::root(&tiles, size).map(Some)
    }

    /// The newest published entry that is `wanted`, among the last four million. Blocks on the
    /// disk.
    pub fn newest(&self, wanted: impl Fn(&Entry) -> bool) -> Result<Option<Entry>, SearchError> {
        let Some(published) = self.published() else { return Ok(None) };
        let mut until = published.size;
        for window in WINDOWS {
            let from = published.size.saturating_sub(window);
            let mut found = None;
            for entry in search(self.dir(), &Filter::default(), from)? {
                let (index, entry) = entry?;
                if index >= until {
                    break;
                }
                if wanted(&entry) {
                    found = Some(entry);
                }
            }
            if found.is_some() || from == 0 {
                return Ok(found);
            }
            until = from;
        }
        Ok(None)
    }
}

/// How far back is looked, in steps: what is looked for is usually near the end.
const WINDOWS: [u64; 4] = [1 << 10, 1 << 14, 1 << 18, 1 << 22];

/// The tiles of a log of `size` entries.
pub(super) struct Tiles {
    pub(super) folder: Folder,
    pub(super) size: u64,
}

impl Nodes for Tiles {
    type Error = SearchError;

    fn read(&self, level: u32, index: u64) -> Result<Hash, SearchError> {
        let (of_tile, above) = (level / merkle::TILE_HEIGHT, level % merkle::TILE_HEIGHT);
        let damaged = || SearchError::Damaged { index: index << level };
        let first = index << above;
        let there = self.size >> (of_tile * merkle::TILE_HEIGHT);
        let tile = first / u64::from(tlog::FULL);
        let width = there.saturating_sub(tile * u64::from(tlog::FULL)).min(tlog::FULL.into());
        let width = u16::try_from(width).map_err(|_| damaged())?;
        let of_tile = u8::try_from(of_tile).map_err(|_| damaged())?;
        let bytes = self.folder.tile(Tile::hashes(of_tile, tile, width));
        let bytes = bytes.map_err(search::io_error)?.ok_or_else(damaged)?;
        let (hashes, _) = bytes.as_chunks::<32>();
        let from = usize::try_from(first % u64::from(tlog::FULL)).map_err(|_| damaged())?;
        hashes.get(from..from + (1 << above)).map(fold).ok_or_else(damaged)
    }
}

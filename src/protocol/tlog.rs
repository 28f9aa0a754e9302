//! C2SP tlog-tiles: the names of the files of a log, and the form of its entry bundles.

use std::fmt;

/// Entries in a full bundle, and hashes in a full tile.
pub const FULL: u16 = 256;

/// A file of a log: a tile of hashes, or a bundle of entries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tile {
    /// The level of the hashes; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Its place in the level.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256, fewer than 256 in an unfinished one.
    pub width: u16,
}

impl Tile {
    /// A tile of hashes.
    pub fn hashes(level: u8, index: u64, width: u16) -> Self {
        Self { level: Some(level), index, width }
    }

    /// A bundle of entries.
    pub fn entries(index: u64, width: u16) -> Self {
        Self { level: None, index, width }
    }

    /// The same tile when it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: FULL, ..self }
    }

    /// The folder that holds the unfinished states of this tile.
    pub fn unfinished_folder(self) -> String {
        format!("{}.p", self.full())
    }
}

impl fmt::Display for Tile {
    /// The path below the folder of the log, such as `tile/0/x001/x234/067` or
    /// `tile/entries/000.p/12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let mut groups = 1;
        while self.index >= 1000_u64.saturating_pow(groups) && groups < 7 {
            groups += 1;
        }
        for group in (1..groups).rev() {
            write!(f, "x{:03}/", self.index / 1000_u64.pow(group) % 1000)?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < FULL { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// Appends an entry of at most 65,535 bytes to a bundle; `false`, and nothing appended, when it is
/// longer.
#[must_use]
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(len) = u16::try_from(entry.len()) else { return false };
    bundle.extend(len.to_be_bytes());
    bundle.extend(entry);
    true
}

/// A bundle ends inside an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bundle ends inside its entry {entry}")]
pub struct Truncated {
    /// Which entry, counted from 0 in this bundle.
    pub entry: usize,
}

/// The entries of a bundle in order; after an error, none.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    next: usize,
}

/// Reads a bundle.
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle, next: 0 }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], Truncated>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.next;
        self.next += 1;
        let parts = self
            .rest
            .split_first_chunk::<2>()
            .and_then(|(len, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*len))));
        let Some((bytes, rest)) = parts else {
            self.rest = &[];
            return Some(Err(Truncated { entry }));
        };
        self.rest = rest;
        Some(Ok(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (tile, path) in [
            (Tile::hashes(0, 0, 256), "tile/0/000"),
            (Tile::hashes(0, 0, 8), "tile/0/000.p/8"),
            (Tile::hashes(1, 999, 256), "tile/1/999"),
            (Tile::hashes(3, 1000, 256), "tile/3/x001/000"),
            (Tile::hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (Tile::hashes(0, 1_234_067, 255), "tile/0/x001/x234/067.p/255"),
            (Tile::entries(273, 112), "tile/entries/273.p/112"),
            (Tile::entries(70_000, 256), "tile/entries/x070/000"),
            (Tile::entries(u64::MAX, 256), "tile/entries/x018/x446/x744/x073/x709/x551/615"),
        ] {
            assert_eq!(tile.to_string(), path);
        }
        assert_eq!(Tile::entries(1000, 3).unfinished_folder(), "tile/entries/x001/000.p");
    }

    proptest! {
        #[test]
        fn a_bundle_gives_back_its_entries(list: Vec<Vec<u8>>) {
            let mut bundle = Vec::new();
            for entry in &list {
                prop_assert!(append_entry(&mut bundle, entry));
            }
            let read: Result<Vec<_>, _> = entries(&bundle).collect();
            prop_assert_eq!(read, Ok(list.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }

        #[test]
        fn a_cut_bundle_is_an_error(list in proptest::collection::vec(any::<Vec<u8>>(), 1..8), cut in 0_usize..1000) {
            let mut bundle = Vec::new();
            let mut ends = vec![0];
            for entry in &list {
                prop_assert!(append_entry(&mut bundle, entry));
                ends.push(bundle.len());
            }
            bundle.truncate(cut % bundle.len());
            let whole = ends.contains(&bundle.len());
            let read: Result<Vec<_>, _> = entries(&bundle).collect();
            prop_assert_eq!(read.is_ok(), whole);
        }
    }

    #[test]
    fn an_entry_too_long_for_its_length_is_refused() {
        let mut bundle = Vec::new();
        assert!(append_entry(&mut bundle, &[0; 65_535]));
        let before = bundle.len();
        assert!(!append_entry(&mut bundle, &[0; 65_536]));
        assert_eq!(bundle.len(), before);
    }
}

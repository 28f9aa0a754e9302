//! Search, a page at a time: as little as the index allows is read, and never more than a bounded
//! part of the log for one page.

use std::path::Path;

use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::Entry;
use super::Filter;
use super::Order;
use super::SearchError;
use super::cursor::Cursor;
use super::folder::Folder;
use super::index;
use super::index::Index;
use super::index::Positions;
use super::index::SEGMENT;
use super::search::io_error;
use super::search::published;

/// What a page is asked to hold.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// What entries must have.
    pub filter: &'a Filter,
    /// In which order.
    pub order: Order,
    /// `next` of the page before; nothing for the first.
    pub cursor: Option<&'a str>,
    /// The most entries; at least one and at most [`MOST_ROWS`].
    pub limit: usize,
    /// Whether to look at every entry, as if there were no index.
    pub scan: bool,
}

/// Some of the entries that were looked for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries with their index, in the order that was asked for.
    pub rows: Vec<(u64, Entry)>,
    /// Where it goes on. A page may be short, or empty, and have one: so much work is done for a
    /// page, and no more. Without one everything was looked at.
    pub next: Option<String>,
    /// The first index of each part that could not be read; what it held is not in the pages.
    pub damaged: Vec<u64>,
    /// Entries that were looked through one by one because their index is missing or cannot be
    /// used. The newest few never have one.
    pub unindexed: u64,
    /// Bundles that were read.
    pub bundles: u64,
    /// Entries of the log when the page was made.
    pub size: u64,
    /// The first entry that is still there; those before it were pruned.
    pub minimum: u64,
    /// Entries that are recorded and not published yet, and so not searched.
    pub unpublished: u64,
}

/// Looks for entries of the log in `dir`, which may be in use. Proves nothing: `verify` does.
pub fn page(dir: &Path, wish: &Wish<'_>) -> Result<Page, SearchError> {
    page_by(dir, wish, wish.filter)
}

/// As [`page`]; the index is asked for what `hint` asks for.
pub(super) fn page_by(dir: &Path, wish: &Wish<'_>, hint: &Filter) -> Result<Page, SearchError> {
    let cursor = wish.cursor.map(|text| Cursor::read(text, wish.filter, wish.order));
    let cursor = cursor.transpose().map_err(SearchError::Cursor)?;
    let folder = Folder::new(dir);
    let size = published(&folder)?;
    let minimum = folder.minimum();
    let bounds = match (wish.order, cursor) {
        (Order::NewestFirst, Some(cursor)) => (minimum, cursor.next.min(size)),
        (Order::OldestFirst, Some(cursor)) => (cursor.next.max(minimum).min(size), size),
        (_, None) => (minimum, size),
    };
    let unpublished = folder.unpublished(size).ok().flatten().unwrap_or(0);
    let mut look = Look {
        index: (!wish.scan).then(|| Index::beside(dir, hint)),
        folder,
        wish,
        needles: wish.filter.needles(),
        bounds,
        budget: BUDGET,
        room: PAGE_BYTES,
        page: Page { size, minimum, unpublished, ..Page::default() },
    };
    let next = look.run()?;
    let next = next.map(|next| Cursor { next }.write(wish.filter, wish.order));
    Ok(Page { next, ..look.page })
}

/// One page in the making.
struct Look<'a> {
    folder: Folder,
    index: Option<Index>,
    wish: &'a Wish<'a>,
    needles: Vec<memchr::memmem::Finder<'static>>,
    /// What is left to look at.
    bounds: (u64, u64),
    budget: u64,
    /// Bytes of entries that the page may still take.
    room: usize,
    page: Page,
}

impl Look<'_> {
    /// Looks through segment after segment; gives where to go on, if anywhere.
    fn run(&mut self) -> Result<Option<u64>, SearchError> {
        let newest_first = self.wish.order == Order::NewestFirst;
        while self.bounds.0 < self.bounds.1 {
            let (low, high) = self.bounds;
            let segment = if newest_first { (high - 1) / SEGMENT } else { low / SEGMENT };
            let first = segment * SEGMENT;
            let (from, to) = (low.max(first), high.min(first + SEGMENT));
            let places = self.places(segment, (from, to))?;
            if let Some(next) = self.segment((first, &places), (from, to))? {
                return Ok(Some(next));
            }
            match newest_first {
                true => self.bounds.1 = from,
                false => self.bounds.0 = to,
            }
            self.budget = self.budget.saturating_sub(SEGMENT_COST);
            if self.budget == 0 && self.bounds.0 < self.bounds.1 {
                return Ok(Some(if newest_first { self.bounds.1 } else { self.bounds.0 }));
            }
        }
        Ok(None)
    }

    /// Which entries of a segment to read: those the index names, and those it does not cover.
    fn places(&mut self, segment: u64, (from, to): (u64, u64)) -> Result<Positions, SearchError> {
        let first = segment * SEGMENT;
        let place = |index: u64| u32::try_from(index - first).unwrap_or(0);
        let log = (&self.folder, self.page.size);
        let found = match &self.index {
            Some(index) => index.ask(log, segment, self.wish.filter).map_err(io_error)?,
            None => None,
        };
        let (mut places, covered) = match found {
            Some(found) => (found.places, found.covered),
            None => {
                let is_due = self.page.size.saturating_sub(first) >= 2 * index::FRESH;
                self.page.unindexed += if is_due { to - from } else { 0 };
                (Positions::none(), 0)
            }
        };
        places.add_range(covered.max(place(from)), place(to));
        Ok(places)
    }

    /// Reads the bundles of a segment that have any of the places; gives where to go on when the
    /// page is full or enough was done.
    fn segment(
        &mut self,
        (first, places): (u64, &Positions),
        (from, to): (u64, u64),
    ) -> Result<Option<u64>, SearchError> {
        let newest_first = self.wish.order == Order::NewestFirst;
        let bundles = from / BUNDLE..to.div_ceil(BUNDLE);
        let count = bundles.end - bundles.start;
        for step in 0..count {
            let bundle = if newest_first { bundles.end - 1 - step } else { bundles.start + step };
            let start = bundle * BUNDLE;
            let in_segment = u32::try_from((start - first) / BUNDLE).unwrap_or(0);
            if !places.has_in_bundle(in_segment) {
                continue;
            }
            let (low, high) = (from.max(start), to.min(start + BUNDLE));
            if self.budget == 0 {
                return Ok(Some(if newest_first { high } else { low }));
            }
            self.budget = self.budget.saturating_sub(BUNDLE_COST);
            if let Some(next) = self.bundle((first, places), (low, high))? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Looks at the entries `low..high` of one bundle.
    fn bundle(
        &mut self,
        (first, places): (u64, &Positions),
        (low, high): (u64, u64),
    ) -> Result<Option<u64>, SearchError> {
        let newest_first = self.wish.order == Order::NewestFirst;
        let start = low - low % BUNDLE;
        let width = u16::try_from((self.page.size - start).min(BUNDLE)).unwrap_or(tlog::FULL);
        let tile = Tile::entries(start / BUNDLE, width);
        let bytes = self.folder.tile(tile).map_err(io_error)?.unwrap_or_default();
        self.page.bundles += 1;
        let entries: Vec<&[u8]> = tlog::entries(&bytes).map_while(Result::ok).collect();
        let mut damaged = None::<u64>;
        for step in 0..high - low {
            let index = if newest_first { high - 1 - step } else { low + step };
            if !places.has(u32::try_from(index - first).unwrap_or(u32::MAX)) {
                continue;
            }
            let at = usize::try_from(index - start).unwrap_or(usize::MAX);
            let Some(bytes) = entries.get(at) else {
                damaged = Some(damaged.map_or(index, |least| least.min(index)));
                continue;
            };
            if !self.needles.iter().all(|needle| needle.find(bytes).is_some()) {
                continue;
            }
            let Ok(entry) = Entry::from_bytes(bytes) else {
                damaged = Some(damaged.map_or(index, |least| least.min(index)));
                continue;
            };
            if !self.wish.filter.matches(&entry) {
                continue;
            }
            self.page.rows.push((index, entry));
            self.room = self.room.saturating_sub(bytes.len());
            if self.room == 0 || self.page.rows.len() >= self.wish.limit.clamp(1, MOST_ROWS) {
                self.page.damaged.extend(damaged);
                return Ok(Some(if newest_first { index } else { index + 1 }));
            }
        }
        self.page.damaged.extend(damaged);
        Ok(None)
    }
}

/// The most entries of one page.
pub const MOST_ROWS: usize = 1000;
/// What may be done for one page: 256 bundles read, or the index of 1,024 segments asked.
const BUDGET: u64 = 1024;
const BUNDLE_COST: u64 = 4;
const SEGMENT_COST: u64 = 1;
/// The most bytes of entries on one page.
const PAGE_BYTES: usize = 4 << 20;
const BUNDLE: u64 = tlog::FULL as u64;

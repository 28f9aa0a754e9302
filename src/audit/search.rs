//! Finding entries: a scan over the published bundles, one at a time, of a log that may be in use.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::crypto::note::Checkpoint;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;
use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::Level;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::StoreId;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::ActorToken;
use super::CursorError;
use super::Entry;
use super::FieldView;
use super::Kind;
use super::Shown;
use super::Verdict;
use super::folder::Folder;
use super::token::with_hex;

/// What an entry must have to be found; what is absent is not asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Made at this time or later.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// By this actor, or on their behalf.
    pub actor: Option<ActorToken>,
    /// In this role, perhaps among others.
    pub role: Option<RoleId>,
    /// For this purpose.
    pub purpose: Option<PurposeId>,
    /// From this store.
    pub store: Option<StoreId>,
    /// From this data set.
    pub data_set: Option<DataSetId>,
    /// With a field of this category.
    pub category: Option<CategoryId>,
    /// With a field of this level; when a category is asked for as well, the same field.
    pub level: Option<Level>,
    /// With a field in this form; when a category or a level is asked for as well, the same field.
    pub view: Option<Shown>,
    /// With this decision.
    pub decision: Option<Verdict>,
    /// Of the call with this id, or with this decision id.
    pub request_id: Option<String>,
    /// About this subject, perhaps among others.
    pub subject: Option<SubjectToken>,
    /// Under the approval or the broken glass with this id, or about it.
    pub clearance: Option<String>,
    /// Records left and nobody is named.
    pub nameless: bool,
    /// Only calls to data sets in which the policy was only observed.
    pub observed: bool,
}

impl Filter {
    /// Whether an entry has all that is asked for.
    pub fn matches(&self, entry: &Entry) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let id = |id: &String| {
            entry.request_id.as_deref() == Some(id) || entry.decision_id.as_deref() == Some(id)
        };
        let actor = |_: &ActorToken| entry.actor == self.actor || entry.on_behalf_of == self.actor;
        self.from.is_none_or(|from| entry.time >= from)
            && self.until.is_none_or(|until| entry.time < until)
            && self.kind.is_none_or(|kind| entry.kind == kind)
            && self.actor.as_ref().is_none_or(actor)
            && self.role.as_ref().is_none_or(|role| entry.roles.contains(role))
            && is(self.purpose.as_ref(), entry.purpose.as_ref())
            && is(self.store.as_ref(), entry.store.as_ref())
            && is(self.data_set.as_ref(), entry.data_set.as_ref())
            && self.matches_fields(entry)
            && self.matches_clearance(entry)
            && (!self.nameless || entry.is_nameless_release())
            && (!self.observed || entry.observed.is_some())
            && is(self.decision.as_ref(), entry.decision.as_ref())
            && self.request_id.as_ref().is_none_or(id)
            && self.subject.is_none_or(|subject| entry.subjects.contains(&subject))
    }

    fn matches_clearance(&self, entry: &Entry) -> bool {
        let Some(wanted) = &self.clearance else { return true };
        let facts = ["approval", "break_glass"].into_iter().filter_map(|it| entry.facts.get(it));
        facts.flat_map(|ids| ids.split(' ')).any(|id| id == wanted)
    }

    fn matches_fields(&self, entry: &Entry) -> bool {
        let is_wanted = |field: &FieldView| {
            self.category.as_ref().is_none_or(|category| field.category == *category)
                && self.level.is_none_or(|level| field.level == level)
                && self.view.is_none_or(|view| field.view == view)
        };
        let asks = self.category.is_some() || self.level.is_some() || self.view.is_some();
        !asks || entry.fields.iter().any(is_wanted)
    }

    /// Texts an entry cannot lack if it matches: they are looked for before it is read.
    pub(super) fn needles(&self) -> Vec<memchr::memmem::Finder<'static>> {
        let hex = |bytes: &[u8; 16]| with_hex(bytes, |text| text.as_bytes().to_vec());
        let tokens = [self.subject.map(|token| token.0), self.actor.map(|token| token.0)];
        let mut texts: Vec<Vec<u8>> = tokens.iter().flatten().map(hex).collect();
        // Ids that JSON would escape are left to the comparison.
        let plain =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let words = [
            self.purpose.as_ref().map(PurposeId::as_str),
            self.data_set.as_ref().map(DataSetId::as_str),
            self.role.as_ref().map(RoleId::as_str),
            self.category.as_ref().map(CategoryId::as_str),
            self.kind.map(Kind::as_str),
            self.request_id.as_deref().filter(plain),
            self.clearance.as_deref().filter(plain),
        ];
        texts.extend(words.iter().flatten().map(|word| word.as_bytes().to_vec()));
        texts.extend(self.observed.then(|| b"\"observed\":{".to_vec()));
        texts.iter().map(|text| memchr::memmem::Finder::new(text).into_owned()).collect()
    }
}

/// Why entries could not be searched.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SearchError {
    /// The cursor does not fit.
    #[error(transparent)]
    Cursor(CursorError),
    /// A bundle is missing or not in its format; `verify` says more.
    #[error("entry {index} cannot be read; check the log with `privet audit verify`")]
    Damaged {
        /// The first index that cannot be read.
        index: u64,
    },
    /// A file could not be read.
    #[error("the log could not be read")]
    Io {
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no checkpoint in the folder.
    #[error("there is no checkpoint: this is not a log, or one that was never opened")]
    NoCheckpoint,
}

/// The entries found, in order, with their index. After an error the search goes on behind it.
#[derive(Debug)]
pub struct Search {
    folder: Folder,
    filter: Filter,
    needles: Vec<memchr::memmem::Finder<'static>>,
    /// Entries of the checkpoint the search began with.
    size: u64,
    /// The next index to look at.
    next: u64,
    bundle: Vec<u8>,
    /// Where in `bundle` the entry `next` begins.
    at: usize,
}

/// Searches the log in `dir`, up to its published checkpoint, from the entry with index `start` on.
/// Proves nothing: `verify` does.
pub fn search(dir: &Path, filter: &Filter, start: u64) -> Result<Search, SearchError> {
    let folder = Folder::new(dir);
    let size = published(&folder)?;
    let minimum = folder.minimum();
    Ok(Search {
        folder,
        filter: filter.clone(),
        needles: filter.needles(),
        size,
        next: start.max(minimum),
        bundle: Vec::new(),
        at: 0,
    })
}

/// Entries of the published checkpoint. They only bound a search, so the signature is not asked
/// for.
pub(super) fn published(folder: &Folder) -> Result<u64, SearchError> {
    let note = folder.checkpoint().map_err(io_error)?.ok_or(SearchError::NoCheckpoint)?;
    let text = note.split_inclusive("\n\n").next().and_then(|text| text.strip_suffix('\n'));
    let checkpoint = text.and_then(|text| Checkpoint::parse(text).ok());
    Ok(checkpoint.ok_or(SearchError::NoCheckpoint)?.size)
}

impl Search {
    /// Entries in the journal that are not published yet, and so not searched.
    pub fn unpublished(&self) -> u64 {
        self.folder.unpublished(self.size).ok().flatten().unwrap_or(0)
    }

    /// The next entry's bytes, when the bundle that holds it has them.
    fn entry(&mut self) -> Result<&[u8], SearchError> {
        let index = self.next;
        let damaged = || SearchError::Damaged { index };
        let within = index % BUNDLE;
        if within == 0 || self.bundle.is_empty() {
            let first = index - within;
            let width = u16::try_from((self.size - first).min(BUNDLE)).unwrap_or(tlog::FULL);
            let tile = Tile::entries(index / BUNDLE, width);
            self.at = 0;
            self.bundle = self.folder.tile(tile).map_err(io_error)?.unwrap_or_default();
            for _ in 0..within {
                self.at += 2 + self.current().ok_or_else(damaged)?.len();
            }
        }
        let len = self.current().ok_or_else(damaged)?.len();
        let start = self.at + 2;
        self.at = start + len;
        self.bundle.get(start..start + len).ok_or_else(damaged)
    }

    fn current(&self) -> Option<&[u8]> {
        tlog::entries(self.bundle.get(self.at..)?).next()?.ok()
    }
}

impl Iterator for Search {
    type Item = Result<(u64, Entry), SearchError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.size {
            let index = self.next;
            let needles = std::mem::take(&mut self.needles);
            let found = match self.entry() {
                Ok(bytes) if needles.iter().all(|needle| needle.find(bytes).is_some()) => {
                    Some(Entry::from_bytes(bytes).map_err(|_| SearchError::Damaged { index }))
                }
                Ok(_) => None,
                Err(error) => {
                    // The rest of this bundle cannot be found.
                    self.next = (index / BUNDLE + 1) * BUNDLE - 1;
                    self.bundle.clear();
                    Some(Err(error))
                }
            };
            self.needles = needles;
            self.next += 1;
            match found {
                Some(Ok(entry)) if !self.filter.matches(&entry) => {}
                Some(result) => return Some(result.map(|entry| (index, entry))),
                None => {}
            }
        }
        None
    }
}

pub(super) fn io_error(source: io::Error) -> SearchError {
    SearchError::Io { source: Arc::new(source) }
}

const BUNDLE: u64 = 256;

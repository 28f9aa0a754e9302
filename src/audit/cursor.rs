//! Where a search goes on: an opaque text that fits the search it came from and no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

use super::Filter;

/// In which order entries are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Why a search does not go on from a cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CursorError {
    /// Not a text that a search gave out.
    #[error("this is no cursor: take `next` of the page before, as it is")]
    Malformed,
    /// Of a search for something else, or in the other order.
    #[error("the cursor is of another search: ask for the same as on the page before")]
    Other,
}

/// Where a search goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cursor {
    /// Newest first: everything from here on was seen. Oldest first: everything before.
    pub(super) next: u64,
}

impl Cursor {
    /// As text, for a search of this kind.
    pub(super) fn write(self, filter: &Filter, order: Order) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.next.to_be_bytes());
        bytes.extend(kind(filter, order));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Self::write`] made for a search of this kind.
    pub(super) fn read(text: &str, filter: &Filter, order: Order) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let ([VERSION, next @ ..], of) =
            bytes.split_first_chunk::<9>().ok_or(CursorError::Malformed)?
        else {
            return Err(CursorError::Malformed);
        };
        if of.len() != KIND {
            return Err(CursorError::Malformed);
        }
        if of != kind(filter, order) {
            return Err(CursorError::Other);
        }
        Ok(Self { next: u64::from_be_bytes(*next) })
    }
}

/// The cursor with which a search goes on behind entry `index`, whichever that is.
pub fn cursor_behind(index: u64, filter: &Filter, order: Order) -> String {
    let next = match order {
        Order::NewestFirst => index,
        Order::OldestFirst => index.saturating_add(1),
    };
    Cursor { next }.write(filter, order)
}

/// Stands for what is searched, and in which order.
fn kind(filter: &Filter, order: Order) -> [u8; KIND] {
    let mut hash = Sha256::new();
    let order = if order == Order::NewestFirst { "newest" } else { "oldest" };
    let asked = filter.asked();
    let parts = asked.iter().flat_map(|(name, value)| [name, value.as_str()]);
    for part in parts.chain([order]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk::<KIND>().copied().unwrap_or_default()
}

const VERSION: u8 = 1;
/// Bytes that stand for a search.
const KIND: usize = 8;

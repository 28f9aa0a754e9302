//! Finds two members of one object with the same name, at a cost no sender can blow up.

use super::error::Malformed;
use super::escape;

/// The names of the objects that are open, innermost last.
#[derive(Debug, Default)]
pub(super) struct Names {
    seen: Vec<Name>,
    /// Names that were written with escapes, unescaped, one after the other.
    unescaped: Vec<u8>,
}

/// One name: where its bytes are, in the text or, when it was written with escapes, in
/// [`Names::unescaped`].
#[derive(Clone, Copy, Debug)]
struct Name {
    fingerprint: u64,
    start: u32,
    end: u32,
    was_escaped: bool,
}

impl Names {
    /// Forgets everything, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.unescaped.clear();
    }

    /// The mark of an object that opens now, for [`Self::add`] and [`Self::close`].
    pub(super) fn mark(&self) -> usize {
        self.seen.len()
    }

    /// Adds the name at `start..end` of `text` to the object with `mark`.
    ///
    /// Returns its fingerprint. A repeated name is an error here in an object of few members, and
    /// at [`Self::close`] in a larger one.
    #[inline]
    pub(super) fn add(
        &mut self,
        text: &[u8],
        mark: usize,
        (start, end): (u32, u32),
    ) -> Result<u64, Malformed> {
        let bytes = slice(text, start, end);
        let name = Name { fingerprint: fingerprint(bytes), start, end, was_escaped: false };
        self.check_few(text, mark, name)?;
        self.seen.push(name);
        Ok(name.fingerprint)
    }

    /// As [`Self::add`], of a name with escapes in it. Afterwards [`Self::last`] has its text.
    pub(super) fn add_escaped(
        &mut self,
        text: &[u8],
        mark: usize,
        (start, end): (u32, u32),
    ) -> Result<u64, Malformed> {
        let from = self.unescaped.len();
        escape::unescape(slice(text, start, end), &mut self.unescaped);
        let bytes = self.unescaped.get(from..).unwrap_or_default();
        let fits = |place: usize| u32::try_from(place).map_err(|_| Malformed::DuplicateName);
        let name = Name {
            fingerprint: fingerprint(bytes),
            start: fits(from)?,
            end: fits(self.unescaped.len())?,
            was_escaped: true,
        };
        self.check_few(text, mark, name)?;
        self.seen.push(name);
        Ok(name.fingerprint)
    }

    /// The unescaped text of the name added last.
    pub(super) fn last<'a>(&'a self, text: &'a [u8]) -> &'a [u8] {
        self.seen.last().map_or(&[], |name| self.bytes(text, *name))
    }

    /// Ends the object with `mark` and forgets its names.
    #[inline]
    pub(super) fn close(&mut self, text: &[u8], mark: usize) -> Result<(), Malformed> {
        if self.seen.len() - mark > FEW {
            self.check_many(text, mark)?;
        }
        self.seen.truncate(mark);
        Ok(())
    }

    #[inline]
    fn check_few(&self, text: &[u8], mark: usize, name: Name) -> Result<(), Malformed> {
        let open = self.seen.get(mark..).unwrap_or_default();
        let same = |other: &Name| {
            other.fingerprint == name.fingerprint
                && self.bytes(text, *other) == self.bytes(text, name)
        };
        if open.len() < FEW && open.iter().any(same) {
            return Err(Malformed::DuplicateName);
        }
        Ok(())
    }

    /// Sorts, so that the cost stays n log n whatever names the sender chose.
    fn check_many(&mut self, text: &[u8], mark: usize) -> Result<(), Malformed> {
        let mut seen = std::mem::take(&mut self.seen);
        let open = seen.get_mut(mark..).unwrap_or_default();
        let key = |name: &Name| (name.fingerprint, self.bytes(text, *name));
        open.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        let twice = open.windows(2).any(|pair| match pair {
            [a, b] => key(a) == key(b),
            _ => false,
        });
        self.seen = seen;
        if twice { Err(Malformed::DuplicateName) } else { Ok(()) }
    }

    fn bytes<'a>(&'a self, text: &'a [u8], name: Name) -> &'a [u8] {
        slice(if name.was_escaped { &self.unescaped } else { text }, name.start, name.end)
    }
}

fn slice(text: &[u8], start: u32, end: u32) -> &[u8] {
    text.get(start as usize..end as usize).unwrap_or_default()
}

/// 64 bits of a name that are cheap to make and differ for the names people give to fields.
///
/// No promise against a sender who wants collisions: equal fingerprints are always followed by
/// a comparison of the bytes.
#[inline]
pub(super) fn fingerprint(name: &[u8]) -> u64 {
    let (low, high) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
            }
            _ => {
                let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or(0));
                (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
            }
        },
    };
    let len = u64::try_from(name.len()).unwrap_or(u64::MAX);
    (low ^ high.rotate_left(29) ^ (len << 56)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Objects with at most this many members are compared pair by pair, which is faster than sorting.
const FEW: usize = 32;

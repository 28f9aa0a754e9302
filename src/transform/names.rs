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
pub(super) struct Name {
    pub(super) fingerprint: u64,
    start: usize,
    end: usize,
    was_escaped: bool,
}

impl Names {
    /// Forgets everything, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.unescaped.clear();
    }

    /// The mark of an object that opens now, for [`Self::add`] and [`Self::close`].
    #[inline]
    pub(super) fn mark(&self) -> usize {
        self.seen.len()
    }

    /// The name that is written at `start..end` of `text`.
    #[inline]
    pub(super) fn resolve(
        &mut self,
        text: &[u8],
        (start, end): (usize, usize),
        is_escaped: bool,
    ) -> Name {
        if is_escaped {
            return self.resolve_escaped(text.get(start..end).unwrap_or_default());
        }
        let bytes = text.get(start..end).unwrap_or_default();
        Name { fingerprint: fingerprint(bytes), start, end, was_escaped: false }
    }

    #[cold]
    fn resolve_escaped(&mut self, raw: &[u8]) -> Name {
        let start = self.unescaped.len();
        escape::unescape(raw, &mut self.unescaped);
        let fingerprint = fingerprint(self.unescaped.get(start..).unwrap_or_default());
        Name { fingerprint, start, end: self.unescaped.len(), was_escaped: true }
    }

    /// Adds a name to the object with `mark`. A repeated name is an error here in an object of
    /// few members, and at [`Self::close`] in a larger one; with `is_surely_new` it is not looked
    /// for here.
    #[inline]
    pub(super) fn add(
        &mut self,
        text: &[u8],
        mark: usize,
        name: Name,
        is_surely_new: bool,
    ) -> Result<(), Malformed> {
        if !is_surely_new {
            self.check_few(text, mark, name)?;
        }
        self.seen.push(name);
        Ok(())
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

    /// The unescaped bytes of a name.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, text: &'a [u8], name: Name) -> &'a [u8] {
        let from = if name.was_escaped { &self.unescaped } else { text };
        from.get(name.start..name.end).unwrap_or_default()
    }
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

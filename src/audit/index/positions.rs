//! Sets of places in a segment: as they are worked with, and as they are written (a container of
//! a roaring bitmap: <https://roaringbitmap.org>).

/// Places in a segment, one bit each.
#[derive(Clone)]
pub(in crate::audit) struct Positions(Box<[u64; WORDS]>);

impl Positions {
    pub(in crate::audit) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// Adds the places `from..to`.
    pub(in crate::audit) fn add_range(&mut self, from: u32, to: u32) {
        let mut at = from;
        while at < to {
            let word = usize::try_from(at / 64).unwrap_or(WORDS);
            let end = to.min((at / 64 + 1) * 64);
            if let Some(word) = self.0.get_mut(word) {
                let (low, count) = (at % 64, end - at);
                *word |= (u64::MAX >> (64 - count)) << low;
            }
            at = end;
        }
    }

    fn add(&mut self, at: u16) {
        if let Some(word) = self.0.get_mut(usize::from(at / 64)) {
            *word |= 1 << (at % 64);
        }
    }

    /// Whether a place is among them.
    pub(in crate::audit) fn has(&self, at: u32) -> bool {
        let word = usize::try_from(at / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// Whether any of the places `256 × bundle ..` is among them.
    pub(in crate::audit) fn has_in_bundle(&self, bundle: u32) -> bool {
        let first = usize::try_from(bundle * 4).unwrap_or(WORDS);
        self.0.get(first..first + 4).is_some_and(|words| words.iter().any(|word| *word != 0))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Keeps what is in both.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word &= other);
    }
}

/// Writes places, which are in order and once each: how many less one, and a list of them, or, of
/// 4,096 and more, a bitmap.
pub(super) fn encode(places: &[u16], out: &mut Vec<u8>) {
    let Some(less_one) = places.len().checked_sub(1).and_then(|n| u16::try_from(n).ok()) else {
        return;
    };
    out.extend(less_one.to_le_bytes());
    if places.len() <= LONGEST_LIST {
        places.iter().for_each(|place| out.extend(place.to_le_bytes()));
        return;
    }
    let mut bits = Positions::none();
    places.iter().for_each(|place| bits.add(*place));
    bits.0.iter().for_each(|word| out.extend(word.to_le_bytes()));
}

/// Reads places from the start of `bytes`, and gives the rest; `None` when they are malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<(Positions, &[u8])> {
    let (len, rest) = split(bytes)?;
    let (body, rest) = rest.split_at_checked(len)?;
    let mut places = Positions::none();
    if len == WORDS * 8 {
        for (word, bytes) in places.0.iter_mut().zip(body.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    } else {
        body.as_chunks::<2>().0.iter().for_each(|bytes| places.add(u16::from_le_bytes(*bytes)));
    }
    Some((places, rest))
}

/// Passes places over.
pub(super) fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = split(bytes)?;
    rest.get(len..)
}

fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (less_one, rest) = bytes.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_le_bytes(*less_one)) + 1;
    Some((if count <= LONGEST_LIST { count * 2 } else { WORDS * 8 }, rest))
}

/// 65,536 bits.
const WORDS: usize = 1024;
/// A list of one more is as long as a bitmap, and must not be taken for one.
const LONGEST_LIST: usize = WORDS * 4 - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(places: std::collections::BTreeSet<u16>, more in 0..9000_u16) {
            let places: Vec<u16> = places.into_iter().chain(0..more)
                .collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            prop_assume!(!places.is_empty());
            let mut bytes = Vec::new();
            encode(&places, &mut bytes);
            bytes.push(7);
            let (read, rest) = decode(&bytes).unwrap();
            prop_assert_eq!(rest, &[7]);
            prop_assert_eq!(skip(&bytes).unwrap(), &[7]);
            let found: Vec<u16> = (0..=u16::MAX).filter(|at| read.has(u32::from(*at))).collect();
            prop_assert_eq!(found, places);
            prop_assert!(decode(&bytes[..bytes.len() - 2]).is_none());
        }

        #[test]
        fn lists_end_where_bitmaps_begin(count in 4_090..4_100_u16) {
            let places: Vec<u16> = (0..count).map(|at| at * 15).collect();
            let mut bytes = Vec::new();
            encode(&places, &mut bytes);
            let (read, rest) = decode(&bytes).unwrap();
            prop_assert!(rest.is_empty());
            let found: Vec<u16> = (0..=u16::MAX).filter(|at| read.has(u32::from(*at))).collect();
            prop_assert_eq!(found, places);
        }

        #[test]
        fn ranges_are_exact(from in 0..=65_536_u32, to in 0..=65_536_u32) {
            let mut places = Positions::none();
            places.add_range(from, to);
            for at in 0..65_536 {
                prop_assert_eq!(places.has(at), (from..to).contains(&at));
            }
            prop_assert_eq!(places.is_empty(), from >= to);
        }
    }
}

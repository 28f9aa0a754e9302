//! Countries, as ISO 3166-1 alpha-2 codes.

use std::fmt;

/// A country or a group of them, as two upper-case letters.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region([u8; 2]);

impl Region {
    /// Reads an ISO 3166-1 alpha-2 code in either case; anything else is no region.
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// Its place among all that two letters can name.
    fn index(self) -> usize {
        let [a, b] = self.0.map(|letter| usize::from(letter.saturating_sub(b'A')));
        a * 26 + b
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some countries, as bits: asking takes no search.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RegionSet([u64; WORDS]);

impl RegionSet {
    /// Adds a country.
    pub fn insert(&mut self, region: Region) {
        let at = region.index();
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Whether a country is among them.
    pub fn contains(&self, region: Region) -> bool {
        let at = region.index();
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

impl FromIterator<Region> for RegionSet {
    fn from_iter<T: IntoIterator<Item = Region>>(regions: T) -> Self {
        let mut set = Self::default();
        regions.into_iter().for_each(|region| set.insert(region));
        set
    }
}

/// Room for 26 × 26 bits.
const WORDS: usize = 676_usize.div_ceil(64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let all = || {
            ('A'..='Z')
                .flat_map(|a| ('A'..='Z').filter_map(move |b| Region::parse(&format!("{a}{b}"))))
        };
        for one in all() {
            let set: RegionSet = [one].into_iter().collect();
            assert!(all().all(|other| set.contains(other) == (one == other)), "{one}");
        }
    }
}

//! How many people's data may be passed abroad in a year before more is needed.

use std::sync::LazyLock;

use crate::types::Region;

use super::MechanismKind;

/// A number of people from which on their data may be passed abroad only by some mechanisms.
#[derive(Debug)]
pub struct Threshold {
    /// The law, by its id.
    pub law: &'static str,
    /// Whose people.
    pub home: Region,
    /// Which of their data.
    pub class: ExportClass,
    /// The first that needs a mechanism is this one, counted from 1 January.
    pub people: u64,
    /// What it needs: one of these.
    pub mechanisms: Vec<MechanismKind>,
}

/// What was passed on of a person.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ExportClass {
    /// Personal data that is not sensitive.
    Other,
    /// Sensitive personal data (PIPL art. 28): special, about a child, or of the level `critical`.
    Sensitive,
}

impl ExportClass {
    /// Every class.
    pub const ALL: [Self; 2] = [Self::Other, Self::Sensitive];

    /// The word in metrics, the log and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Sensitive => "sensitive",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// Several classes, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExportClasses(u8);

impl ExportClasses {
    /// None.
    pub const NONE: Self = Self(0);

    /// From bits as [`bits`](Self::bits) gives them; others are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 3)
    }

    /// The bits, as they are stored.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// These and one more.
    #[must_use]
    pub const fn and(self, class: ExportClass) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among them.
    pub const fn has(self, class: ExportClass) -> bool {
        self.0 & 1 << class as u8 != 0
    }
}

/// Every threshold, the lowest of a class first.
pub fn thresholds() -> &'static [Threshold] {
    static TABLE: LazyLock<Vec<Threshold>> = LazyLock::new(|| {
        let rows = include_str!("thresholds.tsv").lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(read).collect()
    });
    &TABLE
}

/// The country whose people are counted.
pub fn counted_home() -> Option<Region> {
    thresholds().first().map(|threshold| threshold.home)
}

fn read(line: &'static str) -> Option<Threshold> {
    let mut columns = line.split('\t');
    let (law, home) = (columns.next()?, Region::parse(columns.next()?)?);
    let class = ExportClass::parse(columns.next()?)?;
    let people = columns.next()?.parse().ok()?;
    let mechanisms = columns.next()?.split(' ').filter_map(MechanismKind::parse).collect();
    Some(Threshold { law, home, class, people, mechanisms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_all_count_people_of_one_country() {
        let told: Vec<String> = thresholds()
            .iter()
            .map(|it| {
                format!("{} {} {} {}", it.home, it.class.as_str(), it.people, it.mechanisms.len())
            })
            .collect();
        assert_eq!(told, ["CN other 100000 3", "CN other 1000000 1", "CN sensitive 10000 1"]);
    }
}

//! Laws and groups of countries, as the tables beside this file have them.

use std::sync::LazyLock;

use crate::policy::LegalBasis;
use crate::types::Region;

use super::MechanismKind;

/// Countries with one name.
#[derive(Debug)]
pub(in crate::policy) struct Group {
    pub(in crate::policy) name: Box<str>,
    /// Whether data moves within it as within one country.
    pub(in crate::policy) is_free: bool,
    pub(in crate::policy) regions: Vec<Region>,
}

/// A law about personal data.
#[derive(Debug)]
pub(in crate::policy) struct Regime {
    pub(in crate::policy) name: Box<str>,
    pub(in crate::policy) regions: Vec<Region>,
    pub(in crate::policy) bases: Vec<LegalBasis>,
    pub(in crate::policy) mechanisms: Vec<MechanismKind>,
}

/// The groups that every policy knows.
pub(in crate::policy) fn groups() -> &'static [Group] {
    static GROUPS: LazyLock<Vec<Group>> =
        LazyLock::new(|| rows(include_str!("region_groups.tsv")).filter_map(read_group).collect());
    &GROUPS
}

/// The group of this name that every policy knows.
pub(in crate::policy) fn group(name: &str) -> Option<&'static Group> {
    groups().iter().find(|group| *group.name == *name)
}

/// The law that holds for records of a country, when the table has one.
pub(in crate::policy) fn regime_of(region: Region) -> Option<&'static Regime> {
    regimes().iter().find(|regime| regime.regions.contains(&region))
}

/// Every law of the table.
pub(in crate::policy) fn regimes() -> &'static [Regime] {
    static REGIMES: LazyLock<Vec<Regime>> =
        LazyLock::new(|| rows(include_str!("regimes.tsv")).filter_map(read_regime).collect());
    &REGIMES
}

fn rows(table: &'static str) -> impl Iterator<Item = std::str::Split<'static, char>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t'))
}

fn read_group(mut row: std::str::Split<'static, char>) -> Option<Group> {
    let (name, freely, regions) = (row.next()?, row.next()?, row.next()?);
    let regions = regions.split(' ').filter_map(Region::parse).collect();
    Some(Group { name: name.into(), is_free: freely == "free", regions })
}

fn read_regime(mut row: std::str::Split<'static, char>) -> Option<Regime> {
    let (_, name, regions) = (row.next()?, row.next()?, row.next()?);
    let (bases, mechanisms) = (row.next()?, row.next()?);
    let of = |word| match group(word) {
        Some(group) => group.regions.clone(),
        None => Region::parse(word).into_iter().collect(),
    };
    Some(Regime {
        name: name.into(),
        regions: regions.split(' ').flat_map(of).collect(),
        bases: bases.split(' ').filter_map(LegalBasis::parse).collect(),
        mechanisms: mechanisms.split(' ').filter_map(MechanismKind::parse).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_only_known_words_and_name_their_sources() {
        for line in include_str!("regimes.tsv").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [id, _, regions, bases, mechanisms, source] = columns[..] else {
                panic!("six columns: {line}")
            };
            let known = |word: &&str| group(word).is_some() || Region::parse(word).is_some();
            assert!(regions.split(' ').all(|word| known(&word)), "{id}");
            assert!(bases.split(' ').all(|word| LegalBasis::parse(word).is_some()), "{id}");
            let mut words = mechanisms.split_whitespace();
            assert!(words.all(|word| MechanismKind::parse(word).is_some()), "{id}");
            assert!(source.contains("art.") || source.contains("Code"), "{id}");
        }
        for line in include_str!("region_groups.tsv").lines().filter(|l| !l.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, freely, regions, source] = columns[..] else { panic!("four: {line}") };
            assert!(matches!(freely, "free" | "-"), "{name}");
            assert!(regions.split(' ').all(|word| Region::parse(word).is_some()), "{name}");
            assert!(!source.is_empty(), "{name}");
        }
        assert_eq!(group("EEA").map(|group| group.regions.len()), Some(30));
    }

    #[test]
    fn pipl_knows_no_legitimate_interest_and_hong_kong_is_not_under_it() {
        let of = |country| Region::parse(country).and_then(regime_of);
        let knows = |country| {
            of(country).is_some_and(|r| r.bases.contains(&LegalBasis::LegitimateInterest))
        };
        assert!(!knows("CN"));
        assert!(["FR", "NO", "GB", "BR", "US"].into_iter().all(knows));
        assert!(of("HK").is_none() && of("JP").is_none());
    }
}

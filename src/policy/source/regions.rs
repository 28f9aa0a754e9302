//! Countries and groups of them, as rules name them.

use crate::policy::transfer;
use crate::types::Faults;
use crate::types::Place;
use crate::types::Region;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::words::listed;
use super::words::twice;

/// The groups that a policy names itself. Data moves freely within none of them.
#[derive(Debug, Default)]
pub(in crate::policy) struct RegionGroups(Vec<RegionGroup>);

#[derive(Debug)]
struct RegionGroup {
    name: Box<str>,
    regions: Vec<Region>,
    place: Place,
}

impl RegionGroups {
    /// Reads a `region_groups:` map: `{ APAC: [JP, KR, SG] }`.
    pub(super) fn read(&mut self, node: &Node, faults: &mut Faults) {
        for entry in node.map(faults).unwrap_or_default() {
            if !self.may_be_named(entry, faults) {
                continue;
            }
            let mut regions = Vec::new();
            for (item, text) in listed(&entry.node, faults) {
                match Region::parse(text) {
                    Some(region) => regions.push(region),
                    None => no_country(item, text, std::iter::empty(), faults),
                }
            }
            let (name, place) = (entry.key.clone(), entry.key_place.clone());
            self.0.push(RegionGroup { name, regions, place });
        }
    }

    fn may_be_named(&self, entry: &Entry, faults: &mut Faults) -> bool {
        let name = &*entry.key;
        if let Some(earlier) = self.0.iter().find(|group| *group.name == *name) {
            twice("region group", entry, &earlier.place, faults);
            return false;
        }
        if transfer::group(name).is_some() {
            let what = format!("`{name}` is a group that every policy knows");
            faults.error(&entry.key_place, what, "choose another name");
            return false;
        }
        let mut letters = name.bytes();
        let is_name = name.len() > 2
            && letters.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !is_name {
            let what = format!("`{name}` cannot be the name of a region group");
            let help = "write three or more capital letters, such as `APAC`: two are a country";
            faults.error(&entry.key_place, what, help);
        }
        is_name
    }

    /// The countries of one word: a country, or a group.
    fn of(&self, word: &str) -> Option<&[Region]> {
        let own = self.0.iter().find(|group| *group.name == *word);
        match own {
            Some(group) => Some(&group.regions),
            None => transfer::group(word).map(|group| group.regions.as_slice()),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.0.iter().map(|group| &*group.name);
        own.chain(transfer::groups().iter().map(|group| &*group.name))
    }

    /// The countries of a key: `(whether it is a group, its countries)`.
    pub(super) fn key(&self, entry: &Entry, faults: &mut Faults) -> Option<(bool, Vec<Region>)> {
        if let Some(region) = Region::parse(&entry.key) {
            return Some((false, vec![region]));
        }
        if let Some(regions) = self.of(&entry.key) {
            return Some((true, regions.to_vec()));
        }
        told(&entry.key_place, &entry.key, self.names(), faults);
        None
    }

    /// The countries of a list of countries and groups, each once. Reports an empty one.
    pub(in crate::policy) fn list(&self, node: &Node, faults: &mut Faults) -> Vec<Region> {
        let mut regions = Vec::new();
        let mut add = |region: Region| {
            if !regions.contains(&region) {
                regions.push(region);
            }
        };
        for (item, text) in listed(node, faults) {
            match (Region::parse(text), self.of(text)) {
                (Some(region), _) => add(region),
                (None, Some(group)) => group.iter().copied().for_each(&mut add),
                (None, None) => no_country(item, text, self.names(), faults),
            }
        }
        if regions.is_empty() {
            faults.error(&node.place, "no country is given", "write two letters, such as `[CN]`");
        }
        regions
    }
}

fn no_country<'a>(
    item: &Node,
    text: &str,
    groups: impl Iterator<Item = &'a str>,
    faults: &mut Faults,
) {
    told(&item.place, text, groups, faults);
}

fn told<'a>(place: &Place, text: &str, groups: impl Iterator<Item = &'a str>, faults: &mut Faults) {
    // What looks like the name of a group was meant as one.
    let near = closest(text, groups).filter(|_| text.len() > 2);
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write two letters, such as `CN`".to_owned(),
    };
    faults.error(place, format!("`{text}` is no country"), help);
}

/// One country.
pub(super) fn country(map: &mut MapReader<'_>, faults: &mut Faults) -> Option<Region> {
    let node = map.required("country", faults)?;
    let text = node.text(faults)?;
    let region = Region::parse(text);
    if region.is_none() {
        told(&node.place, text, std::iter::empty(), faults);
    }
    region
}

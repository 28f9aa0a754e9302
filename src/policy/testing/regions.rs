//! Countries that stand for all others: one for each way in which rules tell countries apart.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::policy::source::Model;
use crate::policy::source::Purpose;
use crate::policy::transfer::groups;
use crate::types::Region;

/// One country for each combination of these lists that holds for any, one that is in none, and
/// the unknown one.
pub(super) fn representatives(lists: &[Vec<Region>]) -> Vec<Option<Region>> {
    let named: BTreeSet<Region> = lists.iter().flatten().copied().collect();
    let mut found: BTreeMap<Vec<bool>, Region> = BTreeMap::new();
    for region in named.into_iter().chain(Region::parse("ZZ")) {
        let of: Vec<bool> = lists.iter().map(|list| list.contains(&region)).collect();
        found.entry(of).or_insert(region);
    }
    let regions: BTreeSet<Option<Region>> = found.into_values().map(Some).chain([None]).collect();
    regions.into_iter().collect()
}

/// Every list of countries that makes a difference to a call for a purpose.
pub(super) fn lists(model: &Model, purpose: Option<&Purpose>) -> Vec<Vec<Region>> {
    let mut lists: Vec<Vec<Region>> = Vec::new();
    for limit in &model.limits {
        let of = &limit.when;
        lists.extend([&of.record_region, &of.caller_region, &of.caller_region_not].map(Vec::clone));
        if let Some(of) = &limit.unless {
            let named = [&of.record_region, &of.caller_region, &of.caller_region_not];
            lists.extend(named.map(Vec::clone));
        }
    }
    let own = || purpose.and_then(|it| it.basis.regions.as_ref()).into_iter().flatten();
    for (_, basis) in own() {
        let same = own().filter(|(_, other)| other == basis);
        lists.push(same.map(|(region, _)| *region).collect());
    }
    for recipient in &model.recipients {
        lists.push(vec![recipient.country]);
        let free = groups().iter().filter(|it| it.regions.contains(&recipient.country));
        lists.extend(free.map(|group| group.regions.clone()));
        lists.extend(recipient.mechanisms.iter().map(|mechanism| mechanism.regions.clone()));
    }
    lists.retain(|list| !list.is_empty());
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_country_stands_for_all_that_no_rule_tells_apart() {
        let list = |text: &str| text.split(' ').filter_map(Region::parse).collect::<Vec<_>>();
        let lists = [list("DE FR GB"), list("FR"), list("CN")];
        let found: Vec<String> = representatives(&lists)
            .iter()
            .map(|region| region.map_or("?".to_owned(), |region| region.to_string()))
            .collect();
        assert_eq!(found, ["?", "CN", "DE", "FR", "ZZ"]);
    }
}

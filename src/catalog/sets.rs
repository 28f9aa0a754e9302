//! Routes whose answers hold records of several data sets.

use std::sync::Arc;

use crate::types::DataSetId;
use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::Beside;
use super::DataSet;
use super::Method;
use super::Selector;
use super::routes::parse_selector;
use super::routes::wrong_selector;

/// Reads `records: { "$.customers[*]": shop.customers, "$.orders[*]": shop.orders }` of a route of
/// `set`: where the route's own records stand, and the others.
pub(super) fn read(
    node: &Node,
    set: &DataSet,
    faults: &mut Faults,
) -> Option<(Selector, Vec<Beside>)> {
    let entries = node.map(faults)?;
    let mut found: Vec<Beside> = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(place) = place(entry, set, faults) else { continue };
        if let Some(known) = found.iter().find(|known| overlap(&known.selector, &place.selector)) {
            let what =
                format!("these records and those of `{}` stand inside one another", known.set);
            let help = "records of several data sets stand side by side in one object tree";
            faults.error(&entry.key_place, what, help);
            continue;
        }
        found.push(place);
    }
    let Some(own) = found.iter().position(|place| place.set == set.id) else {
        let what = format!("no records of `{}` are in this answer", set.id);
        let help = "write the route under one of the data sets it reads";
        faults.error(&node.place.first_line(), what, help);
        return None;
    };
    let own = found.remove(own);
    Some((own.selector, found))
}

fn place(entry: &Entry, set: &DataSet, faults: &mut Faults) -> Option<Beside> {
    let Some(selector) = parse_selector(&entry.key) else {
        wrong_selector(&entry.key, &entry.key_place, faults);
        return None;
    };
    if selector.steps.is_empty() {
        let what = "records at the root leave no room for others beside them";
        faults.error(&entry.key_place, what, "name members, such as `$.customers[*]`");
        return None;
    }
    let id = entry.node.id(DataSetId::parse, faults)?;
    let store = id.as_str().split_once('.').map_or("", |(store, _)| store);
    if store != set.store.as_str() {
        let what = format!("`{id}` is not of the store `{}`, which answers", set.store);
        faults.error(&entry.node.place, what, "name a data set of the same store");
        return None;
    }
    Some(Beside { set: id, selector, place: entry.node.place.clone() })
}

/// Whether one of the two stands inside the other, or both in one place.
fn overlap(a: &Selector, b: &Selector) -> bool {
    a.steps.iter().zip(&b.steps).all(|(a, b)| a == b)
}

/// Reports data sets that are named beside others and are none.
pub fn check_sets(sets: &[Arc<DataSet>], faults: &mut Faults) {
    let routes = sets.iter().flat_map(|set| &set.routes);
    for route in routes {
        if !route.beside.is_empty() && route.method != Method::Get {
            let what = format!("a {} route writes records of one data set", route.method);
            faults.error(&route.place, what, "write `records` as one place");
        }
        for beside in &route.beside {
            if sets.iter().any(|set| set.id == beside.set) {
                continue;
            }
            let near = closest(beside.set.as_str(), sets.iter().map(|set| set.id.as_str()));
            let help = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
            faults.error(&beside.place, format!("no data set is called `{}`", beside.set), help);
        }
    }
}

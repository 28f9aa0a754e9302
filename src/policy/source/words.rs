//! Purposes and roles, and looking words up.

use crate::catalog::data_use;
use crate::catalog::data_use::DataUse;
use crate::policy::LegalBasis;
use crate::policy::transfer::regime_of;
use crate::types::Capacities;
use crate::types::Faults;
use crate::types::IdError;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::Basis;
use super::Holds;
use super::Purpose;
use super::RegionGroups;
use super::Role;
use super::Separate;

/// Reads the `purposes:` map.
pub(super) fn purposes(
    node: &Node,
    groups: &RegionGroups,
    into: &mut Vec<Purpose>,
    faults: &mut Faults,
) {
    for entry in node.map(faults).unwrap_or_default() {
        let Some(id) = key(entry, PurposeId::parse, faults) else { continue };
        if let Some(earlier) = into.iter().find(|p| p.id == id) {
            twice("purpose", entry, &earlier.place, faults);
            continue;
        }
        into.push(purpose(id, entry, groups, faults));
    }
}

/// Reads one purpose. A faulty one is kept, so that its users are no second fault.
fn purpose(id: PurposeId, entry: &Entry, groups: &RegionGroups, faults: &mut Faults) -> Purpose {
    let place = entry.key_place.clone();
    let none = Basis { default: LegalBasis::Consent, regions: None };
    let mut purpose = Purpose {
        id,
        title: None,
        basis: none,
        consent: None,
        separate: Separate::No,
        opt_out: None,
        data_use: None,
        gpc: false,
        place,
    };
    let Some(mut map) = MapReader::new(&entry.node, "a purpose", faults) else { return purpose };
    purpose.title = map.optional("title").and_then(|node| node.localized(faults));
    purpose.data_use = map.optional("use").and_then(|node| data_use(node, faults));
    let gpc = map.optional("gpc").and_then(|node| node.bool(faults));
    purpose.gpc = gpc.unwrap_or(purpose.data_use.is_some_and(|known| known.ends_by_gpc));
    let mut named = |key| map.optional(key).and_then(|node| node.text(faults)).map(Box::from);
    purpose.consent = named("consent");
    purpose.opt_out = named("opt_out");
    if let Some(read) = map.required("basis", faults).and_then(|node| basis(node, groups, faults)) {
        if asks_consent(&read) && purpose.consent.is_none() {
            let what = format!("`{}` rests on consent, but names no consent question", purpose.id);
            faults.error(&entry.key_place, what, "add `consent: NAME`");
        }
        purpose.basis = read;
    }
    if let Some(node) = map.optional("separate") {
        purpose.separate = separate(node, groups, faults);
        if purpose.separate != Separate::No && purpose.consent.is_none() {
            let what = format!("`{}` wants separate consent, but asks no question", purpose.id);
            faults.error(&node.place, what, "add `consent: NAME`");
        }
    }
    map.finish(faults);
    purpose
}

/// What the data is used for, in a word of fideslang.
fn data_use(node: &Node, faults: &mut Faults) -> Option<DataUse> {
    let known: Vec<&str> = data_use::all().map(|known| known.key).collect();
    node.word("data use", data_use::find, &known, faults)
}

/// Reads `separate: true` or `separate: [CN]`; a list names countries and groups of them.
fn separate(node: &Node, groups: &RegionGroups, faults: &mut Faults) -> Separate {
    if let Value::Bool(everywhere) = node.value {
        return if everywhere { Separate::Everywhere } else { Separate::No };
    }
    Separate::In(groups.list(node, faults))
}

fn asks_consent(basis: &Basis) -> bool {
    let own = basis.regions.iter().flatten().map(|(_, basis)| *basis);
    own.chain([basis.default]).any(|basis| basis == LegalBasis::Consent)
}

/// Reads `basis: contract` or `basis: { default: contract, CN: consent, EEA: contract }`.
fn basis(node: &Node, groups: &RegionGroups, faults: &mut Faults) -> Option<Basis> {
    let known = LegalBasis::ALL.map(LegalBasis::as_str);
    let word = |node: &Node, faults: &mut Faults| {
        node.word("legal basis", LegalBasis::parse, &known, faults)
    };
    if node.as_text().is_some() {
        return word(node, faults).map(|default| Basis { default, regions: None });
    }
    let mut map = MapReader::new(node, "a legal basis", faults)?;
    let default = map.required("default", faults).and_then(|node| word(node, faults));
    // A country by itself counts before the groups it is in.
    let (mut regions, mut by_group) = (Vec::new(), Vec::new());
    for entry in map.rest() {
        let Some((is_group, countries)) = groups.key(entry, faults) else { continue };
        let Some(basis) = word(&entry.node, faults) else { continue };
        known_to_law(basis, &countries, &entry.node.place, faults);
        if is_group {
            let place = &entry.key_place;
            by_group.extend(countries.into_iter().map(|country| (country, basis, place)));
        } else {
            regions.extend(countries.into_iter().map(|country| (country, basis)));
        }
    }
    let alone = regions.len();
    for (country, basis, place) in by_group {
        match regions.iter().position(|(known, _)| *known == country) {
            None => regions.push((country, basis)),
            Some(at) if at < alone => {}
            Some(_) => {
                let what = format!("`{country}` is in two of these groups");
                faults.error(place, what, format!("add `{country}: BASIS`"));
            }
        }
    }
    Some(Basis { default: default?, regions: Some(regions) })
}

/// Reports a basis that the law of one of these countries does not know.
fn known_to_law(
    basis: LegalBasis,
    countries: &[crate::types::Region],
    place: &Place,
    faults: &mut Faults,
) {
    let mut laws = countries.iter().filter_map(|country| regime_of(*country));
    if let Some(law) = laws.find(|law| !law.bases.contains(&basis)) {
        let known: Vec<&str> = law.bases.iter().map(|basis| basis.as_str()).collect();
        let what = format!("{} knows no `{}`", law.name, basis.as_str());
        faults.error(place, what, format!("it knows {}", known.join(", ")));
    }
}

/// Reads the `roles:` map.
pub(super) fn roles(node: &Node, into: &mut Vec<Role>, faults: &mut Faults) {
    for entry in node.map(faults).unwrap_or_default() {
        let Some(id) = key(entry, RoleId::parse, faults) else { continue };
        if let Some(earlier) = into.iter().find(|r| r.id == id) {
            twice("role", entry, &earlier.place, faults);
            continue;
        }
        // A faulty role is kept, so that its users are no second fault.
        let holds = holds(&entry.node, faults).unwrap_or(Holds::Subject { or: Capacities::NONE });
        into.push(Role { id, holds, place: entry.key_place.clone() });
    }
}

fn holds(node: &Node, faults: &mut Faults) -> Option<Holds> {
    let mut map = MapReader::new(node, "a role", faults)?;
    let claim = map.optional("claim");
    let has = map.optional("has");
    let subject = map.optional("is_subject");
    let or = map.optional("or_representative");
    map.finish(faults);
    if let (Some(or), None) = (or, subject) {
        let help = "write `{ is_subject: true, or_representative: [guardian] }`";
        faults.error(&or.place, "`or_representative` widens `is_subject`", help);
    }
    match (claim, has, subject) {
        (Some(claim), Some(has), None) => {
            let (claim, has) = (claim.text(faults), has.text(faults));
            Some(Holds::Claim { claim: claim?.into(), has: has?.into() })
        }
        (None, None, Some(subject)) => {
            if !subject.bool(faults)? {
                faults.error(&subject.place, "`is_subject` can only be `true`", "");
            }
            let or = or.map_or(Capacities::NONE, |node| kinds(node, faults));
            Some(Holds::Subject { or })
        }
        _ => {
            let help = "write `{ claim: roles, has: NAME }` or `{ is_subject: true }`";
            faults.error(&node.place.first_line(), "a role has a claim or is the subject", help);
            None
        }
    }
}

/// Reads `[guardian, agent]`.
fn kinds(node: &Node, faults: &mut Faults) -> Capacities {
    let known = RepresentativeKind::ALL.map(RepresentativeKind::as_str);
    let texts = listed(node, faults);
    if texts.is_empty() {
        faults.error(&node.place, "nobody is named who may act for the person", "leave it out");
    }
    let mut kinds = Capacities::NONE;
    for (item, _) in texts {
        let kind = item.word("kind of representative", RepresentativeKind::parse, &known, faults);
        kinds = kind.map_or(kinds, |kind| kinds.with(kind));
    }
    kinds
}

/// The id in a key.
pub(super) fn key<T>(
    entry: &Entry,
    parse: impl Fn(&str) -> Result<T, IdError>,
    faults: &mut Faults,
) -> Option<T> {
    parse(&entry.key).map_err(|error| faults.error(&entry.key_place, error.to_string(), "")).ok()
}

/// Reports that a word was given a second meaning.
pub(super) fn twice(kind: &str, entry: &Entry, earlier: &Place, faults: &mut Faults) {
    let what = format!("{kind} `{}` stands here for the second time", entry.key);
    faults.error(&entry.key_place, what, format!("the first is at {earlier}"));
}

/// The positions in `known` of the words in a list, each reported when nobody knows it.
pub(super) fn positions(
    node: &Node,
    what: &str,
    known: &[&str],
    faults: &mut Faults,
) -> Vec<usize> {
    let find = |text: &str| known.iter().position(|word| *word == text);
    let texts = listed(node, faults);
    texts.iter().filter_map(|(item, _)| item.word(what, find, known, faults)).collect()
}

/// The texts of a list that must not be empty: nobody can tell whether an empty one means all or
/// none.
pub(super) fn listed<'a>(node: &'a Node, faults: &mut Faults) -> Vec<(&'a Node, &'a str)> {
    if node.one_or_list().is_empty() {
        faults.error(&node.place, "this list is empty", "name something, or leave it out");
    }
    node.texts(faults)
}

/// The words of a list of things with ids.
pub(in crate::policy) fn ids<'a, T>(
    things: &'a [T],
    id: impl Fn(&'a T) -> &'a str,
) -> Vec<&'a str> {
    things.iter().map(id).collect()
}

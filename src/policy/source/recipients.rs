//! Recipients as written: whom data is passed to, and what allows it.

use crate::policy::transfer::MechanismKind;
use crate::policy::transfer::RecipientKind;
use crate::policy::transfer::regime_of;
use crate::types::Faults;
use crate::types::RecipientId;
use crate::types::Timestamp;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::Agreement;
use super::Mechanism;
use super::Recipient;
use super::RegionGroups;
use super::regions::country;
use super::words::key;
use super::words::twice;

/// Reads a `recipients:` map.
pub(super) fn recipients(
    node: &Node,
    groups: &RegionGroups,
    today: Timestamp,
    into: &mut Vec<Recipient>,
    faults: &mut Faults,
) {
    for entry in node.map(faults).unwrap_or_default() {
        let Some(id) = key(entry, RecipientId::parse, faults) else { continue };
        if let Some(earlier) = into.iter().find(|recipient| recipient.id == id) {
            twice("recipient", entry, &earlier.place, faults);
            continue;
        }
        into.extend(recipient(id, entry, groups, today, faults));
    }
}

fn recipient(
    id: RecipientId,
    entry: &Entry,
    groups: &RegionGroups,
    today: Timestamp,
    faults: &mut Faults,
) -> Option<Recipient> {
    let mut map = MapReader::new(&entry.node, "a recipient", faults)?;
    let title = map.optional("title").and_then(|node| node.localized(faults));
    let kinds = RecipientKind::ALL.map(RecipientKind::as_str);
    let kind = map
        .required("kind", faults)
        .and_then(|node| node.word("kind of recipient", RecipientKind::parse, &kinds, faults));
    let country = country(&mut map, faults);
    let parent = map.optional("parent");
    let parent =
        parent.and_then(|node| Some((node.id(RecipientId::parse, faults)?, node.place.clone())));
    let agreement = map.required("agreement", faults).and_then(|node| agreement(node, faults));
    let mut mechanisms = Vec::new();
    for node in map.optional("mechanisms").and_then(|n| n.list(faults)).unwrap_or_default() {
        mechanisms.extend(mechanism(node, groups, today, faults));
    }
    map.finish(faults);
    let is_sub = kind == Some(RecipientKind::SubProcessor);
    if kind.is_some() && is_sub != parent.is_some() {
        let (what, help) = match is_sub {
            true => ("works for a processor, and names none", "add `parent: ID` of that processor"),
            false => ("is no sub-processor and names a `parent`", "leave `parent` out"),
        };
        faults.error(&entry.key_place, format!("`{id}` {what}"), help);
    }
    let place = entry.key_place.clone();
    Some(Recipient {
        id,
        title,
        kind: kind?,
        parent,
        country: country?,
        agreement: agreement?,
        mechanisms,
        place,
    })
}

/// Reads `{ ref: DPA-7, until: 2028-01-01 }`.
fn agreement(node: &Node, faults: &mut Faults) -> Option<Agreement> {
    let mut map = MapReader::new(node, "an agreement", faults)?;
    let reference = map.required("ref", faults).and_then(|node| node.text(faults));
    let until = map.optional("until").map(|node| node.moment(faults));
    let place = map.place().first_line();
    map.finish(faults);
    let until = match until {
        Some(until) => Some(until?),
        None => None,
    };
    Some(Agreement { reference: reference?.into(), until, place })
}

/// Reads `{ kind: scc, for: [EEA], until: 2028-01-01, ref: SCC-12 }`.
fn mechanism(
    node: &Node,
    groups: &RegionGroups,
    today: Timestamp,
    faults: &mut Faults,
) -> Option<Mechanism> {
    let mut map = MapReader::new(node, "a mechanism", faults)?;
    let words = MechanismKind::ALL.map(MechanismKind::as_str);
    let kind_at = map.required("kind", faults);
    let kind = kind_at.and_then(|n| n.word("mechanism", MechanismKind::parse, &words, faults));
    let of = map.required("for", faults);
    let regions = of.map(|node| groups.list(node, faults)).unwrap_or_default();
    let until = map.optional("until").map(|node| node.moment(faults));
    let case = map.optional("case");
    let reference = map.optional("ref").and_then(|node| node.text(faults));
    let place = map.place().first_line();
    map.finish(faults);
    let (kind, of) = (kind?, of?);
    let until = match until {
        Some(until) => Some(until?),
        None => None,
    };
    for regime in regions.iter().filter_map(|region| regime_of(*region)) {
        if !regime.mechanisms.contains(&kind) {
            let known = regime.mechanisms.iter().map(|kind| kind.as_str());
            let known: Vec<&str> = known.collect();
            let what = format!("`{}` is nothing that {} knows", kind.as_str(), regime.name);
            let help = match known.as_slice() {
                [] => "this law restricts no transfer: leave the country out".to_owned(),
                known => format!("it knows {}", known.join(", ")),
            };
            faults.error(&of.place.first_line(), what, help);
            return None;
        }
    }
    let case = case_of(kind, case, node, faults);
    if kind == MechanismKind::Derogation && reference.is_none() {
        let what = "a derogation needs `ref`: each is documented (GDPR art. 49(6))";
        faults.error(&place, what, "add `ref: NAME` of what documents it");
    }
    if let Some(longest) = kind.longest_s() {
        let latest = today.plus_ms(longest.saturating_mul(1000));
        if until.is_none_or(|until| until > latest) {
            let what = format!("`{}` is good for three years at most", kind.as_str());
            faults.error(&place, what, "add `until: DATE`, the day it ends");
        }
    }
    Some(Mechanism {
        kind,
        case: case.ok()?,
        regions,
        until,
        reference: reference.map(Box::from),
        place,
    })
}

/// What is wrong was told.
struct Reported;

/// The case of a mechanism that has some: exactly those name one.
fn case_of(
    kind: MechanismKind,
    case: Option<&Node>,
    node: &Node,
    faults: &mut Faults,
) -> Result<Option<&'static str>, Reported> {
    let cases = kind.cases();
    match (case, cases) {
        (None, []) => Ok(None),
        (Some(case), []) => {
            let what = format!("`{}` has no cases", kind.as_str());
            faults.error(&case.place, what, "leave `case` out");
            Err(Reported)
        }
        (None, cases) => {
            let what = format!("`{}` needs a `case`", kind.as_str());
            let help = format!("one of {}", cases.join(", "));
            faults.error(&node.place.first_line(), what, help);
            Err(Reported)
        }
        (Some(case), cases) => {
            let find = |text: &str| cases.iter().copied().find(|known| *known == text);
            case.word("case", find, cases, faults).map(Some).ok_or(Reported)
        }
    }
}

/// Checks who works for whom, once every recipient is read.
pub(super) fn parents(recipients: &[Recipient], faults: &mut Faults) {
    let find = |id: &RecipientId| recipients.iter().find(|known| known.id == *id);
    for recipient in recipients {
        let Some((id, place)) = &recipient.parent else { continue };
        let Some(parent) = find(id) else {
            let near = closest(id.as_str(), recipients.iter().map(|known| known.id.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
            faults.error(place, format!("unknown recipient `{id}`"), help);
            continue;
        };
        if !matches!(parent.kind, RecipientKind::Processor | RecipientKind::SubProcessor) {
            let what = format!("`{id}` is a {}, and no processor", parent.kind.as_str());
            faults.error(place, what, "a sub-processor works for a processor");
        }
        let mut above = Some(parent);
        for _ in recipients {
            above = above.and_then(|it| it.parent.as_ref()).and_then(|(id, _)| find(id));
        }
        if above.is_some() {
            let what = format!("`{}` works for itself, by way of `{id}`", recipient.id);
            faults.error(place, what, "one of them is the first processor");
        }
    }
}

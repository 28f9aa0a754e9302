//! Views: named ones, and views in place.

use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use crate::policy::View;
use crate::types::Faults;
use crate::types::ViewName;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::not_in_this_version;

use super::ViewSpec;
use super::pseudonyms;
use super::words;

/// The views that need no name.
const PLAIN: [(&str, View); 3] =
    [("show", View::Show), ("drop", View::Drop), ("ciphertext", View::Ciphertext)];

/// Reads the `views:` map.
pub(super) fn views(
    node: &Node,
    into: &mut Vec<(ViewName, ViewSpec)>,
    entries: &mut Vec<Entry>,
    faults: &mut Faults,
) {
    for entry in node.map(faults).unwrap_or_default() {
        let Some(name) = words::key(entry, ViewName::parse, faults) else { continue };
        if is_plain(name.as_str()) || name.as_str() == "redact" {
            let what = format!("`{name}` has a meaning already and cannot be a view's name");
            faults.error(&entry.key_place, what, "choose another name");
        } else if let Some(earlier) = entries.iter().find(|e| e.key == entry.key) {
            words::twice("view", entry, &earlier.key_place, faults);
        } else {
            // A faulty view is kept, so that its users are no second fault.
            let spec = form(&entry.node, faults).unwrap_or(ViewSpec::Plain(View::Drop));
            into.push((name, spec));
            entries.push(entry.clone());
        }
    }
}

fn is_plain(word: &str) -> bool {
    PLAIN.iter().any(|(plain, _)| *plain == word)
}

/// The view a rule names, or describes in place.
pub(super) fn used(
    node: &Node,
    named: &[(ViewName, ViewSpec)],
    faults: &mut Faults,
) -> Option<ViewSpec> {
    if node.as_text() == Some("redact") {
        not_in_this_version(&node.place, "redact", faults);
        return None;
    }
    if node.as_text().is_none() {
        return form(node, faults);
    }
    let plain = PLAIN.iter().map(|(word, _)| *word);
    let known: Vec<&str> = plain.chain(named.iter().map(|(name, _)| name.as_str())).collect();
    let find = |text: &str| {
        let plain = PLAIN.iter().find(|(word, _)| *word == text);
        plain.map(|(_, view)| ViewSpec::Plain(*view)).or_else(|| {
            let named = named.iter().find(|(name, _)| name.as_str() == text);
            named.map(|(_, spec)| spec.clone())
        })
    };
    node.word("view", find, &known, faults)
}

/// Reads `{ mask: … }`, `{ generalize: … }` or `{ pseudonymize: … }`.
fn form(node: &Node, faults: &mut Faults) -> Option<ViewSpec> {
    let mut map = MapReader::new(node, "a view", faults)?;
    let mask = map.optional("mask");
    let generalize = map.optional("generalize");
    let pseudonymize = map.optional("pseudonymize");
    map.later("redact", faults);
    map.finish(faults);
    match (mask, generalize, pseudonymize) {
        (Some(node), None, None) => self::mask(node, faults),
        (None, Some(node), None) => self::generalize(node, faults),
        (None, None, Some(node)) => pseudonyms::pseudonymize(node, faults).map(ViewSpec::Plain),
        _ => {
            let help = "write one of `mask`, `generalize` and `pseudonymize`";
            faults.error(&node.place.first_line(), "a view is one form", help);
            None
        }
    }
}

fn mask(node: &Node, faults: &mut Faults) -> Option<ViewSpec> {
    let mut map = MapReader::new(node, "a mask", faults)?;
    let mut kept = |key| {
        let number = map.optional(key).map(|node| node.whole(0..=MAX_KEPT, faults));
        number.map_or(Some(0), |read| read.and_then(|n| u8::try_from(n).ok()))
    };
    let (keep_first, keep_last) = (kept("keep_first"), kept("keep_last"));
    let keep_domain = map.optional("keep_domain").map_or(Some(false), |node| node.bool(faults));
    map.finish(faults);
    let mask = Mask { keep_first: keep_first?, keep_last: keep_last?, keep_domain: keep_domain? };
    Some(ViewSpec::Plain(View::Mask(mask)))
}

fn generalize(node: &Node, faults: &mut Faults) -> Option<ViewSpec> {
    let mut map = MapReader::new(node, "`generalize`", faults)?;
    let (date, number, address) =
        (map.optional("date"), map.optional("number"), map.optional("address"));
    map.finish(faults);
    match (date, number, address) {
        (Some(node), None, None) => {
            let parse = |text: &str| match text {
                "year" => Some(DatePart::Year),
                "month" => Some(DatePart::Month),
                _ => None,
            };
            let part = node.word("part of a date", parse, &["year", "month"], faults)?;
            Some(ViewSpec::Plain(View::Generalize(Generalize::Date(part))))
        }
        (None, Some(node), None) => {
            let step = node.whole(1..=MAX_STEP, faults)?;
            Some(ViewSpec::Plain(View::Generalize(Generalize::Number { step })))
        }
        (None, None, Some(node)) => Some(ViewSpec::Part { child: node.text(faults)?.into() }),
        _ => {
            let help = "write `{ date: year }`, `{ number: 1000 }` or `{ address: city }`";
            faults.error(&node.place.first_line(), "`generalize` is one of three", help);
            None
        }
    }
}

/// More characters than this hide nothing.
const MAX_KEPT: u64 = 64;

/// The largest step that a number is still a number with: 2^53.
const MAX_STEP: u64 = 1 << 53;

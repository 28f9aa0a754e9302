//! Limits as written.

use crate::policy::View;
use crate::policy::transfer::RecipientKind;
use crate::types::Faults;
use crate::types::Flags;
use crate::types::Level;
use crate::types::Region;
use crate::types::RuleId;
use crate::types::SubjectStatus;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::Limit;
use super::Model;
use super::Then;
use super::Unless;
use super::ViewSpec;
use super::When;
use super::Whom;
use super::ids;
use super::views;
use super::words::listed;
use super::words::positions;

/// Reads the `limits:` list.
pub(super) fn limits(node: &Node, model: &mut Model, faults: &mut Faults) {
    for item in node.list(faults).unwrap_or_default() {
        if let Some(limit) = limit(item, model, faults) {
            model.limits.push(limit);
        }
    }
}

fn limit(node: &Node, model: &Model, faults: &mut Faults) -> Option<Limit> {
    let mut map = MapReader::new(node, "a limit", faults)?;
    let id = map.required("id", faults).and_then(|node| node.id(RuleId::parse, faults));
    let roles = map.optional("roles").map(|node| roles(node, model, faults));
    let purposes = map.optional("purposes").map(|node| purposes(node, model, faults));
    let condition = map.required("if", faults).and_then(|node| when(node, model, faults));
    // A faulty `unless` does not widen: its fault keeps the policy from being used.
    let unless = map.optional("unless").and_then(|node| unless(node, model, faults));
    let word = map.required("then", faults);
    if let Some(node) = map.optional("say") {
        node.localized(faults);
    }
    let place = map.place().first_line();
    map.finish(faults);
    let (when, bulk) = condition?;
    let then = word.and_then(|node| then(node, bulk.as_ref(), model, faults));
    if let (Some(bulk), true) = (&bulk, depends_on_record(&when, unless.as_ref())) {
        let what = "`subjects_shown_over` counts over many records, and the rest speaks of one";
        faults.error(&bulk.node.place, what, "use two limits");
    }
    Some(Limit {
        id: id?,
        roles: roles.unwrap_or_default(),
        purposes: purposes.unwrap_or_default(),
        when,
        unless,
        then: then?,
        place,
    })
}

fn roles(node: &Node, model: &Model, faults: &mut Faults) -> Vec<usize> {
    positions(node, "role", &ids(&model.roles, |role| role.id.as_str()), faults)
}

fn purposes(node: &Node, model: &Model, faults: &mut Faults) -> Vec<usize> {
    positions(node, "purpose", &ids(&model.purposes, |p| p.id.as_str()), faults)
}

fn depends_on_record(when: &When, unless: Option<&Unless>) -> bool {
    let named = |status: &[SubjectStatus], opted_out: bool, regions: &[Region]| {
        !status.is_empty() || opted_out || !regions.is_empty()
    };
    named(&when.status, when.opted_out, &when.record_region)
        || unless.is_some_and(|u| u.transfer || named(&u.status, u.opted_out, &u.record_region))
}

/// `subjects_shown_over` with `within`.
struct Bulk<'a> {
    node: &'a Node,
    over: u32,
    within_s: u32,
}

fn when<'a>(
    node: &'a Node,
    model: &Model,
    faults: &mut Faults,
) -> Option<(When, Option<Bulk<'a>>)> {
    let mut map = MapReader::new(node, "`if`", faults)?;
    let facts = facts(&mut map, model, faults);
    let flags = map.optional("flags").map_or(Flags::NONE, |node| {
        let known = Flags::NAMED.map(|(_, word)| word);
        let texts = listed(node, faults);
        let flags = texts.iter().filter_map(|(n, _)| n.word("flag", Flags::parse, &known, faults));
        flags.fold(Flags::NONE, Flags::with)
    });
    let levels = map.optional("levels").map_or_else(Vec::new, |node| {
        let known = Level::ALL.map(Level::as_str);
        let texts = listed(node, faults);
        let levels = texts.iter();
        levels.filter_map(|(n, _)| n.word("level", Level::parse, &known, faults)).collect()
    });
    let over = map.optional("subjects_shown_over");
    let within = map.optional("within");
    let place = map.place().first_line();
    map.finish(faults);
    let bulk = match (over, within) {
        (None, None) => None,
        (Some(node), Some(within)) => {
            let over = node.whole(0..=MAX_COUNT, faults);
            let within = within.seconds(faults);
            let over = over.and_then(|n| u32::try_from(n).ok());
            let within_s = within.and_then(|n| u32::try_from(n).ok());
            Some(Bulk { node, over: over.unwrap_or(0), within_s: within_s.unwrap_or(u32::MAX) })
        }
        _ => {
            let help = "write `{ subjects_shown_over: 200, within: 10 minutes }`";
            faults.error(&place, "`subjects_shown_over` and `within` go together", help);
            None
        }
    };
    let Facts { status, opted_out, record_region, caller_region, caller_region_not, whom } = facts;
    let when = When {
        status,
        opted_out,
        record_region,
        caller_region,
        caller_region_not,
        whom,
        flags,
        levels,
    };
    Some((when, bulk))
}

fn unless(node: &Node, model: &Model, faults: &mut Faults) -> Option<Unless> {
    let mut map = MapReader::new(node, "`unless`", faults)?;
    let roles = map.optional("roles").map(|node| roles(node, model, faults));
    let purposes = map.optional("purposes").map(|node| purposes(node, model, faults));
    let Facts { status, opted_out, record_region, caller_region, caller_region_not, whom } =
        facts(&mut map, model, faults);
    let transfer = map.optional("transfer").and_then(|node| only_true(node, "transfer", faults));
    map.finish(faults);
    if node.map(faults)?.is_empty() {
        let what = "an empty `unless` would always hold";
        faults.error(&node.place, what, "leave it out");
    }
    Some(Unless {
        purposes: purposes.unwrap_or_default(),
        roles: roles.unwrap_or_default(),
        status,
        opted_out,
        record_region,
        caller_region,
        caller_region_not,
        whom,
        transfer: transfer.unwrap_or_default(),
    })
}

/// What `if` and `unless` have in common.
struct Facts {
    status: Vec<SubjectStatus>,
    opted_out: bool,
    record_region: Vec<Region>,
    caller_region: Vec<Region>,
    caller_region_not: Vec<Region>,
    whom: Whom,
}

fn facts(map: &mut MapReader<'_>, model: &Model, faults: &mut Faults) -> Facts {
    let status = map.optional("subject_status").map_or_else(Vec::new, |node| {
        let known = SubjectStatus::ALL.map(SubjectStatus::as_str);
        let texts = listed(node, faults);
        let words = texts.iter();
        words.filter_map(|(n, _)| n.word("status", SubjectStatus::parse, &known, faults)).collect()
    });
    let opted_out = map.optional("opted_out").and_then(|node| only_true(node, "opted_out", faults));
    let mut regions = |key| {
        let node = map.optional(key);
        node.map(|node| model.groups.list(node, faults)).unwrap_or_default()
    };
    Facts {
        status,
        opted_out: opted_out.unwrap_or_default(),
        record_region: regions("record_region"),
        caller_region: regions("caller_region"),
        caller_region_not: regions("caller_region_not"),
        whom: whom(map, model, faults),
    }
}

/// A condition that is either there or not.
fn only_true(node: &Node, word: &str, faults: &mut Faults) -> Option<bool> {
    let holds = node.bool(faults)?;
    if !holds {
        faults.error(&node.place, format!("`{word}` can only be `true`"), "leave it out");
    }
    Some(holds)
}

/// Conditions on the recipient.
fn whom(map: &mut MapReader<'_>, model: &Model, faults: &mut Faults) -> Whom {
    let known = ids(&model.recipients, |recipient| recipient.id.as_str());
    let mut named = |key| {
        let node = map.optional(key);
        node.map(|node| positions(node, "recipient", &known, faults)).unwrap_or_default()
    };
    let (is, is_not) = (named("recipient"), named("recipient_not"));
    let kinds = map.optional("recipient_kind").map_or_else(Vec::new, |node| {
        let known = RecipientKind::ALL.map(RecipientKind::as_str);
        let texts = listed(node, faults);
        let words = texts.iter();
        let kind =
            |node: &Node| node.word("kind of recipient", RecipientKind::parse, &known, faults);
        words.map(|(node, _)| *node).filter_map(kind).collect()
    });
    Whom { is, is_not, kinds }
}

fn then(node: &Node, bulk: Option<&Bulk<'_>>, model: &Model, faults: &mut Faults) -> Option<Then> {
    let word = node.as_text();
    if let Some(Bulk { over, within_s, .. }) = bulk {
        let known = ["alert", "deny"];
        let deny = |text: &str| (known.contains(&text)).then(|| text == "deny");
        let deny = node.word("outcome of a count", deny, &known, faults)?;
        return Some(Then::Bulk { over: *over, within_s: *within_s, deny });
    }
    match word {
        Some("leave_out") => return Some(Then::LeaveOut),
        Some("deny") => return Some(Then::Deny),
        Some("alert") => {
            let help = "give `if` a `subjects_shown_over` and a `within`";
            faults.error(&node.place, "`alert` needs something to count", help);
            return None;
        }
        _ => {}
    }
    match views::used(node, &model.views, faults)? {
        ViewSpec::Plain(View::Show) => {
            faults.error(
                &node.place,
                "`show` cuts nothing down",
                "use `drop`, `leave_out` or a view",
            );
            None
        }
        ViewSpec::Plain(view) => Some(Then::View(view)),
        ViewSpec::Part { .. } => {
            let what = "a limit cannot keep a part of a container";
            faults.error(&node.place, what, "use `drop`, a mask or another view");
            None
        }
    }
}

/// More people than this are no longer counted one by one.
const MAX_COUNT: u64 = 10_000_000;

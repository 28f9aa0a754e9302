//! What callers of a grant must bring, as written.

use crate::policy::ClearanceKind;
use crate::policy::Clearing;
use crate::types::Faults;
use crate::types::RoleId;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::Model;
use super::Needs;
use super::ids;

/// Reads the `needs:` of a grant.
pub(super) fn needs(node: &Node, model: &Model, faults: &mut Faults) -> Option<Needs> {
    let mut map = MapReader::new(node, "`needs`", faults)?;
    let mfa_within_s = map.optional("mfa_within").and_then(|node| node.seconds(faults));
    let ticket = map.optional("ticket").and_then(|node| {
        let needed = node.bool(faults)?;
        if !needed {
            faults.error(&node.place, "`ticket` can only be `true`", "leave it out");
        }
        Some(needed)
    });
    let approval = map.entry("approval");
    let glass = map.entry("break_glass");
    if let (Some(_), Some(glass)) = (approval, glass) {
        let what = "a grant needs an approval or a broken glass, not both";
        faults.error(&glass.key_place, what, "write two grants, one with each");
    }
    let approval = approval.and_then(|entry| approved(entry, model, faults));
    let glass = glass.and_then(|entry| broken(entry, model, faults));
    map.later("open_request", faults);
    map.finish(faults);
    let clearing = approval.or(glass);
    Some(Needs { mfa_within_s, ticket: ticket.unwrap_or_default(), clearing })
}

/// Reads `{ by: dpo, for: 1 hour }`.
fn approved(entry: &Entry, model: &Model, faults: &mut Faults) -> Option<Clearing> {
    let mut map = MapReader::new(&entry.node, "`approval`", faults)?;
    let by = map.required("by", faults).and_then(|node| role(node, model, faults));
    let for_s = map.required("for", faults).and_then(|node| length(node, LONGEST_S, faults));
    map.finish(faults);
    let kind = ClearanceKind::Approval;
    Some(Clearing { kind, role: by?, for_s: for_s?, review_within_s: 0 })
}

/// Reads `{ for: 30 minutes, review_by: dpo, review_within: 3 days }`.
fn broken(entry: &Entry, model: &Model, faults: &mut Faults) -> Option<Clearing> {
    let mut map = MapReader::new(&entry.node, "`break_glass`", faults)?;
    let for_s = map.required("for", faults).and_then(|node| length(node, LONGEST_S, faults));
    let by = map.required("review_by", faults).and_then(|node| role(node, model, faults));
    let within = map.required("review_within", faults);
    let within = within.and_then(|node| length(node, LATEST_REVIEW_S, faults));
    map.finish(faults);
    let kind = ClearanceKind::BreakGlass;
    Some(Clearing { kind, role: by?, for_s: for_s?, review_within_s: within? })
}

/// The role of those who approve or review: one that a claim gives. Everybody is a subject.
fn role(node: &Node, model: &Model, faults: &mut Faults) -> Option<RoleId> {
    let known = ids(&model.roles, |role| role.id.as_str());
    let find = |text: &str| model.roles.iter().find(|role| role.id.as_str() == text);
    let role = node.word("role", find, &known, faults)?;
    if matches!(role.holds, super::Holds::Subject { .. }) {
        let what = format!("`{}` is whoever a record is about, and approves nothing", role.id);
        faults.error(&node.place, what, "name a role that a claim gives");
        return None;
    }
    Some(role.id.clone())
}

fn length(node: &Node, most_s: u64, faults: &mut Faults) -> Option<u64> {
    let seconds = node.seconds(faults)?;
    if seconds > most_s {
        let what = format!("this is longer than {} days", most_s / DAY_S);
        faults.error(&node.place, what, "what lasts longer is a grant with `valid`");
        return None;
    }
    Some(seconds)
}

const DAY_S: u64 = 24 * 3600;
/// What is cleared for longer is a grant.
const LONGEST_S: u64 = 7 * DAY_S;
/// What nobody looks at for longer is forgotten.
const LATEST_REVIEW_S: u64 = 30 * DAY_S;

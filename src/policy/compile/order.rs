//! Which grant wins where two views cannot be compared.

use std::collections::BTreeSet;

use crate::policy::source::Grant;
use crate::policy::source::Model;
use crate::types::Faults;
use crate::types::RuleId;
use crate::types::doc::closest;

use super::expand::Expanded;

/// The grants' positions, each after those it overrides. `None` when they override in a circle.
pub(super) fn order(model: &Model, faults: &mut Faults) -> Option<Vec<usize>> {
    known(model, faults);
    let mut left: Vec<usize> = (0..model.grants.len()).collect();
    let mut placed: Vec<usize> = Vec::new();
    while !left.is_empty() {
        let free = left.iter().position(|at| {
            let Some(grant) = model.grants.get(*at) else { return true };
            !left.iter().any(|other| {
                other != at
                    && model.grants.get(*other).is_some_and(|other| overrides(grant, &other.id))
            })
        });
        let Some(free) = free else {
            circle(model, &left, faults);
            return None;
        };
        placed.push(left.remove(free));
    }
    Some(placed)
}

fn overrides(grant: &Grant, id: &RuleId) -> bool {
    grant.overrides.iter().any(|(overridden, _)| overridden == id)
}

fn known(model: &Model, faults: &mut Faults) {
    for grant in &model.grants {
        for (id, place) in &grant.overrides {
            if *id == grant.id {
                faults.error(place, format!("`{id}` cannot override itself"), "");
            } else if !model.grants.iter().any(|other| other.id == *id) {
                let ids = model.grants.iter().map(|other| other.id.as_str());
                let near = closest(id.as_str(), ids);
                let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
                faults.error(place, format!("unknown grant `{id}`"), help);
            }
        }
    }
}

fn circle(model: &Model, left: &[usize], faults: &mut Faults) {
    if let Some(grant) = left.first().and_then(|at| model.grants.get(*at)) {
        let what = format!("`{}` overrides a grant that overrides it", grant.id);
        faults.error(&grant.place, what, "one of them must yield");
    }
}

/// Reports grants that can meet in one cell with views that cannot be compared.
///
/// Roles do not matter: one caller may hold those of both.
pub(super) fn comparable(model: &Model, expanded: &Expanded, faults: &mut Faults) {
    let mut told = BTreeSet::new();
    for (later_at, later) in model.grants.iter().enumerate() {
        for (earlier_at, earlier) in model.grants.iter().enumerate().take(later_at) {
            if !meet(earlier, later)
                || overrides(earlier, &later.id)
                || overrides(later, &earlier.id)
            {
                continue;
            }
            for set in later.sets.iter().filter(|set| earlier.sets.contains(set)) {
                let (Some(a), Some(b), Some(data)) = (
                    expanded.views(earlier_at, *set),
                    expanded.views(later_at, *set),
                    model.sets.get(*set),
                ) else {
                    continue;
                };
                let clash = a.iter().zip(b).zip(&data.fields);
                let mut clash = clash.filter(|((a, b), _)| !a.is_comparable(**b));
                if let Some(((a, b), field)) = clash.next()
                    && told.insert((earlier_at, later_at))
                {
                    let what = format!(
                        "`{}` shows `{}` of `{}` as {b}, `{}` as {a}: neither contains the other",
                        later.id, field.path, data.id, earlier.id
                    );
                    let help = format!("add `overrides: {}` to the grant that counts", earlier.id);
                    faults.error(&later.place, what, help);
                }
            }
        }
    }
}

fn meet(a: &Grant, b: &Grant) -> bool {
    let shared = |a: &[usize], b: &[usize]| a.iter().any(|x| b.contains(x));
    shared(&a.purposes, &b.purposes)
        && shared(&a.sets, &b.sets)
        && a.actions.iter().any(|action| b.actions.contains(action))
}

//! Rules without effect, found by looking at whole policies.

use std::collections::BTreeSet;

use crate::policy::PolicySet;
use crate::policy::View;
use crate::policy::source::Grant;
use crate::policy::source::Limit;
use crate::types::Faults;

use super::Cut;
use super::Effect;
use super::Fact;
use super::Kind;
use super::Roles;
use super::Row;
use super::Way;
use super::rows;

/// Reports grants that give nothing, or nothing of their own, and limits that change nothing.
pub(in crate::policy) fn lint(policy: &PolicySet, faults: &mut Faults) {
    let model = policy.model();
    let rows = rows(policy);
    for grant in &model.grants {
        idle_grant(policy, grant, &rows, faults);
    }
    for limit in &model.limits {
        idle_limit(limit, &rows, faults);
    }
}

/// A grant that gives nothing, nothing more than another one, or only what a limit takes away.
fn idle_grant(policy: &PolicySet, grant: &Grant, rows: &[Row], faults: &mut Faults) {
    let mut given = 0;
    let (mut coverers, mut removers) = (None, None);
    for row in rows {
        // A grant covers whole cells too; what can be selected by follows from what is shown.
        let Some(at) = row.ways.iter().position(|way| way.grant == grant.id) else { continue };
        let Some(way) = row.ways.get(at).filter(|way| gives(row, way)) else { continue };
        given += 1;
        let order = |way: &Way| policy.model().grants.iter().position(|it| it.id == way.grant);
        let covering: BTreeSet<_> = row
            .ways
            .iter()
            .filter(|other| other.grant != grant.id && covers(row, other, way))
            // Of two that are the same the later one is told.
            .filter(|other| !covers(row, way, other) || order(other) < order(way))
            .map(|other| other.grant.clone())
            .collect();
        meet(&mut coverers, covering);
        let removing: BTreeSet<_> = row
            .cuts
            .iter()
            .filter(|cut| removes(row, cut, way))
            .map(|it| it.limit.clone())
            .collect();
        meet(&mut removers, removing);
    }
    let first = |of: &Option<BTreeSet<crate::types::RuleId>>| of.as_ref()?.first().cloned();
    if given == 0 && grant.sets.is_empty() {
        return;
    }
    if given == 0 {
        let what = format!("grant `{}` gives nothing", grant.id);
        faults.warning(&grant.place, what, "name a field of its data sets, or remove it");
    } else if let Some(limit) = first(&removers) {
        let what = format!("limit `{limit}` takes away all that grant `{}` gives", grant.id);
        faults.warning(&grant.place, what, "remove the grant, or narrow the limit");
    } else if let Some(other) = first(&coverers) {
        let what = format!("grant `{}` gives nothing that `{other}` does not give", grant.id);
        faults.warning(&grant.place, what, "remove it, or let it show something else");
    }
}

/// Keeps of `known` what `more` has too.
fn meet<T: Ord>(known: &mut Option<BTreeSet<T>>, more: BTreeSet<T>) {
    *known = Some(match known.take() {
        None => more,
        Some(known) => known.into_iter().filter(|one| more.contains(one)).collect(),
    });
}

fn gives(row: &Row, way: &Way) -> bool {
    match row.key.kind {
        Kind::Shown => way.view.reveals(),
        Kind::Done | Kind::Set => way.lets,
        Kind::Selects => way.lets || way.view.is_raw(),
    }
}

/// Whether whoever has `way` has `other` too, and gets as much by it.
fn covers(row: &Row, other: &Way, way: &Way) -> bool {
    let (Some(theirs), Some(own)) = (&other.roles, &way.roles) else { return false };
    let all = own.claimed.iter().all(|role| theirs.claimed.contains(role))
        && own.subject.is_within(theirs.subject);
    let as_much = match row.key.kind {
        Kind::Shown => other.view == way.view || other.view.class() < way.view.class(),
        Kind::Done | Kind::Set => other.lets,
        Kind::Selects => (other.lets || !way.lets) && (other.view.is_raw() || !way.view.is_raw()),
    };
    all && as_much && other.facts.iter().all(|fact| way.facts.contains(fact))
}

/// Whether a limit always falls on who has `way`, and leaves nothing of it.
fn removes(row: &Row, cut: &Cut, way: &Way) -> bool {
    let Some(own) = &way.roles else { return false };
    let held = |fact: &Fact| match fact {
        Fact::Role(Roles { claimed, subject }) => {
            own.claimed.iter().all(|role| claimed.contains(role)) && own.subject.is_within(*subject)
        }
        _ => false,
    };
    let leaves_nothing = match cut.effect {
        Effect::Deny | Effect::LeaveOut => true,
        Effect::Floor(floor) => row.key.kind != Kind::Selects && floor == View::Drop,
        Effect::Count { .. } => false,
    };
    leaves_nothing && cut.unless.is_none() && cut.when.iter().all(held)
}

/// A limit that no grant meets, or that changes nothing of what grants give.
fn idle_limit(limit: &Limit, rows: &[Row], faults: &mut Faults) {
    let mut met = false;
    for row in rows {
        for cut in row.cuts.iter().filter(|cut| cut.limit == limit.id) {
            let mut given = row.ways.iter().filter(|way| gives(row, way));
            met |= match (cut.effect, row.key.kind) {
                (Effect::Floor(floor), Kind::Shown) => {
                    given.any(|way| way.view.narrower(floor) != way.view)
                }
                (Effect::Floor(floor), Kind::Set) => floor == View::Drop && given.next().is_some(),
                (Effect::Floor(_), Kind::Done) => false,
                (Effect::Floor(_), Kind::Selects) => given.any(|way| way.view.is_raw()),
                (Effect::Count { .. }, kind) => {
                    kind == Kind::Shown
                        && row.is_personal
                        && given.any(|way| way.view == View::Show)
                }
                (Effect::Deny | Effect::LeaveOut, _) => given.next().is_some(),
            };
        }
    }
    if !met {
        let what = format!("limit `{}` can never fall: it meets nothing that is granted", limit.id);
        let help = "look at its `purposes`, `levels` and `flags`, or remove it";
        faults.warning(&limit.place, what, help);
    }
}

//! What only shows when all rules are seen together.

use std::fmt::Display;

use crate::catalog::Field;
use crate::catalog::Method;
use crate::catalog::category::is_within;
use crate::policy::Pseudonym;
use crate::policy::View;
use crate::policy::source::Gives;
use crate::policy::source::Grant;
use crate::policy::source::Holds;
use crate::policy::source::Model;
use crate::policy::source::Shown;
use crate::policy::source::ViewSpec;
use crate::types::Action;
use crate::types::Faults;
use crate::types::Place;
use crate::types::Timestamp;

use super::expand::Expanded;

/// Reports what is suspicious, and what there is no room for.
pub(super) fn check(model: &Model, expanded: &Expanded, today: Timestamp, faults: &mut Faults) {
    if let Some(role) = model.roles.get(MAX_ROLES) {
        let what = format!("more than {MAX_ROLES} roles");
        faults.error(&role.place, what, "join roles that are granted the same");
    }
    unused(model, faults);
    unshown(model, expanded, faults);
    for grant in &model.grants {
        lapsed(grant, today, faults);
        unrouted(model, grant, faults);
        fixed(model, grant, faults);
        sealed(model, grant, faults);
    }
    regionless(model, faults);
    super::recipients::check(model, today, faults);
    let served = super::recipients::named(model);
    super::separate::check(model, expanded, |region| served.contains(&region), faults);
    ownerless(model, expanded, faults);
}

/// Purposes and roles that no grant names, and opt-outs that no limit heeds.
fn unused(model: &Model, faults: &mut Faults) {
    for (at, purpose) in model.purposes.iter().enumerate() {
        if !model.grants.iter().any(|grant| grant.purposes.contains(&at)) {
            let what = format!("no grant is for purpose `{}`", purpose.id);
            faults.warning(&purpose.place, what, "nothing can be read for it");
        }
        let heeded = model.limits.iter().any(|limit| {
            limit.when.opted_out && (limit.purposes.is_empty() || limit.purposes.contains(&at))
        });
        if purpose.opt_out.is_some() && !heeded {
            let what = format!("no limit heeds the opt-out of `{}`", purpose.id);
            let help = "add a limit with `if: { opted_out: true }`";
            faults.warning(&purpose.place, what, help);
        }
    }
    for (at, role) in model.roles.iter().enumerate() {
        if !model.grants.iter().any(|grant| grant.roles.contains(&at)) {
            let what = format!("no grant is for role `{}`", role.id);
            faults.warning(&role.place, what, "nobody sees anything by holding it");
        }
    }
    let subject_roles = model.roles.iter().any(|role| matches!(role.holds, Holds::Subject { .. }));
    if subject_roles && model.sets.iter().all(|set| set.subjects.is_empty()) {
        let role = model.roles.iter().find(|role| matches!(role.holds, Holds::Subject { .. }));
        if let (Some(role), false) = (role, model.sets.is_empty()) {
            let what = format!("`{}` is the subject, and no data set has one", role.id);
            faults.warning(&role.place, what, "");
        }
    }
}

/// Fields that no grant shows in any form.
fn unshown(model: &Model, expanded: &Expanded, faults: &mut Faults) {
    for (at, set) in model.sets.iter().enumerate() {
        for (ix, field) in set.indexed() {
            let shown = (0..model.grants.len()).any(|grant| {
                let views = expanded.views(grant, at);
                views.and_then(|v| v.get(ix.index())).is_some_and(|view| view.reveals())
            });
            if !shown {
                let what = format!("no grant shows `{}` of `{}`", field.path, set.id);
                faults.warning(&field.place, what, "");
            }
        }
    }
}

fn lapsed(grant: &Grant, today: Timestamp, faults: &mut Faults) {
    let Some(until) = grant.valid.until else { return };
    if until <= today {
        faults.warning(&grant.place, format!("grant `{}` has lapsed", grant.id), "remove it");
    } else if until.ms_since(today) <= SOON_MS {
        let what = format!("grant `{}` lapses within 30 days, at {until}", grant.id);
        faults.warning(&grant.place, what, "whoever still needs it then needs a later `until`");
    }
}

/// Writes that are granted, but reach no data set of the grant.
fn unrouted(model: &Model, grant: &Grant, faults: &mut Faults) {
    let routes =
        || grant.sets.iter().filter_map(|at| model.sets.get(*at)).flat_map(|it| &it.routes);
    for action in grant.actions.iter().filter(|action| !action.shows()) {
        if routes().next().is_some() && routes().all(|route| route.method.action() != *action) {
            let what =
                format!("`{}` may {action}, but no data set of it has a route for that", grant.id);
            let methods = Method::ALL.into_iter().filter(|method| method.action() == *action);
            let methods: Vec<&str> = methods.map(Method::as_str).collect();
            let help = format!("add a {} route, or leave it out", methods.join(" or "));
            faults.warning(&grant.place, what, help);
        }
    }
}

/// Fields that a grant is to set in records that are there, where nothing may.
fn fixed(model: &Model, grant: &Grant, faults: &mut Faults) {
    if grant.actions.contains(&Action::Create) {
        return;
    }
    let sets = || grant.sets.iter().filter_map(|at| model.sets.get(*at));
    for (path, place) in &grant.writes {
        let mut named = sets().filter_map(|set| Some((set, set.find(path)?))).peekable();
        if named.peek().is_some() && named.all(|(set, field)| set.is_subject(field)) {
            let what = format!("`{path}` says whom a record is about, and never changes");
            faults.warning(place, what, "leave it out of `writes`");
        }
    }
}

/// Ciphertext of fields that are not sealed, which shows nothing. By category or level it may meet
/// some that are and some that are not; a field is named because it is meant.
fn sealed(model: &Model, grant: &Grant, faults: &mut Faults) {
    let fields = || {
        let sets = grant.sets.iter().filter_map(|at| model.sets.get(*at));
        sets.flat_map(|set| &set.fields)
    };
    let sealed = |field: &&Field| field.at_rest.is_some();
    let mut warn = |place: &Place, what: &dyn Display| {
        let what =
            format!("`ciphertext` of {what} in `{}` shows nothing: it is not sealed", grant.id);
        faults.warning(place, what, "write `drop`, or `at_rest: encrypt` on the field");
    };
    match &grant.gives {
        Gives::Fields(lines) => {
            for line in lines.iter().filter(|line| is_ciphertext(line)) {
                let mut covered = fields().filter(|field| field.path.is_within(&line.what));
                if covered.any(|field| !sealed(&field)) {
                    warn(&line.place, &format_args!("`{}`", line.what));
                }
            }
        }
        Gives::Categories(lines) => {
            for line in lines.iter().filter(|line| is_ciphertext(line)) {
                let mut covered = fields().filter(|field| is_within(&field.category, &line.what));
                if !covered.any(|field| sealed(&field)) {
                    warn(&line.place, &format_args!("`{}`", line.what));
                }
            }
        }
        Gives::Levels(lines) => {
            for line in lines.iter().filter(|line| is_ciphertext(line)) {
                if !fields().filter(|field| field.level == line.what).any(|field| sealed(&field)) {
                    warn(&line.place, &format_args!("level `{}`", line.what));
                }
            }
        }
    }
}

fn is_ciphertext<T>(line: &Shown<T>) -> bool {
    line.spec == ViewSpec::Plain(View::Ciphertext)
}

/// Limits on the region of records meet data sets that name none: an unknown region holds.
fn regionless(model: &Model, faults: &mut Faults) {
    for limit in model.limits.iter().filter(|limit| !limit.when.record_region.is_empty()) {
        for set in model.sets.iter().filter(|set| set.region.is_none()) {
            if super::expand::spoken_of(&limit.when, set).next().is_some() {
                let what = format!(
                    "`{}` takes every record of `{}`: its region is unknown",
                    limit.id, set.id
                );
                faults.warning(&set.place, what, "add `region: FIELD` to the data set");
            }
        }
    }
}

/// Dates are moved by as many days as their person says, and what reversible tokens stand for is
/// sealed under their person's key: of several or none there is no such number or key.
fn ownerless(model: &Model, expanded: &Expanded, faults: &mut Faults) {
    let needs_one = |view: &View| {
        let View::Pseudonymize(pseudonym) = view else { return false };
        matches!(pseudonym, Pseudonym::Date { .. } | Pseudonym::Token { reversible: true })
    };
    for (at, grant) in model.grants.iter().enumerate() {
        for (set_at, set) in grant.sets.iter().filter_map(|at| Some((*at, model.sets.get(*at)?))) {
            let views = expanded.views(at, set_at).unwrap_or_default();
            let mut fields = set.indexed().zip(views).filter(|(_, view)| needs_one(view));
            if let Some(((_, field), view)) = fields.find(|((ix, _), _)| set.owner(*ix).is_none()) {
                let what = format!(
                    "`{}` shows `{}` of `{}` as `{view}`, and nothing says which one person it \
                     is about",
                    grant.id, field.path, set.id
                );
                let help = "list the field under one of the data set's subjects";
                faults.error(&grant.place, what, help);
            }
        }
    }
}

/// What lapses this soon is told before.
const SOON_MS: u64 = 30 * 24 * 3_600_000;
/// Roles are bits of a `u128`.
const MAX_ROLES: usize = 128;

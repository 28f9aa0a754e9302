//! Data sets in which the policy is only observed: what may not be, and what must be known of it.

use crate::catalog::DataSet;
use crate::catalog::Observe;
use crate::policy::source::Model;
use crate::types::Faults;
use crate::types::Timestamp;

/// Reports data sets that are only observed: always, because nobody may take them for protected.
pub(super) fn check(model: &Model, today: Timestamp, faults: &mut Faults) {
    for set in &model.sets {
        let Some(observe) = &set.observe else { continue };
        too_long(set, observe, today, faults);
        sealed(set, observe, faults);
        told(set, observe, today, faults);
        in_force(model, set, observe, faults);
    }
}

/// A date nobody will remember.
fn too_long(set: &DataSet, observe: &Observe, today: Timestamp, faults: &mut Faults) {
    if observe.until.ms_since(today) > Observe::LONGEST_MS {
        let what = format!("`{}` would be only observed for more than a year", set.id);
        faults.error(&observe.place, what, "write a date within a year");
    }
}

/// What is sealed would be handed out sealed, and what comes in would be stored in clear.
fn sealed(set: &DataSet, observe: &Observe, faults: &mut Faults) {
    let sealed: Vec<String> = set
        .fields
        .iter()
        .filter(|field| field.at_rest.is_some())
        .map(|field| format!("`{}`", field.path))
        .collect();
    if !sealed.is_empty() {
        let what = format!(
            "`{}` cannot be only observed while {} is sealed: values would pass as they are, \
             and be stored in clear",
            set.id,
            sealed.join(", ")
        );
        let help = "leave `at_rest` out until the policy is in force, or write `mode: enforce`";
        faults.error(&observe.place, what, help);
    }
}

fn told(set: &DataSet, observe: &Observe, today: Timestamp, faults: &mut Faults) {
    let until = date(observe.until);
    if observe.until <= today {
        let what = format!("the policy is in force in `{}` since {until}", set.id);
        faults.warning(&observe.place, what, "write `mode: enforce`");
    } else {
        let days = observe.until.ms_since(today).div_ceil(DAY_MS);
        let days = if days == 1 { "1 more day".to_owned() } else { format!("{days} more days") };
        let what = format!(
            "`{}` is only observed for {days}, until {until}: callers get what the store answers, \
             whatever the policy says",
            set.id
        );
        let help = "read `privet policy observe`, then write `mode: enforce`";
        faults.warning(&observe.place, what, help);
    }
}

/// Routes on which the policy is in force all the same.
fn in_force(model: &Model, set: &DataSet, observe: &Observe, faults: &mut Faults) {
    let routes = model.sets.iter().flat_map(|other| other.routes.iter().map(move |it| (other, it)));
    for (owner, route) in routes {
        let beside = route.beside.iter().any(|beside| beside.set == set.id);
        let own = owner.id == set.id && (!route.beside.is_empty() || route.opaque.is_some());
        if own || beside {
            let kind = if route.opaque.is_some() { "files" } else { "several data sets at once" };
            let what = format!(
                "the policy is in force on `{} {}` all the same: it answers with {kind}",
                route.method, route.template
            );
            faults.warning(&observe.place, what, "");
        }
    }
}

/// The day of a moment.
fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

const DAY_MS: u64 = 86_400_000;

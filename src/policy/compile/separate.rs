//! Where consent ought to have been asked for alone, and was not.

use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::policy::source::Grant;
use crate::policy::source::Model;
use crate::policy::source::Purpose;
use crate::policy::source::Separate;
use crate::policy::transfer::regime_of;
use crate::types::Action;
use crate::types::Faults;
use crate::types::Region;

use super::ConsentRule;
use super::expand::Expanded;

/// Whose law wants separate consent (单独同意) wherever the basis is consent and what is used is
/// sensitive personal information: PIPL article 29.
const COUNTRY: &str = "CN";

/// Warns of purposes that use sensitive data of such records by consent which may have been asked
/// for together with something else. Where no record can be of that country nothing is said: a data
/// set without a region holds such records when the policy speaks of them (`is_served`).
pub(super) fn check(
    model: &Model,
    expanded: &Expanded,
    is_served: impl Fn(Region) -> bool,
    faults: &mut Faults,
) {
    let Some(country) = Region::parse(COUNTRY) else { return };
    let law = regime_of(country).map_or(COUNTRY, |law| &*law.name);
    let served = is_served(country);
    for (at, purpose) in model.purposes.iter().enumerate() {
        idle(purpose, faults);
        if !lacks(purpose, country) {
            continue;
        }
        let Some((set, field)) = covered(model, expanded, (at, served)) else { continue };
        let what = format!(
            "`{}` uses `{}` of `{}` by consent: for records of {country}, {law} art. 29 wants \
             separate consent to sensitive data",
            purpose.id, field.path, set.id
        );
        let help = match purpose.separate {
            Separate::In(_) => format!("add `{country}` to `separate`"),
            Separate::No | Separate::Everywhere => {
                format!("write `separate: [{country}]`: then only consent asked for alone counts")
            }
        };
        faults.warning(&purpose.place, what, help);
    }
}

/// Countries whose records are used without consent, so that it need not be asked for alone either.
fn idle(purpose: &Purpose, faults: &mut Faults) {
    let Separate::In(regions) = &purpose.separate else { return };
    let rule = ConsentRule::new(purpose);
    if let Some(region) = regions.iter().find(|region| !rule.needed(Some(**region))) {
        let what = format!(
            "`separate` of `{}` names {region}, and records of {region} are used without consent",
            purpose.id
        );
        let help = format!("write `{region}: consent` under `basis`, or leave it out");
        faults.warning(&purpose.place, what, help);
    }
}

/// Whether the records of a country are used by consent in any form.
fn lacks(purpose: &Purpose, country: Region) -> bool {
    ConsentRule::new(purpose).needed(Some(country)) && !purpose.separate.is_needed(Some(country))
}

/// The first sensitive field that a grant for a purpose shows or sets, where a person is asked.
fn covered<'m>(
    model: &'m Model,
    expanded: &Expanded,
    (purpose, served): (usize, bool),
) -> Option<(&'m DataSet, &'m Field)> {
    let grants = model.grants.iter().enumerate();
    let mut cells = grants
        .filter(|(_, grant)| grant.purposes.contains(&purpose))
        .flat_map(|(at, grant)| grant.sets.iter().map(move |set| (at, grant, *set)));
    cells.find_map(|(at, grant, set_at)| {
        let set = model.sets.get(set_at)?;
        if set.subjects.is_empty() || set.region.is_none() && !served {
            return None;
        }
        let views = expanded.views(at, set_at).unwrap_or_default();
        let shows = grant.actions.iter().any(|action| action.shows());
        let mut fields = set.fields.iter().enumerate().filter(|(_, field)| field.is_sensitive());
        let found = fields.find(|(ix, field)| {
            shows && views.get(*ix).is_some_and(|view| view.reveals()) || sets(grant, field)
        });
        found.map(|(_, field)| (&**set, field))
    })
}

/// Whether a grant may set a field.
fn sets(grant: &Grant, field: &Field) -> bool {
    let writes = |action: &Action| matches!(action, Action::Create | Action::Update);
    grant.actions.iter().any(writes)
        && grant.writes.iter().any(|(path, _)| field.path.is_within(path))
}

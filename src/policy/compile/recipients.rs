//! What is suspicious about recipients and the laws that records are under.

use std::collections::BTreeSet;

use crate::policy::source::Model;
use crate::policy::source::Purpose;
use crate::policy::source::Recipient;
use crate::policy::transfer::RecipientKind;
use crate::policy::transfer::Regime;
use crate::policy::transfer::regimes;
use crate::types::Faults;
use crate::types::Place;
use crate::types::Region;
use crate::types::Timestamp;

use super::transfer::chain;

/// Reports it.
pub(super) fn check(model: &Model, today: Timestamp, faults: &mut Faults) {
    unused(model, faults);
    for recipient in &model.recipients {
        let of = format!("the agreement with `{}`", recipient.id);
        ending(&of, recipient.agreement.until, &recipient.agreement.place, today, faults);
        for mechanism in &recipient.mechanisms {
            let of = format!("`{}` of `{}`", mechanism.kind.as_str(), recipient.id);
            ending(&of, mechanism.until, &mechanism.place, today, faults);
        }
        abroad(recipient, model, faults);
    }
    let served = named(model);
    for (at, purpose) in model.purposes.iter().enumerate() {
        default_basis(model, (at, purpose), &served, faults);
    }
}

/// Recipients that decide nothing.
fn unused(model: &Model, faults: &mut Faults) {
    let asks = |of: Option<usize>| {
        model.limits.iter().any(|limit| {
            let unless = limit.unless.as_ref();
            let names = |whom: &crate::policy::source::Whom| match of {
                Some(at) => {
                    whom.is.contains(&at) || whom.is_not.contains(&at) || !whom.kinds.is_empty()
                }
                None => !whom.is_empty(),
            };
            names(&limit.when.whom)
                || unless.is_some_and(|unless| unless.transfer || names(&unless.whom))
        })
    };
    for (at, recipient) in model.recipients.iter().enumerate() {
        let is_above = model
            .recipients
            .iter()
            .any(|other| other.parent.as_ref().is_some_and(|(id, _)| *id == recipient.id));
        if !asks(Some(at)) && !is_above {
            let what = format!("no limit asks about recipient `{}`", recipient.id);
            let help = "write `unless: { transfer: true }` in a limit, or remove it";
            faults.warning(&recipient.place, what, help);
        }
    }
}

/// What has ended, or does within 30 days.
fn ending(
    what: &str,
    until: Option<Timestamp>,
    place: &Place,
    today: Timestamp,
    faults: &mut Faults,
) {
    let Some(until) = until else { return };
    if until <= today {
        let help = "renew it and write the new date, or remove it";
        faults.warning(place, format!("{what} has ended, so that nothing goes by it"), help);
    } else if until.ms_since(today) <= SOON_MS {
        faults.warning(place, format!("{what} ends within 30 days"), "renew it");
    }
}

/// Sub-processors in another country than whom they work for, without a mechanism of their own.
fn abroad(recipient: &Recipient, model: &Model, faults: &mut Faults) {
    let parent = chain(recipient, model).nth(1);
    if recipient.kind == RecipientKind::SubProcessor
        && recipient.mechanisms.is_empty()
        && let Some(parent) = parent.filter(|parent| parent.country != recipient.country)
    {
        let what = format!(
            "`{}` is in {}, `{}` in {}: the mechanisms of one do not reach the other",
            recipient.id, recipient.country, parent.id, parent.country
        );
        faults.warning(&recipient.place, what, "give it `mechanisms` of its own");
    }
}

/// The countries that the policy names records of.
pub(super) fn named(model: &Model) -> BTreeSet<Region> {
    let mut found = BTreeSet::new();
    for limit in &model.limits {
        found.extend(&limit.when.record_region);
        found.extend(limit.unless.iter().flat_map(|unless| &unless.record_region));
    }
    for purpose in &model.purposes {
        found.extend(purpose.basis.regions.iter().flatten().map(|(region, _)| region));
    }
    let mechanisms = model.recipients.iter().flat_map(|recipient| &recipient.mechanisms);
    found.extend(mechanisms.flat_map(|mechanism| &mechanism.regions));
    found
}

/// A default basis that a law does not know whose records can be among those of the purpose.
fn default_basis(
    model: &Model,
    (at, purpose): (usize, &Purpose),
    served: &BTreeSet<Region>,
    faults: &mut Faults,
) {
    let mut grants = model.grants.iter().filter(|grant| grant.purposes.contains(&at));
    let has_region = |set: &usize| model.sets.get(*set).is_some_and(|set| set.region.is_some());
    if !grants.any(|grant| grant.sets.iter().any(has_region)) {
        return;
    }
    let basis = purpose.basis.default;
    let own =
        |region: &Region| purpose.basis.regions.iter().flatten().any(|(known, _)| known == region);
    let unknown = |law: &&Regime| !law.bases.contains(&basis);
    for law in regimes().iter().filter(unknown) {
        let Some(country) = law.regions.iter().find(|region| !own(region)) else { continue };
        let word = basis.as_str();
        let help = format!("write `basis: {{ default: {word}, {country}: consent }}`");
        if law.regions.iter().any(|region| served.contains(region) && !own(region)) {
            let what = format!(
                "`{}` rests on `{word}`, which {} does not know, and the policy speaks of records \
                 of {country}",
                purpose.id, law.name
            );
            faults.error(&purpose.place, what, help);
        } else {
            let what = format!(
                "`{}` rests on `{word}`, which {} does not know: records of {country} would be \
                 used without a basis",
                purpose.id, law.name
            );
            faults.warning(&purpose.place, what, help);
        }
    }
}

/// How long before its end something is pointed out.
const SOON_MS: u64 = 30 * 86_400_000;

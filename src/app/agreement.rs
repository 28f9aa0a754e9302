//! What privet.toml and the policies say of each other: names that one uses and the other lacks.

use std::collections::BTreeSet;

use crate::authn::Allowed;
use crate::authn::IssuerConfig;
use crate::config::Config;
use crate::policy::PolicySet;
use crate::types::Faults;
use crate::types::doc::closest;

/// Reports what does not fit together.
pub(super) fn check(config: &Config, policy: &PolicySet, faults: &mut Faults) {
    stores(config, policy, faults);
    for (index, issuer) in config.authn.issuers.iter().enumerate() {
        mapped_claims(config, index, issuer, policy, faults);
        asserted_roles(config, index, issuer, policy, faults);
    }
    used_claims(config, policy, faults);
}

/// A data set is in a store that is there.
fn stores(config: &Config, policy: &PolicySet, faults: &mut Faults) {
    let known = || config.stores.iter().map(|store| store.upstream.store.as_str());
    for set in policy.sets() {
        let store = set.store.as_str();
        if !known().any(|name| name == store) {
            let what = format!("`{}` is in the store `{store}`, and privet.toml has none", set.id);
            faults.error(&set.place.first_line(), what, help(store, &known().collect()));
        }
    }
}

/// A fact that an issuer maps is one that something reads.
fn mapped_claims(
    config: &Config,
    index: usize,
    issuer: &IssuerConfig,
    policy: &PolicySet,
    faults: &mut Faults,
) {
    let uses = policy.claim_uses();
    let mut known: BTreeSet<&str> = uses.iter().map(|used| used.claim).collect();
    known.extend(FACTS);
    for name in issuer.claims.keys().filter(|name| !known.contains(name.as_str())) {
        let place = config.place(&["issuer", &index.to_string(), "claims", name]);
        let what = format!("nothing reads the fact `{name}`");
        faults.warning(&place, what, help(name, &known));
    }
}

/// A role that an issuer may assert is one that the policy gives.
fn asserted_roles(
    config: &Config,
    index: usize,
    issuer: &IssuerConfig,
    policy: &PolicySet,
    faults: &mut Faults,
) {
    let Allowed::Only(words) = &issuer.may_assert.roles else { return };
    let uses = policy.claim_uses();
    let of_roles = uses.iter().filter(|used| used.claim == ROLES);
    let known: BTreeSet<&str> = of_roles.filter_map(|used| used.has).collect();
    for word in words.iter().filter(|word| !known.contains(&***word)) {
        let place = config.place(&["issuer", &index.to_string(), "may_assert", "roles"]);
        let what = format!("no role of the policy `has: {word}`");
        faults.warning(&place, what, help(word, &known));
    }
}

/// A claim that the policy reads is one that somebody can bring.
fn used_claims(config: &Config, policy: &PolicySet, faults: &mut Faults) {
    let issuers = &config.authn.issuers;
    let mut known: BTreeSet<&str> =
        issuers.iter().flat_map(|issuer| issuer.claims.keys()).map(String::as_str).collect();
    if !config.authn.certificates.is_empty() {
        known.insert(ROLES);
    }
    for used in policy.claim_uses() {
        if !known.contains(used.claim) {
            let what = format!("no issuer maps the claim `{}`", used.claim);
            let help = match closest(used.claim, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add {} = \"…\" to `claims` of an [[issuer]]", used.claim),
            };
            faults.warning(&used.place.first_line(), what, help);
        }
    }
}

fn help(word: &str, known: &BTreeSet<&str>) -> String {
    match closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known here: {}", known.join(", "))
        }
    }
}

/// The fact that client certificates bring too.
const ROLES: &str = "roles";
/// What an issuer may say besides the claims that policies name.
const FACTS: [&str; 6] = [ROLES, "purposes", "subject", "region", "mfa", "ticket"];

//! Recipients of data that only one of configuration and policy knows.

use crate::authn::IssuerConfig;
use crate::config::Config;
use crate::policy::PolicySet;
use crate::types::Faults;
use crate::types::RecipientId;

/// Tells them: to one nothing may be passed, the other nobody can name.
pub(super) fn check(config: &Config, policy: &PolicySet, faults: &mut Faults) {
    let authn = &config.authn;
    let issuers = authn.issuers.iter().enumerate();
    let issuers = issuers.filter_map(|(at, it)| Some(("issuer", at, it.recipient.as_ref()?)));
    let certificates = authn.certificates.iter().enumerate();
    let certificates =
        certificates.filter_map(|(at, it)| Some(("certificate", at, it.recipient.as_ref()?)));
    for (section, at, id) in issuers.chain(certificates) {
        if !policy.recipients().any(|known| known == id) {
            let place = config.place(&[section, &at.to_string(), "recipient"]);
            let what = format!("the policy knows no recipient `{id}`: nothing may be passed to it");
            faults.warning(&place, what, "name one under `recipients:` of the policy");
        }
    }
    let names = |id: &RecipientId| {
        let by_issuer = |issuer: &IssuerConfig| {
            issuer.recipient.as_ref() == Some(id)
                || issuer.may_assert.recipients.allows(id.as_str())
        };
        let mut certificates = authn.certificates.iter();
        authn.issuers.iter().any(by_issuer)
            || certificates.any(|entry| entry.recipient.as_ref() == Some(id))
    };
    for id in policy.recipients().filter(|id| !names(id)) {
        let what = format!("no credential can name recipient `{id}` of the policy");
        let help = "add it to `may_assert = { recipients = [...] }` of an issuer, or give an \
                    [[issuer]] or [[certificate]] that `recipient`";
        faults.warning(&config.place(&["issuer"]), what, help);
    }
}

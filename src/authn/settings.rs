//! What can be wrong with the settings before anything is read.

use std::collections::BTreeSet;

use super::AuthnConfig;
use super::AuthnError;
use super::CertificateMatch;
use super::CertificatePrincipal;
use super::IssuerConfig;
use super::certificate;

/// Every fault of the settings.
pub(super) fn faults(config: &AuthnConfig) -> Vec<AuthnError> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for issuer in &config.issuers {
        let mut add = |what: String| {
            faults.push(AuthnError::Config { name: issuer.name.as_str().into(), what });
        };
        if !names.insert(&issuer.name) {
            add("another issuer has this name".into());
        }
        check_issuer(issuer, &mut add);
    }
    let mut owners = BTreeSet::new();
    for entry in &config.certificates {
        let mut add = |what: String| {
            faults.push(AuthnError::Config { name: entry.owner.as_str().into(), what });
        };
        if !owners.insert(&entry.owner) {
            add("another certificate has this owner".into());
        }
        check_certificate(entry, &mut add);
    }
    faults
}

fn check_issuer(issuer: &IssuerConfig, add: &mut impl FnMut(String)) {
    let name = &issuer.name;
    // `|` parts the issuer from the subject in an owner's name, so it may not be in the issuer's.
    if name.is_empty() || name.contains('|') || name.chars().any(char::is_control) {
        add("its name must be what tokens say under `iss`, without `|`".into());
    }
    if name == certificate::CERTIFICATE {
        add("this name is for client certificates; choose another".into());
    }
    if issuer.audience.is_empty() {
        add("`audience` is empty; write what its tokens say under `aud`".into());
    }
    if issuer.algorithms.is_empty() {
        add("`algorithms` is empty; list ES256, EdDSA or RS256".into());
    }
    if issuer.leeway_s > IssuerConfig::MAX_LEEWAY_S {
        add(format!("the leeway is more than {} s", IssuerConfig::MAX_LEEWAY_S));
    }
    if !(MIN_REFRESH_S..=MAX_REFRESH_S).contains(&issuer.refresh_s) {
        add(format!("keys are read again every {MIN_REFRESH_S} to {MAX_REFRESH_S} s, no other"));
    }
    for (fact, path) in &issuer.claims {
        if path.split(['.', ':']).any(str::is_empty) {
            add(format!("the path of the claim `{fact}` has an empty part"));
        }
    }
}

fn check_certificate(entry: &CertificatePrincipal, add: &mut impl FnMut(String)) {
    if entry.owner.is_empty() || entry.owner.chars().any(char::is_control) {
        add("`owner` must be text without control characters".into());
    }
    match &entry.matches {
        CertificateMatch::Dns(name) if name.is_empty() || name.contains('*') => {
            add("a DNS name must be whole, without `*`".into());
        }
        CertificateMatch::Uri(uri) if uri.is_empty() => add("the URI is empty".into()),
        CertificateMatch::Dns(_) | CertificateMatch::Sha256(_) | CertificateMatch::Uri(_) => {}
    }
}

const MIN_REFRESH_S: u64 = 10;
/// A key that its issuer withdrew is believed at most this long.
const MAX_REFRESH_S: u64 = 24 * 3600;

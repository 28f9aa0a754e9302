//! Client certificates turned into principals.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::policy::Identity;
use crate::types::Timestamp;

use super::AuthnError;
use super::CertificateMatch;
use super::CertificatePrincipal;
use super::Principal;
use super::Strength;

/// The principal of a certificate. Its chain and its use were verified in the handshake; here its
/// dates are checked again, because a connection can outlive them.
pub(super) fn principal(
    der: &[u8],
    known: &[CertificatePrincipal],
    now: Timestamp,
) -> Result<Principal, AuthnError> {
    let unknown = |what| AuthnError::UnknownCertificate { what };
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| unknown("it is not a certificate"))?;
    if !rest.is_empty() {
        return Err(unknown("something follows it"));
    }
    let validity = certificate.validity();
    let expires = to_timestamp(validity.not_after.timestamp());
    if now >= expires {
        return Err(AuthnError::Expired);
    }
    if now < to_timestamp(validity.not_before.timestamp()) {
        return Err(AuthnError::NotYet);
    }
    let names = alternative_names(&certificate)?;
    let digest: [u8; 32] = Sha256::digest(der).into();
    let mut fitting = known.iter().filter(|entry| fits(entry, &digest, &names));
    match (fitting.next(), fitting.next()) {
        (Some(entry), None) => Ok(build(entry, expires)),
        (Some(_), Some(_)) => Err(unknown("several entries fit it")),
        (None, _) => Err(unknown("no entry fits it")),
    }
}

/// What stands for the issuer of a principal that showed a certificate.
pub(super) const CERTIFICATE: &str = "certificate";

/// Whether `owner`, as principals carry it, is of one of the entries.
pub(super) fn knows(entries: &[CertificatePrincipal], owner: &str) -> bool {
    let name = owner.strip_prefix(CERTIFICATE).and_then(|rest| rest.strip_prefix('|'));
    name.is_some_and(|name| entries.iter().any(|entry| entry.owner == name))
}

enum Name<'a> {
    Dns(&'a str),
    Uri(&'a str),
}

fn alternative_names<'a>(
    certificate: &'a X509Certificate<'a>,
) -> Result<Vec<Name<'a>>, AuthnError> {
    let names = certificate.subject_alternative_name().map_err(|_| {
        AuthnError::UnknownCertificate { what: "its alternative names cannot be read" }
    })?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Name::Dns(name)),
            GeneralName::URI(name) => Some(Name::Uri(name)),
            _ => None,
        })
        .collect())
}

fn fits(entry: &CertificatePrincipal, digest: &[u8; 32], names: &[Name<'_>]) -> bool {
    match &entry.matches {
        CertificateMatch::Sha256(wanted) => wanted == digest,
        CertificateMatch::Dns(wanted) => names
            .iter()
            .any(|name| matches!(name, Name::Dns(name) if name.eq_ignore_ascii_case(wanted))),
        CertificateMatch::Uri(wanted) => {
            names.iter().any(|name| matches!(name, Name::Uri(name) if name == wanted))
        }
    }
}

fn build(entry: &CertificatePrincipal, expires: Timestamp) -> Principal {
    let identity = Identity {
        // The configured name, not the fingerprint: it survives the next certificate, and with it
        // what is counted per owner.
        owner: format!("{CERTIFICATE}|{}", entry.owner).into(),
        claims: BTreeMap::from([("roles".into(), entry.roles.clone())]),
        purposes: entry.purposes.clone(),
        // A list in the configuration says what may be named, not what is meant.
        names_purposes: false,
        cleared: Arc::default(),
        region: entry.region,
        recipient: entry.recipient.clone(),
        mfa_at: None,
        ticket: false,
        subject: None,
        expires,
    };
    Principal { identity, issuer: Arc::from(CERTIFICATE), strength: Strength::Certificate }
}

fn to_timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_unix_s(u64::try_from(seconds).unwrap_or(0))
}

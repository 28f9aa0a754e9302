//! `[[issuer]]` and `[[certificate]]`: who is believed, and about what.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::authn::Algorithm;
use crate::authn::Allowed;
use crate::authn::AuthnConfig;
use crate::authn::CertificateMatch;
use crate::authn::CertificatePrincipal;
use crate::authn::IssuerConfig;
use crate::authn::JwksSource;
use crate::authn::MayAssert;
use crate::types::DomainId;
use crate::types::Faults;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::paths::Paths;

/// Every issuer. Names differ.
pub(super) fn all(node: &Node, paths: &Paths, faults: &mut Faults) -> Vec<IssuerConfig> {
    let mut found: Vec<IssuerConfig> = Vec::new();
    for item in node.list(faults).unwrap_or_default() {
        let Some(issuer) = one(item, paths, faults) else { continue };
        if found.iter().any(|other| other.name == issuer.name) {
            faults.error(&item.place, format!("a second issuer `{}`", issuer.name), "");
        }
        let alone = AuthnConfig { issuers: vec![issuer.clone()], certificates: Vec::new() };
        unusable(&alone, item, faults);
        found.push(issuer);
    }
    found
}

/// Reports what `authn` would refuse at start, with the place it can no longer know then.
fn unusable(config: &AuthnConfig, node: &Node, faults: &mut Faults) {
    for fault in config.faults() {
        faults.error(&node.place.first_line(), fault.to_string(), "");
    }
}

fn one(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<IssuerConfig> {
    let mut map = MapReader::new(node, "an `[[issuer]]`", faults)?;
    let name = map.required("name", faults).and_then(|n| n.text(faults));
    let audience = map.required("audience", faults).and_then(|n| n.text(faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    let jwks =
        map.required("jwks", faults).and_then(|n| source(n, paths, ca.clone().flatten(), faults));
    let algorithms = map.required("algorithms", faults).and_then(|n| algorithms(n, faults));
    let claims = map.required("claims", faults).and_then(|n| claims(n, faults));
    let may_assert = map
        .optional("may_assert")
        .map_or_else(|| Some(MayAssert::default()), |n| may_assert(n, faults));
    let domain = map.optional("subject_domain").map(|n| n.id(DomainId::parse, faults));
    let recipient = map.optional("recipient").map(|n| n.id(RecipientId::parse, faults));
    let leeway = map.optional("leeway_s").map(|n| n.whole(0..=IssuerConfig::MAX_LEEWAY_S, faults));
    let refresh = map.optional("refresh_s").map(|n| n.whole(10..=86_400, faults));
    map.finish(faults);

    let mut issuer = IssuerConfig::new(name?, audience?, jwks?);
    issuer.algorithms = algorithms?;
    issuer.claims = claims?;
    issuer.may_assert = may_assert?;
    if let Some(domain) = domain {
        issuer.subject_domain = Some(domain?);
    }
    if let Some(recipient) = recipient {
        issuer.recipient = Some(recipient?);
    }
    if let Some(leeway) = leeway {
        issuer.leeway_s = leeway?;
    }
    if let Some(refresh) = refresh {
        issuer.refresh_s = refresh?;
    }
    Some(issuer)
}

fn source(
    node: &Node,
    paths: &Paths,
    ca: Option<std::path::PathBuf>,
    faults: &mut Faults,
) -> Option<JwksSource> {
    let text = node.text(faults)?;
    if text.starts_with("https://") {
        return Some(JwksSource::Url { url: text.to_owned(), ca });
    }
    if text.contains("://") {
        let help = "keys fetched in the clear could be anybody's; use https or a file";
        return node.mismatch("an https URL or a file", help, faults);
    }
    Some(JwksSource::File(paths.join(text)))
}

fn algorithms(node: &Node, faults: &mut Faults) -> Option<Vec<Algorithm>> {
    let known = Algorithm::ALL.map(Algorithm::as_str);
    let words = node.one_or_list();
    if words.is_empty() {
        faults.error(&node.place, "no algorithm", "write algorithms = [\"ES256\"]");
        return None;
    }
    let found: Vec<_> =
        words.iter().map(|n| n.word("algorithm", Algorithm::parse, &known, faults)).collect();
    found.into_iter().collect()
}

/// Fact names to paths of claims.
fn claims(node: &Node, faults: &mut Faults) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in node.map(faults)? {
        if let Some(path) = entry.node.text(faults) {
            found.insert(entry.key.to_string(), path.to_owned());
        }
    }
    Some(found)
}

fn may_assert(node: &Node, faults: &mut Faults) -> Option<MayAssert> {
    let mut map = MapReader::new(node, "`may_assert`", faults)?;
    let mut words = |key| map.optional(key).map_or_else(Allowed::default, |n| allowed(n, faults));
    let (roles, purposes) = (words("roles"), words("purposes"));
    let recipients = words("recipients");
    let ticket = map.optional("ticket").map_or(Some(false), |n| n.bool(faults));
    map.finish(faults);
    Some(MayAssert { roles, purposes, ticket: ticket?, recipients })
}

fn allowed(node: &Node, faults: &mut Faults) -> Allowed {
    if node.as_text() == Some("*") {
        return Allowed::Any;
    }
    let words: BTreeSet<Box<str>> =
        node.texts(faults).into_iter().map(|(_, text)| text.into()).collect();
    if words.contains("*") {
        let what = "`\"*\"` stands in a list, where it means a word of that name";
        faults.error(&node.place.first_line(), what, "write it without the list for any word");
    }
    Allowed::Only(words)
}

/// Every client certificate.
pub(super) fn certificates(node: &Node, faults: &mut Faults) -> Vec<CertificatePrincipal> {
    let mut found: Vec<CertificatePrincipal> = Vec::new();
    for item in node.list(faults).unwrap_or_default() {
        let Some(entry) = certificate(item, faults) else { continue };
        // Which of two entries counts would be a matter of order.
        if found.iter().any(|other| other.matches == entry.matches) {
            faults.error(&item.place.first_line(), "a second entry for this certificate", "");
        }
        if found.iter().any(|other| other.owner == entry.owner) {
            let what = format!("a second certificate with the owner `{}`", entry.owner);
            faults.error(&item.place.first_line(), what, "give each an owner of its own");
        }
        let alone = AuthnConfig { issuers: Vec::new(), certificates: vec![entry.clone()] };
        unusable(&alone, item, faults);
        found.push(entry);
    }
    found
}

fn certificate(node: &Node, faults: &mut Faults) -> Option<CertificatePrincipal> {
    let mut map = MapReader::new(node, "a `[[certificate]]`", faults)?;
    let by = [map.optional("sha256"), map.optional("dns"), map.optional("uri")];
    let owner = map.required("owner", faults).and_then(|n| n.text(faults));
    let roles = map.optional("roles").map_or_else(Vec::new, |n| boxed(n, faults));
    let purposes = map.optional("purposes").map(|n| boxed(n, faults));
    let region = map.optional("region").map(|n| region(n, faults));
    let recipient = map.optional("recipient").map(|n| n.id(RecipientId::parse, faults));
    map.finish(faults);
    let matches = matching(node, by, faults)?;
    let region = match region {
        Some(region) => Some(region?),
        None => None,
    };
    let recipient = match recipient {
        Some(recipient) => Some(recipient?),
        None => None,
    };
    let owner = owner?.to_owned();
    Some(CertificatePrincipal { matches, owner, roles, purposes, region, recipient })
}

fn matching(node: &Node, by: [Option<&Node>; 3], faults: &mut Faults) -> Option<CertificateMatch> {
    match by {
        [Some(hash), None, None] => {
            let text = hash.text(faults)?.replace(':', "");
            let bytes = fingerprint(&text);
            if bytes.is_none() {
                let help = "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it";
                return hash.mismatch("a SHA-256 fingerprint", help, faults);
            }
            bytes.map(CertificateMatch::Sha256)
        }
        [None, Some(dns), None] => {
            Some(CertificateMatch::Dns(dns.text(faults)?.to_ascii_lowercase()))
        }
        [None, None, Some(uri)] => Some(CertificateMatch::Uri(uri.text(faults)?.to_owned())),
        _ => {
            let help = "a certificate is recognised by one of sha256, dns and uri";
            super::conflict(&node.place, "not one way to recognise the certificate", help, faults);
            None
        }
    }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn boxed(node: &Node, faults: &mut Faults) -> Vec<Box<str>> {
    node.texts(faults).into_iter().map(|(_, text)| text.into()).collect()
}

fn region(node: &Node, faults: &mut Faults) -> Option<Region> {
    let text = node.text(faults)?;
    match Region::parse(text) {
        Some(region) => Some(region),
        None => node.mismatch("a country", "two letters, such as DE", faults),
    }
}

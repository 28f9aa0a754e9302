//! Client certificates and whom they stand for; settings that cannot work.

use std::sync::Arc;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::SanType;
use sha2::Digest;
use sha2::Sha256;

use crate::authn::Authenticator;
use crate::authn::AuthnConfig;
use crate::authn::AuthnMetrics;
use crate::authn::CertificateMatch;
use crate::authn::CertificatePrincipal;
use crate::authn::IssuerConfig;
use crate::authn::JwksSource;
use crate::authn::Strength;
use crate::clock::ManualClock;
use crate::types::Region;
use crate::types::Timestamp;

fn certificate(dns: &str, uri: &str) -> Vec<u8> {
    let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn entry(owner: &str, matches: CertificateMatch) -> CertificatePrincipal {
    CertificatePrincipal {
        matches,
        owner: owner.to_owned(),
        roles: vec!["batch".into()],
        purposes: Some(vec!["billing".into()]),
        region: Region::parse("DE"),
        recipient: None,
    }
}

fn authenticator(
    certificates: Vec<CertificatePrincipal>,
    now_s: u64,
) -> (Authenticator, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(now_s)));
    let config = AuthnConfig { certificates, ..AuthnConfig::default() };
    let auth = Authenticator::new(config, clock.clone(), AuthnMetrics::default()).unwrap();
    (auth, clock)
}

const MID_2026_S: u64 = 1_782_000_000;
const START_2026_S: u64 = 1_767_225_600;
const START_2027_S: u64 = 1_798_761_600;

#[test]
fn a_certificate_stands_for_the_one_entry_that_fits() {
    let der = certificate("batch.shop.internal", "spiffe://shop/batch");
    let print: [u8; 32] = Sha256::digest(&der).into();
    let dns = |name: &str| CertificateMatch::Dns(name.to_owned());
    let uri = |name: &str| CertificateMatch::Uri(name.to_owned());
    for (matches, fits) in [
        (CertificateMatch::Sha256(print), true),
        (CertificateMatch::Sha256([7; 32]), false),
        (dns("BATCH.shop.internal"), true),
        (dns("shop.internal"), false),
        (dns("batch.shop.internal."), false),
        (uri("spiffe://shop/batch"), true),
        (uri("spiffe://shop/Batch"), false),
        (uri("spiffe://shop/"), false),
    ] {
        let (auth, _) = authenticator(vec![entry("batch", matches.clone())], MID_2026_S);
        let found = auth.certificate(&der);
        assert_eq!(found.is_ok(), fits, "{matches:?}");
        let Ok(principal) = found else { continue };
        assert_eq!(&*principal.identity.owner, "certificate|batch");
        assert_eq!(principal.strength, Strength::Certificate);
        assert_eq!(principal.identity.claims["roles"], ["batch".into()]);
        assert_eq!(principal.identity.purposes, Some(vec!["billing".into()]));
        assert!(!principal.identity.names_purposes, "a list in the configuration names nothing");
        assert_eq!(principal.identity.expires, Timestamp::from_unix_s(START_2027_S));
        assert!(principal.identity.subject.is_none() && !principal.identity.ticket);
    }
    let two = vec![entry("a", dns("batch.shop.internal")), entry("b", uri("spiffe://shop/batch"))];
    let (auth, _) = authenticator(two, MID_2026_S);
    assert_eq!(auth.certificate(&der).unwrap_err().reason(), "unknown_certificate");
}

#[test]
fn a_certificate_outlives_neither_its_dates_nor_a_suspension() {
    let der = certificate("batch.shop.internal", "spiffe://shop/batch");
    let known = vec![entry("batch", CertificateMatch::Dns("batch.shop.internal".into()))];
    let (early, _) = authenticator(known.clone(), START_2026_S - 1);
    assert_eq!(early.certificate(&der).unwrap_err().reason(), "not_yet");
    let (auth, clock) = authenticator(known, START_2027_S - 1);
    let principal = auth.certificate(&der).unwrap();
    assert!(auth.still_valid(&principal).is_ok());
    auth.suspend("certificate|batch");
    assert_eq!(auth.certificate(&der).unwrap_err().reason(), "suspended");
    auth.resume("certificate|batch");
    clock.advance_ms(1000);
    assert_eq!(auth.certificate(&der).unwrap_err().reason(), "expired");
    assert_eq!(auth.still_valid(&principal).unwrap_err().reason(), "expired");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let known = vec![entry("batch", CertificateMatch::Dns("batch.shop.internal".into()))];
    let (auth, _) = authenticator(known, MID_2026_S);
    let mut longer = certificate("batch.shop.internal", "spiffe://shop/batch");
    longer.push(0);
    for der in [&b""[..], b"x", &[0x30, 0x80], &longer] {
        assert_eq!(auth.certificate(der).unwrap_err().reason(), "unknown_certificate");
    }
}

#[test]
fn settings_that_cannot_work_are_all_named_at_once() {
    let file = || JwksSource::File("missing.json".into());
    let mut wrong = IssuerConfig::new("a|b", "", file());
    wrong.algorithms.clear();
    wrong.leeway_s = 61;
    wrong.refresh_s = 1;
    wrong.claims.insert("mfa".into(), "acr:".into());
    let config = AuthnConfig {
        issuers: vec![
            wrong,
            IssuerConfig::new("x", "privet", file()),
            IssuerConfig::new("x", "privet", file()),
            IssuerConfig::new("certificate", "privet", file()),
        ],
        certificates: vec![
            entry("c", CertificateMatch::Dns("*.shop.internal".into())),
            entry("c", CertificateMatch::Uri(String::new())),
        ],
    };
    let clock = Arc::new(ManualClock::default());
    let faults = Authenticator::new(config, clock.clone(), AuthnMetrics::default()).unwrap_err();
    assert_eq!(faults.len(), 11, "{faults:#?}");
    let http = JwksSource::Url { url: "http://id.example/jwks".into(), ca: None };
    for jwks in [file(), http] {
        let issuers = vec![IssuerConfig::new("x", "privet", jwks)];
        let config = AuthnConfig { issuers, ..AuthnConfig::default() };
        assert!(Authenticator::new(config, clock.clone(), AuthnMetrics::default()).is_err());
    }
}

//! The one place that turns credentials into principals.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::crypto::aws_lc;
use sha2::Digest as _;
use sha2::Sha256;

use crate::clock::Clock;
use crate::net::Drain;
use crate::types::told;

use super::AuthnConfig;
use super::AuthnError;
use super::AuthnMetrics;
use super::CertificatePrincipal;
use super::Explanation;
use super::Principal;
use super::Refused;
use super::Strength;
use super::cache::Cache;
use super::cache::Cached;
use super::cache::Digest;
use super::certificate;
use super::claims;
use super::claims::Reading;
use super::explain;
use super::issuer::Issuer;
use super::issuer::Keys;
use super::key_set::KeyMiss;
use super::settings;
use super::token::Token;

/// Believes or refuses credentials. Cloning shares it, with the settings in force.
#[derive(Clone)]
pub struct Authenticator(Arc<ArcSwap<Inner>>);

/// Settings that were read and are not in force yet.
pub struct NextSettings(Arc<Inner>);

struct Inner {
    issuers: Vec<Arc<Issuer>>,
    certificates: Vec<CertificatePrincipal>,
    cache: Cache,
    /// Stays when settings change.
    suspended: Arc<ArcSwap<BTreeSet<Box<str>>>>,
    clock: Arc<dyn Clock>,
    metrics: AuthnMetrics,
}

/// How an issuer's keys are doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerStatus {
    /// The issuer as configured.
    pub issuer: Arc<str>,
    /// How many of its keys are usable.
    pub keys: usize,
    /// Goes up whenever the keys change.
    pub generation: u64,
    /// Milliseconds since the keys were last read, when they ever were.
    pub age_ms: Option<u64>,
    /// Keys that are not used, and why.
    pub skipped: Vec<String>,
    /// Why the last attempt to read them failed, when it did.
    pub trouble: Option<String>,
    /// Whether a key was made by a development issuer.
    pub development: bool,
}

impl Authenticator {
    /// Reads key sets that are files; those behind URLs come with [`refresh`](Self::refresh).
    /// Gives every fault of the settings.
    pub fn new(
        config: AuthnConfig,
        clock: Arc<dyn Clock>,
        metrics: AuthnMetrics,
    ) -> Result<Self, Vec<AuthnError>> {
        if aws_lc::DEFAULT_PROVIDER.install_default().is_err() {
            // Another instance of this type did it before.
            tracing::trace!("token cryptography is already set");
        }
        let issuers = open_issuers(&config, &[], clock.uptime_ms(), &metrics)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(Inner {
            issuers,
            certificates: config.certificates,
            cache: Cache::new(),
            suspended: Arc::default(),
            clock,
            metrics,
        }))))
    }

    /// Reads other settings. Issuers that stay as they are keep their keys.
    pub fn prepare(&self, config: AuthnConfig) -> Result<NextSettings, Vec<AuthnError>> {
        let now = self.0.load_full();
        let issuers = open_issuers(&config, &now.issuers, now.clock.uptime_ms(), &now.metrics)?;
        Ok(NextSettings(Arc::new(Inner {
            issuers,
            certificates: config.certificates,
            cache: Cache::new(),
            suspended: Arc::clone(&now.suspended),
            clock: Arc::clone(&now.clock),
            metrics: now.metrics.clone(),
        })))
    }

    /// Puts settings in force: every token is verified anew under them, and nobody stands any
    /// longer whose issuer or certificate is not among them.
    pub fn replace(&self, next: NextSettings) {
        self.0.store(next.0);
    }

    /// The token of an `Authorization` header.
    pub fn bearer(header: &[u8]) -> Result<&str, AuthnError> {
        let malformed = AuthnError::Malformed { what: "the header is not `Bearer` and one token" };
        let Ok(header) = std::str::from_utf8(header) else { return Err(malformed) };
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                let token = token.trim_start_matches(' ');
                // Without a way out in the middle, so that many bytes are looked at at once.
                let plain = token.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
                let is_one = !token.is_empty() && plain;
                if is_one { Ok(token) } else { Err(malformed) }
            }
            _ => Err(malformed),
        }
    }

    /// Looks a token up among those verified in the last minutes. None means
    /// [`token`](Self::token) has to be asked.
    pub fn cached(&self, token: &str) -> Option<Result<Arc<Principal>, AuthnError>> {
        self.0.load().find(&digest(token))
    }

    /// Verifies a token. Waits only when the token names a key that is not known and the issuer
    /// may be asked again.
    pub async fn token(&self, token: &str) -> Result<Arc<Principal>, AuthnError> {
        let digest = digest(token);
        let inner = self.0.load_full();
        if let Some(known) = inner.find(&digest) {
            return known;
        }
        let verified = inner.verify(token, digest).await;
        inner.count(verified)
    }

    /// The principal of a client certificate whose chain was verified in the handshake.
    pub fn certificate(&self, der: &[u8]) -> Result<Arc<Principal>, AuthnError> {
        let inner = self.0.load();
        let found = certificate::principal(der, &inner.certificates, inner.clock.now());
        let standing = found.and_then(|principal| {
            inner.still_valid(&principal)?;
            Ok(Arc::new(principal))
        });
        inner.count(standing)
    }

    /// Whether a principal verified earlier still stands: not expired, not suspended, and vouched
    /// for by somebody who is still believed. Ask before
    /// each call on a connection that outlives the check. The age of a second factor is for the
    /// decision, which knows how fresh it must be.
    pub fn still_valid(&self, principal: &Principal) -> Result<(), AuthnError> {
        self.0.load().still_valid(principal)
    }

    /// Refuses an owner's credentials from now on, cached or not.
    pub fn suspend(&self, owner: &str) {
        self.0.load().suspended.rcu(|suspended| {
            let mut suspended = BTreeSet::clone(suspended);
            suspended.insert(owner.into());
            suspended
        });
    }

    /// Lets an owner's credentials in again.
    pub fn resume(&self, owner: &str) {
        self.0.load().suspended.rcu(|suspended| {
            let mut suspended = BTreeSet::clone(suspended);
            suspended.remove(owner);
            suspended
        });
    }

    /// Reads every key set again; each one that cannot be used keeps the last good one.
    pub async fn refresh(&self) -> Result<(), Vec<AuthnError>> {
        let mut faults = Vec::new();
        let inner = self.0.load_full();
        for index in 0..inner.issuers.len() {
            faults.extend(inner.refresh(index).await.err());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Reads key sets again as often as their issuers ask for, until draining.
    pub async fn keep_fresh(&self, drain: Drain) {
        while !drain.is_started() {
            let inner = self.0.load_full();
            let now_ms = inner.clock.uptime_ms();
            for (index, issuer) in inner.issuers.iter().enumerate() {
                if issuer.is_due(now_ms)
                    && let Err(error) = inner.refresh(index).await
                {
                    let error = told(&error);
                    tracing::warn!(error, issuer = &*issuer.name, "keeping the last good keys");
                }
            }
            tokio::select! {
                () = drain.started() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// What an issuer calls a second factor in `acr`, when that is where it says so: what a client
    /// asks it for under `acr_values` (RFC 9470 § 3).
    pub fn mfa_acr(&self, issuer: &str) -> Option<Box<str>> {
        let inner = self.0.load();
        let issuer = inner.issuers.iter().find(|known| *known.name == *issuer)?;
        let (path, word) = issuer.config.claims.get("mfa")?.rsplit_once(':')?;
        (path == "acr").then(|| word.into())
    }

    /// How each issuer's keys are doing.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.0.load().status()
    }

    /// What would be read from a token, for the one who holds it. Asks no issuer and caches
    /// nothing.
    pub fn explain(&self, token: &str) -> Explanation {
        let inner = self.0.load();
        explain::explain(token, &inner.issuers, inner.clock.now())
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.0.load().cache.len()
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.load();
        f.debug_list().entries(inner.issuers.iter().map(|issuer| &issuer.name)).finish()
    }
}

impl NextSettings {
    /// How each issuer's keys are doing.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.0.status()
    }
}

impl fmt::Debug for NextSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextSettings(..)")
    }
}

/// Sets issuers up; those that are `before` with the same settings are taken over with their keys.
fn open_issuers(
    config: &AuthnConfig,
    before: &[Arc<Issuer>],
    now_ms: u64,
    metrics: &AuthnMetrics,
) -> Result<Vec<Arc<Issuer>>, Vec<AuthnError>> {
    let mut faults = settings::faults(config);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut issuers = Vec::new();
    for issuer in &config.issuers {
        if let Some(same) = before.iter().find(|known| known.config == *issuer) {
            issuers.push(Arc::clone(same));
            continue;
        }
        match Issuer::new(issuer.clone(), now_ms, metrics) {
            Ok(issuer) => issuers.push(Arc::new(issuer)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(issuers) } else { Err(faults) }
}

impl Inner {
    fn find(&self, digest: &Digest) -> Option<Result<Arc<Principal>, AuthnError>> {
        let cached = self.cache.find(digest)?;
        let present = self.issuers.get(cached.issuer)?.generation();
        let age_ms = self.clock.uptime_ms().saturating_sub(cached.verified_ms);
        if cached.generation != present || age_ms >= MAX_CACHED_MS {
            self.cache.remove(digest);
            return None;
        }
        if let Err(error) = self.still_valid(&cached.principal) {
            if matches!(error, AuthnError::Expired) {
                self.cache.remove(digest);
            }
            return Some(self.count(Err(error)));
        }
        self.metrics.cached.inc();
        Some(Ok(cached.principal))
    }

    async fn verify(&self, text: &str, digest: Digest) -> Result<Arc<Principal>, AuthnError> {
        let token = Token::read(text)?;
        let (index, issuer) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(_, issuer)| token.issuer() == Some(&issuer.name))
            .ok_or(AuthnError::UnknownIssuer)?;
        let mut keys = issuer.keys();
        if may_be_new(&keys, &token) {
            let now_ms = self.clock.uptime_ms();
            issuer.refresh_for_token(keys.generation, now_ms, &self.metrics).await;
            self.forget_older(index, keys.generation);
            keys = issuer.keys();
        }
        check_signature(issuer, &keys, &token)?;
        self.metrics.verified.inc();
        let reading = claims::read(&issuer.config, &token.claims, self.clock.now())?;
        let principal = Arc::new(principal(issuer, reading));
        self.still_valid(&principal)?;
        let cached = Cached {
            issuer: index,
            generation: keys.generation,
            verified_ms: self.clock.uptime_ms(),
            principal: Arc::clone(&principal),
        };
        self.cache.insert(digest, cached);
        Ok(principal)
    }

    async fn refresh(&self, index: usize) -> Result<(), AuthnError> {
        let Some(issuer) = self.issuers.get(index) else { return Ok(()) };
        let before = issuer.generation();
        let outcome = issuer.refresh(self.clock.uptime_ms(), &self.metrics).await;
        self.forget_older(index, before);
        outcome
    }

    fn forget_older(&self, index: usize, before: u64) {
        let present = self.issuers.get(index).map_or(before, |issuer| issuer.generation());
        if present != before {
            self.cache.keep_generation(index, present);
        }
    }

    fn still_valid(&self, principal: &Principal) -> Result<(), AuthnError> {
        if self.suspended.load().contains(&*principal.identity.owner) {
            return Err(AuthnError::Suspended);
        }
        if self.clock.now() >= principal.identity.expires {
            return Err(AuthnError::Expired);
        }
        if !self.believes(principal) {
            return Err(AuthnError::UnknownIssuer);
        }
        Ok(())
    }

    /// Whether whoever vouched for the principal is among those believed now.
    fn believes(&self, principal: &Principal) -> bool {
        if principal.strength == Strength::Certificate {
            return certificate::knows(&self.certificates, &principal.identity.owner);
        }
        self.issuers.iter().any(|issuer| issuer.name == principal.issuer)
    }

    fn status(&self) -> Vec<IssuerStatus> {
        let now_ms = self.clock.uptime_ms();
        self.issuers.iter().map(|issuer| issuer.status(now_ms)).collect()
    }

    fn count<T>(&self, outcome: Result<T, AuthnError>) -> Result<T, AuthnError> {
        if let Err(error) = &outcome {
            self.metrics.refused.get_or_create(&Refused { reason: error.reason() }).inc();
        }
        outcome
    }
}

/// Checks that the signature is that of the issuer's key, under the key's own algorithm.
pub(super) fn check_signature(
    issuer: &Issuer,
    keys: &Keys,
    token: &Token<'_>,
) -> Result<(), AuthnError> {
    let name = || (*issuer.name).into();
    if keys.generation == 0 {
        return Err(AuthnError::KeysMissing { issuer: name() });
    }
    let key = token.signed.key(&keys.set).map_err(|miss| {
        let what = match miss {
            KeyMiss::UnknownKid => "it names a key that the issuer does not publish",
            KeyMiss::Unfit(what) => what,
        };
        AuthnError::UnknownKey { issuer: name(), what }
    })?;
    if token.signed.is_by(key) {
        return Ok(());
    }
    Err(AuthnError::WrongSignature { issuer: name() })
}

/// Whether the issuer may have published a key for this token since its keys were read.
fn may_be_new(keys: &Keys, token: &Token<'_>) -> bool {
    keys.generation == 0 || matches!(token.signed.key(&keys.set), Err(KeyMiss::UnknownKid))
}

fn principal(issuer: &Issuer, reading: Reading) -> Principal {
    let strength = if reading.mfa { Strength::Mfa } else { Strength::Token };
    Principal { identity: reading.identity, issuer: Arc::clone(&issuer.name), strength }
}

fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// How long a verified token is believed without verifying it again.
const MAX_CACHED_MS: u64 = 5 * 60 * 1000;
/// How often it is asked whether a key set is due.
const TICK: Duration = Duration::from_secs(5);

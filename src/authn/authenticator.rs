//! The one place that turns credentials into principals.

use std::sync::Arc;

use crate::clock::Clock;
use crate::net::Drain;

use super::AuthnConfig;
use super::AuthnError;
use super::AuthnMetrics;
use super::Principal;

/// Believes or refuses credentials. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<()>);

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
    /// Why the last attempt to read them failed, when it did.
    pub trouble: Option<String>,
}

impl Authenticator {
    /// Reads key sets that are files; those behind URLs come with [`refresh`](Self::refresh).
    /// Every fault of the settings is reported in one error a piece.
    pub fn new(
        config: AuthnConfig,
        clock: Arc<dyn Clock>,
        metrics: AuthnMetrics,
    ) -> Result<Self, Vec<AuthnError>> {
        drop((config, clock, metrics));
        Ok(Self(Arc::new(())))
    }

    /// The token of an `Authorization` header.
    pub fn bearer(header: &[u8]) -> Result<&str, AuthnError> {
        drop(header);
        Err(AuthnError::Missing)
    }

    /// Looks a token up among those verified in the last minutes. None means
    /// [`token`](Self::token) has to be asked.
    pub fn cached(&self, token: &str) -> Option<Result<Arc<Principal>, AuthnError>> {
        drop(token);
        None
    }

    /// Verifies a token. Waits only when the token names a key that is not known and the issuer
    /// may be asked again.
    #[expect(clippy::unused_async, reason = "the signature others build on; the body follows")]
    pub async fn token(&self, token: &str) -> Result<Arc<Principal>, AuthnError> {
        drop(token);
        Err(AuthnError::Missing)
    }

    /// The principal of a client certificate whose chain was verified in the handshake.
    pub fn certificate(&self, der: &[u8]) -> Result<Arc<Principal>, AuthnError> {
        drop(der);
        Err(AuthnError::Missing)
    }

    /// Whether a principal verified earlier still stands: not expired, not suspended. Ask before
    /// each call on a connection that outlives the check.
    pub fn still_valid(&self, principal: &Principal) -> Result<(), AuthnError> {
        drop(principal.clone());
        Err(AuthnError::Missing)
    }

    /// Refuses an owner's credentials from now on, cached or not.
    pub fn suspend(&self, owner: &str) {
        drop(owner);
    }

    /// Lets an owner's credentials in again.
    pub fn resume(&self, owner: &str) {
        drop(owner);
    }

    /// Reads every key set again; each one that cannot be used keeps the last good one.
    #[expect(clippy::unused_async, reason = "the signature others build on; the body follows")]
    pub async fn refresh(&self) -> Result<(), Vec<AuthnError>> {
        Ok(())
    }

    /// Reads key sets again as often as their issuers ask for, until draining.
    pub async fn keep_fresh(&self, drain: Drain) {
        drain.started().await;
    }

    /// How each issuer's keys are doing.
    pub fn status(&self) -> Vec<IssuerStatus> {
        Vec::new()
    }
}

//! Who calls, and for whom.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::header;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Strength;
use crate::authn;
use crate::authn::AuthnError;
use crate::authn::Principal;
use crate::policy::Identity;
use crate::policy::Permit;
use crate::subjects::Approvals;
use crate::types::OwnCard;
use crate::types::Timestamp;

use super::connection::Peer;
use super::error::CallError;
use super::shared::Shared;

/// The header that carries the credential of the person a caller acts for.
const ON_BEHALF_OF: &str = "privet-on-behalf-of";
/// Roles of one caller that are written down.
const ROLES: usize = 16;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The owner of the credential.
    pub(crate) principal: Arc<Principal>,
    /// The owner of the second credential, when one came along.
    pub(crate) on_behalf_of: Option<Arc<Principal>>,
    approvals: Approvals,
    /// What was known, when the call came, of the people that the two are.
    pub(crate) standing: [OwnCard; 2],
}

impl Caller {
    /// Finds out who calls: by bearer token, else by the connection's certificate. A second
    /// credential that does not verify refuses the call, for what it takes away would be missing.
    ///
    /// # Errors
    /// When a credential is missing or not believed.
    pub(crate) async fn identify(
        shared: &Shared,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Self, CallError> {
        let principal = match (single(headers, header::AUTHORIZATION.as_str())?, &peer.certificate)
        {
            (Some(value), _) => {
                let token = authn::Authenticator::bearer(value).map_err(CallError::Authn)?;
                by_token(shared, token).await?
            }
            (None, Some(der)) => shared.authenticator.certificate(der).map_err(CallError::Authn)?,
            (None, None) => return Err(CallError::Authn(AuthnError::Missing)),
        };
        let on_behalf_of = match single(headers, ON_BEHALF_OF)? {
            Some(value) => Some(by_token(shared, plain_or_bearer(value)?).await?),
            None => None,
        };
        let other = match &on_behalf_of {
            Some(other) => standing(shared, other).await,
            None => OwnCard::default(),
        };
        let standing = [standing(shared, &principal).await, other];
        let approvals = shared.approvals.clone();
        Ok(Self { principal, on_behalf_of, approvals, standing })
    }

    /// Whether both credentials still stand, for calls that take long.
    ///
    /// # Errors
    /// When one has expired or was suspended.
    pub(crate) fn still_valid(&self, shared: &Shared) -> Result<(), CallError> {
        let both = std::iter::once(&self.principal).chain(&self.on_behalf_of);
        for principal in both {
            shared.authenticator.still_valid(principal).map_err(CallError::Authn)?;
        }
        Ok(())
    }

    /// What both speak for now, with what was cleared for them.
    pub(crate) fn identities(&self) -> (Cow<'_, Identity>, Option<Cow<'_, Identity>>) {
        let of = |principal: &'_ Arc<Principal>| -> Option<Identity> {
            self.approvals.cleared(&principal.identity)
        };
        let with = |principal| match of(principal) {
            Some(cleared) => Cow::Owned(cleared),
            None => Cow::Borrowed(&principal.identity),
        };
        (with(&self.principal), self.on_behalf_of.as_ref().map(with))
    }

    /// Whether the grants and approvals that a permit rests on still count.
    pub(crate) fn still_has(&self, permit: &Permit, now: Timestamp) -> bool {
        if !permit.still_counts(now) {
            return false;
        }
        if permit.under().is_empty() {
            return true;
        }
        let (own, behalf) = self.identities();
        let both = || std::iter::once(&own).chain(&behalf).flat_map(|who| who.cleared.iter());
        permit.under().iter().all(|(_, id)| both().any(|cleared| cleared.id == *id))
    }

    /// What the issuers of both call a second factor (`acr_values` of RFC 9470).
    pub(crate) fn acr(&self, shared: &Shared) -> [Option<Box<str>>; 2] {
        let of = |principal: &Principal| shared.authenticator.mfa_acr(&principal.issuer);
        [of(&self.principal), self.on_behalf_of.as_deref().and_then(of)]
    }

    /// The owners of the credentials.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Arc<str>> {
        let both = std::iter::once(&self.principal).chain(&self.on_behalf_of);
        both.map(|principal| &principal.identity.owner)
    }

    /// Writes the caller into what becomes the call's entries.
    pub(crate) fn describe(&self, shared: &Shared, entry: &mut Entry) {
        let token =
            |principal: &Principal| ActorToken(shared.keys.owner_token(&principal.identity.owner));
        entry.actor = Some(token(&self.principal));
        entry.on_behalf_of = self.on_behalf_of.as_deref().map(token);
        entry.strength = Some(match self.principal.strength {
            authn::Strength::Certificate => Strength::Certificate,
            authn::Strength::Mfa => Strength::Mfa,
            authn::Strength::Token => Strength::Token,
        });
        entry.region = self.principal.identity.region;
        let snapshot = shared.snapshot();
        let roles = snapshot.policy.roles_of(&self.principal.identity);
        entry.roles = roles.take(ROLES).cloned().collect();
    }
}

/// What the card of whoever a credential is of says of them.
async fn standing(shared: &Shared, principal: &Principal) -> OwnCard {
    match &principal.identity.subject {
        Some((domain, id)) => shared.cards.standing(domain, id.expose()).await,
        None => OwnCard::default(),
    }
}

async fn by_token(shared: &Shared, token: &str) -> Result<Arc<Principal>, CallError> {
    if let Some(known) = shared.authenticator.cached(token) {
        return known.map_err(CallError::Authn);
    }
    shared.authenticator.token(token).await.map_err(CallError::Authn)
}

/// The one value of a header. Two would leave it open which one counts.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, CallError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(CallError::Authn(AuthnError::Malformed { what: "it is given twice" })),
        None => Ok(first.map(http::HeaderValue::as_bytes)),
    }
}

/// The second credential, with or without the word `Bearer`.
fn plain_or_bearer(value: &[u8]) -> Result<&str, CallError> {
    if value.contains(&b' ') {
        return authn::Authenticator::bearer(value).map_err(CallError::Authn);
    }
    std::str::from_utf8(value)
        .map_err(|_| CallError::Authn(AuthnError::Malformed { what: "it is not text" }))
}

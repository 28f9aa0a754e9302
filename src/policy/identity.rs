//! What a principal may speak for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::types::DomainId;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::SubjectId;
use crate::types::Timestamp;

use super::Clearance;

/// What a principal may speak for, already cut down to what its issuer may assert.
///
/// Every field is a fact that opens something, so none may come from what a caller merely sends.
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    /// A stable name of the credential's owner (`issuer|sub`, or a certificate's fingerprint).
    /// Never logged as it is.
    pub owner: Arc<str>,
    /// Signed claims with their values: `roles`, and whatever `rows` of grants ask for.
    pub claims: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// The only purposes this credential may be used for; `None`: any.
    pub purposes: Option<Vec<Box<str>>>,
    /// Whether the credential itself names `purposes`: then a single one need not be said again.
    /// Otherwise they are the most its issuer may assert.
    pub names_purposes: bool,
    /// Where the principal is, when signed.
    pub region: Option<Region>,
    /// Whom the principal passes data to, when signed or configured. One that the policy does not
    /// know is as good as none.
    pub recipient: Option<RecipientId>,
    /// When the principal last proved a second factor, when signed.
    pub mfa_at: Option<Timestamp>,
    /// Whether a ticket was signed.
    pub ticket: bool,
    /// The person the principal is, when it is one.
    pub subject: Option<(DomainId, SubjectId)>,
    /// When the credential stops being valid.
    pub expires: Timestamp,
    /// What was approved for its owner, or what they broke glass for. No credential says so.
    pub cleared: Arc<[Clearance]>,
}

impl Identity {
    /// Whether the principal proved a second factor within so many seconds. One from the future is
    /// no fact: clocks may differ by a minute, and not by more.
    pub fn has_fresh_mfa(&self, within_s: u64, now: Timestamp) -> bool {
        self.mfa_at.is_some_and(|at| {
            at.ms_since(now) <= CLOCK_SKEW_MS && now.ms_since(at) <= within_s.saturating_mul(1000)
        })
    }
}

const CLOCK_SKEW_MS: u64 = 60_000;

impl fmt::Debug for Identity {
    /// Names claims, never values: they may be personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("claims", &self.claims.keys())
            .field("purposes", &self.purposes)
            .field("names_purposes", &self.names_purposes)
            .field("region", &self.region)
            .field("recipient", &self.recipient)
            .field("mfa_at", &self.mfa_at)
            .field("ticket", &self.ticket)
            .field("subject", &self.subject)
            .field("expires", &self.expires)
            .field("cleared", &self.cleared)
            .finish_non_exhaustive()
    }
}

//! One line of the log: who used which kind of data about whom, why, and what came of it.
//!
//! An entry has no place for field values, SQL text, raw ids or paths: subjects and actors are
//! keyed tokens, a route is its template, everything else is a word of the policy.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::types::Action;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::Region;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::StoreId;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::AuditError;
use super::FieldViews;
use super::Observed;
use super::token;
use super::token::ActorToken;
use super::words;
use super::words::words;

words! {
    /// What an entry records.
    Kind {
        /// An operator did something through the admin listener or the command line.
        Admin = "admin",
        /// A bulk limit or a detector raised its hand.
        Alert = "alert",
        /// A consent or a subject's status changed.
        Consent = "consent",
        /// The node is alive; a gap between two of these is a gap in the log.
        Heartbeat = "heartbeat",
        /// A write is about to be sent to a store.
        Intent = "intent",
        /// A key was made, rotated or destroyed.
        Key = "key",
        /// How a call ended.
        Outcome = "outcome",
        /// The policy changed.
        Policy = "policy",
        /// A call was refused.
        Refusal = "refusal",
        /// Data is about to leave.
        Release = "release",
        /// The node started.
        Start = "start",
        /// The node stopped in good order.
        Stop = "stop",
    }
}

words! {
    /// How a principal proved who they are.
    Strength {
        /// A client certificate.
        Certificate = "certificate",
        /// A signed token after multi-factor authentication.
        Mfa = "mfa",
        /// A bearer token of an operator.
        Operator = "operator",
        /// A signed token.
        Token = "token",
    }
}

words! {
    /// What was decided.
    Verdict {
        /// The call was allowed.
        Permit = "permit",
        /// The call was refused.
        Refuse = "refuse",
    }
}

words! {
    /// How a call ended.
    Ending {
        /// Cut off after the first byte: what follows the last release entry never left.
        Aborted = "aborted",
        /// Everything that was released was handed to the connection.
        Complete = "complete",
        /// The store or the gateway failed before anything left.
        Failed = "failed",
        /// The store had nothing the caller may see.
        NotFound = "not_found",
        /// The client went away.
        Gone = "gone",
    }
}

words! {
    /// The form a field was shown in, most revealing first.
    Shown {
        /// In clear.
        Show = "show",
        /// Made coarser.
        Generalize = "generalize",
        /// Partly covered.
        Mask = "mask",
        /// Replaced by a keyed token.
        Pseudonymize = "pseudonymize",
        /// Sealed.
        Ciphertext = "ciphertext",
        /// Left out.
        Drop = "drop",
    }
}

/// One entry of the log. Start from [`Entry::new`] and set what is known; what is absent is not
/// written. The log itself sets `time`, `node` and `v`.
///
/// INVARIANT: the fields stand in the order of their names, because that is the order in which
/// they are written, and an entry has exactly one written form.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the call does to records.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The credential owner who acted.
    #[serde(with = "token::actor", default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorToken>,
    /// The legal basis of the purpose, such as `contract`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Cow<'static, str>>,
    /// Bytes that left: of the batch in a release, of the whole call in an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Which version of each subject's card the decision rested on, parallel to `subjects`; empty
    /// when no consent or status was relied on. A keyed number for each version, which nobody can
    /// compare with the cards once the person's log key is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consent_versions: Vec<u64>,
    /// The data set.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub data_set: Option<DataSetId>,
    /// What was decided.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Verdict>,
    /// The decision's id, as the client reads it in `Privet-Decision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<Arc<str>>,
    /// Facts of an administrative entry by name, such as file hashes. Never personal data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<Cow<'static, str>, Arc<str>>,
    /// The kinds of data concerned and the form each was shown in, without repetition.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub fields: FieldViews,
    /// What the entry records.
    #[serde(with = "words::one")]
    pub kind: Kind,
    /// Records that were left out because of what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u32>,
    /// The node that wrote the entry. Set by the log.
    pub node: Arc<str>,
    /// What the policy would have changed, where it is only observed; absent where it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Box<Observed>>,
    /// On whose behalf the actor acted.
    #[serde(with = "token::actor", default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<ActorToken>,
    /// How the call ended.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
    /// The hash of the policy that decided.
    #[serde(with = "token::hex", default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<[u8; 32]>,
    /// Why the data is used.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PurposeId>,
    /// Why a call was refused or ended as it did: a word of the product, never the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// Whom the data goes to, when it is not the organisation itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Arc<str>>,
    /// Records that leave: of the batch in a release, of the whole call in an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u32>,
    /// The region the data goes to.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The gateway's own id of the call; one id groups its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Arc<str>>,
    /// The roles the caller spoke for.
    #[serde(with = "words::list", default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleId>,
    /// The route's template, such as `GET /customers/{id}`; never the path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// The grants and limits that decided.
    #[serde(with = "words::list", default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleId>,
    /// The HTTP status the client read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The store.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
    /// How the actor proved who they are.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
    /// Every subject of the records, without repetition.
    #[serde(with = "token::subjects", default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectToken>,
    /// When the entry was made. Set by the log.
    #[serde(with = "token::time")]
    pub time: Timestamp,
    /// The version of this form.
    pub v: u16,
}

impl Entry {
    /// An entry of a kind, with nothing else known.
    pub fn new(kind: Kind) -> Self {
        Self {
            action: None,
            actor: None,
            basis: None,
            bytes: None,
            consent_versions: Vec::new(),
            data_set: None,
            decision: None,
            decision_id: None,
            facts: BTreeMap::new(),
            fields: FieldViews::default(),
            kind,
            left_out: None,
            node: Arc::default(),
            observed: None,
            on_behalf_of: None,
            outcome: None,
            policy: None,
            purpose: None,
            reason: None,
            recipient: None,
            records: None,
            region: None,
            request_id: None,
            roles: Vec::new(),
            route: None,
            rules: Vec::new(),
            status: None,
            store: None,
            strength: None,
            subjects: Vec::new(),
            time: Timestamp::default(),
            v: VERSION,
        }
    }

    /// Whether records left and nobody is named: statistics, files, and data sets whose people are
    /// not told apart.
    pub fn is_nameless_release(&self) -> bool {
        self.kind == Kind::Release && self.subjects.is_empty() && self.records != Some(0)
    }

    /// The one written form: JSON without spaces, names in order, at most [`MAX_ENTRY_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, AuditError> {
        let mut bytes =
            Vec::with_capacity(1024 + self.fields.len() * 80 + self.subjects.len() * 48);
        serde_json::to_writer(&mut bytes, self)
            .map_err(|source| AuditError::Encode { source: Arc::new(source) })?;
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(AuditError::EntryTooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// The longest an entry may be: its length is written in two bytes (C2SP tlog-tiles).
pub const MAX_ENTRY_BYTES: usize = 65_535;

const VERSION: u16 = 1;

fn is_empty(fields: &FieldViews) -> bool {
    fields.is_empty()
}

//! Proof that a call was decided.

use std::fmt;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::types::Action;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::RuleId;

use super::PolicySet;
use super::View;

/// Proof that a call was decided. Only [`decide`](super::decide) makes one, and it is no copy of
/// another: what asks a store for data takes a permit.
pub struct Permit {
    policy: Arc<PolicySet>,
    set: Arc<DataSet>,
    purpose: PurposeId,
    basis: LegalBasis,
    action: Action,
    grants: Vec<RuleId>,
    widest: Vec<View>,
    fact_fields: Vec<FieldIx>,
    bulk: Vec<BulkLimit>,
}

impl Permit {
    /// The purpose the call is for.
    pub fn purpose(&self) -> &PurposeId {
        &self.purpose
    }

    /// The legal basis of the purpose where no region has its own.
    pub fn basis(&self) -> LegalBasis {
        self.basis
    }

    /// What is done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The data set's name.
    pub fn set_id(&self) -> &DataSetId {
        &self.set.id
    }

    /// The data set.
    pub fn set(&self) -> &Arc<DataSet> {
        &self.set
    }

    /// The grants that may cover records of this call.
    pub fn grants(&self) -> &[RuleId] {
        &self.grants
    }

    /// The hash of the policy that decided.
    pub fn policy_hash(&self) -> [u8; 32] {
        self.policy.hash()
    }

    /// The most that any record could show, by `FieldIx`.
    pub fn widest(&self) -> &[View] {
        &self.widest
    }

    /// Whether every record shows every listed field as it is.
    pub fn shows_every_field(&self) -> bool {
        false
    }

    /// The fields whose raw values [`verdict`](super::verdict) needs, besides those of subjects
    /// and region.
    pub fn fact_fields(&self) -> &[FieldIx] {
        &self.fact_fields
    }

    /// The limits on how many people may be shown in clear.
    pub fn bulk(&self) -> &[BulkLimit] {
        &self.bulk
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("set", self.set_id())
            .field("purpose", &self.purpose)
            .field("action", &self.action)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// A limit on how many different people one credential owner may be shown in clear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BulkLimit {
    /// Its id.
    pub id: RuleId,
    /// More people than this break it.
    pub over: u32,
    /// The length of the sliding window, in seconds.
    pub within_s: u32,
    /// What happens then.
    pub then: BulkAction,
}

/// What happens when a [`BulkLimit`] is broken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BulkAction {
    /// Somebody is told.
    Alert,
    /// Nothing more leaves.
    Deny,
}

/// Why the law allows a purpose (GDPR article 6; PIPL article 13 knows no legitimate interest).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LegalBasis {
    /// The person agreed.
    Consent,
    /// A contract with the person needs it.
    Contract,
    /// A law demands it.
    LegalObligation,
    /// An interest that outweighs the person's.
    LegitimateInterest,
    /// A task in the public interest.
    PublicTask,
    /// Somebody's life depends on it.
    VitalInterests,
}

impl LegalBasis {
    /// Every basis.
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::LegitimateInterest,
        Self::PublicTask,
        Self::VitalInterests,
    ];

    /// The word used in policies and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::LegitimateInterest => "legitimate_interest",
            Self::PublicTask => "public_task",
            Self::VitalInterests => "vital_interests",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == text)
    }
}

//! The words a policy uses for people and claims, for those who take such words from elsewhere.

use std::collections::BTreeSet;

use crate::types::Place;

use super::PolicySet;
use super::source::Holds;

/// A signed claim that a policy reads.
#[derive(Clone, Copy, Debug)]
pub struct ClaimUse<'a> {
    /// Its name, as an issuer's `claims` map it.
    pub claim: &'a str,
    /// The value that gives a role; `None` where rows are compared with the claim.
    pub has: Option<&'a str>,
    /// Where the policy says so.
    pub place: &'a Place,
}

/// What a privacy signal takes back for good, when it is the person's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GpcNames<'a> {
    /// Whether there is a purpose that the signal ends.
    pub counts: bool,
    /// The consent questions of these purposes.
    pub consents: BTreeSet<&'a str>,
    /// Their opt-outs.
    pub opt_outs: BTreeSet<&'a str>,
}

impl PolicySet {
    /// The spaces of subject ids that data sets use.
    pub fn domains(&self) -> BTreeSet<&str> {
        let subjects = self.sets().iter().flat_map(|set| &set.subjects);
        subjects.map(|subject| subject.domain.as_str()).collect()
    }

    /// The consents that purposes ask for.
    pub fn consents(&self) -> BTreeSet<&str> {
        self.model().purposes.iter().filter_map(|purpose| purpose.consent.as_deref()).collect()
    }

    /// What people can opt out of.
    pub fn opt_outs(&self) -> BTreeSet<&str> {
        self.model().purposes.iter().filter_map(|purpose| purpose.opt_out.as_deref()).collect()
    }

    /// What somebody who sends a privacy signal has opted out of, by the names that cards use.
    pub fn gpc(&self) -> GpcNames<'_> {
        let purposes = || self.model().purposes.iter().filter(|purpose| purpose.gpc);
        GpcNames {
            counts: purposes().next().is_some(),
            consents: purposes().filter_map(|purpose| purpose.consent.as_deref()).collect(),
            opt_outs: purposes().filter_map(|purpose| purpose.opt_out.as_deref()).collect(),
        }
    }

    /// The claims that give roles or that rows are compared with.
    pub fn claim_uses(&self) -> Vec<ClaimUse<'_>> {
        let roles = self.model().roles.iter().filter_map(|role| match &role.holds {
            Holds::Claim { claim, has } => {
                Some(ClaimUse { claim, has: Some(&**has), place: &role.place })
            }
            Holds::Subject { .. } => None,
        });
        let rows = self.model().grants.iter().flat_map(|grant| &grant.rows);
        let rows = rows.map(|row| ClaimUse { claim: &row.claim, has: None, place: &row.place });
        roles.chain(rows).collect()
    }
}

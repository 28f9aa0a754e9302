//! The compiled policies of one gateway.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use crate::catalog::DataSet;
use crate::catalog::Router;
use crate::types::Faults;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::RoleId;
use crate::types::StoreId;
use crate::types::Timestamp;

use super::Identity;
use super::LegalBasis;
use super::RecipientEntry;
use super::compile::Tables;
use super::compile::role_bit;
use super::report;
use super::source;
use super::source::Holds;
use super::source::Model;

/// One policy file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyFile {
    /// Its name, as faults show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The compiled policies of one gateway: immutable, and shared by `Arc`.
#[derive(Debug)]
pub struct PolicySet {
    /// The files it was compiled from.
    files: Vec<PolicyFile>,
    model: Model,
    tables: Tables,
    /// Positions of purposes, by name.
    purposes: Vec<(PurposeId, usize)>,
    /// The claims that give roles.
    claims: Vec<RoleClaim>,
    hash: [u8; 32],
}

/// A claim that gives roles: its values, each with the role's bit.
#[derive(Debug)]
struct RoleClaim {
    claim: Box<str>,
    values: Vec<(Box<str>, u128)>,
}

impl PolicySet {
    /// Compiles every policy file (not the `*.test.yaml` beside them) into one policy. Reports
    /// every fault of every file; `None` when one of them is an error. `today` is for dates such
    /// as `review_by`.
    pub fn compile(files: &[PolicyFile], today: Timestamp, faults: &mut Faults) -> Option<Self> {
        let mut own = Faults::new();
        let compiled = Self::try_compile(files, today, &mut own);
        let usable = !own.has_errors();
        faults.extend(own);
        compiled.filter(|_| usable)
    }

    fn try_compile(files: &[PolicyFile], today: Timestamp, faults: &mut Faults) -> Option<Self> {
        let model = source::read(files, today, faults);
        let tables = Tables::compile(&model, today, faults)?;
        let ids = model.purposes.iter().enumerate();
        let mut purposes: Vec<_> = ids.map(|(at, p)| (p.id.clone(), at)).collect();
        purposes.sort();
        let claims = claims(&model);
        let hash = hash(files);
        let set = Self { files: files.to_vec(), model, tables, purposes, claims, hash };
        // Rules that are wrong may seem to be without effect.
        if !faults.has_errors() {
            report::lint(&set, faults);
        }
        Some(set)
    }

    /// The data sets.
    pub fn sets(&self) -> &[Arc<DataSet>] {
        &self.model.sets
    }

    /// The routes of a store, when it has a data set.
    pub fn router(&self, store: &StoreId) -> Option<&Router> {
        self.model.routers.iter().find(|(id, _)| id == store).map(|(_, router)| router)
    }

    /// The purposes, in the order they were written.
    pub fn purposes(&self) -> impl Iterator<Item = &PurposeId> {
        self.model.purposes.iter().map(|purpose| &purpose.id)
    }

    /// Whom data is passed to, in the order they were written.
    pub fn recipients(&self) -> impl Iterator<Item = &RecipientId> {
        self.model.recipients.iter().map(|recipient| &recipient.id)
    }

    /// Whom data is passed to, and what holds now of what allows it.
    pub fn register(&self, now: Timestamp) -> Vec<RecipientEntry> {
        self.model.recipients.iter().map(|it| RecipientEntry::of(it, &self.model, now)).collect()
    }

    /// The roles, in the order they were written.
    pub fn roles(&self) -> impl Iterator<Item = &RoleId> {
        self.model.roles.iter().map(|role| &role.id)
    }

    /// The roles somebody may act in: those their claims give, and those of a person about whom
    /// records are, when they are one.
    pub fn roles_of<'a>(&'a self, identity: &Identity) -> impl Iterator<Item = &'a RoleId> {
        let claimed = self.claimed(&identity.claims);
        let is_person = identity.subject.is_some();
        self.model.roles.iter().enumerate().filter_map(move |(at, role)| {
            let held = match role.holds {
                Holds::Claim { .. } => claimed & role_bit(at) != 0,
                Holds::Subject { .. } => is_person,
            };
            held.then_some(&role.id)
        })
    }

    /// SHA-256 over the names and texts of the files.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The files it was compiled from, without tests.
    pub fn files(&self) -> &[PolicyFile] {
        &self.files
    }

    /// The policy as written.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// The tables.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The claims that give roles.
    pub(super) fn role_claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(|known| &*known.claim)
    }

    /// The position of a purpose.
    pub(super) fn purpose(&self, name: &str) -> Option<(&PurposeId, usize)> {
        let found = self.purposes.binary_search_by(|(id, _)| id.as_str().cmp(name)).ok()?;
        self.purposes.get(found).map(|(id, at)| (id, *at))
    }

    /// Whether somebody who sends a privacy signal has opted out of a purpose.
    pub(super) fn ends_by_gpc(&self, purpose: usize) -> bool {
        self.model.purposes.get(purpose).is_none_or(|purpose| purpose.gpc)
    }

    /// The legal basis of a purpose where no region has its own.
    pub(super) fn basis(&self, purpose: usize) -> LegalBasis {
        self.model.purposes.get(purpose).map_or(LegalBasis::Consent, |p| p.basis.default)
    }

    /// The roles that claims give, as bits.
    pub(super) fn claimed(
        &self,
        claims: &std::collections::BTreeMap<Box<str>, Vec<Box<str>>>,
    ) -> u128 {
        let mut held = 0;
        for RoleClaim { claim, values } in &self.claims {
            for value in claims.get(claim).into_iter().flatten() {
                for (_, bit) in values.iter().filter(|(has, _)| has == value) {
                    held |= bit;
                }
            }
        }
        held
    }
}

fn claims(model: &Model) -> Vec<RoleClaim> {
    let mut claims: Vec<RoleClaim> = Vec::new();
    for (at, role) in model.roles.iter().enumerate() {
        let Holds::Claim { claim, has } = &role.holds else { continue };
        let value = (has.clone(), role_bit(at));
        match claims.iter_mut().find(|known| known.claim == *claim) {
            Some(known) => known.values.push(value),
            None => claims.push(RoleClaim { claim: claim.clone(), values: vec![value] }),
        }
    }
    claims
}

/// Every part with its length before it, so that no two lists of files look the same.
fn hash(files: &[PolicyFile]) -> [u8; 32] {
    let mut files: Vec<&PolicyFile> = files.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|file| [&file.name, &file.text]) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

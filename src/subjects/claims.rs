//! What two people must agree on before it is told which entries of the audit log were about
//! somebody who was erased: for legal claims, while their log key is kept.

use serde::Deserialize;
use serde::Serialize;

use super::accord;
use super::accord::Accord;
use super::accord::AccordError;
use super::cards::Cards;
use super::error::SubjectsError;
use crate::keys::KeptName;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::SubjectToken;
use crate::types::Timestamp;

/// A request to be told the token of somebody who was erased. It names nobody.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LegalClaim {
    v: u8,
    /// Ties the claim to its person by their log key; once that is gone, to nobody.
    tie: [u8; 16],
    /// Who asked, who agreed, and why.
    pub accord: Accord,
}

/// A claim as it stands, at a version. Changes name the version they were decided on.
#[derive(Clone, Debug)]
pub struct ClaimTicket {
    /// Its id.
    pub id: String,
    version: Option<Rev>,
    /// The claim as it will be.
    pub claim: LegalClaim,
}

/// A claim cannot be made, approved or shown.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Time or people do not allow it.
    #[error(transparent)]
    Accord(#[from] AccordError),
    /// It is about somebody else.
    #[error("there is no such request about that person")]
    NotAbout,
    /// The person is not erased, or their log key is gone.
    #[error("no log key is kept for that id; see `[audit] unlink_after`")]
    NotKept,
    /// Keys or state are not available.
    #[error("the keys or the state are not available")]
    Subjects(#[source] SubjectsError),
}

impl Cards {
    /// Until when it can be told which entries were about an erased person, if it can.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub async fn kept_until(
        &self,
        domain: &DomainId,
        id: &str,
    ) -> Result<Option<Timestamp>, SubjectsError> {
        let subject = self.0.keys.subject(domain, id);
        self.0.keys.kept_until(&subject).await.map_err(SubjectsError::Keys)
    }

    /// A claim about an erased person, to be written with [`settle_claim`](Self::settle_claim).
    /// `valid_for` in milliseconds.
    ///
    /// # Errors
    /// When it says too little, or nothing is kept about the person.
    pub async fn prepare_claim(
        &self,
        (domain, id): (&DomainId, &str),
        asked: (&str, Timestamp, u64),
        about: (&str, &str),
    ) -> Result<ClaimTicket, ClaimError> {
        let accord = Accord::new(asked, about)?;
        let kept = self.kept(domain, id).await?;
        let id = accord::fresh_id(self.0.keys.entropy());
        let id = id.map_err(|_| ClaimError::Subjects(SubjectsError::Interrupted))?;
        let claim = LegalClaim { v: VERSION, tie: kept.tie(&id), accord };
        Ok(ClaimTicket { id, version: None, claim })
    }

    /// The claim, agreed to by `by`, to be written with [`settle_claim`](Self::settle_claim).
    ///
    /// # Errors
    /// When it is not there to be agreed to by that operator.
    pub async fn may_approve_claim(
        &self,
        id: &str,
        (by, now): (&str, Timestamp),
    ) -> Result<ClaimTicket, ClaimError> {
        let mut ticket = self.claim(id).await?;
        ticket.claim.accord.approve(by, now)?;
        Ok(ticket)
    }

    /// Writes a claim as it will be.
    ///
    /// # Errors
    /// When it is not any more what the ticket was made for.
    pub async fn settle_claim(&self, ticket: &ClaimTicket) -> Result<(), ClaimError> {
        let damaged = |_| ClaimError::Subjects(SubjectsError::Damaged);
        let value = serde_json::to_vec(&ticket.claim).map_err(damaged)?;
        let mut tx = Tx::new();
        tx.put(&key(&ticket.id), value, ticket.version.map_or(Expect::Absent, Expect::Version));
        self.write_claim(tx).await
    }

    /// What the log calls the person of an approved claim, for whoever made it. It is used up then.
    ///
    /// # Errors
    /// When it is not approved, expired, somebody else's or about another person, or when nothing
    /// is kept any more.
    pub async fn take_claim(
        &self,
        claim: &str,
        (domain, id): (&DomainId, &str),
        (by, now): (&str, Timestamp),
    ) -> Result<(LegalClaim, SubjectToken), ClaimError> {
        let ticket = self.claim(claim).await?;
        ticket.claim.accord.require(by, now)?;
        let kept = self.kept(domain, id).await?;
        if kept.tie(claim) != ticket.claim.tie {
            return Err(ClaimError::NotAbout);
        }
        let mut tx = Tx::new();
        tx.delete(&key(claim), ticket.version.map_or(Expect::Absent, Expect::Version));
        self.write_claim(tx).await?;
        Ok((ticket.claim, kept.token))
    }

    async fn kept(&self, domain: &DomainId, id: &str) -> Result<KeptName, ClaimError> {
        let kept = self.0.keys.kept_name(&self.0.keys.subject(domain, id)).await;
        let kept = kept.map_err(|error| ClaimError::Subjects(SubjectsError::Keys(error)))?;
        kept.ok_or(ClaimError::NotKept)
    }

    async fn claim(&self, id: &str) -> Result<ClaimTicket, ClaimError> {
        if !accord::is_id(id) {
            return Err(AccordError::NotFound.into());
        }
        let found = self.0.state.get(&key(id)).await;
        let found = found.map_err(|error| ClaimError::Subjects(SubjectsError::State(error)))?;
        let found = found.ok_or(AccordError::NotFound)?;
        let claim = serde_json::from_slice::<LegalClaim>(&found.value);
        let claim = claim.ok().filter(|claim| claim.v == VERSION);
        let claim = claim.ok_or(ClaimError::Subjects(SubjectsError::Damaged))?;
        Ok(ClaimTicket { id: id.to_owned(), version: Some(found.version), claim })
    }

    async fn write_claim(&self, tx: Tx) -> Result<(), ClaimError> {
        match self.0.state.commit(tx).await {
            Ok(_) => Ok(()),
            Err(StateError::Conflict { .. }) => Err(AccordError::Conflict.into()),
            Err(error) => Err(ClaimError::Subjects(SubjectsError::State(error))),
        }
    }
}

fn key(id: &str) -> Vec<u8> {
    [b"legal-claim/", id.as_bytes()].concat()
}

const VERSION: u8 = 1;

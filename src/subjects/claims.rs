//! What two people must agree on before it is told which entries of the audit log were about
//! somebody who was erased: for legal claims, while their log key is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use super::cards::Cards;
use super::error::SubjectsError;
use crate::jobs::same_person;
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
    /// The number or name of the case.
    pub case: String,
    /// Why it is needed.
    pub why: String,
    /// Who asked.
    pub requested_by: String,
    /// Until when it may be approved and shown, in milliseconds since 1970.
    pub expires: u64,
    /// Who agreed.
    pub approved_by: Option<String>,
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
    /// Something happened to it at the same time, or before.
    #[error("the claim was approved or shown already, or changed at the same moment")]
    Conflict,
    /// Its time is over.
    #[error("the claim has expired; make another")]
    Expired,
    /// It says too little, or takes too long.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody made it, or it is about somebody else.
    #[error("there is no such claim about that person")]
    NotFound,
    /// The person is not erased, or their log key is gone.
    #[error("no log key is kept for that id; see `[audit] unlink_after`")]
    NotKept,
    /// Another operator made it.
    #[error("the answer is for whoever made the claim")]
    NotYours,
    /// Who asked cannot agree.
    #[error("whoever made the claim cannot approve it: a second person must")]
    Own,
    /// Keys or state are not available.
    #[error("the keys or the state are not available")]
    Subjects(#[source] SubjectsError),
    /// Nobody agreed yet.
    #[error("the claim waits for another operator to approve it")]
    Unapproved,
}

impl LegalClaim {
    fn open_at(&self, now: Timestamp) -> Result<(), ClaimError> {
        if now.unix_ms() >= self.expires { Err(ClaimError::Expired) } else { Ok(()) }
    }
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
        (by, now, valid_for): (&str, Timestamp, u64),
        (case, why): (&str, &str),
    ) -> Result<ClaimTicket, ClaimError> {
        let says = |text: &str| {
            (1..=MAX_TEXT).contains(&text.trim().len()) && !text.chars().any(char::is_control)
        };
        if !says(case) || !says(why) {
            return Err(ClaimError::Invalid("`case` and `why` take 1 to 300 bytes of text"));
        }
        if !(1..=MAX_VALID_MS).contains(&valid_for) {
            return Err(ClaimError::Invalid("a claim is valid for at most 24 hours"));
        }
        let kept = self.kept(domain, id).await?;
        let mut random = [0; 12];
        let filled = self.0.keys.entropy().fill(&mut random);
        filled.map_err(|_| ClaimError::Subjects(SubjectsError::Interrupted))?;
        let id = URL_SAFE_NO_PAD.encode(random);
        let claim = LegalClaim {
            v: VERSION,
            tie: kept.tie(&id),
            case: case.to_owned(),
            why: why.to_owned(),
            requested_by: by.to_owned(),
            expires: now.unix_ms().saturating_add(valid_for),
            approved_by: None,
        };
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
        ticket.claim.open_at(now)?;
        if same_person(&ticket.claim.requested_by, by) {
            return Err(ClaimError::Own);
        }
        if ticket.claim.approved_by.is_some() {
            return Err(ClaimError::Conflict);
        }
        ticket.claim.approved_by = Some(by.to_owned());
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
        if ticket.claim.requested_by != by {
            return Err(ClaimError::NotYours);
        }
        ticket.claim.open_at(now)?;
        match &ticket.claim.approved_by {
            None => return Err(ClaimError::Unapproved),
            Some(approver) if same_person(approver, by) => return Err(ClaimError::Own),
            Some(_) => {}
        }
        let kept = self.kept(domain, id).await?;
        if kept.tie(claim) != ticket.claim.tie {
            return Err(ClaimError::NotFound);
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
        let is_id = id.len() == 16
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_id {
            return Err(ClaimError::NotFound);
        }
        let found = self.0.state.get(&key(id)).await;
        let found = found.map_err(|error| ClaimError::Subjects(SubjectsError::State(error)))?;
        let found = found.ok_or(ClaimError::NotFound)?;
        let claim = serde_json::from_slice::<LegalClaim>(&found.value);
        let claim = claim.ok().filter(|claim| claim.v == VERSION);
        let claim = claim.ok_or(ClaimError::Subjects(SubjectsError::Damaged))?;
        Ok(ClaimTicket { id: id.to_owned(), version: Some(found.version), claim })
    }

    async fn write_claim(&self, tx: Tx) -> Result<(), ClaimError> {
        match self.0.state.commit(tx).await {
            Ok(_) => Ok(()),
            Err(StateError::Conflict { .. }) => Err(ClaimError::Conflict),
            Err(error) => Err(ClaimError::Subjects(SubjectsError::State(error))),
        }
    }
}

fn key(id: &str) -> Vec<u8> {
    [b"legal-claim/", id.as_bytes()].concat()
}

const VERSION: u8 = 1;
const MAX_TEXT: usize = 300;
const MAX_VALID_MS: u64 = 24 * 60 * 60 * 1_000;

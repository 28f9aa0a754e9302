//! What two people must agree on before tokens are turned back into values.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use super::accord;
use super::accord::Accord;
use super::accord::AccordError;
use super::cards::Cards;
use super::error::SubjectsError;
use super::vault::Meaning;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::PurposeId;
use crate::types::Timestamp;

/// A request to turn tokens back into values. It holds tokens, never values.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reidentification {
    v: u8,
    /// The purpose the tokens were given out for.
    pub purpose: String,
    tokens: Vec<String>,
    /// Who asked, who agreed, and why.
    pub accord: Accord,
    /// Whether the values were given out, which happens once.
    pub shown: bool,
}

impl Reidentification {
    /// A request by an operator; `valid_for` in milliseconds.
    ///
    /// # Errors
    /// When it asks for no tokens or too many, for what is no token, or says too little.
    pub fn new(
        asked: (&str, Timestamp, u64),
        (purpose, tokens): (&PurposeId, &[String]),
        about: (&str, &str),
    ) -> Result<Self, ReidentifyError> {
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(AccordError::Invalid("name 1 to 100 tokens").into());
        }
        let tokens: BTreeSet<&str> = tokens.iter().map(|token| &**token).collect();
        if tokens.iter().any(|token| read_token(token).is_none()) {
            return Err(AccordError::Invalid("a token is `ps1_` and 22 letters").into());
        }
        Ok(Self {
            v: VERSION,
            purpose: purpose.as_str().to_owned(),
            tokens: tokens.into_iter().map(str::to_owned).collect(),
            accord: Accord::new(asked, about)?,
            shown: false,
        })
    }

    /// How many tokens it names.
    pub fn count(&self) -> usize {
        self.tokens.len()
    }
}

/// A request as it stands, at a version. Changes name the version they were decided on.
#[derive(Clone, Debug)]
pub struct Ticket {
    id: String,
    version: Rev,
    /// The request as it will be.
    pub request: Reidentification,
}

/// A request cannot be made, approved or shown.
#[derive(Debug, thiserror::Error)]
pub enum ReidentifyError {
    /// Time or people do not allow it, or it asks for what cannot be asked.
    #[error(transparent)]
    Accord(#[from] AccordError),
    /// The values were given out, which happens once.
    #[error("the values were given out already, which happens once; make another request")]
    Shown,
    /// Cards, keys or state are not available.
    #[error("the vault is not available")]
    Subjects(#[source] SubjectsError),
}

impl Cards {
    /// Makes a request; its id. Its entry in the log comes first.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn request_meanings(
        &self,
        request: &Reidentification,
    ) -> Result<String, ReidentifyError> {
        let id = accord::fresh_id(self.0.keys.entropy());
        let id = id.map_err(|_| ReidentifyError::Subjects(SubjectsError::Interrupted))?;
        self.write(&id, request, Expect::Absent).await?;
        Ok(id)
    }

    /// The request, agreed to by `by`, to be written with [`settle`](Self::settle).
    ///
    /// # Errors
    /// When it is not there to be agreed to by that operator.
    pub async fn may_approve_meanings(
        &self,
        id: &str,
        (by, now): (&str, Timestamp),
    ) -> Result<Ticket, ReidentifyError> {
        let mut ticket = self.request(id).await?;
        if ticket.request.shown {
            return Err(ReidentifyError::Shown);
        }
        ticket.request.accord.approve(by, now)?;
        Ok(ticket)
    }

    /// Writes a request as it will be.
    ///
    /// # Errors
    /// When it is not any more what the ticket was made for.
    pub async fn settle(&self, ticket: &Ticket) -> Result<(), ReidentifyError> {
        self.write(&ticket.id, &ticket.request, Expect::Version(ticket.version)).await
    }

    /// What the tokens of an approved request stand for, for whoever made it. From then on the
    /// request is used up, whether or not the values arrive anywhere.
    ///
    /// # Errors
    /// When it is not approved, expired, used up, or somebody else's; or when keys or state are not
    /// available, which does not use it up.
    pub async fn take_meanings(
        &self,
        id: &str,
        (by, now): (&str, Timestamp),
    ) -> Result<(Reidentification, Vec<(String, Meaning)>), ReidentifyError> {
        let mut ticket = self.request(id).await?;
        // Whether it was shown is told to whoever made it alone.
        match ticket.request.accord.require(by, now) {
            Err(AccordError::NotYours) => return Err(AccordError::NotYours.into()),
            _ if ticket.request.shown => return Err(ReidentifyError::Shown),
            allowed => allowed?,
        }
        let damaged = || ReidentifyError::Subjects(SubjectsError::Damaged);
        let purpose = PurposeId::parse(&ticket.request.purpose).map_err(|_| damaged())?;
        let made = self.0.keys.pseudonyms(&purpose);
        let made = made.map_err(|error| ReidentifyError::Subjects(SubjectsError::Keys(error)))?;
        let mut found = Vec::with_capacity(ticket.request.count());
        for token in &ticket.request.tokens {
            let bytes = read_token(token).ok_or_else(damaged)?;
            let meaning = self.meaning(&purpose, &made, &bytes).await;
            found.push((token.clone(), meaning.map_err(ReidentifyError::Subjects)?));
        }
        ticket.request.shown = true;
        self.settle(&ticket).await?;
        Ok((ticket.request, found))
    }

    async fn request(&self, id: &str) -> Result<Ticket, ReidentifyError> {
        if !accord::is_id(id) {
            return Err(AccordError::NotFound.into());
        }
        let found = self.0.state.get(&key(id)).await;
        let found =
            found.map_err(|error| ReidentifyError::Subjects(SubjectsError::State(error)))?;
        let found = found.ok_or(AccordError::NotFound)?;
        let request: Reidentification = serde_json::from_slice(&found.value)
            .map_err(|_| ReidentifyError::Subjects(SubjectsError::Damaged))?;
        if request.v != VERSION {
            return Err(ReidentifyError::Subjects(SubjectsError::Damaged));
        }
        Ok(Ticket { id: id.to_owned(), version: found.version, request })
    }

    async fn write(
        &self,
        id: &str,
        request: &Reidentification,
        expect: Expect,
    ) -> Result<(), ReidentifyError> {
        let value = serde_json::to_vec(request)
            .map_err(|_| ReidentifyError::Subjects(SubjectsError::Damaged))?;
        let mut tx = Tx::new();
        tx.put(&key(id), value, expect);
        match self.0.state.commit(tx).await {
            Ok(_) => Ok(()),
            Err(StateError::Conflict { .. }) => Err(AccordError::Conflict.into()),
            Err(error) => Err(ReidentifyError::Subjects(SubjectsError::State(error))),
        }
    }
}

/// The bytes of a token, which has exactly one spelling.
fn read_token(text: &str) -> Option<[u8; 16]> {
    URL_SAFE_NO_PAD.decode(text.strip_prefix("ps1_")?).ok()?.try_into().ok()
}

fn key(id: &str) -> Vec<u8> {
    [b"reidentification/", id.as_bytes()].concat()
}

const VERSION: u8 = 1;
/// More would be an export.
const MAX_TOKENS: usize = 100;

//! What two people must agree on before tokens are turned back into values.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use super::cards::Cards;
use super::error::SubjectsError;
use super::vault::Meaning;
use crate::jobs::same_person;
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
    /// Whether the values were given out, which happens once.
    pub shown: bool,
}

impl Reidentification {
    /// A request by an operator; `valid_for` in milliseconds.
    ///
    /// # Errors
    /// When it asks for no tokens or too many, for what is no token, or says too little.
    pub fn new(
        (by, now, valid_for): (&str, Timestamp, u64),
        (purpose, tokens): (&PurposeId, &[String]),
        (case, why): (&str, &str),
    ) -> Result<Self, ReidentifyError> {
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(ReidentifyError::Invalid("name 1 to 100 tokens"));
        }
        let tokens: BTreeSet<&str> = tokens.iter().map(|token| &**token).collect();
        if tokens.iter().any(|token| read_token(token).is_none()) {
            return Err(ReidentifyError::Invalid("a token is `ps1_` and 22 letters"));
        }
        let says = |text: &str| {
            (1..=MAX_TEXT).contains(&text.trim().len()) && !text.chars().any(char::is_control)
        };
        if !says(case) || !says(why) {
            return Err(ReidentifyError::Invalid("`case` and `why` take 1 to 300 bytes of text"));
        }
        if !(1..=MAX_VALID_MS).contains(&valid_for) {
            return Err(ReidentifyError::Invalid("a request is valid for at most 24 hours"));
        }
        Ok(Self {
            v: VERSION,
            purpose: purpose.as_str().to_owned(),
            tokens: tokens.into_iter().map(str::to_owned).collect(),
            case: case.to_owned(),
            why: why.to_owned(),
            requested_by: by.to_owned(),
            expires: now.unix_ms().saturating_add(valid_for),
            approved_by: None,
            shown: false,
        })
    }

    /// How many tokens it names.
    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    fn open_at(&self, now: Timestamp) -> Result<(), ReidentifyError> {
        if self.shown {
            return Err(ReidentifyError::Shown);
        }
        if now.unix_ms() >= self.expires { Err(ReidentifyError::Expired) } else { Ok(()) }
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
    /// Something happened to it at the same time, or before.
    #[error("the request was approved already, or changed at the same moment")]
    Conflict,
    /// Its time is over.
    #[error("the request has expired; make another")]
    Expired,
    /// It asks for what cannot be asked.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody made it.
    #[error("there is no such request")]
    NotFound,
    /// Who asked cannot agree.
    #[error("whoever made the request cannot approve it: a second person must")]
    Own,
    /// The values were given out, which happens once.
    #[error("the values were given out already, which happens once; make another request")]
    Shown,
    /// Cards, keys or state are not available.
    #[error("the vault is not available")]
    Subjects(#[source] SubjectsError),
    /// Nobody agreed yet.
    #[error("the request waits for another operator to approve it")]
    Unapproved,
    /// Another operator made it.
    #[error("the values are for whoever made the request")]
    NotYours,
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
        let mut random = [0; 16];
        let filled = self.0.keys.entropy().fill(&mut random);
        filled.map_err(|_| ReidentifyError::Subjects(SubjectsError::Interrupted))?;
        // Typed on command lines, where what begins with `-` is an option.
        let id = format!("{:032x}", u128::from_be_bytes(random));
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
        ticket.request.open_at(now)?;
        if same_person(&ticket.request.requested_by, by) {
            return Err(ReidentifyError::Own);
        }
        if ticket.request.approved_by.is_some() {
            return Err(ReidentifyError::Conflict);
        }
        ticket.request.approved_by = Some(by.to_owned());
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
        if ticket.request.requested_by != by {
            return Err(ReidentifyError::NotYours);
        }
        ticket.request.open_at(now)?;
        match &ticket.request.approved_by {
            None => return Err(ReidentifyError::Unapproved),
            Some(approver) if same_person(approver, by) => return Err(ReidentifyError::Own),
            Some(_) => {}
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
        let is_id = (16..=32).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_id {
            return Err(ReidentifyError::NotFound);
        }
        let found = self.0.state.get(&key(id)).await;
        let found =
            found.map_err(|error| ReidentifyError::Subjects(SubjectsError::State(error)))?;
        let found = found.ok_or(ReidentifyError::NotFound)?;
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
            Err(StateError::Conflict { .. }) => Err(ReidentifyError::Conflict),
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
const MAX_TEXT: usize = 300;
const MAX_VALID_MS: u64 = 24 * 60 * 60 * 1_000;

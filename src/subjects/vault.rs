//! The vault: what reversible tokens stand for, sealed under the key of the person it is about.
//! Destroying that key makes the tokens of the person what all others are: final.

use std::collections::HashSet;
use std::mem;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroizing;

use super::card::Card;
use super::card::Facts;
use super::cards;
use super::cards::ATTEMPTS;
use super::cards::Cards;
use super::error::SubjectsError;
use crate::crypto::Envelope;
use crate::crypto::ValueKind;
use crate::keys::KeysError;
use crate::keys::PurposePseudonyms;
use crate::keys::RecordKey;
use crate::keys::Subject;
use crate::state::Expect;
use crate::state::MAX_VALUE_BYTES;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::transform::Unsealed;
use crate::types::DomainId;
use crate::types::PurposeId;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;

/// A value that gets a reversible token, and whom it is about.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a value")]
pub struct Tokenized<'a> {
    /// Whose tokens they are.
    pub purpose: &'a PurposeId,
    /// The token.
    pub token: [u8; 16],
    /// What the token was made under beside the value.
    pub kind: &'a str,
    /// The data set.
    pub set: &'a str,
    /// The field's path.
    pub field: &'a str,
    /// The person's domain.
    pub domain: &'a DomainId,
    /// The person's id.
    pub id: &'a str,
    /// The value.
    pub value: &'a str,
}

/// A row of the vault that is not known to be on disk.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it names a person's records")]
pub struct NewToken {
    token: [u8; 16],
    record: RecordKey,
    row: Vec<u8>,
}

/// What a token stands for.
#[expect(missing_debug_implementations, reason = "it holds a value")]
pub enum Meaning {
    /// A value, and the person it is about.
    Value {
        /// The value.
        value: Zeroizing<String>,
        /// The person's name in the audit log.
        subject: SubjectToken,
    },
    /// The person was erased.
    Destroyed,
    /// No such token was given out for this purpose.
    Unknown,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    v: u8,
    domain: String,
    sealed: String,
}

/// What is sealed in a row: it says where it belongs, so that a row that is moved to another
/// person or token does not count.
#[derive(Deserialize, Serialize)]
struct Sealed<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    set: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    field: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    value: std::borrow::Cow<'a, str>,
}

/// Rows that are on disk, so that a token that was shown before costs no look-up.
#[derive(Default)]
pub(super) struct Kept(Mutex<[HashSet<[u8; 48]>; 2]>);

impl Kept {
    fn has(&self, key: &[u8; 48]) -> bool {
        let halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.iter().any(|half| half.contains(key))
    }

    fn add(&self, key: [u8; 48]) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [new, old] = &mut *halves;
        if new.len() >= HALF {
            *old = mem::take(new);
        }
        new.insert(key);
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }
}

impl Cards {
    /// The row of a token, sealed, unless it is known to be on disk. `Err`: it cannot be kept, so
    /// the token must not be shown.
    ///
    /// # Errors
    /// When the person has no key, when the keys are locked, or when the value is longer than 1,024
    /// bytes.
    pub fn tokenize(
        &self,
        card: &Card,
        of: &Tokenized<'_>,
    ) -> Result<Option<NewToken>, SubjectsError> {
        if !self.0.keys.is_usable() {
            return Err(SubjectsError::Keys(KeysError::Unavailable));
        }
        let record = self.0.keys.record_key(of.domain, of.id);
        if self.0.kept.has(&together(&record, &of.token)) {
            return Ok(None);
        }
        let keys = card.keys.as_ref().ok_or(SubjectsError::Erased)?;
        if of.value.len() > MAX_VALUE {
            return Err(SubjectsError::Invalid { what: "a value that is to be kept" });
        }
        let sealed = Sealed {
            id: of.id.into(),
            kind: of.kind.into(),
            set: of.set.into(),
            field: of.field.into(),
            value: of.value.into(),
        };
        let plain = serde_json::to_vec(&sealed).map(Zeroizing::new);
        let plain = plain.map_err(|_| SubjectsError::Damaged)?;
        let mut text = Vec::new();
        keys.seal(
            &sealed_as(of.purpose),
            (ValueKind::Json, plain.as_slice()),
            self.0.keys.entropy(),
            &mut text,
        )
        .map_err(|error| match error {
            Unsealed::NoKey => SubjectsError::Erased,
            Unsealed::Unavailable => SubjectsError::Keys(KeysError::Unavailable),
        })?;
        let sealed = String::from_utf8(text).map_err(|_| SubjectsError::Damaged)?;
        let row = Row { v: VERSION, domain: of.domain.as_str().to_owned(), sealed };
        let row = serde_json::to_vec(&row).map_err(|_| SubjectsError::Damaged)?;
        if row.len() > MAX_VALUE_BYTES {
            return Err(SubjectsError::Invalid { what: "a value that is to be kept" });
        }
        Ok(Some(NewToken { token: of.token, record, row }))
    }

    /// Puts rows on disk. Only then may their tokens be shown.
    ///
    /// # Errors
    /// When they are not all on disk, or when one of the people was erased meanwhile.
    pub async fn keep_tokens(&self, rows: &[NewToken]) -> Result<(), SubjectsError> {
        for part in rows.chunks(PART) {
            let mut attempts = 0..ATTEMPTS;
            while !self.keep_some(part).await? {
                attempts.next().ok_or(SubjectsError::Contended)?;
            }
            for row in part {
                self.0.kept.add(together(&row.record, &row.token));
            }
        }
        Ok(())
    }

    /// One attempt; false when something changed meanwhile.
    async fn keep_some(&self, rows: &[NewToken]) -> Result<bool, SubjectsError> {
        let state = &self.0.state;
        let (mut tx, mut seen) = (Tx::new(), HashSet::new());
        for row in rows {
            let key = row_key(&row.record, &row.token);
            if !seen.insert(key.clone())
                || state.get(&key).await.map_err(SubjectsError::State)?.is_some()
            {
                continue;
            }
            let card = cards::storage_key(&row.record);
            if seen.insert(card.clone()) {
                // Whoever is erased while a batch waits leaves no row behind.
                let found = state.get(&card).await.map_err(SubjectsError::State)?;
                let found = found.ok_or(SubjectsError::Erased)?;
                if Facts::decode(&found.value)?.status.contains(SubjectStatus::Erased) {
                    return Err(SubjectsError::Erased);
                }
                tx.require(&card, Expect::Version(found.version));
            }
            tx.put(&key, row.row.clone(), Expect::Absent);
            tx.put(&token_key(&row.token, &row.record), Vec::new(), Expect::Any);
        }
        if tx.is_empty() {
            return Ok(true);
        }
        match state.commit(tx).await {
            Ok(_) => Ok(true),
            Err(StateError::Conflict { .. }) => Ok(false),
            Err(error) => Err(SubjectsError::State(error)),
        }
    }

    /// Deletes every row about a person, and remembers of their tokens that they are destroyed.
    /// Returns how many there were. Harmless when it is done again.
    ///
    /// # Errors
    /// When the state cannot be read or written; some rows may then be gone and others not.
    pub async fn forget_tokens(&self, record: &RecordKey) -> Result<usize, SubjectsError> {
        let prefix = [ROWS, &record.0].concat();
        let mut count = 0;
        loop {
            let page = self.0.state.scan(&prefix, None, PART).await;
            let page = page.map_err(SubjectsError::State)?;
            let mut tx = Tx::new();
            for item in &page.items {
                let token = item.key.get(prefix.len()..).and_then(|token| token.try_into().ok());
                let token: [u8; 16] = token.ok_or(SubjectsError::Damaged)?;
                tx.delete(&item.key, Expect::Any);
                tx.delete(&token_key(&token, record), Expect::Any);
                tx.put(&[GONE, &token].concat(), Vec::new(), Expect::Any);
            }
            if !tx.is_empty() {
                self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
            }
            count += page.items.len();
            if page.items.is_empty() {
                self.0.kept.clear();
                return Ok(count);
            }
        }
    }

    /// Everybody of whom tokens are kept, each once.
    pub(super) async fn people_with_tokens(&self) -> Result<Vec<RecordKey>, SubjectsError> {
        let mut people: Vec<RecordKey> = Vec::new();
        let mut after = None::<Vec<u8>>;
        loop {
            let page = self.0.state.scan(ROWS, after.as_deref(), PART).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                let record = item.key.strip_prefix(ROWS).and_then(|key| key.first_chunk::<32>());
                let record = RecordKey(*record.ok_or(SubjectsError::Damaged)?);
                // Rows of one person stand together.
                if people.last() != Some(&record) {
                    people.push(record);
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(people);
            }
        }
    }

    /// What a token of a purpose stands for. Of several people with the same value any living one
    /// will do: the value is the same.
    ///
    /// # Errors
    /// When state or keys cannot be read.
    pub async fn meaning(
        &self,
        purpose: &PurposeId,
        made: &PurposePseudonyms,
        token: &[u8; 16],
    ) -> Result<Meaning, SubjectsError> {
        let prefix = [TOKENS, token].concat();
        let page = self.0.state.scan(&prefix, None, MOST_OWNERS).await;
        for item in page.map_err(SubjectsError::State)?.items {
            let record = item.key.get(prefix.len()..).and_then(|record| record.try_into().ok());
            let record = RecordKey(record.ok_or(SubjectsError::Damaged)?);
            if let Some(meaning) = self.open_row((purpose, made), token, record).await? {
                return Ok(meaning);
            }
        }
        let gone = self.0.state.get(&[GONE, token].concat()).await;
        let gone = gone.map_err(SubjectsError::State)?.is_some();
        Ok(if gone { Meaning::Destroyed } else { Meaning::Unknown })
    }

    /// What one row says; nothing when it does not belong where it stands.
    async fn open_row(
        &self,
        (purpose, made): (&PurposeId, &PurposePseudonyms),
        token: &[u8; 16],
        record: RecordKey,
    ) -> Result<Option<Meaning>, SubjectsError> {
        let found = self.0.state.get(&row_key(&record, token)).await;
        let Some(found) = found.map_err(SubjectsError::State)? else { return Ok(None) };
        let row: Row = serde_json::from_slice(&found.value).map_err(|_| SubjectsError::Damaged)?;
        let domain = DomainId::parse(&row.domain).map_err(|_| SubjectsError::Damaged)?;
        let subject = Subject { domain: &domain, id: "", record };
        let held = self.0.keys.held(&subject).await.map_err(SubjectsError::Keys)?;
        let Some(held) = held else { return Ok(Some(Meaning::Destroyed)) };
        let envelope = Envelope::parse(&row.sealed).map_err(|_| SubjectsError::Damaged)?;
        let Ok((ValueKind::Json, plain)) = held.keys.open(&sealed_as(purpose), &envelope) else {
            tracing::warn!("a row of the vault does not open where it stands");
            return Ok(None);
        };
        let sealed: Sealed<'_> =
            serde_json::from_slice(&plain).map_err(|_| SubjectsError::Damaged)?;
        let is_moved = self.0.keys.record_key(&domain, &sealed.id) != record
            || made.token(&sealed.kind, &sealed.value) != *token;
        if row.v != VERSION || is_moved {
            tracing::warn!("a row of the vault stands where it does not belong");
            return Ok(None);
        }
        let card = self.find(&domain, &sealed.id).await?;
        Ok(Some(match card {
            Some(card) if !card.status.contains(SubjectStatus::Erased) => Meaning::Value {
                value: Zeroizing::new(sealed.value.into_owned()),
                subject: card.token,
            },
            _ => Meaning::Destroyed,
        }))
    }
}

fn sealed_as(purpose: &PurposeId) -> String {
    format!("vault/{purpose}")
}

fn row_key(record: &RecordKey, token: &[u8; 16]) -> Vec<u8> {
    [ROWS, &record.0, token].concat()
}

fn token_key(token: &[u8; 16], record: &RecordKey) -> Vec<u8> {
    [TOKENS, token, &record.0].concat()
}

fn together(record: &RecordKey, token: &[u8; 16]) -> [u8; 48] {
    let mut key = [0; 48];
    key.iter_mut().zip(record.0.iter().chain(token)).for_each(|(to, from)| *to = *from);
    key
}

const VERSION: u8 = 1;
/// The rows, by person and token.
const ROWS: &[u8] = b"vault/row/";
/// Whose rows a token has.
const TOKENS: &[u8] = b"vault/token/";
/// Tokens of people who were erased.
const GONE: &[u8] = b"vault/gone/";
/// A row of a value this long, with the longest ids, fits in the state.
const MAX_VALUE: usize = 1_024;
/// So many rows, with an index and a card each, fit in one transaction.
const PART: usize = 256;
/// How many rows are known to be on disk, twice.
const HALF: usize = 50_000;
/// How many people with the same value are tried.
const MOST_OWNERS: usize = 64;

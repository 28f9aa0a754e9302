//! Idempotency keys: an attempt that is repeated gets the first answer again.

use serde::Deserialize;
use serde::Serialize;

use super::error::ConsentError;
use super::ids::hex;
use super::rows::Owner;
use super::write::Filing;
use super::write::Recorded;
use super::write::Work;
use crate::keys::KeyRing;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;
use crate::types::DomainId;
use crate::types::Timestamp;

/// An attempt that has a key. Both are keyed digests: neither tells what the caller wrote.
pub(super) struct Once {
    key: RecordKey,
    body: RecordKey,
}

/// What an attempt came to.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    body: String,
    done: Recorded,
}

impl Once {
    pub(super) fn new(
        keys: &KeyRing,
        work: &Work,
        filing: &Filing,
    ) -> Result<Option<Self>, SubjectsError> {
        let Some(key) = name(keys, filing)? else { return Ok(None) };
        let body = match work {
            Work::New(new) => super::canonical(&(0_u8, new)),
            Work::Event(record, event) => super::canonical(&(1_u8, record, event)),
        };
        let body = body.and_then(|body| String::from_utf8(body).ok());
        let body = body.ok_or(SubjectsError::Damaged)?;
        Ok(Some(Self { key, body: keys.record_key(&domain("consent.body")?, &body) }))
    }
}

impl Cards {
    /// What the record calls the attempt.
    pub(super) fn keyed(&self, filing: &Filing) -> Option<String> {
        let key = name(&self.0.keys, filing).ok()??;
        key.0.first_chunk::<16>().map(|short| hex(short))
    }

    /// What the same attempt came to before.
    pub(super) async fn done_before(
        &self,
        owner: &RecordKey,
        once: &Once,
    ) -> Result<Option<Recorded>, ConsentError> {
        let found = self.0.state.get(&row(&once.key)).await.map_err(SubjectsError::State)?;
        let Some(found) = found else { return Ok(None) };
        let stored = serde_json::from_slice::<Stored>(&found.value).ok();
        let stored = stored.filter(|stored| stored.v == VERSION).ok_or(SubjectsError::Damaged)?;
        let head = self.head(stored.done.record_id).await?;
        let is_theirs = head.is_some_and(|head| head.owner == Owner::Person(*owner));
        if !is_theirs || stored.body != hex(&once.body.0) {
            return Err(ConsentError::KeyReused);
        }
        Ok(Some(Recorded { repeated: true, ..stored.done }))
    }

    /// Keeps what an attempt came to, and lets go of some that are old: each new one takes several
    /// of them along, so that they never become more than those of two days.
    pub(super) async fn remember(
        &self,
        tx: &mut Tx,
        once: &Once,
        done: &Recorded,
    ) -> Result<(), SubjectsError> {
        let stored = Stored { v: VERSION, body: hex(&once.body.0), done: done.clone() };
        let stored = serde_json::to_vec(&stored).map_err(|_| SubjectsError::Damaged)?;
        tx.put(&row(&once.key), stored, Expect::Absent);
        let at = done.created_at.unix_ms().to_be_bytes();
        tx.put(&[TIMES, at.as_slice(), &once.key.0].concat(), Vec::new(), Expect::Any);
        let old = self.0.state.scan(TIMES, None, SWEPT).await.map_err(SubjectsError::State)?;
        for item in old.items {
            let Some((at, key)) = aged(&item.key) else { return Err(SubjectsError::Damaged) };
            if done.created_at.ms_since(at) <= KEPT_MS {
                break;
            }
            tx.delete(&item.key, Expect::Any);
            tx.delete(&row(&key), Expect::Any);
        }
        Ok(())
    }
}

fn aged(key: &[u8]) -> Option<(Timestamp, RecordKey)> {
    let (at, key) = key.strip_prefix(TIMES)?.split_first_chunk::<8>()?;
    let at = Timestamp::from_unix_ms(u64::from_be_bytes(*at));
    Some((at, RecordKey(key.try_into().ok()?)))
}

/// The attempt's key, by operator.
fn name(keys: &KeyRing, filing: &Filing) -> Result<Option<RecordKey>, SubjectsError> {
    let Some(key) = &filing.idempotency_key else { return Ok(None) };
    let text = format!("{}\0{key}", filing.by);
    Ok(Some(keys.record_key(&domain("consent.idempotency")?, &text)))
}

fn domain(name: &str) -> Result<DomainId, SubjectsError> {
    DomainId::parse(name).map_err(|_| SubjectsError::Damaged)
}

fn row(key: &RecordKey) -> Vec<u8> {
    [ONCE, &key.0].concat()
}

const VERSION: u8 = 1;
const ONCE: &[u8] = b"consent/once/";
/// The same, by time.
const TIMES: &[u8] = b"consent/when/";
/// For two days, so that they last a day whatever is swept when.
const KEPT_MS: u64 = 2 * 24 * 60 * 60 * 1_000;
/// How many are let go of at once, at most.
const SWEPT: usize = 8;

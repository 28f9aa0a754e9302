//! How records stand in the state, and that what is read is what was written.
//!
//! Each version is a row under its person's record key, in parts that fit the engine; after the
//! person's erasure, under what records call them. An index tells whose a record is, and which
//! version is its last.

use super::canonical;
use super::error::ConsentError;
use super::ids::Digest;
use super::ids::RecordId;
use super::ids::SubjectRef;
use super::model::ConsentChange;
use super::model::ConsentEvent;
use super::model::ConsentRecord;
use super::model::ConsentVersion;
use super::model::NewEvent;
use super::model::SCHEMA;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Tx;
use crate::subjects::SubjectsError;
use crate::types::Timestamp;

/// Whose a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    /// Somebody's.
    Person(RecordKey),
    /// Somebody's who was erased.
    Past(SubjectRef),
}

impl Owner {
    /// What the rows of all their records start with.
    pub(super) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Person(record) => [ROWS, &record.0].concat(),
            Self::Past(person) => [PAST, &person.0].concat(),
        }
    }

    /// What the rows of a record start with.
    pub(super) fn record(&self, id: RecordId) -> Vec<u8> {
        [self.prefix().as_slice(), &id.0].concat()
    }
}

/// Whose a record is, and its last version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) owner: Owner,
    pub(super) version: u32,
    pub(super) hash: Digest,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let owner = match &self.owner {
            Owner::Person(record) => [[1].as_slice(), &record.0].concat(),
            Owner::Past(person) => [[2].as_slice(), &person.0].concat(),
        };
        [&self.version.to_be_bytes(), self.hash.0.as_slice(), &owner].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let owner = match rest.split_first()? {
            (1, record) => Owner::Person(RecordKey(record.try_into().ok()?)),
            (2, person) => Owner::Past(SubjectRef(person.try_into().ok()?)),
            _ => return None,
        };
        Some(Self { owner, version: u32::from_be_bytes(*version), hash: Digest(*hash) })
    }
}

/// What records call a person, and how many records there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Named {
    pub(super) person: SubjectRef,
    pub(super) records: u32,
}

impl Named {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.person.0.as_slice(), &self.records.to_be_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (person, records) = bytes.split_first_chunk::<16>()?;
        let records = u32::from_be_bytes(records.try_into().ok()?);
        Some(Self { person: SubjectRef(*person), records })
    }
}

/// The bytes of one version, put together from its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Raw {
    pub(super) record: RecordId,
    pub(super) version: u32,
    pub(super) bytes: Vec<u8>,
}

/// Puts parts together, in the order of their keys. `prefix` is that of an [`Owner`].
pub(super) fn gather(
    raw: &mut Vec<Raw>,
    prefix: &[u8],
    key: &[u8],
    part: &[u8],
) -> Result<(), SubjectsError> {
    let (record, version) = place(prefix, key).ok_or(SubjectsError::Damaged)?;
    match raw.last_mut() {
        Some(last) if (last.record, last.version) == (record, version) => {
            last.bytes.extend_from_slice(part);
        }
        _ => raw.push(Raw { record, version, bytes: part.to_vec() }),
    }
    Ok(())
}

/// The record and version of a row.
pub(super) fn place(prefix: &[u8], key: &[u8]) -> Option<(RecordId, u32)> {
    let rest = key.strip_prefix(prefix)?;
    let (record, rest) = rest.split_first_chunk::<16>()?;
    let (version, part) = rest.split_first_chunk::<4>()?;
    (part.len() == 1).then(|| (RecordId(*record), u32::from_be_bytes(*version)))
}

/// Adds the rows of a version, which must not be there, and returns its hash.
pub(super) fn put_version(
    tx: &mut Tx,
    owner: &Owner,
    version: &ConsentVersion,
) -> Result<Digest, ConsentError> {
    let bytes = canonical(version).ok_or(SubjectsError::Damaged)?;
    let prefix = owner.record(version.record_id);
    for (n, part) in (0_u8..).zip(bytes.chunks(PART_BYTES)) {
        let key = [prefix.as_slice(), &version.version.to_be_bytes(), &[n]].concat();
        tx.put(&key, part.to_vec(), Expect::Absent);
    }
    Ok(canonical::of_bytes(&bytes))
}

/// The versions of one record, when they follow from each other up to the one the index knows.
pub(super) fn versions(raw: &[Raw], head: Option<Head>) -> Option<Vec<ConsentVersion>> {
    let (mut read, mut before, mut time) = (Vec::new(), None, Timestamp::default());
    for (n, row) in (1_u32..).zip(raw) {
        let version: ConsentVersion = serde_json::from_slice(&row.bytes).ok()?;
        let is_next = version.schema_version == SCHEMA
            && version.record_id == row.record
            && (version.version, row.version) == (n, n)
            && version.prev_version_hash == before
            && version.created_at >= time
            && (n == 1) == matches!(version.change, ConsentChange::Created { .. });
        if !is_next {
            return None;
        }
        (before, time) = (Some(canonical::of_bytes(&row.bytes)), version.created_at);
        read.push(version);
    }
    let (head, last) = (head?, read.last()?);
    (head.version == last.version && Some(head.hash) == before).then_some(read)
}

/// The record that versions make. `None` when they do not follow from each other.
pub(super) fn record(versions: &[ConsentVersion], hash: Digest) -> Option<ConsentRecord> {
    let (first, last) = (versions.first()?, versions.last()?);
    let ConsentChange::Created { subject_ref, consent } = &first.change else { return None };
    let mut consent = (**consent).clone();
    let mut events: Vec<ConsentEvent> =
        std::mem::take(&mut consent.events).into_iter().map(|e| recorded(e, first)).collect();
    for version in versions.iter().skip(1) {
        let ConsentChange::Event(event) = &version.change else { return None };
        events.push(recorded((**event).clone(), version));
    }
    Some(ConsentRecord {
        schema_version: SCHEMA,
        record_id: first.record_id,
        subject_ref: *subject_ref,
        consent,
        events,
        version: last.version,
        prev_version_hash: last.prev_version_hash,
        version_hash: hash,
        created_at: last.created_at,
        created_by: last.created_by.clone(),
        audit_seq: last.audit_seq,
    })
}

pub(super) fn recorded(event: NewEvent, version: &ConsentVersion) -> ConsentEvent {
    ConsentEvent { event, recorded_at: version.created_at, version: version.version }
}

pub(super) fn index_key(id: RecordId) -> Vec<u8> {
    [INDEX, &id.0].concat()
}

pub(super) fn ref_key(record: &RecordKey) -> Vec<u8> {
    [REFS, &record.0].concat()
}

/// The versions of the living, by person, record, version and part.
pub(super) const ROWS: &[u8] = b"consent/row/";
/// Those of the erased, by what records call them.
pub(super) const PAST: &[u8] = b"consent/past/";
/// Whose a record is.
pub(super) const INDEX: &[u8] = b"consent/record/";
/// What records call a person.
pub(super) const REFS: &[u8] = b"consent/ref/";
/// Of a row; with its key it fits the engine.
const PART_BYTES: usize = 4_096;

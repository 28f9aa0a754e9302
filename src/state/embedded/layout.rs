//! What stands where in the tree: `c` changes, `d` values, `m` the head.

use sled::IVec;
use sled::Tree;

use crate::state::error::StateError;
use crate::state::frame;
use crate::state::marker::Mark;
use crate::state::store::Rev;

/// The tree key of a value.
pub(super) fn value_key(key: &[u8]) -> Vec<u8> {
    [VALUES, key].concat()
}

/// The tree key of part `part` of the list of keys that `rev` wrote.
pub(super) fn change_key(rev: Rev, part: u16) -> Vec<u8> {
    [change_prefix(rev).as_slice(), &part.to_be_bytes()].concat()
}

/// What the tree keys of all parts of a change start with.
pub(super) fn change_prefix(rev: Rev) -> Vec<u8> {
    [CHANGES, &rev.0.to_be_bytes()].concat()
}

/// The revision of a change, from its tree key.
pub(super) fn change_rev(key: &[u8]) -> Option<Rev> {
    let (rev, _part) = key.strip_prefix(CHANGES)?.split_first_chunk::<8>()?;
    Some(Rev(u64::from_be_bytes(*rev)))
}

/// The keys a commit wrote, in pieces small enough for a tree entry.
pub(super) fn encode_change(keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for key in keys {
        let full = parts.last().is_none_or(|part| part.len() + key.len() + 2 > PART_BYTES);
        if full {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
            part.extend_from_slice(key);
        }
    }
    parts
}

/// Reads one piece back.
pub(super) fn decode_change(mut part: &[u8]) -> Result<Vec<Vec<u8>>, StateError> {
    let corrupt = || StateError::Corrupt { what: "a list of changes" };
    let mut keys = Vec::new();
    while !part.is_empty() {
        let (len, rest) = part.split_first_chunk::<2>().ok_or_else(corrupt)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (key, rest) = rest.split_at_checked(len).ok_or_else(corrupt)?;
        keys.push(key.to_vec());
        part = rest;
    }
    Ok(keys)
}

/// Where the tree says it stands; nothing when it was never written to.
pub(super) fn read_head(tree: &Tree) -> Result<Option<Mark>, StateError> {
    let read = |source| StateError::Engine { what: "reading the head", source };
    let Some(found) = tree.get(HEAD).map_err(read)? else {
        return Ok(None);
    };
    let head = frame::decode(HEAD, &found)?;
    let generation = head.value.as_slice().try_into().map(u64::from_be_bytes);
    let generation = generation.map_err(|_| StateError::Corrupt { what: "the head" })?;
    Ok(Some(Mark { generation, rev: head.version.0 }))
}

/// The head as a tree entry.
pub(super) fn head_entry(head: Mark) -> (&'static [u8], IVec) {
    let frame = frame::encode(HEAD, Rev(head.rev), &head.generation.to_be_bytes());
    (HEAD, frame.into())
}

const CHANGES: &[u8] = b"c";
const HEAD: &[u8] = b"m";
const PART_BYTES: usize = 3_072;
/// What the tree keys of all values start with.
pub(super) const VALUES: &[u8] = b"d";

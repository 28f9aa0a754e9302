//! How an entry looks on disk: magic ‖ version ‖ revision ‖ key length and key ‖ value ‖ CRC-32.
//!
//! The copy of the key shows a value that an index led to from the wrong key; the checksum shows
//! a value that was half written.

use super::error::StateError;
use super::store::Rev;
use super::store::Versioned;

/// The stored form of an entry.
pub(super) fn encode(key: &[u8], version: Rev, value: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_LEN + key.len() + value.len() + CRC_LEN);
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&version.0.to_be_bytes());
    frame.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend_from_slice(key);
    frame.extend_from_slice(value);
    let crc = crc32fast::hash(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// Reads an entry back, and checks that it is whole and belongs to `key`.
pub(super) fn decode(key: &[u8], frame: &[u8]) -> Result<Versioned, StateError> {
    let corrupt = |what| StateError::Corrupt { what };
    let (body, crc) = frame.split_last_chunk::<CRC_LEN>().ok_or(corrupt("too short"))?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return Err(corrupt("wrong checksum"));
    }
    let rest = body.strip_prefix(MAGIC).ok_or(corrupt("unknown format"))?;
    let (version, rest) = rest.split_first_chunk::<8>().ok_or(corrupt("no version"))?;
    let (key_len, rest) = rest.split_first_chunk::<2>().ok_or(corrupt("no key"))?;
    let key_len = usize::from(u16::from_be_bytes(*key_len));
    match rest.split_at_checked(key_len) {
        Some((copy, value)) if copy == key => {
            Ok(Versioned { value: value.to_vec(), version: Rev(u64::from_be_bytes(*version)) })
        }
        _ => Err(corrupt("it belongs to another key")),
    }
}

/// Three letters and the version of the layout.
const MAGIC: &[u8; 4] = b"PVS\x01";
const HEADER_LEN: usize = MAGIC.len() + 8 + 2;
const CRC_LEN: usize = 4;

//! One door for fuzzing every reader of the log.

use crate::crypto::note::Checkpoint;
use crate::crypto::note::VerifierKey;
use crate::protocol::proof::Proof;
use crate::protocol::tlog;

use super::Entry;
use super::frame;

/// Reads `bytes` as a proof and checks it. Panics when what was read is not what would be written,
/// or when it holds: no key of this test signed it.
#[doc(hidden)]
pub fn proof(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(proof) = Proof::parse(text) else { return };
    let Ok(key) = VerifierKey::new("nobody.example/log", [3; 32]) else { return };
    match proof {
        Proof::Inclusion(proof) => {
            assert!(proof.to_string() == text, "a proof has one form");
            assert!(super::check_inclusion(&proof, &key).is_err(), "nobody signed it");
        }
        Proof::Consistency(proof) => {
            assert!(proof.to_string() == text, "a proof has one form");
            let old = &proof.checkpoint;
            assert!(super::check_consistency(&proof, &key, old).is_err(), "nobody signed it");
        }
    }
}

/// Reads `bytes` as everything the log reads: a bundle, a journal segment, a checkpoint, a key, an
/// entry. Panics when what was read is not what would be written.
#[doc(hidden)]
pub fn read_anything(bytes: &[u8]) {
    let mut bundle = Vec::new();
    let mut whole = true;
    for entry in tlog::entries(bytes) {
        match entry {
            Ok(entry) => assert!(tlog::append_entry(&mut bundle, entry), "a bundle's entry fits"),
            Err(_) => whole = false,
        }
    }
    assert!(bytes.starts_with(&bundle) && (!whole || bundle == bytes), "a bundle has one form");

    let scan = frame::scan(bytes, 0);
    let frames: u64 = scan.frames.iter().map(|frame| u64::from(frame.count)).sum();
    assert!(scan.next == frames && scan.len <= bytes.len(), "a segment counts its entries");

    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert!(Checkpoint::parse(&checkpoint.to_string()) == Ok(checkpoint), "one form");
        }
        if let Ok(key) = VerifierKey::parse(text) {
            assert!(VerifierKey::parse(&key.to_string()).as_ref() == Ok(&key), "one form");
            // Whatever it says, it is not signed with that key.
            assert!(key.open(text).is_err(), "a key is no note");
        }
    }
    if let Ok(entry) = Entry::from_bytes(bytes)
        && let Ok(written) = entry.to_bytes()
    {
        let again = Entry::from_bytes(&written).ok();
        assert!(again.as_ref() == Some(&entry), "an entry has one form");
    }
}

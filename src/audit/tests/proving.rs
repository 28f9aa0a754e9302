//! Proofs for one who has no copy of the log.

use crate::protocol::proof::ConsistencyProof;
use crate::protocol::proof::InclusionProof;
use crate::protocol::proof::Proof;

use super::*;

/// A log with a checkpoint at each of `sizes`, which are returned; the last is published.
async fn with_checkpoints(dir: &Path, sizes: &[u64]) -> Vec<(u64, String)> {
    let mut kept = Vec::new();
    let mut next = 0;
    let log = open(config(dir)).unwrap();
    for size in sizes {
        for n in next..*size {
            log.note(numbered(n));
        }
        next = *size;
        log.flush().await.unwrap();
        kept.push((*size, log.checkpoint().unwrap().to_string()));
    }
    log.close().await.unwrap();
    kept
}

/// What a file with this text is worth to one who has the public key, and perhaps a checkpoint.
fn worth(text: &str, old: Option<&str>) -> Result<(), ProofError> {
    match Proof::parse(text)? {
        Proof::Inclusion(proof) => check_inclusion(&proof, key().verifier()).map(|_| ()),
        Proof::Consistency(proof) => {
            check_consistency(&proof, key().verifier(), old.unwrap()).map(|_| ())
        }
    }
}

#[tokio::test]
async fn every_entry_proves_itself_without_the_log() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 700).await;
    for index in 0..700 {
        let text = prove(dir.path(), key().verifier(), index, None).unwrap().to_string();
        let proof = InclusionProof::parse(&text).unwrap();
        let proven = check_inclusion(&proof, key().verifier()).unwrap();
        assert_eq!((proven.index, proven.checkpoint.size), (index, 700));
        assert_eq!(number(&Entry::from_bytes(&proven.entry).unwrap()), index);
        let moved = InclusionProof { index: (index + 1) % 700, ..proof.clone() };
        assert!(check_inclusion(&moved, key().verifier()).is_err(), "{index} elsewhere");
        let other = NoteKey::new("log.example/node-1", signer(8)).unwrap();
        assert!(check_inclusion(&proof, other.verifier()).is_err(), "another key");
    }
    let error = prove(dir.path(), key().verifier(), 700, None).unwrap_err().to_string();
    assert!(error.contains("from 0 to 699"), "{error}");
}

#[tokio::test]
async fn any_flipped_bit_of_a_proof_file_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let kept = with_checkpoints(dir.path(), &[5, 300]).await;
    let inclusion = prove(dir.path(), key().verifier(), 77, None).unwrap().to_string();
    let old = kept[0].1.as_str();
    let longer = prove_consistency(dir.path(), key().verifier(), old, None).unwrap().to_string();
    for text in [inclusion, longer] {
        worth(&text, Some(old)).unwrap();
        for at in 0..text.len() {
            for bit in [1, 4, 32] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(worth(&text, Some(old)).is_err(), "bit {bit} of byte {at}");
            }
        }
        for cut in 0..text.len() {
            let Some(text) = text.get(..cut) else { continue };
            assert!(worth(text, Some(old)).is_err(), "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn any_checkpoint_continues_every_older_one_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (honest, forked) = (dir.path().join("honest"), dir.path().join("forked"));
    let sizes = [0, 1, 2, 255, 256, 257, 512, 600, 777];
    let kept = with_checkpoints(&honest, &sizes).await;
    for (old_size, old) in &kept {
        for (new_size, new) in &kept {
            let made = prove_consistency(&honest, key().verifier(), old, Some(new));
            if old_size > new_size {
                assert!(matches!(made, Err(ProofError::Swapped { .. })), "{old_size} {new_size}");
                continue;
            }
            let proof = ConsistencyProof::parse(&made.unwrap().to_string()).unwrap();
            let (from, to) = check_consistency(&proof, key().verifier(), old).unwrap();
            assert_eq!((from.size, to.size), (*old_size, *new_size));
            // It proves nothing about another beginning.
            for (size, other) in kept.iter().filter(|(size, _)| size != old_size) {
                let wrong = check_consistency(&proof, key().verifier(), other);
                assert!(wrong.is_err(), "{old_size} to {new_size} beginning with {size}");
            }
        }
    }
    // The same key signs another history from the second entry on.
    let log = open(config(&forked)).unwrap();
    for n in 0..777 {
        log.note(numbered(if n == 1 { 9999 } else { n }));
    }
    log.close().await.unwrap();
    let fork = log.checkpoint().unwrap();
    for (size, old) in kept.iter().filter(|(size, _)| *size > 1) {
        let made = prove_consistency(&honest, key().verifier(), old, Some(&fork));
        assert!(matches!(made, Err(ProofError::NotThisLog { size: 777 })), "{size}");
        let made = prove_consistency(&forked, key().verifier(), old, None);
        assert!(matches!(made, Err(ProofError::NotThisLog { .. })), "{size}");
        // Nor do the honest hashes help the fork.
        let proof = prove_consistency(&honest, key().verifier(), old, None).unwrap();
        let proof = ConsistencyProof { checkpoint: fork.to_string(), ..proof };
        let wrong = check_consistency(&proof, key().verifier(), old);
        assert!(matches!(wrong, Err(ProofError::WrongHistory { .. })), "{size}");
    }
}

#[tokio::test]
async fn a_damaged_log_gives_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 300).await;
    let tile = dir.path().join("tile/0/000");
    let whole = std::fs::read(&tile).unwrap();
    let mut bytes = whole.clone();
    bytes[32 * 9] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    // Entry 8 needs the hash of its neighbour 9; entry 280 is in another tile.
    let error = prove(dir.path(), key().verifier(), 8, None).unwrap_err().to_string();
    assert!(error.contains("privet audit verify"), "{error}");
    std::fs::remove_file(&tile).unwrap();
    assert!(prove(dir.path(), key().verifier(), 8, None).is_err());
    std::fs::write(&tile, whole).unwrap();
    prove(dir.path(), key().verifier(), 8, None).unwrap();
}

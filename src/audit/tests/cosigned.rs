//! What becomes of a witness's signature.

use std::fs;

use crate::crypto::cosignature::Cosigner;
use crate::crypto::cosignature::WitnessKey;
use crate::crypto::note::Checkpoint;

use super::*;

fn witness(seed: u8) -> Cosigner {
    Cosigner::new(&format!("witness.example/w{seed}"), signer(seed)).unwrap()
}

/// A witness's signature under what is published now.
fn signed(log: &Log, witness: &Cosigner, time_s: u64) -> Cosigned {
    let note = log.checkpoint().unwrap().to_string();
    let text = key().verifier().open(&note).unwrap().to_owned();
    let line = witness.cosign(&text, time_s).trim_end().to_owned();
    Cosigned { note, line, witness: witness.public().clone() }
}

/// Until what was handed in is dealt with: it is done in order, and a flush comes after it.
async fn grown(log: &Log, n: u64) {
    log.note(numbered(n));
    log.flush().await.unwrap();
}

#[tokio::test]
async fn a_signature_stands_under_the_checkpoint_until_the_next_and_is_kept_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut slow = config(dir.path());
    slow.checkpoint_every_ms = 3_600_000;
    let log = open(slow).unwrap();
    let (one, two) = (witness(1), witness(2));
    grown(&log, 0).await;
    let both = [one.public().clone(), two.public().clone()];
    let found = |keys: &[WitnessKey]| witnessed(dir.path(), key().verifier(), keys);
    let error = found(&both).unwrap_err();
    assert!(matches!(error, VerifyError::Unwitnessed { .. }) && error.disproves(), "{error}");

    log.cosign(signed(&log, &one, 100));
    log.cosign(signed(&log, &two, 200));
    log.cosign(signed(&log, &one, 100));
    // Nothing new to publish: what is out stays, with the signatures.
    log.flush().await.unwrap();
    let note = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    assert_eq!(note.lines().count(), 4 + 1 + 2, "{note}");
    assert_eq!(log.checkpoint().as_deref(), Some(note.as_str()));
    assert_eq!((one.public().open(&note), two.public().open(&note)), (Ok(100), Ok(200)));
    verify(dir.path(), key().verifier(), None).unwrap();
    let sizes: Vec<_> = found(&both).unwrap().iter().map(|f| (f.size, f.time_s)).collect();
    assert_eq!(sizes, [(1, 100), (1, 200)]);

    // The log goes on; a signature for what is no longer published is kept all the same.
    let late = signed(&log, &two, 300);
    grown(&log, 1).await;
    log.cosign(late);
    grown(&log, 2).await;
    log.cosign(signed(&log, &one, 400));
    log.flush().await.unwrap();
    let sizes: Vec<_> = found(&both).unwrap().iter().map(|f| (f.size, f.time_s)).collect();
    assert_eq!(sizes, [(3, 400), (1, 300)]);
    assert_eq!((log.cosigned_size(one.public()), log.cosigned_size(two.public())), (3, 1));
    assert_eq!(log.cosigned_size(witness(3).public()), 0);
    log.close().await.unwrap();

    // Opened again, it has them still, and what they signed is what the log continues.
    let log = open(config(dir.path())).unwrap();
    assert_eq!(one.public().open(&log.checkpoint().unwrap()), Ok(400));
    log.close().await.unwrap();
    let notes: Vec<String> = found(&both).unwrap().into_iter().map(|f| f.note).collect();
    let since = notes.iter().map(String::as_str);
    assert_eq!(verify(dir.path(), key().verifier(), since).unwrap().since, Some(3));
}

#[tokio::test]
async fn the_logs_own_key_cannot_take_back_what_a_witness_signed() {
    let home = tempfile::tempdir().unwrap();
    let (honest, anew) = (home.path().join("honest"), home.path().join("anew"));
    let witness = witness(1);
    let log = open(config(&honest)).unwrap();
    for n in 0..10 {
        log.note(numbered(n));
    }
    log.flush().await.unwrap();
    log.cosign(signed(&log, &witness, 100));
    log.flush().await.unwrap();
    log.close().await.unwrap();

    // Written anew with the log's key, and with the witness's signature carried over.
    filled(config(&anew), 12).await;
    fs::create_dir_all(anew.join("cosigned")).unwrap();
    let file = format!("cosigned/{}", witness.public().id());
    fs::copy(honest.join(&file), anew.join(&file)).unwrap();
    let keys = [witness.public().clone()];
    let found = witnessed(&anew, key().verifier(), &keys).unwrap();
    let error = verify(&anew, key().verifier(), [found[0].note.as_str()]).unwrap_err();
    assert!(matches!(error, VerifyError::Forked { size: 10, .. }), "{error}");

    // A line under another checkpoint is no signature.
    let line = fs::read_to_string(honest.join(&file)).unwrap();
    let line = line.lines().last().unwrap();
    let note = fs::read_to_string(anew.join("checkpoint")).unwrap();
    fs::write(anew.join("checkpoint"), format!("{note}{line}\n")).unwrap();
    fs::remove_file(anew.join(&file)).unwrap();
    assert!(matches!(
        witnessed(&anew, key().verifier(), &keys),
        Err(VerifyError::Unwitnessed { .. })
    ));
}

#[tokio::test]
async fn a_log_proves_to_a_witness_that_it_continues_what_it_signed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    let mut known: Vec<Checkpoint> = vec![log.published().unwrap()];
    for n in 0..600 {
        log.note(numbered(n));
        if [0, 255, 256, 599].contains(&n) {
            log.flush().await.unwrap();
            known.push(log.published().unwrap());
        }
    }
    for old in &known {
        let proof = log.extension(old.size).unwrap().unwrap();
        let kept = key().sign(&old.to_string());
        let (from, to) = check_consistency(&proof, key().verifier(), &kept).unwrap();
        assert_eq!((from.size, to.size), (old.size, 600));
    }
    assert_eq!(log.extension(601).unwrap(), None);
    log.close().await.unwrap();
}

#[tokio::test]
async fn an_older_log_put_back_is_held_against_the_newest_checkpoint_a_witness_signed() {
    let dir = tempfile::tempdir().unwrap();
    let witness = witness(1);
    let log = open(config(dir.path())).unwrap();
    grown(&log, 0).await;
    log.cosign(signed(&log, &witness, 100));
    log.flush().await.unwrap();
    let older = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    grown(&log, 1).await;
    log.cosign(signed(&log, &witness, 200));
    log.flush().await.unwrap();
    log.close().await.unwrap();
    fs::write(dir.path().join("checkpoint"), older).unwrap();
    let found = witnessed(dir.path(), key().verifier(), &[witness.public().clone()]).unwrap();
    assert_eq!((found[0].size, found[0].time_s), (2, 200));
    let error = verify(dir.path(), key().verifier(), [found[0].note.as_str()]).unwrap_err();
    assert!(matches!(error, VerifyError::Truncated { kept: 2, size: 1 }), "{error}");
}

/// Hashes for a newer state than the checkpoint sent with them would have the witness say that the
/// log was changed.
#[test]
fn what_a_witness_is_sent_is_of_one_state_also_while_the_log_grows() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    log.note(numbered(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(log.flush()).unwrap();
    let kept = log.checkpoint().unwrap();
    let writer = log.clone();
    let growing = runtime.spawn(async move {
        for n in 1..400 {
            writer.note(numbered(n));
            writer.flush().await.unwrap();
        }
    });
    while !growing.is_finished() {
        let proof = log.extension(1).unwrap().unwrap();
        check_consistency(&proof, key().verifier(), &kept).unwrap();
    }
    runtime.block_on(log.close()).unwrap();
}

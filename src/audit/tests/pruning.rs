//! Entries below a minimum go; what is left proves as much as before.

use std::fs;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::*;
use crate::audit::disk::Trip;
use crate::audit::prune::Minimum;

/// A log of numbered entries whose journal holds only the newest.
async fn log(dir: &Path, entries: u64) -> Log {
    let mut config = config(dir);
    config.segment_entries = 256;
    let log = open(config).unwrap();
    add(&log, entries).await;
    log
}

async fn add(log: &Log, entries: u64) {
    let size = log.published().unwrap().size;
    for n in size..size + entries {
        log.note(numbered(n));
        if n % 100 == 99 {
            log.flush().await.unwrap();
        }
    }
    log.flush().await.unwrap();
}

/// Prunes as an operator's job does.
async fn prune(log: &Log, before: u64) -> Result<u64, AuditError> {
    let minimum = log.prunable(before)?;
    let record = log.record(Log::prune_entry(minimum)).await?;
    log.prune(minimum, &record).await?;
    Ok(minimum)
}

fn bundles(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir.join("tile/entries")).unwrap();
    let mut names: Vec<String> =
        names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with(".p"));
    names.sort();
    names
}

fn check<'a>(
    dir: &Path,
    since: impl IntoIterator<Item = &'a str>,
) -> Result<Verified, VerifyError> {
    verify(dir, key().verifier(), since)
}

#[tokio::test]
async fn what_is_left_of_a_pruned_log_proves_as_much_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = log(dir, 100).await;
    let early = log.checkpoint().unwrap();
    add(&log, 1900).await;
    let late = log.checkpoint().unwrap();
    let vkey = key().verifier().clone();
    let old = prove(dir, &vkey, 99, None).unwrap();

    assert_eq!(log.minimum(), 0);
    assert_eq!(prune(&log, 1000).await.unwrap(), 768);
    assert_eq!(log.minimum(), 768);
    assert_eq!(bundles(dir).first().unwrap(), "003");
    for kept in [vec![], vec![&*early], vec![&*late], vec![&*early, &*late]] {
        let found = check(dir, kept).unwrap();
        assert_eq!((found.minimum, found.checkpoint.size), (768, 2001));
    }
    let rows: Vec<u64> =
        search(dir, &Filter::default(), 0).unwrap().map(|found| found.unwrap().0).collect();
    assert_eq!(rows, (768..2001).collect::<Vec<_>>());
    assert_eq!(log.newest(|entry| entry.kind == Kind::Admin).unwrap().unwrap().kind, Kind::Admin);
    assert!(log.newest(|_| false).unwrap().is_none());

    // So does a search by the index, which is made of what is there.
    assert_eq!(reindex(dir, |_, _| {}).unwrap().damaged, Vec::<u64>::new());
    let (mut found, mut cursor) = (Vec::new(), None);
    for scan in [false, true] {
        loop {
            let filter = Filter { kind: Some(Kind::Release), ..Filter::default() };
            let wish = Wish {
                filter: &filter,
                order: Order::NewestFirst,
                cursor: cursor.as_deref(),
                limit: 500,
                scan,
            };
            let page = page(dir, &wish).unwrap();
            assert_eq!((page.minimum, page.damaged.len()), (768, 0));
            found.extend(page.rows.iter().map(|(index, _)| *index));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert!(found.drain(..).eq((768..2000).rev()), "scan {scan}");
    }

    // Proofs made before hold; those of what is there can be made.
    assert_eq!(check_inclusion(&old, &vkey).unwrap().index, 99);
    assert!(matches!(prove(dir, &vkey, 99, None), Err(ProofError::Pruned { minimum: 768, .. })));
    for index in [768, 1000, 2000] {
        let proof = prove(dir, &vkey, index, None).unwrap();
        assert_eq!(check_inclusion(&proof, &vkey).unwrap().index, index);
    }
    prove_consistency(dir, &vkey, &early, None).unwrap();
    assert!(log.root_at(100).unwrap().is_some());

    // It goes on, also in the next process, and is pruned again.
    log.close().await.unwrap();
    let log = self::log(dir, 0).await;
    add(&log, 1000).await;
    assert_eq!(prune(&log, 500).await.unwrap(), 256, "nothing comes back");
    assert_eq!(log.minimum(), 768);
    assert_eq!(prune(&log, 2100).await.unwrap(), 2048);
    assert_eq!(bundles(dir).first().unwrap(), "008");
    assert_eq!(check(dir, [&*early, &*late]).unwrap().minimum, 2048);
    log.close().await.unwrap();
}

#[tokio::test]
async fn what_the_journal_still_holds_is_not_said_to_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    add(&log, 700).await;
    assert_eq!(log.prunable(700).unwrap(), 0);
    log.close().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = self::log(dir.path(), 1000).await;
    let most = log.prunable(u64::MAX).unwrap();
    assert!((512..1000).contains(&most) && most.is_multiple_of(256), "{most}");
    let oldest = fs::read_dir(dir.path().join("journal")).unwrap();
    let names = oldest.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.min().unwrap(), format!("{most:020}.log"));
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_time_is_found_by_its_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::clock::ManualClock::at(crate::types::Timestamp::from_unix_s(1000)));
    let log = Log::open(config(dir.path()), key(), clock.clone()).unwrap();
    for n in 0..1000 {
        log.note(numbered(n));
        clock.advance_ms(1000);
    }
    log.flush().await.unwrap();
    for (second, bundle) in
        [(0, 0), (1000, 0), (1256, 0), (1257, 256), (1700, 512), (1999, 768), (9999, 768)]
    {
        let time = crate::types::Timestamp::from_unix_s(second);
        assert_eq!(log.before(time).unwrap(), bundle, "{second}");
    }
    log.close().await.unwrap();
}

#[tokio::test]
async fn entries_cannot_be_taken_away_without_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = log(dir, 1500).await;
    prune(&log, 700).await.unwrap();
    add(&log, 10).await;
    log.close().await.unwrap();
    let file = dir.join("minimum");
    let note = fs::read_to_string(&file).unwrap();
    let known = Minimum::open(&note, key().verifier()).unwrap();
    assert_eq!((known.index, known.record), (512, 1500));
    let signed = |index, record| {
        key().sign(&Minimum { origin: known.origin.clone(), index, record }.to_string())
    };
    let remove = |bundle: &str| fs::remove_file(dir.join("tile/entries").join(bundle)).unwrap();

    // Another number, another signature, none, or a record that says something else.
    let other = NoteKey::new("log.example/node-1", signer(9)).unwrap();
    let text = known.to_string();
    for (wrong, what) in [
        (note.replace("\n512\n", "\n768\n"), "did not sign"),
        (other.sign(&text), "did not sign"),
        (text.clone(), "did not sign"),
        (String::new(), "did not sign"),
        (key().sign("log.example/node-1\n512\n1500\n"), "did not sign"),
        (signed(500, 1500), "did not sign"),
        (signed(512, 1499), "no entry records it"),
        (signed(512, 9999), "no entry records it"),
        (signed(768, 1500), "no entry records it"),
    ] {
        fs::write(&file, &wrong).unwrap();
        let error = check(dir, []).unwrap_err();
        assert!(error.disproves() && error.to_string().contains(what), "{wrong}: {error}");
    }
    fs::write(&file, signed(768, 1500)).unwrap();
    remove("002");
    assert!(check(dir, []).is_err(), "the key alone takes nothing away");
    fs::write(&file, &note).unwrap();
    let error = check(dir, []).unwrap_err();
    assert!(matches!(error, VerifyError::Missing { index: 512, .. }), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(matches!(check(dir, []), Err(VerifyError::Missing { index: 0, .. })));
    fs::write(&file, "").unwrap();
    assert!(matches!(open(config(dir)), Err(AuditError::Damaged { .. })));
}

#[tokio::test]
async fn a_changed_hash_of_a_pruned_entry_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = log(dir, 1500).await;
    let kept = log.checkpoint().unwrap();
    prune(&log, 700).await.unwrap();
    log.close().await.unwrap();
    let tile = dir.join("tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[77] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert!(check(dir, []).unwrap_err().disproves());
    assert!(check(dir, [&*kept]).unwrap_err().disproves());
}

#[tokio::test]
async fn a_pruning_that_breaks_off_anywhere_is_finished_or_never_was() {
    let mut from = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        log(dir, 1500).await.close().await.unwrap();
        let kept = fs::read_to_string(dir.join("checkpoint")).unwrap();
        let (count, armed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counter, is_armed) = (Arc::clone(&count), Arc::clone(&armed));
        let hook: Hook = Arc::new(move |_, _| {
            if is_armed.load(Ordering::SeqCst) == 0 {
                return None;
            }
            let n = counter.fetch_add(1, Ordering::SeqCst);
            let error = || io::Error::from_raw_os_error(5);
            // Everything fails from here on, as in a process that is dead.
            (n >= from).then(|| Trip { after_bytes: 0, error: error() })
        });
        let mut config = config(dir);
        config.segment_entries = 256;
        let log = open_with(config.clone(), hook).unwrap();
        let minimum = log.prunable(1000).unwrap();
        let record = log.record(Log::prune_entry(minimum)).await.unwrap();
        log.flush().await.unwrap();
        armed.store(1, Ordering::SeqCst);
        let done = log.prune(minimum, &record).await.is_ok();
        armed.store(0, Ordering::SeqCst);
        drop(log.close().await);
        let log = open(config).unwrap();
        let found = log.minimum();
        assert!(found == 768 || (!done && found == 0), "touch {from}: {found}");
        let first = format!("{:03}", found / 256);
        assert_eq!(*bundles(dir).first().unwrap(), first, "touch {from}");
        log.close().await.unwrap();
        let verified = check(dir, [&*kept]).unwrap_or_else(|error| panic!("touch {from}: {error}"));
        assert_eq!(verified.minimum, found, "touch {from}");
        if done {
            break;
        }
        from += 1;
    }
    assert!(from > 6, "only {from} touches");
}

#[tokio::test]
async fn what_one_pruning_could_not_remove_goes_with_the_next_or_when_asked() {
    for again in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let armed = Arc::new(AtomicU64::new(0));
        let is_armed = Arc::clone(&armed);
        let hook: Hook = Arc::new(move |_, name| {
            let is_kept = name == "tile/entries/001" && is_armed.load(Ordering::SeqCst) == 1;
            let error = || io::Error::from_raw_os_error(5);
            is_kept.then(|| Trip { after_bytes: 0, error: error() })
        });
        let mut config = config(dir);
        config.segment_entries = 256;
        let log = open_with(config.clone(), hook).unwrap();
        add(&log, 2000).await;
        armed.store(1, Ordering::SeqCst);
        prune(&log, 1000).await.unwrap_err();
        assert_eq!((log.minimum(), bundles(dir).first().unwrap().as_str()), (768, "001"));
        log.finish_pruning().await.unwrap_err();
        armed.store(0, Ordering::SeqCst);
        let first = match again {
            true => prune(&log, 1400).await.map(|_| "005"),
            false => log.finish_pruning().await.map(|()| "003"),
        };
        assert_eq!(*bundles(dir).first().unwrap(), first.unwrap());
        assert_eq!(log.minimum(), if again { 1280 } else { 768 });
        log.close().await.unwrap();
        check(dir, []).unwrap();
    }
}

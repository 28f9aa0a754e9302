//! The audit log through cuts of the power: what was acknowledged is there, every checkpoint that
//! was on the disk is continued, and tiles that never reached it are made again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use privet::audit;
use privet::audit::AuditConfig;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::audit::Log;
use privet::clock::SystemClock;
use privet::crypto::Secret;
use privet::crypto::Signer;
use privet::crypto::note::NoteKey;

use crate::mounts::Image;
use crate::runtime;
use crate::writer;
use crate::writer::Writer;

const ORIGIN: &str = "log.example/powercut";

fn key() -> NoteKey {
    NoteKey::new(ORIGIN, Signer::from_seed(&Secret::new([5; 32]))).unwrap()
}

/// Small segments and many checkpoints, so that a cut meets every kind of write.
fn open(dir: &Path) -> Result<Log, audit::AuditError> {
    let mut config = AuditConfig::new(dir, ORIGIN);
    (config.segment_entries, config.min_free_bytes) = (256, 0);
    (config.checkpoint_every_ms, config.checkpoint_entries) = (5, 64);
    Log::open(config, key(), Arc::new(SystemClock))
}

/// Writes until killed. An acknowledgement says which entry, and at which index.
pub(crate) fn write_forever(dir: &Path, round: u32) {
    runtime().block_on(async {
        let log = open(dir).unwrap();
        let next = Arc::new(AtomicU64::new(u64::from(round) << 20));
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (log, next) = (log.clone(), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let mut entry = Entry::new(Kind::Release);
                        entry.request_id = Some(number.to_string().into());
                        let index = log.release(entry).await.unwrap().index();
                        writer::acknowledge(number << 32 | index);
                    }
                })
            })
            .collect();
        // They end with the process; should one panic, so does this.
        let first = writers.into_iter().next().unwrap();
        first.await.unwrap()
    });
}

/// Opens a log after a cut and looks for what was acknowledged.
fn check(dir: &Path, acknowledged: &BTreeSet<u64>, what: &str) {
    let before = fs::read_to_string(dir.join("checkpoint")).ok();
    runtime().block_on(async {
        let log = open(dir);
        assert!(log.is_ok(), "{what}: {:?}", log.err());
        log.unwrap().close().await.unwrap();
    });
    let verified = audit::verify(dir, key().verifier(), before.as_deref());
    assert!(verified.is_ok(), "{what}: {:?}", verified.err());
    let entries: Vec<Entry> =
        audit::search(dir, &Filter::default(), 0).unwrap().map(|found| found.unwrap().1).collect();
    for both in acknowledged {
        let (number, index) = (both >> 32, both & 0xffff_ffff);
        let entry = entries.get(usize::try_from(index).unwrap());
        let found = entry.and_then(|entry| entry.request_id.as_deref());
        assert_eq!(found, Some(number.to_string().as_str()), "{what}: acknowledged entry {index}");
    }
}

#[test]
fn a_power_cut_loses_no_entry_that_was_acknowledged() {
    let Some(image) = Image::make() else {
        println!("skipped: loop mounts are not permitted here");
        return;
    };
    let mut total = 0;
    for round in 0..9 {
        let mount = image.mount().unwrap();
        let place = Path::new("rounds").join(round.to_string()).join("audit");
        let mut writer = Writer::audit(&mount.path().join(&place), round);
        writer.wait_for(3 << round);
        writer.stop();
        let copy = image.copy();
        let acknowledged = writer.kill();
        let copied = copy.mount().unwrap();
        check(&copied.path().join(place), &acknowledged, &format!("round {round}"));
        total += acknowledged.len();
    }
    println!("9 power cuts, {total} entries acknowledged, 0 lost");
}

#[test]
fn a_log_outlives_one_power_cut_after_the_other() {
    let Some(mut image) = Image::make() else {
        println!("skipped: loop mounts are not permitted here");
        return;
    };
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let mount = image.mount().unwrap();
        let dir = mount.path().join("audit");
        let mut writer = Writer::audit(&dir, round);
        writer.wait_for(100 + 61 * usize::try_from(round).unwrap());
        writer.stop();
        let copy = image.copy();
        acknowledged.extend(writer.kill());
        drop(mount);
        // The next round goes on with what the cut left.
        image = copy;
        let mount = image.mount().unwrap();
        check(&mount.path().join("audit"), &acknowledged, &format!("round {round}"));
    }
    println!("6 power cuts of one log, {} acknowledged, 0 lost", acknowledged.len());
}

//! A disk that fails at every touch in turn.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::*;
use crate::audit::disk::Step;
use crate::audit::disk::Trip;

/// Writes one entry; tries again while the log is out of order.
async fn insist(log: &Log, n: u64) -> u64 {
    loop {
        match log.release(numbered(n)).await {
            Ok(receipt) => return receipt.index(),
            Err(AuditError::Unwritable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        while !log.writable() {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs a log on a disk whose touches `from .. from + len` fail, and returns how many there were.
async fn run(durability: Durability, from: u64, len: u64, torn: usize) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let hook: Hook = Arc::new(move |step, _| {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        let after_bytes = if step == Step::Write { torn } else { 0 };
        let error = || io::Error::from_raw_os_error(if n.is_multiple_of(2) { 28 } else { 5 });
        (from..from + len).contains(&n).then(|| Trip { after_bytes, error: error() })
    });
    let config = || {
        let mut config = config(dir.path());
        (config.durability, config.segment_entries) = (durability, 256);
        (config.checkpoint_entries, config.retry_every_ms) = (100, 1);
        config
    };
    let (mut acked, mut checkpoints) = (Vec::new(), std::collections::BTreeSet::new());
    if let Ok(log) = open_with(config(), Arc::clone(&hook)) {
        for n in 0..10 {
            acked.push((insist(&log, n).await, n));
            checkpoints.extend(log.checkpoint());
            for extra in 0..29 {
                log.note(numbered(1000 + n * 100 + extra));
            }
            if n % 4 == 3 {
                // Refused while the log is out of order; that is what is tested.
                drop(log.flush().await);
            }
        }
        drop(log.close().await);
    }
    let log = open(config()).unwrap_or_else(|error| panic!("fault at {from}+{len}: {error}"));
    log.close().await.unwrap();
    for kept in checkpoints.iter().map(|note| Some(&**note)).chain([None]) {
        verify(dir.path(), key().verifier(), kept)
            .unwrap_or_else(|error| panic!("fault at {from}+{len}: {error}"));
    }
    let entries = everything(dir.path());
    for (index, n) in &acked {
        let entry = &entries[usize::try_from(*index).unwrap()];
        assert_eq!(number(entry), *n, "fault at {from}+{len}: acknowledged entry {index}");
    }
    let mut extra: Vec<u64> = entries.iter().map(number).filter(|n| *n >= 1000).collect();
    let total = extra.len();
    extra.dedup();
    assert_eq!(extra.len(), total, "fault at {from}+{len}: an entry is there twice");
    assert!(acked.is_empty() || total >= 9 * 29, "fault at {from}+{len}: only {total} notes");
    count.load(Ordering::SeqCst)
}

#[tokio::test]
async fn one_failed_touch_loses_nothing() {
    for durability in [Durability::Strict, Durability::Batched] {
        let mut from = 0;
        while run(durability, from, 1, 0).await > from {
            from += 1;
        }
        assert!(from > 60, "only {from} touches");
    }
}

#[tokio::test]
async fn several_failed_touches_and_torn_writes_lose_nothing() {
    for durability in [Durability::Strict, Durability::Batched] {
        let mut from = 0;
        while run(durability, from, 7, 45).await > from {
            from += 3;
        }
    }
}

#[tokio::test]
async fn below_the_floor_of_free_space_the_log_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.min_free_bytes = u64::MAX;
    let log = open(config).unwrap();
    let error = log.release(numbered(0)).await.unwrap_err();
    assert!(matches!(error, AuditError::Unwritable { .. }));
    assert!(!log.writable());
    assert!(log.trouble().unwrap().contains("are free on the disk"));
    assert_eq!(log.metrics().writable.get(), 0);
    assert!(log.close().await.is_err());
}

/// A file system of its own, gone when dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where mounting is not permitted.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0.path()).status());
    }
}

/// Runs a test where mounting is permitted: in a namespace in which this process is the owner.
#[expect(clippy::disallowed_methods, reason = "the inner run is told by its environment")]
fn again_in_a_namespace(test: &str) {
    const INSIDE: &str = "PRIVET_TEST_IN_NAMESPACE";
    assert!(std::env::var(INSIDE).is_err(), "mounting is permitted neither here nor inside");
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    let status = command.args([test, "--exact"]).env(INSIDE, "1").status();
    assert!(status.is_ok_and(|status| status.success()), "needs root, or user namespaces");
}

#[tokio::test]
async fn a_full_disk_closes_the_log_until_there_is_space_again() {
    const NAME: &str =
        "audit::tests::faults::a_full_disk_closes_the_log_until_there_is_space_again";
    for durability in [Durability::Strict, Durability::Batched] {
        let Some(disk) = Tmpfs::mount("2m") else { return again_in_a_namespace(NAME) };
        let ballast = disk.0.path().join("ballast");
        std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
        let dir = disk.0.path().join("log");
        let mut config = config(&dir);
        config.durability = durability;
        let log = open(config.clone()).unwrap();
        let mut acked = Vec::new();
        for n in 0.. {
            match log.release(numbered(n)).await {
                Ok(receipt) => acked.push((receipt.index(), n)),
                Err(AuditError::Unwritable { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(!log.writable());
        let why = log.trouble().unwrap_or_default();
        assert!(why.is_empty() || why.contains("No space left"), "{why}");
        std::fs::remove_file(&ballast).unwrap();
        for n in 1_000_000..1_000_100 {
            acked.push((insist(&log, n).await, n));
        }
        log.flush().await.unwrap();
        log.close().await.unwrap();
        let log = open(config).unwrap();
        log.close().await.unwrap();
        verify(&dir, key().verifier(), None).unwrap();
        let entries = everything(&dir);
        for (index, n) in acked {
            assert_eq!(number(&entries[usize::try_from(index).unwrap()]), n);
        }
    }
}

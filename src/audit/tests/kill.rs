//! A process killed while it writes: what it was told is recorded is there afterwards.

#![expect(clippy::disallowed_methods, reason = "the child is told by its environment what to do")]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::*;

const DIR: &str = "PRIVET_TEST_AUDIT_DIR";
const START: &str = "PRIVET_TEST_AUDIT_START";
const ABORT_AT: &str = "PRIVET_TEST_AUDIT_ABORT_AT";

fn child_config(dir: &Path) -> AuditConfig {
    let mut config = config(dir);
    (config.segment_entries, config.checkpoint_every_ms) = (512, 20);
    config
}

/// Not a test of its own: what the child process of the tests below runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let abort_at = number(ABORT_AT).unwrap_or(u64::MAX);
    let touches = AtomicU64::new(0);
    let hook: Hook = Arc::new(move |_, _| {
        if touches.fetch_add(1, Ordering::SeqCst) == abort_at {
            std::process::abort();
        }
        None
    });
    let log = open_with(child_config(Path::new(&dir)), hook).unwrap();
    let next = Arc::new(AtomicU64::new(number(START).unwrap_or(0)));
    let limit = next.load(Ordering::SeqCst) + if abort_at == u64::MAX { 1_000_000 } else { 700 };
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let (log, next) = (log.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= limit {
                        return;
                    }
                    let receipt = log.release(numbered(n)).await.unwrap();
                    // One write a line, so that a killed child leaves at most one torn line.
                    let line = format!("acked {} {n}\n", receipt.index());
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    log.close().await.unwrap();
}

fn spawn(dir: &Path, start: u64, abort_at: Option<u64>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["audit::tests::kill::child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(START, start.to_string());
    if let Some(abort_at) = abort_at {
        command.env(ABORT_AT, abort_at.to_string());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a child says until it ends, or until it has said `limit` lines and is killed.
fn acked(mut child: Child, limit: usize) -> (Vec<(u64, u64)>, bool) {
    let mut found = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let words: Vec<&str> = line.trim_end_matches('\n').split(' ').collect();
        if let (true, ["acked", index, n]) = (line.ends_with('\n'), words.as_slice()) {
            found.push((index.parse().unwrap(), n.parse().unwrap()));
        }
        line.clear();
        if found.len() == limit {
            child.kill().unwrap();
        }
    }
    (found, child.wait().unwrap().success())
}

/// Opens the log as the next process would, and checks it.
async fn check(dir: &Path, acked: &[(u64, u64)], what: &str) {
    let before = std::fs::read_to_string(dir.join("checkpoint")).ok();
    let log = open(child_config(dir)).unwrap_or_else(|error| panic!("{what}: {error}"));
    log.close().await.unwrap();
    let verified = verify(dir, key().verifier(), before.as_deref());
    verified.unwrap_or_else(|error| panic!("{what}: {error}"));
    let entries = everything(dir);
    for (index, n) in acked {
        let entry = entries.get(usize::try_from(*index).unwrap());
        assert_eq!(entry.map(number), Some(*n), "{what}: acknowledged entry {index}");
    }
    let mut numbers: Vec<u64> = entries.iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{what}: an entry is there twice");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 0..12 {
        let child = spawn(dir.path(), round * 1_000_000, None);
        let (found, _) = acked(child, 1 + 157 * usize::try_from(round).unwrap());
        assert!(!found.is_empty());
        all.extend(found);
        check(dir.path(), &all, &format!("round {round}")).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_an_end_at_every_touch_of_the_disk() {
    let (mut at, mut ended) = (0, false);
    while !ended {
        let dir = tempfile::tempdir().unwrap();
        let (found, success) = acked(spawn(dir.path(), 0, Some(at)), usize::MAX);
        check(dir.path(), &found, &format!("touch {at}")).await;
        ended = success;
        // Every touch of the beginning, where all kinds occur; then ever fewer.
        at += 1 + at / 12;
    }
    assert!(at > 100, "only {at} touches");
}

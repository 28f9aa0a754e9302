//! A process that writes, and says on its output what was acknowledged.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use privet::state::Durability;
use privet::state::Expect;
use privet::state::SledStore;
use privet::state::StateStore;
use privet::state::Tx;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitOptions;

/// The keys one transaction writes together.
pub(crate) fn keys(id: u64) -> [Vec<u8>; 2] {
    [0, 1].map(|side| [prefix(side).as_slice(), &id.to_be_bytes()].concat())
}

/// What one side of all transactions starts with.
pub(crate) fn prefix(side: usize) -> Vec<u8> {
    format!("side-{side}/").into_bytes()
}

/// What a transaction writes.
pub(crate) fn value(id: u64) -> Vec<u8> {
    id.to_le_bytes().repeat(24)
}

/// A transaction of two values of `bytes` bytes.
pub(crate) fn transaction(id: u64, bytes: usize) -> Tx {
    let mut tx = Tx::new();
    for key in keys(id) {
        tx.put(&key, vec![0x5a; bytes], Expect::Any);
    }
    tx
}

/// A running writer. Killed when dropped.
pub(crate) struct Writer {
    child: Child,
    output: BufReader<ChildStdout>,
    acknowledged: BTreeSet<u64>,
}

impl Writer {
    /// Starts this binary again as a writer to `folder`. Rounds write different keys.
    pub(crate) fn start(folder: &Path, durability: Durability, round: u32) -> Self {
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        let synced = if durability == Durability::Synced { "synced" } else { "unsynced" };
        Self::spawn(folder, &format!("{synced} {round}"))
    }

    /// Starts this binary again as a writer of the audit log in `folder`.
    pub(crate) fn audit(folder: &Path, round: u32) -> Self {
        Self::spawn(folder, &format!("{AUDIT} {round}"))
    }

    fn spawn(folder: &Path, mode: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_process", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(MODE, mode)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, acknowledged: BTreeSet::new() }
    }

    /// Reads until `count` transactions were acknowledged.
    pub(crate) fn wait_for(&mut self, count: usize) {
        while self.acknowledged.len() < count {
            assert!(self.read_line(), "the writer ended by itself");
        }
    }

    /// Stops the process where it stands; every thread of it, before this returns.
    pub(crate) fn stop(&self) {
        rustix::process::kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) =
            rustix::process::waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
    }

    /// Kills the process, and returns all it had acknowledged.
    pub(crate) fn kill(mut self) -> BTreeSet<u64> {
        self.child.kill().unwrap();
        while self.read_line() {}
        std::mem::take(&mut self.acknowledged)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads what one acknowledgement says; false at the end. A line cut short is not one.
    fn read_line(&mut self) -> bool {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        let id = line.strip_suffix('\n').and_then(|line| line.strip_prefix("ok "));
        self.acknowledged.extend(id.and_then(|id| id.parse::<u64>().ok()));
        read > 0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes until killed, when started as a writer; else does nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the one way to talk to a test that is started again"
)]
pub(crate) fn run_if_asked() {
    let (Ok(folder), Ok(mode)) = (std::env::var(FOLDER), std::env::var(MODE)) else {
        return;
    };
    let (synced, round) = mode.split_once(' ').unwrap();
    if synced == AUDIT {
        return crate::audit::write_forever(Path::new(&folder), round.parse().unwrap());
    }
    let durability = if synced == "synced" { Durability::Synced } else { Durability::Unsynced };
    let store = SledStore::open_with(Path::new(&folder), durability).unwrap();
    let next = Arc::new(AtomicU64::new(round.parse::<u64>().unwrap() << 32));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> =
            (0..8).map(|_| tokio::spawn(write_forever(store.clone(), Arc::clone(&next)))).collect();
        let reader = tokio::spawn(read_forever(store.clone(), next));
        for task in tasks {
            task.await.unwrap();
        }
        reader.await.unwrap();
    });
}

async fn write_forever(store: SledStore, next: Arc<AtomicU64>) {
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let mut tx = Tx::new();
        for key in keys(id) {
            tx.put(&key, value(id), Expect::Absent);
        }
        store.commit(tx).await.unwrap();
        acknowledge(id);
    }
}

/// What was read is acknowledged as well: whoever reads a value relies on it.
async fn read_forever(store: SledStore, next: Arc<AtomicU64>) {
    loop {
        let latest = next.load(Ordering::Relaxed);
        for id in latest.saturating_sub(8)..latest {
            let [key, _] = keys(id);
            if store.get(&key).await.unwrap().is_some() {
                acknowledge(id);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// One write: a line is whole or it is not there.
pub(crate) fn acknowledge(id: u64) {
    std::io::stdout().lock().write_all(format!("ok {id}\n").as_bytes()).unwrap();
}

const FOLDER: &str = "PRIVET_TEST_WRITER_FOLDER";
const MODE: &str = "PRIVET_TEST_WRITER_MODE";
/// The mode of a writer of the audit log.
const AUDIT: &str = "audit";

//! A disk that fills up under a running gateway: protected traffic stops and says why, and goes on
//! by itself when there is room again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use privet::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Answer, Gateway, Site, Store, get, get_with, privet};

/// Nothing here takes longer, unless it hangs.
const LIMIT_MS: u64 = 60_000;
/// Set where the test runs in a namespace of its own.
const INSIDE: &str = "PRIVET_TEST_IN_NAMESPACE";
const NAME: &str = "full_disk::a_full_disk_stops_protected_traffic_until_there_is_room_again";

/// A file system in memory, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this process may not mount.
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        // The log keeps 64 MiB free.
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=70m,mode=750", "tmpfs"]).arg(path);
        let done = mount.stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn fill(&self) {
        let file = fs::File::create(self.ballast()).unwrap();
        let mut megabytes = 0;
        while take(&file, megabytes) {
            megabytes += 1;
        }
        assert!(megabytes > 0, "the disk was full before");
    }
}

/// Another megabyte of the disk for a file; `false` when there is none.
fn take(file: &fs::File, megabytes: u64) -> bool {
    use std::os::unix::fs::FileExt;
    file.write_all_at(&vec![1; 1 << 20], megabytes << 20).is_ok()
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Runs this test where mounting is permitted: in a namespace in which it is the owner.
#[expect(clippy::disallowed_methods, reason = "the inner run is told by its environment")]
fn again_in_a_namespace() {
    assert!(std::env::var(INSIDE).is_err(), "mounting is permitted neither here nor inside");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    let status = command.args([NAME, "--exact"]).env(INSIDE, "1").status();
    assert!(status.is_ok_and(|status| status.success()), "needs root, or user namespaces");
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + LIMIT_MS;
    while !done() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "{what} takes too long");
        std::thread::yield_now();
    }
}

/// Calls until the answer has `status`; the decisions of those that were answered are kept.
fn call_until(gateway: &Gateway, token: &str, status: u16, seen: &mut BTreeSet<String>) -> Answer {
    let mut last = None;
    until("the change", || {
        let answer = get(gateway.gateway, "/shop/customers/c-5", token, "order_support");
        match answer.status {
            200 => {
                assert!(answer.body.windows(3).any(|found| found == b"Eva"));
                seen.insert(answer.decision().unwrap().to_owned());
            }
            503 => assert!(!answer.body.windows(3).any(|found| found == b"Eva")),
            other => panic!("status {other}: {}", answer.head),
        }
        let done = answer.status == status;
        last = Some(answer);
        done
    });
    last.unwrap()
}

fn ready(gateway: &Gateway) -> (u16, String) {
    let page = get_with(gateway.admin, "/readyz?verbose", &[]).unwrap();
    (page.status, String::from_utf8(page.body).unwrap())
}

fn run(site: &Site, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_full_disk_stops_protected_traffic_until_there_is_room_again() {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    let log = site.dir().join("data/audit");
    let Some(disk) = Disk::mount(&log) else { return again_in_a_namespace() };
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let gateway = site.serve();
    let mut seen = BTreeSet::new();
    call_until(&gateway, &token, 200, &mut seen);
    fs::copy(log.join("checkpoint"), site.dir().join("kept")).unwrap();
    for round in 0..3 {
        assert_eq!(ready(&gateway).0, 200, "round {round}");
        disk.fill();
        let refused = call_until(&gateway, &token, 503, &mut seen);
        let why = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(why.contains("the audit log cannot be written"), "{why}");
        assert!(refused.header("retry-after").is_some(), "{}", refused.head);
        let (status, page) = ready(&gateway);
        assert_eq!(status, 503, "{page}");
        let line = page.lines().find(|line| line.starts_with("[-] audit ")).unwrap();
        assert!(line.contains("free on the disk") || line.contains("No space left"), "{line}");

        fs::remove_file(disk.ballast()).unwrap();
        call_until(&gateway, &token, 200, &mut seen);
        until("being ready", || ready(&gateway).0 == 200);
    }
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));

    let told = run(&site, &["audit", "verify", "--since", "kept"]);
    assert!(told.contains("continues"), "{told}");
    let search = ["audit", "search", "--kind", "release", "--limit", "0", "--output", "jsonl"];
    let logged: BTreeSet<String> = run(&site, &search)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| row["decision_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(seen.len() >= 4 && seen.is_subset(&logged), "answered, and not in the log");
}

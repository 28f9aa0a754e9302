//! Copies of the log for other systems, while the gateway is killed and the receiver fails.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use privet::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Gateway, Site, Store, get, get_with, privet};

/// Nothing here takes longer, unless it hangs.
const LIMIT_MS: u64 = 60_000;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + LIMIT_MS;
    while !done() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "{what} takes too long");
        std::thread::yield_now();
    }
}

/// What a receiver took, a batch each, and how many calls it had.
#[derive(Default)]
struct Taken {
    calls: usize,
    batches: Vec<String>,
}

/// A receiver that refuses every second batch, and every batch while it is told to.
fn receiver() -> (Store, Arc<Mutex<Taken>>, Arc<Mutex<bool>>) {
    let (taken, down) = (Arc::new(Mutex::new(Taken::default())), Arc::new(Mutex::new(false)));
    let (seen, refuses) = (Arc::clone(&taken), Arc::clone(&down));
    let store = Store::conversing(move |method, target, body| {
        assert_eq!((method, target), ("POST", "/in"));
        let mut seen = seen.lock().unwrap();
        seen.calls += 1;
        if *refuses.lock().unwrap() || seen.calls % 2 == 1 {
            return None;
        }
        seen.batches.push(String::from_utf8(body.to_vec()).unwrap());
        Some("{}".to_owned())
    });
    (store, taken, down)
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A site whose log goes to the receiver and into files.
fn site(store: &Store, receiver: &Store) -> Site {
    let site = Site::new(store.address());
    fs::create_dir_all(site.dir().join("secrets")).unwrap();
    let secret = site.dir().join("secrets/hook");
    fs::write(&secret, "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let exports = format!(
        "\n[[audit.export]]\nname = \"hook\"\nto = \"webhook\"\nurl = \"http://{}/in\"\n\
         secret_file = \"secrets/hook\"\n\
         [[audit.export]]\nname = \"copy\"\nto = \"file\"\ndir = \"copies\"\n",
        receiver.address()
    );
    site.edit("privet.toml", |text| text + &exports);
    site
}

/// Calls, and keeps the ids of the decisions.
fn call(site: &Site, gateway: &Gateway, times: usize, seen: &mut BTreeSet<String>) {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for _ in 0..times {
        let answer = get(gateway.gateway, "/shop/customers/c-5", &token, "order_support");
        assert_eq!(answer.status, 200, "{}", answer.head);
        seen.insert(answer.decision().unwrap().to_owned());
    }
}

fn page(gateway: &Gateway, path: &str) -> String {
    String::from_utf8(get_with(gateway.admin, path, &[]).unwrap().body).unwrap()
}

fn run(site: &Site, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn lag(gateway: &Gateway, export: &str) -> i64 {
    let name = format!("privet_audit_export_lag_entries{{export=\"{export}\"}} ");
    let metrics = page(gateway, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[test]
fn every_entry_reaches_its_receivers_though_the_gateway_is_killed_and_they_fail() {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let (receiver, taken, down) = receiver();
    let site = site(&store, &receiver);
    assert!(run(&site, &["check"]).contains("ok"));
    let mut seen = BTreeSet::new();
    for round in 0..4 {
        *down.lock().unwrap() = round % 2 == 1;
        let calls = taken.lock().unwrap().calls;
        let gateway = site.serve();
        call(&site, &gateway, 40, &mut seen);
        until("an attempt", || taken.lock().unwrap().calls > calls + round);
        gateway.kill9();
    }

    // A receiver that is down is seen, and stops nobody.
    let gateway = site.serve();
    *down.lock().unwrap() = true;
    call(&site, &gateway, 5, &mut seen);
    until("the receiver's trouble", || {
        page(&gateway, "/readyz?verbose").lines().any(|line| {
            line.starts_with("[!] export hook ") && line.ends_with("the receiver answers with 404")
        })
    });
    until("the lag", || lag(&gateway, "hook") > 0);
    assert_eq!(get_with(gateway.admin, "/readyz", &[]).unwrap().status, 200);
    *down.lock().unwrap() = false;
    until("the rest", || lag(&gateway, "hook") == 0 && lag(&gateway, "copy") == 0);
    let ready = page(&gateway, "/readyz?verbose");
    assert!(ready.contains("[+] export copy 0 entries behind\n"), "{ready}");
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("an export does not come on"), "{log}");

    // In order, each at least once, and exactly as the log has them.
    let batches = &taken.lock().unwrap().batches;
    let mut received: Vec<Value> = Vec::new();
    for batch in batches {
        for row in rows(batch) {
            let index = usize::try_from(row["index"].as_u64().unwrap()).unwrap();
            match received.get(index) {
                Some(known) => assert_eq!(*known, row),
                None => {
                    assert_eq!(index, received.len(), "an entry was left out");
                    received.push(row);
                }
            }
        }
    }
    let whole = rows(&run(&site, &["audit", "export"]));
    assert_eq!(whole.get(..received.len()), Some(received.as_slice()));
    let ids: BTreeSet<String> =
        received.iter().filter_map(|row| row["decision_id"].as_str()).map(str::to_owned).collect();
    assert!(seen.is_subset(&ids), "a call is not among what was received");

    let copies = fs::read_dir(site.dir().join("copies")).unwrap();
    let copied = fs::read_to_string(copies.map(|file| file.unwrap().path()).next().unwrap());
    let copied = rows(&copied.unwrap());
    assert!(copied.len() >= received.len());
    assert_eq!(whole.get(..copied.len()), Some(copied.as_slice()), "not each of them once");
}

#[test]
fn a_log_is_exported_whole_or_by_time_from_its_folder() {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    let out = privet(&site.dir(), &["audit", "export"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("there is no audit log"));
    let gateway = site.serve();
    call(&site, &gateway, 3, &mut BTreeSet::new());
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));

    let whole = rows(&run(&site, &["audit", "export", "--format", "jsonl"]));
    run(&site, &["audit", "export", "--format", "csv", "--output", "log.csv"]);
    assert!(!site.dir().join("log.csv.part").exists());
    let csv = fs::read_to_string(site.dir().join("log.csv")).unwrap();
    assert!(csv.starts_with("index,time,node,kind,"), "{csv}");
    assert_eq!(csv.matches("\r\n").count(), whole.len() + 1);
    let events = rows(&run(&site, &["audit", "export", "--format", "ocsf"]));
    assert_eq!(events.len(), whole.len());
    for (event, row) in events.iter().zip(&whole) {
        assert_eq!(event["metadata"]["sequence"], row["index"]);
        assert_eq!(event["class_uid"], 6003);
    }
    let middle = whole[whole.len() / 2]["time"].as_str().unwrap();
    let before = rows(&run(&site, &["audit", "export", "--until", middle]));
    let after = rows(&run(&site, &["audit", "export", "--from", middle]));
    assert_eq!([before, after].concat(), whole);
    for wrong in [["--from", "yesterday"], ["--format", "xml"]] {
        let out = privet(&site.dir(), &["audit", "export", wrong[0], wrong[1]]);
        assert_eq!(out.status.code(), Some(2), "{wrong:?}");
    }
}

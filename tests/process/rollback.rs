//! Older copies of the log or of the state, put back while the gateway was stopped.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Site, Store, get_with, privet};

fn site() -> (Store, Site) {
    let store = Store::start(|target| {
        let id = target.strip_prefix("/customers/")?;
        Some(json!({ "id": id, "nickname": "n", "country": "GB" }).to_string())
    });
    let site = Site::new(store.address());
    (store, site)
}

/// Starts the gateway, has it answer a call about `id`, and stops it.
fn run(site: &Site, id: &str) {
    let gateway = site.serve();
    ask(site, &gateway, id);
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
}

fn ask(site: &Site, gateway: &crate::harness::Gateway, id: &str) {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let headers = [("Authorization", format!("Bearer {token}"))];
    let answer = get_with(gateway.gateway, &format!("/shop/customers/{id}"), &headers).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.head);
}

fn copy(dir: &Path, from: &str, to: &str) {
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(dir).status().unwrap();
        assert!(done.success(), "{program} {arguments:?}");
    };
    run("rm", &["-rf", to]);
    run("cp", &["-a", from, to]);
}

/// What `serve` says when it refuses to start.
fn refused(site: &Site, what: &str) {
    let out = privet(&site.dir(), &["serve"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(what) && said.contains("touch data/audit.accept"), "{said}");
}

#[test]
fn what_is_older_than_the_other_remembers_is_refused_until_somebody_accepts_it() {
    let (_store, site) = site();
    let dir = site.dir();
    run(&site, "c-1");
    copy(&dir, "data", "old");
    run(&site, "c-2");
    copy(&dir, "data", "new");

    // An older log alone.
    copy(&dir, "old/audit", "data/audit");
    refused(&site, "the state remembers");
    copy(&dir, "new/audit", "data/audit");

    // An older state alone, with its marker.
    copy(&dir, "old/state", "data/state");
    copy(&dir, "old/state.marker", "data/state.marker");
    refused(&site, "the audit log remembers revision");
    copy(&dir, "new/state", "data/state");
    copy(&dir, "new/state.marker", "data/state.marker");

    // No log at all, and nothing is made in its place.
    std::fs::remove_dir_all(dir.join("data/audit")).unwrap();
    refused(&site, "has 0 entries");
    refused(&site, "has 0 entries");
    assert!(!dir.join("data/audit").exists());

    // Accepted once, knowingly, and recorded.
    std::fs::write(dir.join("data/audit.accept"), "").unwrap();
    run(&site, "c-3");
    assert!(!dir.join("data/audit.accept").exists());
    let found = privet(&dir, &["audit", "search", "--kind", "start", "--output", "jsonl"]);
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains(r#""history":"accepted""#), "{found}");
    std::fs::remove_dir_all(dir.join("data/audit")).unwrap();
    refused(&site, "has 0 entries");
    // Both from the same backup are fine.
    copy(&dir, "new", "data");
    run(&site, "c-4");
}

#[test]
fn older_keys_and_an_older_state_that_fit_each_other_bring_nobody_back() {
    let (_store, site) = site();
    let dir = site.dir();
    run(&site, "c-1");
    copy(&dir, "data", "old");
    let gateway = site.serve();
    site.reach(&gateway);
    let erased = privet(&dir, &["subject", "erase-key", "c-1"]);
    assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
    // The moment it was acknowledged.
    gateway.kill9();

    copy(&dir, "data", "new");
    for part in ["keys", "state", "state.marker"] {
        copy(&dir, &format!("old/{part}"), &format!("data/{part}"));
    }
    for accepts in [false, true] {
        if accepts {
            std::fs::write(dir.join("data/audit.accept"), "").unwrap();
        }
        let out = privet(&dir, &["serve"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("has 0 tombstones, but 1 are remembered"), "{said}");
    }
    // The newest ledger beside them is enough: it erases again what they have forgotten.
    std::fs::copy(dir.join("new/keys/tombstones"), dir.join("data/keys/tombstones")).unwrap();
    run(&site, "c-2");
    let gateway = site.serve();
    site.reach(&gateway);
    let shown = privet(&dir, &["subject", "show", "c-1"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("\"erased\""), "{shown}");
}

#[test]
fn a_crash_is_no_rollback() {
    let (_store, site) = site();
    for round in 0..5 {
        let gateway = site.serve();
        for call in 0..20 {
            ask(&site, &gateway, &format!("c-{round}-{call}"));
        }
        gateway.kill9();
    }
    run(&site, "c-9");
}

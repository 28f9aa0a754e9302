//! Setting up a site twice, in the wrong place, or with a part of it lost.

use std::fs;

use privet::clock::Clock;
use privet::clock::SystemClock;
use serde_json::Value;

use crate::harness::{Site, Store, privet, said};

fn site() -> Site {
    Site::new(Store::start(|_| None).address())
}

#[test]
fn init_leaves_what_is_in_its_folder_alone_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("d/policies/customer-care.yaml");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let out = privet(folder.path(), &["init", "d"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("customer-care.yaml` exists already; choose an empty folder"));
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}

#[test]
fn key_init_says_that_indexes_must_be_made_anew() {
    let site = site();
    drop(site.serve());
    let again = privet(&site.dir(), &["key", "init"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(!said(&again).contains("made"), "{}", said(&again));
    fs::remove_file(site.dir().join("data/keys/slots/index-1.key")).unwrap();
    let status = privet(&site.dir(), &["key", "status", "--offline"]);
    assert_eq!(status.status.code(), Some(1), "{}", said(&status));
    assert!(said(&status).contains("index-1.key` does not exist"), "{}", said(&status));
    let made = privet(&site.dir(), &["key", "init"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    for wanted in ["made ", "slots/index-1.key", "--reindex"] {
        assert!(said(&made).contains(wanted), "{wanted} is not in\n{}", said(&made));
    }
}

#[test]
fn waiting_for_a_job_that_is_cancelled_is_a_failure_for_programs_too() {
    // The store answers nobody, so the job is tried again until somebody ends it.
    let site = site();
    let gateway = site.serve();
    site.reach(&gateway);
    let wish = ["store", "backfill", "shop.customers", "--dry-run", "--wait", "--output", "json"];
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| privet(&site.dir(), &wish));
        let deadline_ms = SystemClock.uptime_ms() + 20_000;
        let id = loop {
            assert!(SystemClock.uptime_ms() < deadline_ms);
            let listed = privet(&site.dir(), &["job", "list", "--output", "json"]);
            let jobs: Value = serde_json::from_slice(&listed.stdout).unwrap();
            if let Some(id) = jobs[0]["id"].as_str() {
                break id.to_owned();
            }
        };
        let cancelled = privet(&site.dir(), &["job", "cancel", &id]);
        assert_eq!(cancelled.status.code(), Some(0), "{}", said(&cancelled));
        let out = waits.join().unwrap();
        assert_eq!(out.status.code(), Some(1), "{}", said(&out));
        let job: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(job["state"], "cancelled");
        assert!(said(&out).contains("the job is cancelled"), "{}", said(&out));
    });
}

//! Old entries of the log go when two people want it, and what is left proves as much as before.

use std::fs;

use serde_json::Value;

use crate::go_verifier::{AT_ONCE, load};
use crate::harness::{Gateway, Site, Store, privet, said};
use crate::jobs::{add, json, run};

/// The journal keeps the newest 16,384; these are the bundles before.
const MINIMUM: u64 = 16_384;

fn size(site: &Site) -> u64 {
    let text = fs::read_to_string(site.dir().join("data/audit/checkpoint")).unwrap();
    text.lines().nth(1).unwrap().parse().unwrap()
}

/// A command that must end with a code, and what it said.
fn says(site: &Site, code: i32, arguments: &[&str]) -> String {
    let (found, said) = run(&site.dir(), arguments);
    assert_eq!(found, Some(code), "{arguments:?}: {said}");
    said
}

fn told(site: &Site, arguments: &[&str]) -> Value {
    let out = privet(&site.dir(), arguments);
    assert_eq!(out.status.code(), Some(0), "{arguments:?}: {}", said(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// A person whose data is held is not erased, nor is a hold a status that another word takes away.
fn hold(site: &Site) -> String {
    let said = says(site, 1, &["subject", "status", "c-5", "held"]);
    assert!(said.contains("privet hold add"), "{said}");
    let placed = told(site, &["hold", "add", "c-5", "--case", "C-7", "--why", "a claim"]);
    says(site, 0, &["subject", "status", "c-5", "restricted"]);
    let said = says(site, 1, &["subject", "erase-key", "c-5"]);
    assert!(said.contains("hold"), "{said}");
    let listed = told(site, &["hold", "list"]);
    let text = listed.to_string();
    assert!(text.contains("C-7") && !text.contains("c-5"), "{text}");
    let hold = listed["holds"][0]["hold"].as_str().unwrap().to_owned();
    assert!(placed.to_string().contains(&hold), "{placed}");
    hold
}

fn release(site: &Site, hold: &str) {
    says(site, 2, &["hold", "release", hold]);
    says(site, 2, &["hold", "release", "nonesuch", "--why", "settled"]);
    says(site, 0, &["hold", "release", hold, "--why", "settled"]);
    assert_eq!(told(site, &["hold", "list"])["holds"], serde_json::json!([]));
    says(site, 0, &["subject", "status", "c-5", "active"]);
}

/// Makes entries until the journal has let the oldest go.
fn fill(site: &Site, gateway: &Gateway, token: &str) {
    while size(site) < MINIMUM + 600 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| load(gateway.gateway, token, 1000 / AT_ONCE));
            }
        });
    }
}

#[test]
fn old_entries_go_once_a_second_operator_agrees_and_nobody_is_under_a_hold() {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    site.limit("per_principal = { concurrent = 1000, per_second = 1000000 }");
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let gateway = site.serve();
    site.reach(&gateway);
    add(&site, &gateway, "ben", "ben.token");
    let said = says(&site, 1, &["audit", "prune", "--before", "1000"]);
    assert!(said.contains("there is nothing to remove"), "{said}");
    let kept = |name: &str| {
        fs::copy(site.dir().join("data/audit/checkpoint"), site.dir().join(name)).unwrap();
    };
    kept("early");
    fill(&site, &gateway, &token);
    kept("late");
    says(&site, 0, &["audit", "prove", "10", "--output", "old.tlog-proof"]);

    // A time before all entries removes nothing; one after all, what the journal has let go.
    let said = says(&site, 1, &["audit", "prune", "--before", "2026-01-01"]);
    assert!(said.contains("there is nothing to remove"), "{said}");
    let asked = json(&site.dir(), &["audit", "prune", "--before", "2100-01-01"]);
    assert_eq!(asked["state"], "waiting_approval");
    let id = asked["id"].as_str().unwrap().to_owned();
    let approve = ["job", "approve", &id, "--token-file", "ben.token"];
    assert!(says(&site, 1, &["job", "approve", &id]).contains("you requested this job"));
    let held = hold(&site);
    let said = says(&site, 1, &approve);
    assert!(said.contains("somebody is under a legal hold"), "{said}");
    release(&site, &held);
    says(&site, 0, &approve);
    says(&site, 0, &["job", "watch", &id]);
    assert!(!site.dir().join("data/audit/tile/entries/000").exists());
    assert!(site.dir().join("data/audit/tile/entries/064").exists());
    gateway.kill9();
    let gateway = site.serve();

    knows_from_where(&site, &id);
    says(&site, 0, &["audit", "verify", "--proof", "old.tlog-proof"]);
    assert!(says(&site, 1, &["audit", "prove", "10"]).contains("entry 10 was pruned"));
    let first = MINIMUM.to_string();
    says(&site, 0, &["audit", "prove", &first, "--output", "new.tlog-proof"]);
    says(&site, 0, &["audit", "verify", "--proof", "new.tlog-proof"]);
    let consistency = ["audit", "consistency", "early", "--output", "grown"];
    says(&site, 0, &consistency);
    let exported = says(&site, 0, &["audit", "export"]);
    assert!(exported.starts_with(&format!("{{\"index\":{MINIMUM},")));

    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
    needs_the_minimum(&site);
}

/// Every command says that the log begins with the minimum, and job `id` is recorded in it.
fn knows_from_where(site: &Site, id: &str) {
    let begins = format!("the log begins with entry {MINIMUM}");
    for kept in [&["--since", "early"][..], &["--since", "late"], &[]] {
        let said = says(site, 0, &[&["audit", "verify"], kept].concat());
        assert!(said.contains("tree and signature hold") && said.contains(&begins), "{said}");
    }
    let said = says(site, 0, &["subject", "report", "c-5"]);
    assert!(said.contains(&begins), "{said}");
    let search = ["audit", "search", "--kind", "admin", "--output", "jsonl", "--limit", "0"];
    let said = says(site, 0, &search);
    assert!(said.contains(&begins), "{said}");
    let rows: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
    assert!(rows.iter().all(|row| row["index"].as_u64().unwrap() >= MINIMUM), "{said}");
    let pruned = rows.iter().find(|row| row["reason"] == "audit_pruned").unwrap();
    assert_eq!(pruned["facts"]["minimum"], MINIMUM.to_string());
    assert_eq!(pruned["facts"]["job"], id);
}

/// Without the minimum that the log's key signed, the entries are simply missing.
fn needs_the_minimum(site: &Site) {
    let file = site.dir().join("data/audit/minimum");
    let note = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(says(site, 5, &["audit", "verify"]).contains("first bad index 0"));
    fs::write(&file, note.replace("16384", "16640")).unwrap();
    assert!(says(site, 5, &["audit", "verify"]).contains("did not sign"));
    fs::write(&file, note).unwrap();
    says(site, 0, &["audit", "verify"]);
}

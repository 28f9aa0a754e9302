//! Long work of a real gateway: asked for, approved by somebody else, killed, and done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::command_line::post;
use crate::harness::{Gateway, Site, Store, get, privet};
use crate::keys::wait;

const ID: &str = "eva-4711-unmistakable";

/// Runs a command to its end: its exit code, and all it said.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let out = privet(dir, arguments);
    let said = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(said).unwrap())
}

pub(crate) fn json(dir: &Path, arguments: &[&str]) -> Value {
    let out = privet(dir, &[arguments, &["--output", "json"]].concat());
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Adds an operator, keeps their token in a file, and has the gateway read its operators.
pub(crate) fn add(site: &Site, gateway: &Gateway, name: &str, file: &str) {
    let out = privet(&site.dir(), &["operator", "add", name, "--role", "officer"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let path = site.dir().join(file);
    fs::write(&path, out.stdout).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let operator = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    assert_eq!(post(gateway.admin, "/api/v1/reload", operator.trim()), 200);
}

fn eva() -> (Store, Site, String) {
    let store = Store::start(|_| {
        Some(format!(r#"{{"id":"{ID}","phone":"+447700900007","country":"GB"}}"#))
    });
    let site = Site::new(store.address());
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    (store, site, token)
}

fn read(gateway: &Gateway, token: &str) -> u16 {
    get(gateway.gateway, &format!("/shop/customers/{ID}"), token, "order_support").status
}

/// The reasons of the entries about a job, the oldest first.
fn noted(site: &Site, id: &str) -> Vec<(String, Value)> {
    let out = privet(&site.dir(), &["audit", "search", "--kind", "admin", "--output", "jsonl"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let about = entries.filter(|entry| entry["facts"]["job"] == id);
    about
        .map(|entry| (entry["reason"].as_str().unwrap().to_owned(), entry["facts"].clone()))
        .collect()
}

#[test]
fn an_epoch_is_replaced_once_another_operator_agrees_and_over_two_kills() {
    let (_store, site, token) = eva();
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!(read(&gateway, &token), 200);
    let asked = json(&site.dir(), &["key", "rotate", "epoch"]);
    let id = asked["id"].as_str().unwrap();
    assert_eq!(
        (&asked["state"], &asked["kind"]),
        (&"waiting_approval".into(), &"rotate_epoch".into())
    );

    // Who asked does not agree, nor does the same person by a second name in other letters.
    let (status, said) = run(&site.dir(), &["job", "approve", id]);
    assert_eq!((status, said.contains("you requested this job")), (Some(1), true), "{said}");
    add(&site, &gateway, "First-Operator", "twin.token");
    let (status, said) = run(&site.dir(), &["job", "approve", id, "--token-file", "twin.token"]);
    assert_eq!((status, said.contains("you requested this job")), (Some(1), true), "{said}");
    let (status, said) = run(&site.dir(), &["key", "rotate", "epoch"]);
    assert_eq!((status, said.contains(id)), (Some(1), true), "the one there is, is named: {said}");
    let (status, said) = run(&site.dir(), &["job", "show", "zzzzzz"]);
    assert_eq!((status, said.contains("privet job list")), (Some(1), true), "{said}");

    add(&site, &gateway, "ben", "ben.token");
    let (status, said) = run(&site.dir(), &["key", "rotate", "epoch", "--token-file", "ben.token"]);
    assert_eq!(
        (status, said.contains("admin")),
        (Some(1), true),
        "an officer asks for none: {said}"
    );
    gateway.kill9();
    let gateway = site.serve();
    assert_eq!(json(&site.dir(), &["job", "show", id])["state"], "waiting_approval");
    let approved =
        json(&site.dir(), &["job", "approve", id.get(..8).unwrap(), "--token-file", "ben.token"]);
    assert_eq!((&approved["approved_by"], &approved["id"]), (&"ben".into(), &id.into()));
    gateway.kill9();
    let gateway = site.serve();
    let (status, said) = run(&site.dir(), &["job", "watch", id]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("done") && said.contains("by ben at"), "{said}");

    let folder = |name: &str| site.dir().join("data/keys").join(name).exists();
    assert_eq!((folder("epoch-1"), folder("epoch-2")), (false, true));
    assert_eq!(read(&gateway, &token), 200);
    // The log is searched as far as its last checkpoint.
    let is_done = |(reason, _): &(String, Value)| reason == "job_done";
    wait("the end of the job in the log", || noted(&site, id).iter().any(is_done));
    let noted = noted(&site, id);
    let reasons: Vec<&str> = noted.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(&reasons[..2], ["job_requested", "job_approved"], "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "job_done").count(), 1, "{reasons:?}");
    assert_eq!(reasons.last(), Some(&"job_done"), "{reasons:?}");
    // Each says what it was that was asked for, approved and done.
    assert!(noted.iter().all(|(_, facts)| facts["args"] == r#"{"from":1}"#), "{noted:?}");
    let facts = &noted.last().unwrap().1;
    assert_eq!(facts["requested_by"].as_str().unwrap().len(), 32);
    assert_ne!(facts["requested_by"], facts["approved_by"]);
}

#[test]
fn the_root_key_is_replaced_under_traffic_and_over_kills() {
    let (_store, site, token) = eva();
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!(read(&gateway, &token), 200);
    let (key, slot) =
        (site.dir().join("data/root.key"), site.dir().join("data/keys/slots/audit-1.key"));
    let (old_key, old_slot) = (fs::read(&key).unwrap(), fs::read(&slot).unwrap());
    add(&site, &gateway, "ben", "ben.token");
    let (status, said) = run(&site.dir(), &["key", "rotate", "root", "--token-file", "ben.token"]);
    assert_eq!((status, said.contains("admin")), (Some(1), true), "{said}");
    let asked = json(&site.dir(), &["key", "rotate", "root"]);
    let id = asked["id"].as_str().unwrap().to_owned();
    let (status, said) = run(&site.dir(), &["job", "approve", &id]);
    assert_eq!((status, said.contains("you requested this job")), (Some(1), true), "{said}");
    assert_eq!(fs::read(&key).unwrap(), old_key, "not before somebody else agrees");
    let approved = json(&site.dir(), &["job", "approve", &id, "--token-file", "ben.token"]);
    assert_eq!(approved["approved_by"], "ben");
    // Killed as it begins: the work is done at one of the next starts, whole.
    gateway.kill9();
    let mut gateway = site.serve();
    for reads in [0, 40, 80] {
        (0..reads).for_each(|_| assert_eq!(read(&gateway, &token), 200));
        gateway.kill9();
        gateway = site.serve();
    }
    assert_eq!(read(&gateway, &token), 200);
    let (status, said) = run(&site.dir(), &["job", "watch", &id]);
    assert_eq!((status, said.contains("done")), (Some(0), true), "{said}");
    assert_eq!(read(&gateway, &token), 200);
    assert_ne!(fs::read(&key).unwrap(), old_key);
    assert_ne!(fs::read(&slot).unwrap(), old_slot);
    assert!(!site.dir().join("data/root.key.next").exists());
    gateway.kill9();
    // What was kept of before opens nothing.
    fs::write(&key, old_key).unwrap();
    let (status, said) = run(&site.dir(), &["serve"]);
    assert_eq!((status, said.contains("root key")), (Some(1), true), "{said}");
}

#[test]
fn the_passphrase_is_changed_beside_the_running_gateway() {
    let (_store, site, token) = eva();
    let gateway = site.serve();
    site.reach(&gateway);
    let now = site.dir().join("data/root.passphrase");
    let new = site.dir().join("new-passphrase");
    fs::copy(&now, &new).unwrap();
    fs::write(&new, "another passphrase of enough letters\n").unwrap();
    let change = ["key", "passphrase", "--new-passphrase-file", "new-passphrase"];
    let (status, said) = run(&site.dir(), &change);
    assert_eq!((status, said.contains("Before the next start")), (Some(0), true), "{said}");
    let (status, said) = run(&site.dir(), &change);
    assert_eq!(status, Some(0), "done again: {said}");
    assert_eq!(read(&gateway, &token), 200);
    gateway.kill9();
    let (status, said) = run(&site.dir(), &["serve"]);
    assert_eq!((status, said.contains("cannot open the root key")), (Some(1), true), "{said}");
    fs::copy(&new, &now).unwrap();
    let gateway = site.serve();
    assert_eq!(read(&gateway, &token), 200);
}

#[test]
fn a_persons_next_key_takes_one_officer_and_writes_no_id_down() {
    let (_store, site, token) = eva();
    let gateway = site.serve();
    site.reach(&gateway);
    let (status, said) = run(&site.dir(), &["key", "rotate", "subject", ID]);
    assert_eq!((status, said.contains("nothing is known")), (Some(1), true), "{said}");
    assert_eq!(read(&gateway, &token), 200);
    let (status, said) = run(&site.dir(), &["key", "rotate", "subject", ID, "--wait"]);
    assert_eq!((status, said.contains("done")), (Some(0), true), "{said}");
    assert_eq!(read(&gateway, &token), 200);
    let listed = json(&site.dir(), &["job", "list"]);
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["state"]),
        (&"rotate_subject_key".into(), &"done".into())
    );
    assert!(!listed.to_string().contains(ID));
    let (status, said) = run(&site.dir(), &["subject", "erase-key", ID]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = run(&site.dir(), &["key", "rotate", "subject", ID]);
    assert_eq!((status, said.contains("was erased")), (Some(1), true), "{said}");
    gateway.kill9();
    let mut folders = vec![site.dir().join("data")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(ID.len()).any(|window| window == ID.as_bytes());
            assert!(!found, "{} holds the id", path.display());
        }
    }
}

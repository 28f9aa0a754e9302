//! The audit log as an officer meets it: what verifies, what does not, and who saw what and why.

use std::fs;
use std::path::Path;

use crate::harness::{Gateway, Site, Store, get, privet, said};

/// A command that must end with `code`, and what it said.
fn run(site: &Site, code: i32, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", said(&out));
    said(&out)
}

fn site() -> Site {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    Site::new(store.address())
}

/// Calls the gateway a few times, so that its log grows.
fn calls(site: &Site, gateway: &Gateway) {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for _ in 0..3 {
        let answer = get(gateway.gateway, "/shop/customers/c-5", &token, "order_support");
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
}

/// Serves, calls and stops in good order.
fn day(site: &Site) {
    let gateway = site.serve();
    calls(site, &gateway);
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn a_kept_checkpoint_shows_a_log_that_was_put_back_or_changed() {
    let site = site();
    day(&site);
    let log = site.dir().join("data/audit");
    let older = site.dir().join("older");
    copy(&log, &older);
    day(&site);
    let told = run(&site, 0, &["audit", "verify"]);
    assert!(told.contains("data/audit/checkpoint"), "{told}");
    fs::copy(log.join("checkpoint"), site.dir().join("kept")).unwrap();
    let verify = ["audit", "verify", "--since", "kept"];
    assert!(run(&site, 0, &verify).contains("continues"));
    day(&site);
    assert!(run(&site, 0, &verify).contains("continues"));

    // An older log in place of the newer one holds by itself.
    let newer = site.dir().join("newer");
    fs::rename(&log, &newer).unwrap();
    copy(&older, &log);
    run(&site, 0, &["audit", "verify"]);
    assert!(run(&site, 5, &verify).contains("first bad index"));

    // One bit of one entry.
    fs::remove_dir_all(&log).unwrap();
    copy(&newer, &log);
    let bundles = log.join("tile/entries/000.p");
    for file in fs::read_dir(bundles).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let second = 2 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        bytes[second + 10] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert!(run(&site, 5, &["audit", "verify"]).contains("first bad index 1"));
}

#[test]
fn a_proof_is_checked_by_one_who_has_only_the_public_key() {
    let site = site();
    day(&site);
    let log = site.dir().join("data/audit");
    fs::copy(log.join("checkpoint"), site.dir().join("kept")).unwrap();
    day(&site);
    run(&site, 0, &["audit", "prove", "1", "--output", "entry.tlog-proof"]);
    run(&site, 0, &["audit", "consistency", "kept", "--output", "longer"]);
    let told = run(&site, 1, &["audit", "prove", "1", "--output", "entry.tlog-proof"]);
    assert!(told.contains("not there yet"), "{told}");
    let told = run(&site, 1, &["audit", "prove", "999"]);
    assert!(told.contains("there is no entry 999"), "{told}");

    let key = fs::read_to_string(site.dir().join("data/audit.pub")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for file in ["entry.tlog-proof", "longer", "kept"] {
        fs::copy(site.dir().join(file), elsewhere.path().join(file)).unwrap();
    }
    let check = |code: i32, more: &[&str]| {
        let wish = [&["audit", "verify", "--key", key.trim(), "--proof"], more].concat();
        let out = privet(elsewhere.path(), &wish);
        assert_eq!(out.status.code(), Some(code), "{more:?}: {}", said(&out));
        said(&out)
    };
    let told = check(0, &["entry.tlog-proof"]);
    assert!(told.contains("ok: entry 1 is in the log"), "{told}");
    let shown: serde_json::Value = serde_json::from_str(told.lines().nth(1).unwrap()).unwrap();
    let row = run(&site, 0, &["audit", "search", "--output", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(row.lines().nth(1).unwrap()).unwrap();
    assert_eq!(shown, row);
    assert!(check(0, &["longer", "--since", "kept"]).contains("ok: the log"));

    // What is asked wrongly is told as such, and not as a broken proof.
    assert!(check(2, &["longer"]).contains("--since"));
    assert!(check(2, &["entry.tlog-proof", "--since", "kept"]).contains("needs no --since"));
    assert!(check(2, &["longer", "--since", "longer"]).contains("`longer`"));
    assert!(check(1, &["nothing"]).contains("`nothing`"));
    check(5, &["kept"]);
    let proof = fs::read_to_string(elsewhere.path().join("entry.tlog-proof")).unwrap();
    fs::write(elsewhere.path().join("moved"), proof.replace("\nindex 1\n", "\nindex 2\n")).unwrap();
    assert!(check(5, &["moved"]).contains("entry 2 is not"));
    fs::write(elsewhere.path().join("huge"), "a".repeat(300_000)).unwrap();
    assert!(check(5, &["huge"]).contains("longer than a proof"));
}

#[test]
fn gaps_are_times_without_an_entry_and_without_a_stop() {
    let site = site();
    run(&site, 1, &["audit", "gaps"]);
    day(&site);
    day(&site);
    assert!(run(&site, 0, &["audit", "gaps"]).contains("no gap"));
    // Stopped in good order, it may be silent for as long as it likes.
    assert!(run(&site, 0, &["audit", "gaps", "--until", "2199-01-01"]).contains("no gap"));
    let gateway = site.serve();
    calls(&site, &gateway);
    gateway.kill9();
    day(&site);
    let told = run(&site, 5, &["audit", "gaps"]);
    assert!(told.contains("started again without a stop, after entry"), "{told}");
    let row = run(&site, 5, &["audit", "gaps", "--output", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(row.lines().next().unwrap()).unwrap();
    assert_eq!(row["kind"], "no_stop");
    run(&site, 0, &["audit", "gaps", "--from", "2199-01-01", "--until", "2199-01-02"]);
    // Killed and not started again, silence grows at the end.
    let gateway = site.serve();
    calls(&site, &gateway);
    gateway.kill9();
    // Opening it publishes what the kill left in the journal.
    let told = run(&site, 5, &["audit", "gaps", "--until", "2199-01-01", "--output", "jsonl"]);
    assert!(told.contains("silent_end") || told.contains("no_stop"), "{told}");
    run(&site, 2, &["audit", "gaps", "--longest", "soon"]);
}

#[test]
fn a_key_that_is_given_is_never_passed_over() {
    let site = site();
    day(&site);
    let own = fs::read_to_string(site.dir().join("data/audit.pub")).unwrap();
    // The public key of the Go checksum database.
    let other = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    fs::write(site.dir().join("other.pub"), other).unwrap();
    for command in ["gaps", "search", "export", "reindex"] {
        let wish = |key: &str, code| run(&site, code, &["audit", command, "--key", key]);
        wish(own.trim(), 0);
        assert!(wish("missing.pub", 1).contains("cannot read `missing.pub`"), "{command}");
        assert!(wish("other.pub", 5).contains("cannot be trusted"), "{command}");
    }
}

#[test]
fn every_kept_checkpoint_is_told_by_its_own_size() {
    let site = site();
    let log = site.dir().join("data/audit/checkpoint");
    let kept = ["first", "second"].map(|name| {
        day(&site);
        fs::copy(&log, site.dir().join(name)).unwrap();
        fs::read_to_string(&log).unwrap().lines().nth(1).unwrap().to_owned()
    });
    let told = run(&site, 0, &["audit", "verify", "--since", "first", "--since", "second"]);
    for size in kept {
        assert!(told.contains(&format!("checkpoint of {size} entries you kept")), "{told}");
    }
}

#[test]
fn without_a_configuration_the_folder_and_the_key_are_asked_for() {
    let site = site();
    let told = run(&site, 3, &["audit", "verify", "--config", "none.toml"]);
    assert!(
        told.contains("`none.toml`") && told.contains("--dir") && told.contains("--key"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_checked_is_not_a_broken_proof() {
    let site = site();
    let told = run(&site, 1, &["audit", "verify"]);
    assert!(told.contains("there is no audit log") && told.contains("data/audit"), "{told}");
    assert!(run(&site, 1, &["audit", "search"]).contains("there is no audit log"));
    day(&site);
    let told = run(&site, 2, &["audit", "verify", "--since", "privet.toml"]);
    assert_eq!(told.matches("not a").count(), 1, "{told}");
    assert!(told.contains("privet.toml") && told.contains("checkpoint"), "{told}");
    assert!(run(&site, 1, &["audit", "verify", "--since", "nothing"]).contains("`nothing`"));
    let told = run(&site, 2, &["audit", "verify", "--key", "privet.toml"]);
    assert!(told.contains("name+hash+base64"), "{told}");
}

#[test]
fn an_officer_reads_who_saw_what_and_why() {
    let site = site();
    day(&site);
    let told = run(&site, 0, &["audit", "search", "--kind", "release"]);
    for word in ["support", "order_support", "shop.customers", "by support-contact"] {
        assert!(told.contains(word), "{word} is not in\n{told}");
    }
    let id = run(&site, 0, &["audit", "search", "--kind", "release", "--output", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(id.lines().next().unwrap()).unwrap();
    assert!(told.contains(row["decision_id"].as_str().unwrap()), "{told}");
    assert!(told.contains(row["actor"].as_str().unwrap().get(..8).unwrap()), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 120), "{told}");

    let cut = run(&site, 0, &["audit", "search", "--limit", "2"]);
    assert!(cut.contains("the newest 2 of more"), "{cut}");
    let all = run(&site, 0, &["audit", "search", "--limit", "0", "--output", "jsonl"]);
    assert!(all.lines().count() > 4 && !all.contains("of more"), "{all}");
    let none = run(&site, 0, &["audit", "search", "--purpose", "order_suport"]);
    assert!(none.contains("no entry matches"), "{none}");
    assert!(none.contains("did you mean `order_support`?"), "{none}");
}

#[test]
fn entries_that_a_kill_left_unpublished_are_counted_and_no_error() {
    let site = site();
    day(&site);
    // A kill may come before or after a checkpoint; an older one put back is a kill before it.
    let checkpoint = site.dir().join("data/audit/checkpoint");
    let older = fs::read(&checkpoint).unwrap();
    let gateway = site.serve();
    calls(&site, &gateway);
    gateway.kill9();
    fs::write(&checkpoint, older).unwrap();
    for command in ["verify", "search"] {
        let told = run(&site, 0, &["audit", command]);
        assert!(told.contains("newer entries wait in the journal"), "{told}");
    }
    day(&site);
    let told = run(&site, 0, &["audit", "verify"]);
    assert!(!told.contains("wait in the journal"), "{told}");
}

#[test]
fn a_policy_without_tests_fails_them() {
    let site = site();
    fs::remove_file(site.dir().join("policies/customer-care.test.yaml")).unwrap();
    assert!(run(&site, 4, &["policy", "test"]).contains("no tests were found in "));
}

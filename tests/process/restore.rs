//! A whole data folder restored from an older copy, beside what was erased since.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::harness::{Gateway, Site, Store, get, privet};

fn site() -> (Store, Site) {
    let store = Store::start(|target| {
        let id = target.strip_prefix("/customers/")?;
        Some(json!({ "id": id, "nickname": "n", "country": "GB" }).to_string())
    });
    let site = Site::new(store.address());
    (store, site)
}

fn copy(dir: &Path, from: &str, to: &str) {
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(dir).status().unwrap();
        assert!(done.success(), "{program} {arguments:?}");
    };
    run("rm", &["-rf", to]);
    run("cp", &["-a", from, to]);
}

fn read(site: &Site, gateway: &Gateway, id: &str) -> u16 {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    get(gateway.gateway, &format!("/shop/customers/{id}"), &token, "order_support").status
}

/// Erases, and says what it came to.
fn erase(site: &Site, id: &str) -> Value {
    let out = privet(&site.dir(), &["subject", "erase-key", id]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn refused(site: &Site, what: &[&str]) {
    let out = privet(&site.dir(), &["serve"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(what.iter().all(|what| said.contains(what)), "{said}");
}

#[test]
fn an_older_copy_of_everything_serves_nobody_until_the_newest_ledger_is_there() {
    let (_store, site) = site();
    let dir = site.dir();
    fs::create_dir(dir.join("elsewhere")).unwrap();
    site.edit("privet.toml", |text| {
        text.replace("[keys.root]", "[keys]\nhigh_water = \"elsewhere/mark\"\n\n[keys.root]")
    });
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!((read(&site, &gateway, "c-1"), read(&site, &gateway, "c-2")), (200, 200));
    gateway.kill9();
    copy(&dir, "data", "old");
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!(erase(&site, "c-1")["was_erased"], false);
    gateway.kill9();
    copy(&dir, "data", "new");

    // Everything from the backup: only the mark remembers.
    copy(&dir, "old", "data");
    let what = ["data/keys/tombstones", "0 tombstones, but 1 are remembered", "newest copy"];
    refused(&site, &what);
    // What accepts an older log or state does not accept this.
    fs::write(dir.join("data/audit.accept"), "").unwrap();
    refused(&site, &what);
    fs::remove_file(dir.join("data/audit.accept")).unwrap();

    // The newest ledger beside the backup: erased again, before anything is served.
    copy(&dir, "new/keys/tombstones", "data/keys/tombstones");
    let gateway = site.serve();
    site.reach(&gateway);
    assert_ne!(read(&site, &gateway, "c-1"), 200);
    assert_eq!(read(&site, &gateway, "c-2"), 200);
    let again = erase(&site, "c-1");
    assert_eq!((&again["was_erased"], &again["keys_destroyed"]), (&json!(true), &json!(0)));
    gateway.kill9();

    // A mark that is gone is not taken for none.
    fs::remove_file(dir.join("elsewhere/mark")).unwrap();
    refused(&site, &["is missing", "high_water", "touch"]);
    fs::write(dir.join("elsewhere/mark"), "").unwrap();
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!(read(&site, &gateway, "c-2"), 200);
    gateway.kill9();
}

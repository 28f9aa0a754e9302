//! Approvals and broken glass as people type them, with the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use privet::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Gateway, Site, Store, get, privet};

const GRANTS: &str = "grants:
  - id: desk
    roles: [support]
    purposes: [operations]
    data: [shop.customers]
    can: [read]
    fields: { id: show, nickname: show }
    needs: { approval: { by: dpo, for: 1 hour } }
  - id: brief
    roles: [support]
    purposes: [operations]
    data: [shop.customers]
    can: [read]
    fields: { id: show, nickname: show }
    needs: { approval: { by: dpo, for: 1 second } }
  - id: emergency
    roles: [analyst]
    purposes: [operations]
    data: [shop.customers]
    can: [read]
    fields: { id: show, nickname: show }
    needs: { break_glass: { for: 30 minutes, review_by: dpo, review_within: 3 days } }
  - id: outage
    roles: [analyst]
    purposes: [operations]
    data: [shop.customers]
    can: [read]
    fields: { id: show, nickname: show }
    needs: { break_glass: { for: 1 second, review_by: dpo, review_within: 1 second } }
";

/// A site whose policy has both kinds, for long and for a second, with a token for everybody in `NAME.token`.
fn site() -> (Store, Site) {
    let store = Store::start(|_| Some(r#"{"id":"c-1","nickname":"Zq","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    fs::remove_file(site.dir().join("policies/customer-care.test.yaml")).unwrap();
    site.edit("policies/customer-care.yaml", |text| text.replacen("grants:", GRANTS, 1));
    let people = [
        ("ada", &["--role", "support"][..]),
        ("ada-dpo", &["--role", "dpo", "--mfa"]),
        ("ben", &["--role", "dpo", "--mfa"]),
        ("ben-weak", &["--role", "dpo"]),
        ("eve", &["--role", "analyst", "--mfa"]),
    ];
    for (name, words) in people {
        let owner = name.split('-').next().unwrap();
        let words =
            [words, &["--owner", owner, "--purpose", "operations", "--region", "GB"]].concat();
        let path = site.dir().join(format!("{name}.token"));
        fs::write(&path, site.token(&words)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    (store, site)
}

/// Runs `privet approval …` as somebody; its exit code, what it printed, and what it said.
fn run(site: &Site, who: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let token = format!("{who}.token");
    let out = privet(&site.dir(), &[&["approval"], words, &["--token-file", &token]].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn done(site: &Site, who: &str, words: &[&str]) -> Value {
    let (code, printed, said) = run(site, who, words);
    assert_eq!(code, Some(0), "{words:?}: {said}");
    serde_json::from_str(&printed).unwrap()
}

/// Asks for something, or breaks glass; its id and what was said.
fn wish(site: &Site, who: &str, words: &[&str]) -> (String, String) {
    let (code, printed, said) = run(site, who, words);
    assert_eq!(code, Some(0), "{words:?}: {said}");
    let made: Value = serde_json::from_str(&printed).unwrap();
    (made["id"].as_str().unwrap().to_owned(), said)
}

/// Waits for what only time brings.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + 30_000;
    while !is_so() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "it never came: {what}");
    }
}

/// What the log has about one, once the gateway has written so far.
fn logged(site: &Site, id: &str, more: &[&str]) -> String {
    let words = [&["audit", "search", "--clearance", id, "--output", "jsonl"], more].concat();
    String::from_utf8(privet(&site.dir(), &words).stdout).unwrap()
}

/// Kills the gateway as a power failure would, and starts it again.
fn killed(site: &Site, gateway: Gateway) -> Gateway {
    gateway.kill9();
    // A port that is free now.
    site.edit("privet.toml", |text| {
        let (before, rest) = text.split_once("[admin]\nlisten = [\"").unwrap();
        let (_, after) = rest.split_once("\"]").unwrap();
        format!("{before}[admin]\nlisten = [\"127.0.0.1:0\"]{after}")
    });
    let gateway = site.serve();
    site.reach(&gateway);
    gateway
}

/// Ends the gateway; all that it said.
fn stopped(gateway: Gateway) -> String {
    gateway.signal("-TERM");
    let (code, said) = gateway.wait();
    assert_eq!(code, Some(0), "{said}");
    said
}

fn metrics(gateway: &Gateway) -> String {
    String::from_utf8(get(gateway.admin, "/metrics", "", "").body).unwrap()
}

fn call(site: &Site, gateway: &Gateway, who: &str) -> u16 {
    let token = fs::read_to_string(site.dir().join(format!("{who}.token"))).unwrap();
    get(gateway.gateway, "/shop/customers/c-1", token.trim(), "operations").status
}

#[test]
fn an_approval_is_asked_for_given_used_kept_over_a_restart_and_taken_back() {
    let (_store, site) = site();
    let gateway = site.serve();
    site.reach(&gateway);
    assert_eq!(call(&site, &gateway, "ada"), 403);
    let words = ["request", "--grant", "desk", "--case", "C-17", "--why", "a complaint"];
    let (id, said) = wish(&site, "ada", &words);
    assert!(said.contains("somebody else with the role `dpo` approves it"), "{said}");
    for (who, words) in [
        ("ada", "role `dpo`"),
        ("ada-dpo", "a second person must"),
        ("ben-weak", "second factor"),
        ("eve", "no such request"),
    ] {
        let (code, _, said) = run(&site, who, &["approve", &id]);
        assert!(code == Some(1) && said.contains(words), "{who}: {said}");
    }
    assert_eq!(call(&site, &gateway, "ada"), 403);
    let (_, table, _) = run(&site, "ben", &["list"]);
    assert!(table.contains("waiting") && table.contains("|ada"), "{table}");
    assert_eq!(done(&site, "ben", &["approve", &id])["state"], "in_force");
    assert_eq!(call(&site, &gateway, "ada"), 200);
    assert_eq!(call(&site, &gateway, "eve"), 403);
    let gateway = killed(&site, gateway);
    assert_eq!(call(&site, &gateway, "ada"), 200);
    assert!(metrics(&gateway).contains("privet_approvals_in_force 1\n"));
    let shown = done(&site, "ben", &["show", &id]);
    assert_eq!(shown["releases"][0]["records"], 1, "{shown}");
    assert_eq!(done(&site, "ada", &["revoke", &id])["state"], "revoked");
    assert_eq!(call(&site, &gateway, "ada"), 403);
    stopped(gateway);
    let found = logged(&site, &id, &[]);
    let kinds =
        ["approval_requested", "approval_approved", "\"kind\":\"release\"", "approval_revoked"];
    for words in kinds {
        assert!(found.contains(words), "{words}: {found}");
    }
    assert!(!found.contains("a complaint") && !found.contains("|ada"), "{found}");
}

#[test]
fn an_approval_ends_by_itself() {
    let (_store, site) = site();
    let gateway = site.serve();
    site.reach(&gateway);
    let words = ["request", "--grant", "brief", "--case", "C-19", "--why", "one look"];
    let (id, _) = wish(&site, "ada", &words);
    assert_eq!(done(&site, "ben", &["approve", &id])["state"], "in_force");
    until("the end", || done(&site, "ada", &["show", &id])["state"] == "over");
    assert_eq!(call(&site, &gateway, "ada"), 403);
    let (code, _, said) = run(&site, "ben", &["approve", &id]);
    assert_eq!(code, Some(1), "{said}");
    let gateway = killed(&site, gateway);
    assert_eq!(call(&site, &gateway, "ada"), 403);
}

#[test]
fn glass_is_broken_told_and_reviewed() {
    let (_store, site) = site();
    let gateway = site.serve();
    site.reach(&gateway);
    let words = ["break-glass", "--grant", "emergency", "--case", "C-18", "--why", "gas alarm"];
    let (code, _, said) = run(&site, "ada", &words);
    assert!(code == Some(1) && said.contains("no grant of this name"), "{said}");
    assert_eq!(call(&site, &gateway, "eve"), 403);
    let (id, said) = wish(&site, "eve", &words);
    assert!(said.contains("an alert was raised") && said.contains("`dpo` reviews it"), "{said}");
    assert_eq!(call(&site, &gateway, "eve"), 200);
    let review = ["review", &id, "--finding", "justified", "--note", "the street was evacuated"];
    let (code, _, said) = run(&site, "eve", &review);
    assert!(code == Some(1) && said.contains("role `dpo`"), "{said}");
    let reviewed = done(&site, "ben", &review);
    assert_eq!(reviewed["review"]["finding"], "justified");
    let page = metrics(&gateway);
    for line in ["privet_approvals_break_glass_total 1\n", "privet_approvals_reviews_due 0\n"] {
        assert!(page.contains(line), "{page}");
    }
    let said = stopped(gateway);
    assert!(said.contains("somebody broke glass"), "{said}");
    let found = logged(&site, &id, &["--kind", "alert"]);
    assert!(found.contains("break_glass_opened"), "{found}");
}

#[test]
fn a_review_that_is_late_is_told_and_bars_over_a_restart() {
    let (_store, site) = site();
    let gateway = site.serve();
    site.reach(&gateway);
    let words = |grant| ["break-glass", "--grant", grant, "--case", "C-20", "--why", "an outage"];
    let (id, _) = wish(&site, "eve", &words("outage"));
    let state = || done(&site, "ben", &["show", &id])["review"]["state"].clone();
    until("the day of the review", || state() == "overdue");
    let gateway = killed(&site, gateway);
    assert_eq!(state(), "overdue");
    // Told anew it is not: once, by whichever of the two programs came to it.
    until("the alert", || logged(&site, &id, &["--kind", "alert"]).contains("review_overdue"));
    let (code, _, said) = run(&site, "eve", &words("emergency"));
    assert!(code == Some(1) && said.contains("review"), "{said}");
    assert_eq!(call(&site, &gateway, "eve"), 403);
    until("the number", || metrics(&gateway).contains("privet_approvals_reviews_overdue 1\n"));
    let review = ["review", &id, "--finding", "unjustified", "--note", "nothing was out"];
    assert_eq!(done(&site, "ben", &review)["review"]["state"], "done");
    wish(&site, "eve", &words("emergency"));
    assert_eq!(call(&site, &gateway, "eve"), 200);
    stopped(gateway);
    let found = logged(&site, &id, &["--kind", "alert"]);
    assert_eq!(found.matches("review_overdue").count(), 1, "{found}");
}

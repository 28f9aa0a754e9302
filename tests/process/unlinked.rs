//! After an erasure nothing says whom the entries of the log were about; they still group
//! together, and every proof still holds.

use std::fs;

use serde_json::Value;

use crate::harness::{Gateway, Site, Store, get, privet};
use crate::planted::files;
use crate::reidentify::Officer;

const ID: &str = "c-zq8planted";

fn site(unlink_after: &str) -> Site {
    let record = format!(r#"{{"id":"{ID}","name":"Eva","country":"GB"}}"#);
    let site = Site::new(Store::start(move |_| Some(record.clone())).address());
    site.edit("privet.toml", |text| {
        text.replacen("[audit]\n", &format!("[audit]\nunlink_after = \"{unlink_after}\"\n"), 1)
    });
    site
}

fn run(site: &Site, code: i32, arguments: &[&str]) -> (String, String) {
    let out = privet(&site.dir(), arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (shown, told) = (text(out.stdout), text(out.stderr));
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {shown}{told}");
    (shown, told)
}

fn calls(site: &Site, gateway: &Gateway) {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for _ in 0..3 {
        let path = format!("/shop/customers/{ID}");
        let answer = get(gateway.gateway, &path, &token, "order_support");
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
}

/// The person's token, as long as it can be told.
fn token(site: &Site) -> String {
    let card: Value = serde_json::from_str(&run(site, 0, &["subject", "show", ID]).0).unwrap();
    card["token"].as_str().unwrap().to_owned()
}

fn indexes(site: &Site, token: &str) -> Vec<u64> {
    let rows =
        run(site, 0, &["audit", "search", "--subject", token, "--all", "--output", "jsonl"]).0;
    let index =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
    rows.lines().map(index).collect()
}

#[test]
fn nothing_names_the_erased_and_every_proof_still_holds() {
    let site = site("0");
    let gateway = site.serve();
    site.reach(&gateway);
    calls(&site, &gateway);
    run(&site, 0, &["subject", "report", ID, "--proofs", "proofs", "--output", "json"]);
    let token = token(&site);
    run(&site, 0, &["audit", "verify"]);
    fs::copy(site.dir().join("data/audit/checkpoint"), site.dir().join("kept")).unwrap();
    let (told, _) = run(&site, 0, &["subject", "erase-key", ID]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["named_in_the_log_until"], Value::Null, "{told}");
    let (_, said) = run(&site, 1, &["subject", "report", ID]);
    assert!(said.contains("was erased") && !said.contains("claim"), "{said}");
    let claim = ["claim", "request", ID, "--case", "C-1", "--why", "court"];
    run(&site, 1, &claim);
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));

    // The proofs that were made before hold, and the log continues what was kept.
    run(&site, 0, &["audit", "verify", "--since", "kept"]);
    for proof in files(&site.dir().join("proofs")) {
        run(&site, 0, &["audit", "verify", "--proof", proof.to_str().unwrap()]);
    }
    // The entries still belong together, as those of somebody.
    assert!(indexes(&site, &token).len() > 3);
    // Of the erasure itself the log says when and by whom, not about which token: the ledger of
    // tombstones knows the moment as well, and the id it was about.
    let all = run(&site, 0, &["audit", "search", "--kind", "key", "--all", "--output", "jsonl"]).0;
    assert!(all.contains("key_erased") && !all.contains(&token), "{all}");
    for file in files(&site.dir().join("data")) {
        let bytes = fs::read(&file).unwrap();
        let has = |needle: &str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
        assert!(!has("planted"), "the id is in {}", file.display());
        let in_log = file.strip_prefix(site.dir().join("data/audit")).is_ok();
        assert!(in_log || !has(&token), "the token is in {}", file.display());
    }
    // Nor does a gateway that is started with all of it know her.
    let gateway = site.serve();
    site.reach(&gateway);
    let card = run(&site, 0, &["subject", "show", ID]).0;
    assert!(!card.contains(&token), "{card}");
}

#[test]
fn for_a_legal_claim_two_officers_are_told_once_while_the_key_is_kept() {
    let site = site("365d");
    let (ada, ben) = (Officer::add(&site, "ada"), Officer::add(&site, "ben"));
    let gateway = site.serve();
    site.reach(&gateway);
    calls(&site, &gateway);
    let token = token(&site);
    let (told, _) = run(&site, 0, &["subject", "erase-key", ID]);
    assert!(told.contains("named_in_the_log_until\": \"20"), "{told}");
    let (_, said) = run(&site, 1, &["subject", "report", ID]);
    assert!(said.contains("privet claim request"), "{said}");

    let wish = ["claim", "request", ID, "--case", "C-117", "--why", "court order"];
    run(&site, 1, &wish);
    let (status, made, said) = ada.command(&site, &wish, &ada.code(0));
    assert_eq!(status, Some(0), "{said}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let claim = made["id"].as_str().unwrap();
    assert!(!made.to_string().contains(&token));
    let (status, _, said) = ben.command(&site, &["claim", "approve", claim], &ben.code(0));
    assert_eq!(status, Some(0), "{said}");
    let (_, shown, said) = ben.command(&site, &["claim", "show", claim, ID], &ben.code(1));
    assert!(said.contains("for whoever made the request") && shown.is_empty(), "{said}");
    let (status, shown, said) = ada.command(&site, &["claim", "show", claim, ID], &ada.code(1));
    assert_eq!(status, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["token"], token.as_str());
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
    assert!(indexes(&site, &token).len() >= 3);
    let entries =
        run(&site, 0, &["audit", "search", "--kind", "admin", "--all", "--output", "jsonl"]).0;
    for line in entries.lines().filter(|line| line.contains("legal_claim")) {
        assert!(!line.contains(&token) && line.contains("C-117"), "{line}");
    }
    assert_eq!(entries.matches("legal_claim_").count(), 3, "{entries}");
}

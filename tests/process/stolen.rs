//! A copy of everything but the passphrase tells nothing that is listed as encrypted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::harness::{Gateway, Site, Store, get, privet, send};
use crate::planted::files;
use crate::secrets::{secrets, tells};

const ID: &str = "c-zq8stolen1d";
const OTHER_ID: &str = "c-zq8stolen2d";
/// What the policy lists as encrypted, in each spelling that it was written in.
const SEALED: &[&str] = &[
    "Zq8stolen Name",
    "zq8stolen.mail@mail.example",
    "+449922zq8",
    "1988-12-08",
    "zq8stolen street",
    "Zq8stolen City",
    "ZQ8STOLENID",
    "400000zq8stolen",
    "Zq8stolen Second",
    "zq8stolen.second@mail.example",
];
const FIELDS: [&str; 6] = ["name", "email", "phone", "birthday", "address", "national_id"];

/// A store that keeps its records in a file of its own.
fn store(file: &Path) -> Store {
    let file = file.to_owned();
    let records = [ID, OTHER_ID].map(|id| (id.to_owned(), json!({ "id": id, "country": "GB" })));
    let records = Mutex::new(BTreeMap::from(records));
    Store::conversing(move |method, target, body| {
        let mut records = records.lock().unwrap();
        let id = target.rsplit('/').next().unwrap();
        if matches!(method, "PUT" | "PATCH") {
            let mut sent: Value = serde_json::from_slice(body).unwrap();
            sent["id"] = id.into();
            let mut kept = records.get(id).cloned().unwrap_or_else(|| json!({}));
            for (name, value) in sent.as_object().unwrap() {
                kept[name] = value.clone();
            }
            records.insert(id.to_owned(), kept.clone());
            fs::write(&file, json!(*records).to_string()).unwrap();
            return Some(kept.to_string());
        }
        records.get(id).map(Value::to_string)
    })
}

/// Lists the fields as encrypted, and the mail address as found by an index.
fn encrypt(site: &Site) {
    site.edit("policies/customer-care.yaml", |text| {
        let mut in_customers = false;
        let line = |line: &str| {
            if line.starts_with("  shop.") {
                in_customers = line.starts_with("  shop.customers:");
            }
            let name = line.trim_start().split(':').next().unwrap();
            let is_field = FIELDS.contains(&name) || line.contains("\"cards[*].pan\"");
            if !in_customers || !is_field || line.contains("at_rest") || !line.contains("category")
            {
                return format!("{line}\n");
            }
            let index = if name == "email" { ", index: email_index" } else { "" };
            let (head, _) = line.rsplit_once('}').unwrap();
            format!("{}, at_rest: encrypt{index} }}\n", head.trim_end())
        };
        text.lines().map(line).collect()
    });
}

fn write(gateway: &Gateway, token: &str, method: &str, path: &str, body: &Value) -> u16 {
    let headers = [
        ("Authorization", format!("Bearer {token}")),
        ("Privet-Purpose", "operations".to_owned()),
        ("Content-Type", "application/json".to_owned()),
    ];
    send(gateway.gateway, (method, path), &headers, &body.to_string()).unwrap().status
}

/// Writes two people through the gateway, and sees that they are there.
fn fill(site: &Site, gateway: &Gateway) {
    let app = site.token(&["--role", "shop-app", "--purpose", "operations", "--region", "GB"]);
    let support =
        site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let one = format!("/shop/customers/{ID}");
    let whole = json!({
        "nickname": "zq8 nick", "name": "Zq8stolen Name", "email": "zq8stolen.mail@mail.example",
        "phone": "+449922zq8", "birthday": "1988-12-08", "country": "GB",
        "address": { "street": "zq8stolen street", "city": "Zq8stolen City", "postcode": "N1" },
        "national_id": "ZQ8STOLENID", "cards": [{ "pan": "400000zq8stolen" }],
    });
    assert_eq!(write(gateway, &app, "PUT", &one, &whole), 200);
    let second = json!({ "name": "Zq8stolen Second", "email": "zq8stolen.second@mail.example",
        "country": "GB" });
    let other = format!("/shop/customers/{OTHER_ID}");
    assert_eq!(write(gateway, &app, "PATCH", &other, &second), 200);
    // Whoever may see them does, so they are there.
    let seen = get(gateway.gateway, &one, &support, "order_support").json();
    assert_eq!(seen["name"], "Zq8stolen Name", "{seen}");
    assert_eq!(seen["email"], "z***@mail.example", "{seen}");
    assert_eq!(seen["address"]["city"], "Zq8stolen City", "{seen}");
    let seen = get(gateway.gateway, &other, &support, "order_support").json();
    assert_eq!(seen["name"], "Zq8stolen Second", "{seen}");
}

/// What a thief takes: everything but the passphrase.
fn steal(site: &Site, kept: &Path, copy: &Path) {
    for file in files(&site.dir()) {
        if !file.ends_with("root.passphrase") {
            let to = copy.join(file.strip_prefix(site.dir()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file, &to).unwrap();
        }
    }
    fs::copy(kept, copy.join("store.json")).unwrap();
}

/// No file of the copy holds a value that is listed as encrypted, nor an id outside the store.
fn tells_no_value(copy: &Path) {
    for file in files(copy) {
        let bytes = fs::read(&file).unwrap().to_ascii_lowercase();
        let holds = |needle: &str| {
            memchr::memmem::find(&bytes, needle.to_ascii_lowercase().as_bytes()).is_some()
        };
        for value in SEALED {
            assert!(!holds(value), "{value} is in {}", file.display());
        }
        let is_store = file.ends_with("store.json");
        assert!(is_store || !(holds(ID) || holds(OTHER_ID)), "an id is in {}", file.display());
    }
}

/// No key is in the copy, nor in the log.
fn tells_no_key(site: &Site, copy: &Path, log: &str) {
    for (name, secret) in secrets(&site.dir()) {
        assert!(!tells(log.as_bytes(), &secret), "{name} is in the log");
        for file in files(copy) {
            let bytes = fs::read(&file).unwrap();
            assert!(!tells(&bytes, &secret), "{name} is in {}", file.display());
        }
    }
}

/// The store's own file holds an envelope for each of them, and says so of nothing else.
fn holds_envelopes(kept: &Path) {
    let records: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    let first = &records[ID];
    let values = ["name", "email", "phone", "birthday", "national_id"].map(|name| &first[name]);
    let deeper = ["street", "city", "postcode"].map(|name| &first["address"][name]);
    for value in values.into_iter().chain(deeper).chain([&first["cards"][0]["pan"]]) {
        assert!(value.as_str().is_some_and(|text| text.starts_with("pvt1_")), "{first}");
    }
    assert!(first["email_index"].as_str().is_some_and(|text| text.starts_with("bi1_")), "{first}");
    assert_eq!(first["nickname"], "zq8 nick");
}

/// The copy does not start without the passphrase, or with another.
fn does_not_start(copy: &Path) {
    let refused = |why: &str| {
        let out = privet(copy, &["serve"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && !said.contains("\nready "), "{why}: {said}");
        assert!(said.contains("root.passphrase") || said.contains("root.key"), "{why}: {said}");
    };
    refused("without a passphrase");
    let guess = copy.join("data/root.passphrase");
    fs::write(&guess, "correct horse battery staple\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&guess, private).unwrap();
    refused("with another passphrase");
}

#[test]
fn a_stolen_copy_without_the_passphrase_tells_nothing_that_is_encrypted() {
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("store.json");
    let store = store(&kept);
    let site = Site::new(store.address());
    encrypt(&site);
    let gateway = site.serve();
    fill(&site, &gateway);
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
    let copy = outside.path().join("copy");
    steal(&site, &kept, &copy);
    tells_no_value(&copy);
    tells_no_key(&site, &copy, &log);
    holds_envelopes(&kept);
    does_not_start(&copy);
}

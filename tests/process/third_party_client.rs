//! A client library that nobody here wrote, in front of it Privet, behind that a store that nobody
//! here wrote: people are listed, read, created, changed, replaced and deleted.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{JsonServer, Site, privet, send};

const POLICY: &str = r#"
privet: policy/v1
name: crm
purposes:
  care: { basis: contract }
roles:
  agent: { claim: roles, has: agent }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
  tail-4: { mask: { keep_last: 4 } }
  birth-year: { generalize: { date: year } }
  city-only: { generalize: { address: city } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [_start, _end] }
      - { on: "POST /customers", records: "$", created_id: "$.id" }
      # json-server knows no conditional requests.
      - { on: "PUT /customers/{id}", records: "$", unsafe_writes: accepted }
      - { on: "PATCH /customers/{id}", records: "$", unsafe_writes: accepted }
      - { on: "DELETE /customers/{id}", unsafe_writes: accepted }
    fields:
      id: { category: user.unique_id }
      nickname: { category: user.account.username }
      name: { category: user.name }
      email: { category: user.contact.email }
      phone: { category: user.contact.phone_number }
      birthday: { category: user.demographic.date_of_birth }
      address: { category: user.contact.address, children: { street: {}, city: {} } }
      national_id: { category: user.government_id }
      "cards[*].pan": { category: user.financial.credit_card }
      "cards[*].label": { category: user.behavior }
      loyalty: { category: user.behavior }
grants:
  - id: agents
    roles: [agent]
    purposes: [care]
    data: [shop.customers]
    can: [read, create, update, delete]
    fields: { id: show, nickname: show, name: show, email: email-hint, phone: tail-4, birthday: birth-year, address: city-only, "cards[*].label": show, loyalty: show }
    writes: [nickname, name, email, phone, birthday, address, national_id]
"#;

fn person(n: u32) -> Value {
    json!({
        "id": format!("c-{n}"), "nickname": "z", "name": format!("Zoë {n} \u{1F33B}"),
        "email": format!("zoe.{n}@mail.example"), "phone": format!("+44770090019{n}"),
        "birthday": "1988-10-09",
        "address": { "street": "1 High Street", "city": "Leeds", "door": "B" },
        "national_id": "TEST0000T", "cards": [{ "pan": "4000000000000002", "label": "red" }],
        "loyalty": 1024, "internal": { "score": 0.5, "flags": ["vip", null] },
    })
}

/// What an agent sees of a person.
fn shown(n: u32) -> Value {
    json!({
        "id": format!("c-{n}"), "nickname": "z", "name": format!("Zoë {n} \u{1F33B}"),
        "email": "z***@mail.example", "phone": format!("***019{n}"), "birthday": "1988",
        "address": { "city": "Leeds" }, "cards": [{ "label": "red" }], "loyalty": 1024,
    })
}

/// `value` with some of its members set.
fn with(mut value: Value, changes: &[(&str, &str)]) -> Value {
    for (name, text) in changes {
        value[*name] = (*text).into();
    }
    value
}

/// A site in front of `store` with a policy of the test's.
fn site(store: &JsonServer, policy: &str) -> Site {
    let site = Site::new(store.address());
    let policies = site.dir().join("policies");
    for entry in fs::read_dir(&policies).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(policies.join("crm.yaml"), policy).unwrap();
    site
}

/// Runs the client and gives what it printed.
fn client(base: &str, token: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("target/stores/simple-rest/node_modules");
    assert!(modules.exists(), "the client library is not there; `.ci/setup test` fetches it");
    let out = Command::new("node")
        .arg(root.join("tests/stores/simple-rest/client.cjs"))
        .args([base, token, "care"])
        .env("NODE_PATH", modules)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn a_client_nobody_here_wrote_reads_and_writes_a_store_nobody_here_wrote() {
    let people: Vec<Value> = (1..=3).map(person).collect();
    let store = JsonServer::start(&json!({ "customers": people }));
    let site = site(&store, POLICY);
    let gateway = site.serve();
    let token = site.token(&["--role", "agent", "--purpose", "care"]);
    let said = client(&format!("http://{}/shop", gateway.gateway), &token);

    assert_eq!(said["list"], json!([shown(1), shown(2), shown(3)]));
    assert_eq!((&said["one"], &said["same"]), (&shown(2), &shown(2)));
    assert_eq!(said["replaced"], with(shown(2), &[("nickname", "zo")]));
    let changed = [("nickname", "zo"), ("phone", "***0777")];
    assert_eq!(said["changed"], with(shown(2), &changed));
    let everything = [("nickname", "zo"), ("phone", "***0777"), ("name", "Zoë B.")];
    assert_eq!(said["everything"], with(shown(2), &everything));

    // What is refused says why, and changes nothing.
    let refused = |name: &str| said[name]["refused"].as_u64().unwrap_or_default();
    let detail = |name: &str| said[name]["detail"].as_str().unwrap_or_default().to_owned();
    assert!((400..500).contains(&refused("old")), "{}", said["old"]);
    assert!(detail("old").contains("`phone`"), "{}", said["old"]);
    assert_eq!((refused("forbidden"), refused("unlisted")), (403, 422), "{said}");
    assert!(detail("forbidden").contains("`loyalty`"), "{}", said["forbidden"]);
    assert!((400..500).contains(&refused("moved")), "{}", said["moved"]);
    assert!(detail("moved").contains("`id`"), "{}", said["moved"]);

    // A new person: the store gives the id.
    let id = said["created"]["id"].as_str().unwrap();
    let new = json!({ "nickname": "new", "email": "n***@mail.example", "id": id });
    assert_eq!((&said["created"], &said["read"]), (&new, &new));
    assert!(said["deleted"].get("refused").is_none(), "{}", said["deleted"]);
    assert_eq!((refused("gone"), refused("missing")), (404, 404));

    // What the store holds now: all that nobody saw is as it was.
    let mut wanted: Vec<Value> = (1..=3).map(person).collect();
    wanted[1] =
        with(person(2), &[("nickname", "zo"), ("phone", "+447700900777"), ("name", "Zoë B.")]);
    let wanted = json!({ "customers": wanted });
    assert_eq!(store.file(|data| *data == wanted), wanted);

    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
    the_log_has_every_write(&site);
}

/// Each with its intent, and none with a value.
fn the_log_has_every_write(site: &Site) {
    let verified = privet(&site.dir(), &["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let search = ["audit", "search", "--kind", "intent", "--limit", "0", "--output", "jsonl"];
    let found = String::from_utf8(privet(&site.dir(), &search).stdout).unwrap();
    let mut actions: Vec<String> = found
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    actions.sort();
    assert_eq!(actions, ["create", "delete", "update", "update", "update"], "{found}");
    for value in ["447700900777", "Zoë", "new@mail.example", "c-2"] {
        assert!(!found.contains(value), "the log holds no values");
    }
}

/// The same policy, where the store keeps what a thief would like best sealed, and somebody who
/// brings people in.
fn sealed_policy() -> String {
    let sealed = |policy: String, field: &str| {
        let after = format!("{field}, at_rest: encrypt }}");
        policy.replacen(&format!("{field} }}"), &after, 1)
    };
    let fields = [
        "category: user.name",
        "category: user.contact.email",
        "category: user.contact.phone_number",
        "category: user.demographic.date_of_birth",
        "category: user.government_id",
        "category: user.financial.credit_card",
    ];
    let policy = fields.into_iter().fold(POLICY.to_owned(), sealed);
    let policy = policy.replacen("street: {}", "street: { at_rest: encrypt }", 1);
    assert_eq!(policy.matches("at_rest: encrypt").count(), fields.len() + 1);
    let policy =
        policy.replacen("roles:\n", "roles:\n  loader: { claim: roles, has: loader }\n", 1);
    policy
        + r#"  - id: loaders
    roles: [loader]
    purposes: [care]
    data: [shop.customers]
    can: [create]
    writes: [id, nickname, name, email, phone, birthday, address, national_id, "cards[*].pan", "cards[*].label", loyalty]
"#
}

#[test]
fn the_same_client_notices_nothing_of_a_store_that_holds_envelopes() {
    let store = JsonServer::start(&json!({ "customers": [] }));
    let site = site(&store, &sealed_policy());
    let gateway = site.serve();
    let loader = site.token(&["--role", "loader", "--purpose", "care"]);
    let headers = [
        ("Authorization", format!("Bearer {loader}")),
        ("Privet-Purpose", "care".to_owned()),
        ("Content-Type", "application/json".to_owned()),
    ];
    for n in 1..=3 {
        let mut person = person(n);
        person.as_object_mut().unwrap().remove("internal");
        person["address"].as_object_mut().unwrap().remove("door");
        let call = ("POST", "/shop/customers");
        let made = send(gateway.gateway, call, &headers, &person.to_string()).unwrap();
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    }
    let token = site.token(&["--role", "agent", "--purpose", "care"]);
    let said = client(&format!("http://{}/shop", gateway.gateway), &token);
    assert_eq!(said["list"], json!([shown(1), shown(2), shown(3)]));
    assert_eq!((&said["one"], &said["same"]), (&shown(2), &shown(2)));
    let everything = [("nickname", "zo"), ("phone", "***0777"), ("name", "Zoë B.")];
    assert_eq!(said["everything"], with(shown(2), &everything));
    // A new person, sealed before the store gave the id.
    let new =
        json!({ "nickname": "new", "email": "n***@mail.example", "id": said["created"]["id"] });
    assert_eq!((&said["created"], &said["read"]), (&new, &new));
    for (call, status) in [("old", 422), ("forbidden", 403), ("moved", 403), ("gone", 404)] {
        assert_eq!(said[call]["refused"], status, "{call}: {}", said[call]);
    }

    let file = store.file(|data| data["customers"].as_array().is_some_and(|all| all.len() == 3));
    let sealed = [
        "/name",
        "/email",
        "/phone",
        "/birthday",
        "/address/street",
        "/national_id",
        "/cards/0/pan",
    ];
    for person in file["customers"].as_array().unwrap() {
        for field in sealed {
            let value = person.pointer(field).and_then(Value::as_str).unwrap_or_default();
            assert!(value.starts_with("pvt1_"), "{field}: {person}");
        }
    }
    let text = file.to_string();
    let planted =
        ["Zoë", "zoe.", "+44770", "1988-10-09", "High Street", "TEST0000T", "4000000000000002"];
    assert!(planted.iter().all(|value| !text.contains(value)), "{text}");
}

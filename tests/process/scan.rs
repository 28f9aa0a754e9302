//! A draft of a data section from a store that answers, finished as its comments say, and served.

use std::fs;

use crate::harness::Site;
use crate::harness::Store;
use crate::harness::get;
use crate::harness::privet;
use crate::harness::said;

const DESCRIPTION: &str = r##"{
  "openapi": "3.0.3",
  "paths": { "/people": { "get": {
    "parameters": [{ "name": "limit", "in": "query" }],
    "responses": { "200": { "content": { "application/json": {
      "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Person" } } } } } } } },
    "/people/{personId}": { "get": { "responses": { "200": { "content": { "application/json": {
      "schema": { "$ref": "#/components/schemas/Person" } } } } } } } },
  "components": { "schemas": { "Person": { "properties": { "id": {}, "e": {}, "hat": {} } } } }
}"##;
const PERSON: &str = r#"{"id":"c-5","e":"planted-zq7@mail.example","hat":"planted-hat"}"#;

fn store() -> Store {
    Store::start(|path| match path {
        "/openapi.json" => Some(DESCRIPTION.into()),
        "/people" => Some(format!("[{PERSON},{PERSON}]")),
        path if path.starts_with("/people/") => Some(PERSON.into()),
        _ => None,
    })
}

#[test]
fn a_store_is_described_sampled_drafted_and_served() {
    let store = store();
    let site = Site::new(store.address());
    let out = privet(
        &site.dir(),
        &["store", "scan", "shop", "--openapi", "/openapi.json", "--sample", "5"],
    );
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let draft = String::from_utf8(out.stdout.clone()).unwrap();
    assert!(said(&out).contains("1 of 1 lists: GET /people, 2 records"), "{}", said(&out));
    assert!(
        said(&out).contains("1 data sets, 3 fields, 1 of them not classified"),
        "{}",
        said(&out)
    );
    assert!(
        draft.contains("e: { category: user.contact.email }   # 95 %, its values look like"),
        "{draft}"
    );
    assert!(!said(&out).contains("planted"), "no value is shown: {}", said(&out));

    let policies = site.dir().join("policies");
    for file in fs::read_dir(&policies).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    fs::write(policies.join("data.yaml"), &draft).unwrap();
    let grants = "privet: policy/v1
purposes: { order_support: { basis: contract } }
roles: { support: { claim: roles, has: support } }
grants:
  - { id: look, roles: [support], purposes: [order_support], data: [shop.people], can: [read], levels: { sensitive: show } }
";
    fs::write(policies.join("grants.yaml"), grants).unwrap();
    let out = privet(&site.dir(), &["check"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let answer = get(gateway.gateway, "/shop/people/c-5", &token, "order_support");
    let shown = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!((answer.status, shown.contains("planted-zq7")), (200, true), "{shown}");
    assert!(!shown.contains("planted-hat"), "what nobody classified is dropped: {shown}");
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));
}

#[test]
fn a_scan_says_what_is_missing_or_mistyped() {
    let store = store();
    let site = Site::new(store.address());
    let url = format!("http://{}", store.address());
    for (code, arguments, what) in [
        (2, vec!["shop"], "nothing says what the store has"),
        (2, vec!["shop", "--list", "/people"], "add `--sample 50`"),
        (2, vec!["shp", "--list", "/people", "--sample", "5"], "did you mean `shop`?"),
        (2, vec!["a.b", "--list", "/people", "--sample", "5"], "has a dot"),
        (2, vec!["crm", "--url", "ftp://x", "--list", "/p", "--sample", "5"], "http"),
        (
            1,
            vec!["crm", "--url", "http://192.0.2.1:1", "--list", "/p", "--sample", "5"],
            "in the clear",
        ),
        (1, vec!["crm", "--url", &url, "--list", "/none", "--sample", "5"], "nothing to draft"),
        (
            1,
            vec!["crm", "--url", &url, "--list", "people", "--sample", "5"],
            "a path begins with `/`",
        ),
        (
            1,
            vec!["crm", "--url", &url, "--list", ".x.example/a", "--sample", "5"],
            "begins with `/`",
        ),
        (1, vec!["shop", "--openapi", "none.json"], "cannot read none.json"),
        (1, vec!["shop", "--openapi", "/none.json"], "GET /none.json: the store answers 404"),
        (0, vec!["crm", "--url", &url, "--list", "/people", "--sample", "1"], "crm.people:"),
    ] {
        let out = privet(&site.dir(), &[vec!["store", "scan"], arguments.clone()].concat());
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", said(&out));
        assert!(said(&out).contains(what), "{arguments:?}: {}", said(&out));
    }
    let yaml = "dataset: [{ collections: [{ name: a, fields: [{ name: id, data_categories: [user.unique_id] }] }] }]\n";
    fs::write(site.dir().join("d.yml"), yaml).unwrap();
    let out = privet(&site.dir(), &["store", "import", "d.yml", "--store", "shop"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(said(&out).contains("id: { category: user.unique_id }"), "{}", said(&out));
    fs::write(site.dir().join("d.yml"), "data: {}\n").unwrap();
    let out = privet(&site.dir(), &["store", "import", "d.yml", "--store", "shop"]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("d.yml:1:1: this file has no `dataset`"), "{}", said(&out));
}

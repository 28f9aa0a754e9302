//! A client such as an ORM reads a record, changes one field and sends the whole object back,
//! whatever views it sees the record through. It never destroys a value it did not see.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use privet::keys::RecordSeals;
use privet::transform::Conversion;
use privet::transform::Holder;
use privet::transform::Move;
use privet::transform::Shape;
use privet::transform::convert;

use crate::harness::Gateway;
use crate::harness::Patching;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Shelf;
use crate::harness::exchange;
use crate::harness::person;

/// Every view of every kind of field, a policy each. `nickname` is always shown and may be written.
const SIGHTS: &[(&str, &str)] = &[
    (
        "clear",
        "name: show, email: show, born: show, income: show, address: show, cards: show, items: show, tags: show, prefs: show",
    ),
    (
        "hints",
        "name: show, email: hint, born: year, income: thousands, address: city-only, 'cards[*].pan': tail, 'cards[*].label': show, tags: hint",
    ),
    (
        "months",
        "email: tail, born: month, income: hint, 'address.street': show, 'cards[*].label': show, 'items[*].sku': show",
    ),
    (
        "tokens",
        "name: token, email: token, born: token, income: token, address: token, cards: token, tags: token",
    ),
    ("sealed", "name: ciphertext, email: ciphertext"),
    ("nothing", ""),
];

/// How what may be sealed is kept: in clear, or sealed with what is said of the rest.
const KEPT: [&str; 3] = ["", "migrating", "strict"];

/// What agents see is what `SIGHTS` says under `sight`, of fields that are `kept` so.
fn policy(sight: &str, kept: &str) -> String {
    let (_, fields) = SIGHTS.iter().find(|(name, _)| *name == sight).unwrap();
    let comma = if fields.is_empty() { "" } else { ", " };
    let head = r#"
privet: policy/v1
name: test
purposes:
  care: { basis: contract }
views:
  hint: { mask: { keep_first: 1, keep_domain: true } }
  tail: { mask: { keep_last: 4 } }
  year: { generalize: { date: year } }
  month: { generalize: { date: month } }
  thousands: { generalize: { number: 1000 } }
  city-only: { generalize: { address: city } }
  token: { pseudonymize: { scope: purpose } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "PUT /customers/{id}", records: "$" }
      - { on: "PATCH /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
      nickname: { category: user.account.username, level: general }
      name: { category: user.name AT_REST }
      email: { category: user.contact.email AT_REST INDEX }
      born: { category: user.demographic.date_of_birth AT_REST }
      income: { category: user.financial AT_REST }
      address: { category: user.contact.address AT_REST, children: { street: {}, city: {}, geo: { children: { lat: {}, lon: {} } } } }
      "cards[*].pan": { category: user.financial.credit_card AT_REST }
      "cards[*].label": { category: user.financial.credit_card AT_REST }
      "items[*].sku": { category: user.behavior.purchase_history AT_REST }
      "items[*].lots[*].n": { category: user.behavior.purchase_history AT_REST }
      tags: { category: user.behavior AT_REST }
      prefs: { category: user.behavior, whole: true AT_REST }
roles:
  agent: { claim: roles, has: agent }
grants:
  - id: agents
    roles: [agent]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    find_by: [id]
    writes: [nickname, name, email, born, income, address, cards, items, tags, prefs]
"#;
    let (at_rest, index) = match kept {
        "" => (String::new(), ""),
        mode => (format!(", at_rest: encrypt, encryption: {mode}"), ", index: email_index"),
    };
    let head = head.replace(" AT_REST", &at_rest).replace(" INDEX", index);
    format!("{head}    fields: {{ id: show, nickname: show{comma}{fields} }}\n")
}

/// Records with what clients lose: big numbers, their own ways to write a string, `null`, what is
/// not listed, other kinds of values than usual.
const RECORDS: &[&str] = &[
    r#"{"id":"c-1","nickname":"ana","name":"Ana\u0020Ruiz","email":"ana@mail.example","born":"1988-10-09","income":51234.50,"address":{"street":"1 High Street","city":"London","geo":{"lat":51.50722200000000001,"lon":-0.1275},"door":"B"},"cards":[{"pan":"4000000000000002","label":"red","cvv":"1"},{"pan":"4111","label":null}],"items":[{"sku":"teapot","lots":[{"n":1.0},{"n":2e2,"x":[]}]}],"tags":["vip","x"],"prefs":{"big":123456789012345678901234567890,"list":[1.0,{"a":null}]},"internal":{"score":0.10,"flags":["f"]}}"#,
    r#"{"internal":1e400,"id":"c-1","email":null,"nickname":"b\/o","address":null,"cards":[],"tags":[],"items":[{}],"prefs":null,"born":"unknown","income":"12k"}"#,
    r#"{"id":"c-1","nickname":null,"name":["several","names"],"email":{"home":"x@mail.example"},"address":"1 High Street","cards":{"pan":"4"},"items":[[{"sku":"a"}]],"tags":"one","prefs":[9007199254740993],"income":98765432109876543210}"#,
    r#"{"id":"c-1","nickname":"z"}"#,
];

async fn call(gateway: &Gateway, method: &str, token: &str, body: &str) -> Reply {
    let head = if body.is_empty() {
        String::new()
    } else {
        let kind = if method == "PATCH" { "merge-patch+json" } else { "json" };
        format!("Content-Type: application/{kind}\r\nContent-Length: {}\r\n", body.len())
    };
    let request = format!(
        "{method} /shop/customers/c-1 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer \
         {token}\r\nConnection: close\r\n{head}\r\n{body}"
    );
    Reply::parse(exchange(gateway.address, request.as_bytes()).await, false)
}

/// The members of a record, each as it is written.
fn members(record: &str) -> Vec<(String, String)> {
    let members: std::collections::BTreeMap<String, &serde_json::value::RawValue> =
        serde_json::from_str(record).unwrap();
    members.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

/// The members of `record` with one set to `value`.
fn with(record: &str, name: &str, value: &str) -> Vec<(String, String)> {
    let mut members = members(record);
    members.retain(|(other, _)| other != name);
    members.push((name.to_owned(), value.to_owned()));
    members.sort();
    members
}

async fn start(patching: Patching) -> (Shelf, Gateway) {
    let store = Shelf::start(patching).await;
    let gateway = Gateway::start(Setup::at(&policy("clear", ""), store.address()));
    (store, gateway)
}

/// A token of an agent, with what agents see put in force.
fn agent(gateway: &Gateway, sight: &str) -> String {
    agent_of(gateway, sight, "")
}

fn agent_of(gateway: &Gateway, sight: &str, kept: &str) -> String {
    gateway.reload(&policy(sight, kept));
    gateway.token(&["agent"], &["care"])
}

/// The record as the store has it once it was moved: sealed where a field can be.
async fn moved(gateway: &Gateway, record: &str, kept: &str) -> String {
    if kept.is_empty() {
        return record.to_owned();
    }
    gateway.reload(&policy("clear", "migrating"));
    let set = Arc::clone(&gateway.shared.policy().sets()[0]);
    let mut cards = Vec::new();
    gateway.cards.cards(&[(&person(), "c-1")], &mut cards).await.unwrap();
    let keys = [cards[0].as_ref().unwrap().keys.clone()];
    let newest = keys[0].as_ref().unwrap().sealing().unwrap();
    let conversion = Conversion {
        set: &set,
        shape: &Shape::new(&set),
        stored: record,
        seals: &RecordSeals::new(&gateway.keys, &set, &keys),
        people: &[Holder::Known(newest)],
        way: Move::Encrypt,
        is_trial: false,
    };
    let (mut patch, mut whole) = (Vec::new(), Vec::new());
    let done = convert(&conversion, &mut patch, &mut whole).unwrap();
    if done.changes { String::from_utf8(whole).unwrap() } else { record.to_owned() }
}

/// Reads the record, sends it back as it is and then with another nickname.
async fn send_back(
    (store, gateway): (&Shelf, &Gateway),
    (sight, kept, method): (&str, &str, &str),
    record: &str,
) {
    let token = agent_of(gateway, sight, kept);
    store.put("c-1", record);
    let read = call(gateway, "GET", &token, "").await;
    assert_eq!(read.status, 200, "{sight} {record} {}", read.text());
    // As a client does: numbers become doubles, strings lose their own escapes.
    let mut object = read.json();
    let back = call(gateway, method, &token, &object.to_string()).await;
    assert_eq!(back.status, 200, "{sight} {kept} {method} {object} {}", back.text());
    assert_eq!(back.json(), read.json(), "the answer of a write is a read");
    assert_eq!(store.record("c-1").as_deref(), Some(record));
    assert!(store.written().is_empty(), "nothing changed, so nothing is written");

    object["nickname"] = json!("new \"name\"");
    let back = call(gateway, method, &token, &object.to_string()).await;
    assert_eq!(back.status, 200, "{sight} {kept} {method} {object} {}", back.text());
    assert_eq!(back.json()["nickname"], "new \"name\"");
    let after = store.record("c-1").unwrap();
    let wanted = with(record, "nickname", r#""new \"name\"""#);
    assert_eq!(members(&after), wanted, "{sight} {kept} {method}");
}

#[tokio::test]
async fn one_changed_field_and_the_whole_object_sent_back_change_that_field_alone() {
    for (patching, kept) in [Patching::Assigns, Patching::Merges]
        .into_iter()
        .flat_map(|patching| KEPT.map(|kept| (patching, kept)))
    {
        let (store, gateway) = start(patching).await;
        for record in RECORDS {
            let record = moved(&gateway, record, kept).await;
            for (sight, _) in SIGHTS {
                for method in ["PUT", "PATCH"] {
                    send_back((&store, &gateway), (sight, kept, method), &record).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_sealed_record_is_the_plain_one_to_a_client_and_keeps_every_envelope_but_one() {
    let (store, gateway) = start(Patching::Merges).await;
    for kept in ["migrating", "strict"] {
        let sealed = moved(&gateway, RECORDS[0], kept).await;
        let was_sealed =
            |name: &str| members(&sealed).into_iter().find(|it| it.0 == name).unwrap().1;
        for name in
            ["name", "email", "born", "income", "address", "cards", "items", "tags", "prefs"]
        {
            assert!(was_sealed(name).contains("pvt1_"), "{name} of {sealed}");
        }
        for (sight, field, full) in [
            ("clear", "income", json!(61234.5)),
            ("clear", "prefs", json!({ "a": 1 })),
            ("clear", "tags", json!(["x", "y"])),
            ("hints", "email", json!("new@mail.example")),
            ("months", "born", json!("1990-01-02")),
            ("tokens", "name", json!("Bo")),
            ("nothing", "name", json!("Bo")),
        ] {
            store.put("c-1", RECORDS[0]);
            let plain = agent_of(&gateway, sight, "");
            let mut object = call(&gateway, "GET", &plain, "").await.json();
            let token = agent_of(&gateway, sight, kept);
            store.put("c-1", &sealed);
            assert_eq!(call(&gateway, "GET", &token, "").await.json(), object, "{sight} {kept}");

            object[field] = full.clone();
            let taken = call(&gateway, "PUT", &token, &object.to_string()).await;
            assert_eq!(taken.status, 200, "{sight} {field} {}", taken.text());
            let after = store.record("c-1").unwrap();
            for (name, value) in members(&after) {
                let changes = name == field || (field, name.as_str()) == ("email", "email_index");
                assert_eq!(value != was_sealed(&name), changes, "{sight} {field}: {name}");
                assert!(!changes || value.contains("pvt1_") || value.contains("bi1_"), "{value}");
            }
            assert_eq!(members(&after).len(), members(&sealed).len());
            let all = agent_of(&gateway, "clear", kept);
            assert_eq!(call(&gateway, "GET", &all, "").await.json()[field], full, "{sight}");
        }
    }
}

#[tokio::test]
async fn a_typed_client_that_sends_null_for_what_it_was_not_shown_removes_nothing() {
    let (store, gateway) = start(Patching::Merges).await;
    let sights = SIGHTS.iter().flat_map(|(sight, _)| KEPT.map(|kept| (sight, kept)));
    for (sight, kept) in sights {
        let record = moved(&gateway, RECORDS[0], kept).await;
        let token = agent_of(&gateway, sight, kept);
        for method in ["PUT", "PATCH"] {
            store.put("c-1", &record);
            let mut object = call(&gateway, "GET", &token, "").await.json();
            for name in
                ["name", "email", "born", "income", "address", "cards", "items", "tags", "prefs"]
            {
                if object.get(name).is_none() {
                    object[name] = Value::Null;
                }
            }
            object["nickname"] = json!("new");
            let back = call(&gateway, method, &token, &object.to_string()).await;
            assert_eq!(back.status, 200, "{sight} {method} {object} {}", back.text());
            let after = store.record("c-1").unwrap();
            assert_eq!(members(&after), with(&record, "nickname", "\"new\""), "{sight} {kept}");
        }
    }
}

#[tokio::test]
async fn a_full_value_for_a_masked_field_is_written_and_an_old_form_of_it_is_not() {
    let (store, gateway) = start(Patching::Assigns).await;
    let cases = [
        ("hints", "email", json!("new@mail.example"), json!("n***@mail.example")),
        ("hints", "born", json!("1990-01-02"), json!("1990")),
        ("months", "born", json!("1990-01-02"), json!("1990-01")),
        ("hints", "income", json!(61234.5), json!(61000)),
        ("hints", "prefs", json!({ "a": 1 }), json!("ps1_AAAA")),
        ("tokens", "name", json!("Bo"), json!("ps1_AAAAAAAAAAAAAAAAAAAAAA")),
        ("nothing", "name", json!("Bo"), json!("ps1_AAAA")),
    ];
    for (sight, field, full, old) in cases {
        let token = agent(&gateway, sight);
        for method in ["PUT", "PATCH"] {
            store.put("c-1", RECORDS[0]);
            let mut object = call(&gateway, "GET", &token, "").await.json();
            object[field] = old.clone();
            let refused = call(&gateway, method, &token, &object.to_string()).await;
            assert!((400..500).contains(&refused.status), "{sight} {method} {object}");
            assert!(refused.text().contains(field), "{}", refused.text());
            assert!(!refused.text().contains("***"), "no refusal repeats what was sent");
            assert_eq!(store.record("c-1").as_deref(), Some(RECORDS[0]));
            object[field] = full.clone();
            let taken = call(&gateway, method, &token, &object.to_string()).await;
            assert_eq!(taken.status, 200, "{sight} {method} {object} {}", taken.text());
            let after = store.record("c-1").unwrap();
            let wanted = if method == "PATCH" && field == "prefs" {
                // RFC 7396: what was not shown of the object stays.
                r#"{"big":123456789012345678901234567890,"list":[1.0,{"a":null}],"a":1}"#.to_owned()
            } else {
                full.to_string()
            };
            assert_eq!(members(&after), with(RECORDS[0], field, &wanted), "{sight} {method}");
        }
    }
}

#[tokio::test]
async fn an_array_with_something_not_shown_in_it_is_not_overwritten() {
    let (store, gateway) = start(Patching::Assigns).await;
    for sight in ["hints", "months"] {
        let token = agent(&gateway, sight);
        for method in ["PUT", "PATCH"] {
            store.put("c-1", RECORDS[0]);
            let mut object = call(&gateway, "GET", &token, "").await.json();
            object["cards"][0]["label"] = json!("blue");
            let refused = call(&gateway, method, &token, &object.to_string()).await;
            assert!((400..500).contains(&refused.status), "{sight} {method} {object}");
            assert!(refused.text().contains("cards[*].pan"), "{}", refused.text());
            assert_eq!(store.record("c-1").as_deref(), Some(RECORDS[0]));
        }
    }
}

#[tokio::test]
async fn a_part_of_an_object_is_changed_beside_parts_that_are_not_shown() {
    for patching in [Patching::Assigns, Patching::Merges] {
        let (store, gateway) = start(patching).await;
        let token = agent(&gateway, "hints");
        for method in ["PUT", "PATCH"] {
            store.put("c-1", RECORDS[0]);
            let mut object = call(&gateway, "GET", &token, "").await.json();
            assert_eq!(object["address"], json!({ "city": "London" }));
            object["address"]["city"] = json!("Paris");
            let taken = call(&gateway, method, &token, &object.to_string()).await;
            assert_eq!(taken.status, 200, "{method} {object} {}", taken.text());
            let after = store.record("c-1").unwrap();
            let address = r#"{"street":"1 High Street","city":"Paris","geo":{"lat":51.50722200000000001,"lon":-0.1275},"door":"B"}"#;
            let sorted = |text: &str| members(text);
            let found = members(&after).into_iter().find(|(name, _)| name == "address").unwrap().1;
            assert_eq!(sorted(&found), sorted(address), "{method} {patching:?}");
            assert_eq!(
                with(&after, "address", address),
                with(RECORDS[0], "address", address),
                "{method} {patching:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_record_that_changes_in_between_is_read_and_judged_again() {
    let (store, gateway) = start(Patching::Assigns).await;
    let token = agent(&gateway, "hints");
    store.put("c-1", RECORDS[0]);
    let mut object = call(&gateway, "GET", &token, "").await.json();
    object["nickname"] = json!("new");
    // Somebody else gives another mail address: the form that was shown is not the current one.
    let changed = RECORDS[0].replace("ana@mail.example", "bo@post.example");
    store.put("c-1", &changed);
    let refused = call(&gateway, "PUT", &token, &object.to_string()).await;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert_eq!(store.record("c-1").as_deref(), Some(changed.as_str()));
    let patched = call(&gateway, "PATCH", &token, r#"{"nickname":"new"}"#).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let after = store.record("c-1").unwrap();
    assert_eq!(members(&after), with(&changed, "nickname", "\"new\""));
}

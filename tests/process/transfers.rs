//! People whose data leaves China, counted by a gateway that is killed again and again.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Gateway, Site, Store, get, get_with, privet};
use crate::jobs::json;

const PEOPLE: usize = 600;
const ROUNDS: usize = 8;

fn store() -> Store {
    let record = |n: usize| {
        serde_json::json!({
            "id": format!("c-{n}"), "nickname": "x".repeat(300), "name": format!("Person {n}"),
            "email": format!("p{n}@mail.example"), "phone": "+860000000000", "country": "CN",
            "last_order_at": "2026-11-01",
        })
    };
    let list = Value::from((0..PEOPLE).map(record).collect::<Vec<_>>()).to_string();
    Store::start(move |target| match target.strip_prefix("/customers/c-") {
        Some(id) => Some(record(id.parse().ok()?).to_string()),
        None => Some(list.clone()),
    })
}

/// A shop whose desk in the UK may be passed records of people in China.
fn site(store: &Store) -> Site {
    let site = Site::new(store.address());
    site.edit("policies/customer-care.yaml", |text| {
        let text = text
            .replace("subjects_shown_over: 2000", "subjects_shown_over: 1000000")
            .replace("unless: { roles: [customer] }    # people", "unless: { transfer: true }  # people");
        let recipients = "recipients:
  desk-uk: { title: { en: Desk in London }, kind: processor, country: GB, agreement: { ref: DPA-7 }, mechanisms: [ { kind: cn_standard_contract, for: [CN], ref: SC-1, until: 2090-01-01 } ] }
roles:";
        text.replacen("\nroles:", &format!("\n{recipients}"), 1)
    });
    // Its tests say that nobody abroad is shown people in China.
    std::fs::remove_file(site.dir().join("policies/customer-care.test.yaml")).unwrap();
    site.edit("privet.toml", |text| {
        text.replacen("ticket = true }", "ticket = true, recipients = \"*\" }", 1)
    });
    site
}

/// Reads lists until the gateway is gone, which is soon; gives the ids that were received.
fn read_until_killed(gateway: Gateway, token: &str, round: usize) -> BTreeSet<String> {
    let headers = &[("Authorization", format!("Bearer {token}"))];
    let to = gateway.gateway;
    // A record by itself first, so that each round shows somebody new for certain.
    let first = get_with(to, &format!("/shop/customers/c-{round}"), headers).unwrap();
    assert_eq!(first.status, 200, "{}", first.head);
    let mut received = ids(&first.body);
    received.extend(std::thread::scope(|scope| {
        let reader = scope.spawn(|| get_with(to, "/shop/customers?limit=600", headers));
        gateway.kill9();
        reader.join().unwrap().map(|answer| ids(&answer.body)).unwrap_or_default()
    }));
    received
}

fn ids(body: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(body);
    let ids = text.split("\"id\":\"").skip(1);
    ids.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

fn counted(site: &Site) -> u64 {
    let page = json(&site.dir(), &["transfer", "show"]);
    let years = page["counted"].as_array().unwrap();
    years.iter().map(|year| year["other"].as_u64().unwrap()).sum()
}

#[test]
fn whoever_was_received_abroad_was_counted_once_whatever_was_killed() {
    let store = store();
    let site = site(&store);
    let arguments = ["--role", "support", "--purpose", "order_support", "--region", "GB"];
    let token = site.token(&[&arguments[..], &["--recipient", "desk-uk"]].concat());
    let stranger = site.token(&arguments);
    let mut received = BTreeSet::new();
    for round in 0..ROUNDS {
        received.extend(read_until_killed(site.serve(), &token, round));
    }
    assert!(received.len() >= ROUNDS, "{} people in all", received.len());
    let gateway = site.serve();
    site.reach(&gateway);
    let before = usize::try_from(counted(&site)).unwrap();
    assert!(
        received.len() <= before && before <= PEOPLE,
        "{} received, {before} counted",
        received.len()
    );

    // The rest, twice: everybody is counted once.
    for _ in 0..2 {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let answer = get_with(gateway.gateway, "/shop/customers?limit=600", &headers).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert_eq!(counted(&site), PEOPLE as u64);
    }
    let hidden = get(gateway.gateway, "/shop/customers/c-1", &stranger, "order_support");
    assert_eq!(hidden.status, 404, "nobody says where it goes");

    let out = privet(&site.dir(), &["transfer", "show"]);
    let table = String::from_utf8(out.stdout).unwrap();
    assert!(
        table.contains("desk-uk              processor         GB  agreement DPA-7"),
        "{table}"
    );
    assert!(table.contains("cn_standard_contract for CN, until 2090-01-01"), "{table}");
    let out = privet(&site.dir(), &["check"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

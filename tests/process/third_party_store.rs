//! Privet in front of json-server, a store that nobody here wrote.

use serde_json::{Value, json};

use crate::harness::{JsonServer, Site, get};

#[test]
fn a_store_nobody_here_wrote_is_read_through_the_policy() {
    let people: Vec<Value> = (1..=3)
        .map(|n| {
            json!({
                "id": format!("c-{n}"), "name": format!("Zoë {n} \u{1F33B}"), "nickname": "z",
                "email": format!("zoe.{n}@mail.example"), "phone": format!("+44770090019{n}"),
                "address": { "street": "1 High Street", "city": "Leeds" },
                "country": "GB", "national_id": "TEST0000T", "birthday": "1988-10-09",
                "last_order_at": "2026-11-01", "loyalty": 12345678901234567890u64,
            })
        })
        .collect();
    let data = json!({ "customers": people, "orders": [] });
    let store = JsonServer::start(&data);
    let site = Site::new(store.address());
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);

    let one = get(gateway.gateway, "/shop/customers/c-2", &token, "order_support");
    assert_eq!(one.status, 200, "{}", one.head);
    assert_eq!(
        one.json(),
        json!({
            "id": "c-2", "name": "Zoë 2 \u{1F33B}", "nickname": "z", "email": "z***@mail.example",
            "phone": "***0192", "address": { "city": "Leeds" }, "country": "GB",
            "last_order_at": "2026-11-01",
        })
    );

    let list = get(gateway.gateway, "/shop/customers", &token, "order_support");
    assert_eq!(list.json().as_array().unwrap().len(), 3);
    assert!(!String::from_utf8_lossy(&list.body).contains("High Street"));

    // Its own 404, and the same bytes for a record that exists and is not the caller's.
    let missing = get(gateway.gateway, "/shop/customers/c-9", &token, "order_support");
    assert_eq!(missing.status, 404);
    let customer = site.token(&["--purpose", "subject_request", "--subject-id", "c-1"]);
    let hers = get(gateway.gateway, "/shop/customers/c-1", &customer, "subject_request");
    assert_eq!(hers.json()["address"]["street"], "1 High Street");
    let not_hers = get(gateway.gateway, "/shop/customers/c-2", &customer, "subject_request");
    let nobody = get(gateway.gateway, "/shop/customers/c-9", &customer, "subject_request");
    assert_eq!((not_hers.status, nobody.status), (404, 404));
    assert_eq!(without_ids(&not_hers.json()), without_ids(&nobody.json()));

    let analyst = site.token(&["--role", "analyst", "--purpose", "analytics", "--region", "GB"]);
    let cohort = get(gateway.gateway, "/shop/customers", &analyst, "analytics").json();
    assert!(cohort[0]["id"].as_str().unwrap().starts_with("ps1_"), "{cohort}");
    assert_ne!(cohort[0]["id"], cohort[1]["id"]);
    assert_eq!(cohort[0]["birthday"], "1988");
}

fn without_ids(problem: &Value) -> Value {
    let mut copy = problem.clone();
    copy.as_object_mut().unwrap().remove("decision_id");
    copy
}

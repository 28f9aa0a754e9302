//! `privet policy`: what is typed wrong, exit codes, and a difference with recorded traffic.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Site, Store, get, privet};

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn site() -> Site {
    Site::new(Store::start(|_| None).address())
}

#[test]
fn slips_are_told_with_the_word_that_was_meant() {
    let site = site();
    let explain =
        ["policy", "explain", "--for", "order_support", "--field", "shop.customers.email"];
    for (arguments, code, wanted) in [
        (
            &["policy", "matrix", "--role", "suport"][..],
            2,
            "unknown role `suport`; did you mean `support`?",
        ),
        (&["policy", "matrix", "--data", "shop.custmers"], 2, "did you mean `shop.customers`?"),
        (&["policy", "diff", "policies", "nowhere"], 3, "nowhere"),
        (&["policy", "diff", "policies"], 2, "--running"),
        (&["policy", "diff", "policies", "policies", "--since", "1d"], 2, "--log"),
        (&["policy", "diff", "policies", "policies"], 0, "no cell changed"),
        (
            &["policy", "matrix", "--policies", "policies/customer-care.yaml", "--role", "dpo"],
            0,
            "dpo · subject_request",
        ),
    ] {
        let out = privet(&site.dir(), arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?} {}", said(&out));
        assert!(said(&out).contains(wanted), "{wanted}: {}", said(&out));
    }
    for (more, code, wanted) in [
        (&["--as", "support"][..], 0, "mask 1***0@"),
        // A question is answered, whatever the answer is.
        (&["--as", "marketing"], 0, "drop"),
        (&["--as", "supprt"], 2, "did you mean `support`?"),
        (&["--as", "support", "--action", "reed"], 2, "did you mean `read`?"),
        (&["--as", "support", "--region", "Britain"], 2, "is no country"),
        (&["--as", "support", "--output", "json"], 0, "\"at\": \""),
    ] {
        let arguments: Vec<&str> = explain.iter().chain(more).copied().collect();
        let out = privet(&site.dir(), &arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?} {}", said(&out));
        assert!(said(&out).contains(wanted), "{wanted}: {}", said(&out));
    }
}

#[test]
fn no_cell_of_the_matrix_is_a_formula() {
    let site = site();
    site.edit("policies/customer-care.yaml", |text| {
        text.replace("nickname:", "\"=1+1\":").replace("nickname", "\"=1+1\"")
    });
    let out = privet(&site.dir(), &["policy", "matrix", "--role", "support", "--output", "csv"]);
    assert!(out.status.success(), "{}", said(&out));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains(",'=1+1,"), "{text}");
    assert!(text.starts_with("role,purpose,data,action,field,view,conditions,limits\r\n"));
}

/// What becomes wider is refused until it is said to be meant, and the log tells whom it concerns.
#[test]
fn a_wider_policy_fails_and_recorded_traffic_is_counted() {
    let store = Store::start(|path| {
        path.starts_with("/customers/").then(|| {
            r#"{"id":"c-1","name":"Ana","email":"ana@mail.example","country":"GB"}"#.to_owned()
        })
    });
    let site = Site::new(store.address());
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for _ in 0..3 {
        let answer = get(gateway.gateway, "/shop/customers/c-1", &token, "order_support");
        assert_eq!(answer.status, 200);
    }
    gateway.signal("-TERM");
    drop(gateway.end());
    let wider = site.dir().join("wider.yaml");
    let text = fs::read_to_string(site.dir().join("policies/customer-care.yaml")).unwrap();
    fs::write(&wider, text.replace("email: email-hint", "email: show")).unwrap();
    let mut arguments =
        vec!["policy", "diff", "policies", "wider.yaml", "--log", "data/audit", "--output", "json"];
    let out = privet(&site.dir(), &arguments);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    let line = &found["changes"][0];
    assert_eq!((&line["change"], &line["field"]), (&"wider".into(), &"email".into()));
    assert_eq!(line["recorded"], serde_json::json!({ "calls": 3, "records": 3, "subjects": 1 }));
    arguments.push("--allow-wider");
    assert_eq!(privet(&site.dir(), &arguments).status.code(), Some(0));
    // The other way round it is narrower, and nobody has to agree.
    let out = privet(&site.dir(), &["policy", "diff", "wider.yaml", "policies"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(said(&out).starts_with("narrower  support"), "{}", said(&out));
}

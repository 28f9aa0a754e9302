//! Who saw a person's data: exact, complete, with a proof of each row, also for one of fifty
//! thousand people of a single read.

use std::fs;

use serde_json::Value;

use crate::harness::{Gateway, Site, Store, get, privet, send};

const MANY: usize = 50_000;

fn customers(first: usize, count: usize) -> String {
    let customer = |n: usize| {
        format!(r#"{{"id":"c-{n}","name":"Person {n}","birthday":"1980-01-02","country":"GB"}}"#)
    };
    let rows: Vec<String> = (first..first + count).map(customer).collect();
    format!("[{}]", rows.join(","))
}

/// A site with a data set that is about nobody.
fn site() -> Site {
    let store = Store::start(|target| match target {
        "/customers" => Some(customers(0, MANY)),
        "/figures" => Some(r#"[{"country":"GB","total":7},{"country":"FR","total":9}]"#.to_owned()),
        _ => {
            let id = target.strip_prefix("/customers/c-")?;
            let text = customers(id.parse().ok()?, 1);
            Some(text.trim_matches(['[', ']']).to_owned())
        }
    });
    let site = Site::new(store.address());
    site.edit("policies/customer-care.yaml", |text| {
        let set = "  shop.figures:\n    title: { en: Figures }\n    subject: none\n    region: country\n    routes:\n      - { on: \"GET /figures\", records: \"$[*]\" }\n    fields:\n      country: { category: user.contact.address.country, level: general }\n      total:   { category: system.operations, level: general }\n\n";
        let grant = "  - id: analyst-figures\n    why: Figures by country.\n    roles: [analyst]\n    purposes: [analytics]\n    data: [shop.figures]\n    can: [read]\n    levels: { general: show }\n\n";
        text.replacen("  shop.orders:\n", &format!("{set}  shop.orders:\n"), 1).replacen(
            "  - id: analyst-orders\n",
            &format!("{grant}  - id: analyst-orders\n"),
            1,
        )
    });
    site
}

fn run(site: &Site, code: i32, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {told}");
    String::from_utf8(out.stdout).unwrap()
}

fn report(site: &Site, id: &str, more: &[&str]) -> Value {
    let arguments = [&["subject", "report", id, "--output", "json"], more].concat();
    serde_json::from_str(&run(site, 0, &arguments)).unwrap()
}

/// The purposes of the rows in which data left.
fn shown(report: &Value) -> Vec<&str> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.filter(|row| row["kind"] == "release")
        .map(|row| row["purpose"].as_str().unwrap())
        .collect()
}

fn read(site: &Site, gateway: &Gateway, (role, purpose): (&str, &str), path: &str) {
    let token = site.token(&["--role", role, "--purpose", purpose, "--region", "GB"]);
    let answer = get(gateway.gateway, path, &token, purpose);
    assert_eq!((answer.status, answer.complete), (200, true), "{}", answer.head);
}

#[test]
fn the_last_of_fifty_thousand_people_is_told_who_saw_their_data() {
    let site = site();
    let gateway = site.serve();
    site.reach(&gateway);
    let (analyst, support) = (("analyst", "analytics"), ("support", "order_support"));
    read(&site, &gateway, analyst, "/shop/customers");
    read(&site, &gateway, support, "/shop/customers/c-49999");
    read(&site, &gateway, support, "/shop/customers/c-49998");
    read(&site, &gateway, analyst, "/shop/figures");
    read(&site, &gateway, analyst, "/shop/figures");

    let last = report(&site, "c-49999", &["--proofs", "proofs"]);
    assert_eq!(last["complete"], true);
    let wanted = ["analytics", "order_support"];
    assert_eq!(shown(&last), wanted, "the bulk read and her own, in this order: {last:#}");
    tells_of_the_bulk_read(&last["rows"][0]);

    // Statistics name nobody: they may be about her.
    let possible = last["possible"].as_array().unwrap();
    assert_eq!(possible.len(), 1, "{possible:?}");
    assert_eq!(
        (&possible[0]["data_set"], &possible[0]["releases"]),
        (&"shop.figures".into(), &2.into())
    );
    assert!(possible[0]["first"].as_str() < possible[0]["last"].as_str());

    proves_each_row(&site, &last);

    // Somebody else has other rows; the first report is a row of the second.
    let other = report(&site, "c-49998", &[]);
    assert_eq!(shown(&other).len(), 2);
    let first = report(&site, "c-0", &[]);
    assert_eq!(shown(&first), wanted[..1]);
    let again = report(&site, "c-49999", &[]);
    assert_eq!(shown(&again), wanted);
    let scanned = report(&site, "c-49999", &["--scan"]);
    assert_eq!((shown(&scanned), scanned["complete"].as_bool()), (wanted.to_vec(), Some(true)));
    let asked =
        again["rows"].as_array().unwrap().iter().filter(|row| row["reason"] == "accesses_reported");
    assert_eq!(asked.clone().count(), 2, "both pages of the first report");
    assert!(asked.clone().all(|row| row["operator"].is_string()), "{asked:?}");
    let table = run(&site, 0, &["subject", "report", "c-49999"]);
    for word in
        ["analytics (legitimate_interest)", "user.name show", "shop.figures for analytics: 2 times"]
    {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let until = report(&site, "c-49999", &["--until", "2020-01-01"]);
    assert!(until["rows"].as_array().unwrap().is_empty());
    assert!(until["possible"].as_array().unwrap().is_empty());

    // An index changes nothing of it.
    run(&site, 0, &["audit", "reindex"]);
    assert_eq!(shown(&report(&site, "c-49999", &[])), wanted);
    run(&site, 1, &["subject", "report", "c-99999"]);
    refuses_others(&site, &gateway);
}

/// What a row says of the analyst's read of everybody.
fn tells_of_the_bulk_read(bulk: &Value) {
    let row: Vec<&str> = ["basis", "store", "data_set", "strength", "decision"]
        .map(|name| bulk[name].as_str().unwrap_or_else(|| panic!("no {name}: {bulk:#}")))
        .to_vec();
    assert_eq!(row, ["legitimate_interest", "shop", "shop.customers", "token", "permit"]);
    assert_eq!((&bulk["roles"][0], &bulk["people"]), (&"analyst".into(), &(MANY % 256).into()));
    let views: Vec<String> = bulk["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| format!("{} {}", field["category"], field["view"]).replace('"', ""))
        .collect();
    assert!(views.contains(&"user.unique_id pseudonymize".to_owned()), "{views:?}");
    assert!(views.contains(&"user.demographic.date_of_birth generalize".to_owned()), "{views:?}");
    assert!(!bulk.to_string().contains("subjects"), "others are not named");
}

/// Each row can be proved to whoever has the public key alone.
fn proves_each_row(site: &Site, last: &Value) {
    for row in last["rows"].as_array().unwrap() {
        let file = format!("proofs/{}", row["proof"].as_str().unwrap());
        let told = run(site, 0, &["audit", "verify", "--proof", &file]);
        assert!(told.contains(&format!("entry {} is in the log", row["index"])), "{told}");
    }
    let file = site.dir().join(format!("proofs/{}", last["rows"][0]["proof"].as_str().unwrap()));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1 ", 1))
        .unwrap();
    run(site, 5, &["audit", "verify", "--proof", file.to_str().unwrap()]);
}

/// Only officers ask, and only for what there is.
fn refuses_others(site: &Site, gateway: &Gateway) {
    let out = privet(&site.dir(), &["operator", "add", "ada", "--role", "auditor"]);
    let ada = String::from_utf8(out.stdout).unwrap().lines().next().unwrap().to_owned();
    let admin = fs::read_to_string(site.dir().join("operator.token")).unwrap().trim().to_owned();
    assert_eq!(crate::command_line::post(gateway.admin, "/api/v1/reload", &admin), 200);
    let ask = |token: &str, body: &str| {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let at = ("POST", "/api/v1/subjects/accesses");
        send(gateway.admin, at, &headers, body).unwrap().status
    };
    assert_eq!(ask(&ada, r#"{"id":"c-1"}"#), 403);
    assert_eq!(ask("x", r#"{"id":"c-1"}"#), 401);
    for body in [
        "",
        "{}",
        r#"{"id":"c-1","from":"x"}"#,
        r#"{"id":"c-1","cursor":"x"}"#,
        r#"{"id":"c-1","all":1}"#,
    ] {
        assert_eq!(ask(&admin, body), 400, "{body}");
    }
    assert_eq!(ask(&admin, r#"{"id":"c-1"}"#), 200);
    assert_eq!(ask(&admin, r#"{"id":"c-1","possible":true}"#), 200);
}

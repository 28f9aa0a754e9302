//! Searching the audit log, from the command line and over the admin listener, beside a gateway
//! that goes on writing it.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::{Answer, Gateway, Site, Store, get, privet, send};

fn run(site: &Site, code: i32, arguments: &[&str]) -> (String, String) {
    let out = privet(&site.dir(), arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (shown, told) = (text(out.stdout), text(out.stderr));
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {shown}{told}");
    (shown, told)
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn indexes(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["index"].as_u64().unwrap()).collect()
}

/// A site whose log has reads by support, refusals and statistics.
fn site() -> (Site, Gateway) {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for _ in 0..4 {
        let answer = get(gateway.gateway, "/shop/customers/c-5", &token, "order_support");
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
    let nobody = site.token(&["--role", "nobody", "--purpose", "order_support", "--region", "GB"]);
    assert_eq!(get(gateway.gateway, "/shop/customers/c-5", &nobody, "order_support").status, 403);
    (site, gateway)
}

fn ask(admin: SocketAddr, token: &str, query: &str) -> Answer {
    let headers = [("Authorization", format!("Bearer {token}"))];
    send(admin, ("GET", &format!("/api/v1/audit?{query}")), &headers, "").unwrap()
}

/// Entries are published a moment after they are recorded.
fn all(site: &Site, least: usize) -> Vec<Value> {
    loop {
        let found = rows(&run(site, 0, &["audit", "search", "--all", "--output", "jsonl"]).0);
        let kind = |row: &&Value| row["kind"] == "outcome" || row["kind"] == "refusal";
        if found.iter().filter(kind).count() >= least {
            return found;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_officer_searches_page_by_page_and_makes_the_index_anew() {
    let (site, _gateway) = site();
    let everything = all(&site, 5);
    let of = |word: &str, value: &str| -> Vec<u64> {
        let is = |row: &&Value| row[word] == value;
        indexes(&everything.iter().filter(is).cloned().collect::<Vec<_>>())
    };
    let actor = everything.iter().find(|row| row["kind"] == "release").unwrap()["actor"].clone();
    let actor = actor.as_str().unwrap();
    let search = |more: &[&str]| {
        let arguments =
            [&["audit", "search", "--output", "jsonl", "--limit", "100"], more].concat();
        indexes(&rows(&run(&site, 0, &arguments).0))
    };
    assert_eq!(search(&["--decision", "refuse"]), of("decision", "refuse"));
    assert_eq!(search(&["--kind", "release", "--store", "shop"]), of("kind", "release"));
    assert_eq!(search(&["--actor", actor]), of("actor", actor));
    let seen = search(&["--category", "user.name", "--view", "show"]);
    assert_eq!(seen, of("kind", "release"));
    assert!(search(&["--category", "user.name", "--view", "mask"]).is_empty());
    assert!(search(&["--level", "critical", "--view", "show"]).is_empty());
    let (again, few) = run(&site, 0, &["audit", "reindex"]);
    assert!(again.starts_with("ok: "), "{again}");
    assert!(few.contains("indexed 256 at a time"), "{few}");
    assert_eq!(search(&["--kind", "release", "--scan"]), of("kind", "release"));

    // Page after page is the whole, and no page is shown twice.
    let (mut joined, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut arguments =
            vec!["audit", "search", "--kind", "release", "--limit", "3", "--output", "jsonl"];
        arguments.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor]));
        let (shown, told) = run(&site, 0, &arguments);
        joined.splice(0..0, indexes(&rows(&shown)));
        match told.split("--cursor ").nth(1).and_then(|rest| rest.split(',').next()) {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(joined, of("kind", "release"));
    let cursor = cursor.unwrap();
    let (_, told) = run(&site, 2, &["audit", "search", "--kind", "refusal", "--cursor", &cursor]);
    assert!(told.contains("of another search"), "{told}");
    let (_, told) = run(&site, 2, &["audit", "search", "--view", "hidden"]);
    assert!(told.contains("one of show, generalize, mask"), "{told}");
}

#[test]
fn an_auditor_searches_over_the_admin_listener_and_that_is_recorded() {
    let (site, gateway) = site();
    all(&site, 5);
    let out = privet(&site.dir(), &["operator", "add", "ada", "--role", "auditor"]);
    let ada = String::from_utf8(out.stdout).unwrap();
    let ada = ada.lines().next().unwrap();
    let admin = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    assert_eq!(crate::command_line::post(gateway.admin, "/api/v1/reload", admin.trim()), 200);
    let ask = |query: &str| ask(gateway.admin, ada, query);

    let first = ask("kind=release&limit=3").json();
    let second = ask(&format!("kind=release&limit=3&cursor={}", first["next"].as_str().unwrap()));
    let second = second.json();
    let found = [first["rows"].as_array().unwrap(), second["rows"].as_array().unwrap()];
    let found: Vec<Value> = found.into_iter().flatten().cloned().collect();
    let mut newest_first = indexes(&found);
    assert_eq!((newest_first.len(), &second["next"]), (4, &Value::Null));
    let oldest_first = indexes(ask("kind=release&order=oldest").json()["rows"].as_array().unwrap());
    newest_first.reverse();
    assert_eq!(newest_first, oldest_first);
    let subject = found[0]["subjects"][0].as_str().unwrap();
    assert_eq!(
        ask(&format!("subject={subject}&kind=release")).json()["rows"].as_array().unwrap().len(),
        4
    );

    let next = first["next"].as_str().unwrap();
    for (query, status) in [
        ("limit=0", 400),
        ("limit=1001", 400),
        ("limit=-1", 400),
        ("order=up", 400),
        ("name=eva", 400),
        ("kind=release&kind=refusal", 400),
        ("request=eva-ruiz", 400),
        ("cursor=x", 400),
        (&format!("kind=refusal&cursor={next}"), 400),
        (&format!("kind=release&order=oldest&cursor={next}"), 400),
        ("limit=1000&scan=true", 200),
    ] {
        assert_eq!(ask(query).status, status, "{query}");
    }
    assert_eq!(self::ask(gateway.admin, "nobody", "").status, 401);
    assert_eq!(send(gateway.admin, ("GET", "/api/v1/audit"), &[], "").unwrap().status, 401);

    // A word that no entry has is not written down, whatever it is.
    assert_eq!(ask("role=Eva.Ruiz").json()["rows"], serde_json::json!([]));
    let wrote =
        |rows: &[Value]| rows.iter().filter(|row| row["reason"] == "audit_searched").count();
    let everything = loop {
        let found = all(&site, 5);
        if wrote(&found) == 6 {
            break found;
        }
        std::thread::yield_now();
    };
    let entry = |n: usize| {
        let mut of = everything.iter().filter(|row| row["reason"] == "audit_searched");
        of.nth(n).unwrap()
    };
    assert_eq!(entry(0)["facts"]["filter"], "kind=release");
    assert_eq!(
        (&entry(0)["facts"]["operator"], &entry(0)["facts"]["rows"]),
        (&"ada".into(), &"3".into())
    );
    assert_eq!(
        (&entry(3)["subjects"][0], &entry(3)["facts"]["filter"]),
        (&subject.into(), &"kind=release subject".into())
    );
    assert_eq!(entry(5)["facts"]["filter"], "role");
    assert!(!serde_json::to_string(&everything).unwrap().contains("Ruiz"));
}

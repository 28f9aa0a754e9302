//! A data set that is only observed, served by the real program: what the start, `/readyz`, the
//! metrics, the report and the inbox say, also after a restart.

use std::fs;

use privet::clock::Clock;
use privet::clock::SystemClock;
use serde_json::Value;

use crate::harness::Gateway;
use crate::harness::Site;
use crate::harness::Store;
use crate::harness::get;
use crate::harness::get_with;
use crate::harness::privet;
use crate::harness::said;

const PERSON: &str = concat!(
    r#"{"id":"c-1","name":"Ana","email":"ana@mail.example","country":"GB","#,
    r#""backup_email":"planted-zq7@mail.example","hat":{"planted-zq7":1},"c-1002":"planted-zq7"}"#
);

const POLICY: &str = r#"
privet: policy/v1
purposes: { order_support: { basis: contract } }
roles: { support: { claim: roles, has: support } }
views: { email-hint: { mask: { keep_first: 1, keep_domain: true } } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    mode: { observe_until: UNTIL }
    routes: [ { on: "GET /customers/{id}", records: "$" } ]
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      country: { category: user.contact.address.country, level: general }
grants:
  - id: look
    roles: [support]
    purposes: [order_support]
    data: [shop.customers]
    can: [read]
    fields: { id: show, name: show, email: email-hint, country: show }
"#;

/// A site whose customers are only observed for ten days.
fn site(store: &Store) -> Site {
    let site = Site::new(store.address());
    let policies = site.dir().join("policies");
    for file in fs::read_dir(&policies).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let until = SystemClock.now().plus_ms(10 * 86_400_000).to_string();
    fs::write(policies.join("data.yaml"), POLICY.replace("UNTIL", &until)).unwrap();
    site
}

/// Starts the gateway, and writes down where it is.
fn serve(site: &Site) -> Gateway {
    site.edit("privet.toml", |text| {
        let (before, rest) = text.split_once("[admin]\nlisten = [\"").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        format!("{before}[admin]\nlisten = [\"127.0.0.1:0\"{after}")
    });
    let gateway = site.serve();
    site.reach(&gateway);
    gateway
}

fn run(site: &Site, arguments: &[&str]) -> String {
    let out = privet(&site.dir(), arguments);
    assert_eq!(out.status.code(), Some(0), "{arguments:?} {}", said(&out));
    String::from_utf8(out.stdout).unwrap()
}

fn page(gateway: &Gateway, path: &str) -> String {
    let page = get_with(gateway.admin, path, &[]).unwrap();
    assert_eq!(page.status, 200, "{path}");
    String::from_utf8(page.body).unwrap()
}

/// What operators are told of while a data set is only observed.
fn is_told(gateway: &Gateway) {
    let ready = page(gateway, "/readyz?verbose");
    let wanted = "[!] observe shop.customers is only observed for 10 more days, until ";
    assert!(ready.contains(wanted), "{ready}");
    let metrics = page(gateway, "/metrics");
    let wanted = "privet_observed_until_timestamp_seconds{data_set=\"shop.customers\"} ";
    assert!(metrics.contains(wanted), "{metrics}");
}

fn end(gateway: Gateway) -> String {
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

/// That a text holds each of these.
fn holds(text: &str, all: &[&str]) {
    for wanted in all {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

/// Calls as two roles, who both get what the store answers.
fn call(site: &Site, gateway: &Gateway) {
    for (role, purpose) in [("support", "order_support"), ("marketing", "order_support")] {
        let token = site.token(&["--role", role, "--purpose", purpose, "--region", "GB"]);
        let answer = get(gateway.gateway, "/shop/customers/c-1", &token, purpose);
        let shown = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!((answer.status, shown.as_str()), (200, PERSON), "{role}");
    }
}

/// The report for programs.
fn counted(site: &Site) {
    let json: Value =
        serde_json::from_str(&run(site, &["policy", "observe", "--output", "json"])).unwrap();
    assert_eq!((&json["calls"], &json["changed"]), (&2.into(), &2.into()), "{json}");
    for wanted in ["backup_email", "hat", "*"] {
        let rows = json["unlisted"].as_array().unwrap();
        assert!(rows.iter().any(|row| row["path"] == wanted && row["count"] == 2), "{json}");
    }
}

#[test]
fn what_is_observed_is_reported_and_what_is_not_listed_is_collected_also_after_a_restart() {
    let store = Store::start(|path| path.starts_with("/customers/").then(|| PERSON.to_owned()));
    let site = site(&store);
    let checked = privet(&site.dir(), &["check"]);
    assert!(said(&checked).contains("read `privet policy observe`"), "{}", said(&checked));

    let gateway = serve(&site);
    is_told(&gateway);
    call(&site, &gateway);
    let report = ["policy", "observe"];
    let first = "Enforcing the policy would have changed 2 of 2 observed calls.\n";
    // The end of a call is written down after its caller has the answer.
    let mut tries = (0..200).map(|_| run(&site, &report));
    let text = tries.find(|text| text.starts_with(first)).unwrap();
    let wanted = [
        "shop.customers  support for order_support: read ",
        "would be refused: no_grant",
        "email: mask=1",
        "records with fields that are not listed: 1",
        "have no grant to read; if they should, add one",
        "privet store inbox --data shop.customers",
    ];
    holds(&text, &wanted);
    let inbox = ["store", "inbox"];
    let lines = run(&site, &inbox);
    let wanted = [
        "backup_email: { category: user.contact.email }  # ",
        "hat: { category: user, level: critical, whole: true }  # ",
        "# *  text, 2 times",
    ];
    holds(&lines, &wanted);
    counted(&site);
    let log = end(gateway);
    assert!(log.contains("the policy is only observed here"), "{log}");

    let gateway = serve(&site);
    is_told(&gateway);
    assert_eq!(run(&site, &report), text);
    assert_eq!(run(&site, &inbox), lines);
    let csv = run(&site, &["policy", "observe", "--since", "2020-01-01", "--output", "csv"]);
    assert!(csv.starts_with("data_set,roles,purpose,action,route,calls,changed,refused,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let later = run(&site, &["policy", "observe", "--since", "2100-01-01"]);
    assert!(later.starts_with("Enforcing the policy would have changed 0 of 0"), "{later}");
    run(&site, &["store", "inbox", "--data", "shop.customers", "dismiss", "hat"]);
    let table = run(&site, &["store", "inbox", "--output", "table"]);
    assert!(table.contains("backup_email") && !table.contains("hat"), "{table}");
    // No value, and nothing that may be one, is in any of it.
    for text in [&text, &lines, &csv, &table, &log] {
        assert!(!text.contains("zq7") && !text.contains("c-1002"), "{text}");
    }
    end(gateway);
    let gateway = serve(&site);
    assert_eq!(run(&site, &["store", "inbox", "--output", "table"]), table);
    let all = run(&site, &["store", "inbox", "--all", "--output", "json"]);
    assert!(all.contains("\"hat\""), "{all}");
    end(gateway);
}

#[test]
fn slips_at_the_report_and_the_inbox_are_told() {
    let store = Store::start(|_| None);
    let site = Site::new(store.address());
    let gateway = site.serve();
    site.reach(&gateway);
    for (arguments, code, wanted) in [
        (&["policy", "observe", "--since", "yesterday"][..], 1, "from"),
        (&["policy", "observe", "--data", "a b"], 1, "data"),
        (&["store", "inbox", "--data", "a b"], 1, "data"),
        (&["store", "inbox", "dismiss", "hat"], 2, "--data shop.customers"),
        (&["store", "inbox", "--data", "shop.customers", "dismiss", "hat"], 1, "no such field"),
    ] {
        let out = privet(&site.dir(), arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?} {}", said(&out));
        assert!(said(&out).contains(wanted), "{wanted}: {}", said(&out));
    }
}

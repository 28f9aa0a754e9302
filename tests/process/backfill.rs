//! A store that nobody here wrote moves into envelopes and out of them, killed on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use privet::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::{JsonServer, Site, get, privet};

const PEOPLE: usize = 300;

/// Values that no file of the store may hold once they are sealed.
fn planted(number: usize) -> [String; 6] {
    [
        format!("planted.{number}@mail.example"),
        format!("+4477009{number:05}"),
        format!("{number} Planted Street"),
        format!("TEST{number:04}T"),
        format!("planted \"asthma\" {number}"),
        format!("40000000{number:08}"),
    ]
}

fn people() -> Vec<Value> {
    let person = |n: usize| {
        let [email, phone, street, national_id, health_note, pan] = planted(n);
        json!({
            "id": format!("c-{n}"), "name": format!("Zoë {n} \u{1F33B}"), "nickname": "z",
            "email": email, "phone": phone, "address": { "street": street, "city": "Leeds" },
            "country": "GB", "national_id": national_id, "health_note": health_note,
            "birthday": "1988-10-09", "last_order_at": "2026-11-01",
            "cards": [{ "pan": pan, "brand": "visa" }], "loyalty": n,
        })
    };
    (0..PEOPLE).map(person).collect()
}

/// Says in the policy what is sealed, and how this store's list turns its pages.
fn seal(site: &Site) {
    let at_rest = "at_rest: encrypt, encryption: migrating";
    site.edit("policies/customer-care.yaml", |text| {
        let sealed = text.matches(at_rest).count();
        assert_eq!(sealed, 5, "a first configuration seals what the demo seals");
        let text = text.replacen("query: [limit, offset]", "query: [_start, _limit]", 1);
        text.replacen("street: {}", &format!("street: {{ {at_rest} }}"), 1)
    });
}

/// A site with a second operator, whose token stands in `ben.token`.
fn site(store: &JsonServer) -> Site {
    let site = Site::new(store.address());
    seal(&site);
    let added = privet(&site.dir(), &["operator", "add", "ben", "--role", "officer"]);
    let token = site.dir().join("ben.token");
    fs::write(&token, succeeded(&added)).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    site
}

fn succeeded(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

/// A dry run, a request, and the approval of somebody else; gives the id of the job.
fn agreed(site: &Site, more: &[&str]) -> String {
    let backfill = |last: &[&str]| {
        let mut arguments = vec!["store", "backfill", "shop.customers"];
        arguments.extend_from_slice(more);
        arguments.extend_from_slice(last);
        privet(&site.dir(), &arguments)
    };
    let early = backfill(&[]);
    assert_eq!(early.status.code(), Some(1));
    let why = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(why.contains("do a dry run first"), "{why}");

    let tried: Value =
        serde_json::from_str(&succeeded(&backfill(&["--dry-run", "--wait", "--output", "json"])))
            .unwrap();
    assert_eq!(tried["summary"]["records"], PEOPLE, "{tried:#}");
    assert_eq!(tried["summary"]["to_change"], PEOPLE, "{tried:#}");
    assert_eq!(tried["summary"]["troubles"], 0, "{tried:#}");
    assert!(!tried.to_string().contains("lanted"), "{tried:#}");

    let id = succeeded(&backfill(&[])).trim().to_owned();
    let own = privet(&site.dir(), &["job", "approve", &id]);
    assert_eq!(own.status.code(), Some(1), "nobody approves their own job");
    succeeded(&privet(&site.dir(), &["job", "approve", &id, "--token-file", "ben.token"]));
    id
}

fn sealed(data: &Value) -> usize {
    let people = data["customers"].as_array().map_or(&[][..], Vec::as_slice);
    let is_sealed = |it: &&Value| it["email"].as_str().is_some_and(|it| it.starts_with("pvt1_"));
    people.iter().filter(is_sealed).count()
}

#[test]
fn a_store_nobody_here_wrote_moves_in_and_out_and_survives_a_kill_on_the_way() {
    let before = json!({ "customers": people(), "orders": [] });
    let store = JsonServer::start(&before);
    let site = site(&store);
    let gateway = site.serve();
    site.reach(&gateway);

    let id = agreed(&site, &["--per-second", "150"]);
    let half = store.file(|data| sealed(data) > 60);
    assert!((60..PEOPLE).contains(&sealed(&half)), "{}", sealed(&half));
    gateway.kill9();

    // Half of it sealed, half not: everybody sees what their role may see, and the job goes on.
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    for number in [2, PEOPLE - 1] {
        let path = format!("/shop/customers/c-{number}");
        let seen = get(gateway.gateway, &path, &token, "order_support");
        assert_eq!(seen.json()["email"], "p***@mail.example", "{number}");
    }
    succeeded(&privet(&site.dir(), &["job", "watch", &id]));
    let all = store.file(|data| sealed(data) == PEOPLE);
    let text = all.to_string();
    for number in 0..PEOPLE {
        for value in planted(number) {
            let value = serde_json::to_string(&value).unwrap();
            assert!(!text.contains(value.trim_matches('"')), "{value}");
        }
    }
    let first = &all["customers"][0];
    assert!(first["email_index"].as_str().unwrap().starts_with("bi1_"));
    assert_eq!(first["address"]["city"], "Leeds");
    assert_eq!(first["cards"][0]["brand"], "visa");

    // Every role sees what it saw before.
    let read = |path: &str, arguments: &[&str], purpose: &str| {
        let mut all = vec!["--purpose", purpose, "--region", "GB"];
        all.extend_from_slice(arguments);
        get(gateway.gateway, path, &site.token(&all), purpose).json()
    };
    let support = read("/shop/customers/c-2", &["--role", "support"], "order_support");
    assert_eq!(
        support,
        json!({
            "id": "c-2", "name": "Zoë 2 \u{1F33B}", "nickname": "z", "email": "p***@mail.example",
            "phone": "***0002", "address": { "city": "Leeds" }, "country": "GB",
            "last_order_at": "2026-11-01",
        })
    );
    let own = read("/shop/customers/c-7", &["--subject-id", "c-7"], "subject_request");
    let [email, phone, street, ..] = planted(7);
    assert_eq!(
        (&own["email"], &own["phone"], &own["address"]["street"]),
        (&json!(email), &json!(phone), &json!(street))
    );
    let cohort = read("/shop/customers", &["--role", "analyst"], "analytics");
    assert_eq!(cohort.as_array().unwrap().len(), PEOPLE);
    assert_eq!(cohort[3]["birthday"], "1988");
    assert!(cohort[3].get("email").is_none());

    // And out again: the file holds what it held.
    let id = agreed(&site, &["--decrypt"]);
    succeeded(&privet(&site.dir(), &["job", "watch", &id]));
    let plain = |data: &Value| {
        let mut data = data.clone();
        for person in data["customers"].as_array_mut().unwrap() {
            let index = person.as_object_mut().unwrap().remove("email_index");
            assert!(index.is_none_or(|index| index.is_null()));
        }
        data
    };
    let deadline_ms = SystemClock.uptime_ms() + 10_000;
    let mut after = store.file(|data| sealed(data) == 0);
    // The file is written after the last answer.
    while after["customers"].as_array().is_none() {
        assert!(SystemClock.uptime_ms() < deadline_ms);
        after = store.file(|data| sealed(data) == 0);
    }
    assert_eq!(plain(&after), before);
}

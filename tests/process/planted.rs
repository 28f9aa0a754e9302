//! Values and ids planted in the store are nowhere but in the answers that may hold them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Gateway, Site, Store, get, get_with, privet, send};

/// Each is unlike anything else, in every file and every log line.
const ID: &str = "c-zq7planted1d";
const OTHER_ID: &str = "c-zq7planted2d";
const VALUES: &[&str] = &[
    ID,
    OTHER_ID,
    "Zq7planted Name",
    "zq7planted.mail@mail.example",
    "+449911zq7",
    "zq7planted street",
    "ZQ7PLANTEDID",
    "zq7planted note",
    "400000zq7planted",
    "zq7planted fresh",
    "zq7planted.fresh@mail.example",
    "ZQ7UNLISTED",
];

fn person(id: &str) -> serde_json::Value {
    json!({
        "id": id, "nickname": "zq7planted nick", "name": "Zq7planted Name",
        "email": "zq7planted.mail@mail.example", "phone": "+449911zq7", "birthday": "1988-10-09",
        "address": { "street": "zq7planted street", "city": "London", "postcode": "N1" },
        "country": "GB", "national_id": "ZQ7PLANTEDID", "health_note": "zq7planted note",
        "cards": [{ "pan": "400000zq7planted" }], "last_order_at": "2026-11-01",
        "unlisted": "zq7planted note",
    })
}

#[test]
fn nothing_planted_is_found_in_any_file_log_line_or_metric() {
    let store = Store::start(|target| {
        let path = target.split('?').next().unwrap_or_default();
        match path.strip_prefix("/customers/") {
            Some(id) if id == ID || id == OTHER_ID => Some(person(id).to_string()),
            // An answer that cannot be read: it must not be quoted in a log line either.
            Some(_) => Some(format!("{{\"id\":\"{ID}\",\"name\":\"Zq7planted Name\"")),
            None => Some(json!([person(ID), person(OTHER_ID)]).to_string()),
        }
    });
    let site = Site::new(store.address());
    let gateway = site.serve();
    let to = gateway.gateway;
    let support =
        site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let herself = site.token(&["--purpose", "subject_request", "--subject-id", ID]);

    // The values do come through where they may, so that their absence elsewhere means something.
    let path = format!("/shop/customers/{ID}");
    let seen = get(to, &path, &herself, "subject_request");
    assert!(String::from_utf8_lossy(&seen.body).contains("zq7planted street"), "{}", seen.head);
    let seen = get(to, &path, &support, "order_support");
    assert_eq!(seen.status, 200);
    assert!(!String::from_utf8_lossy(&seen.body).contains("zq7planted street"));
    assert_eq!(get(to, "/shop/customers", &support, "order_support").status, 200);

    // Everything that can go wrong with the same values in sight.
    for (path, token, purpose) in [
        (format!("/shop/customers/{OTHER_ID}"), &herself, "subject_request"),
        (format!("/shop/customers/{ID}"), &support, "zq7planted"),
        (
            format!("/shop/customers/{ID}?email=zq7planted.mail@mail.example"),
            &support,
            "order_support",
        ),
        (format!("/shop/customers/broken-{ID}"), &support, "order_support"),
        (format!("/shop/{ID}/{OTHER_ID}"), &support, "order_support"),
        (format!("/shop/customers/%2e%2e/{ID}"), &support, "order_support"),
        ("/shop/customers?email=zq7planted.mail%40mail.example".into(), &support, "order_support"),
    ] {
        get(to, &path, token, purpose);
    }
    get_with(to, &path, &[("Authorization", format!("Bearer {ID}.{ID}.{ID}"))]);

    let (app, officer) = write(&site, &gateway);

    let metrics = get_with(gateway.admin, "/metrics", &[]).unwrap();
    let ready = get_with(gateway.admin, "/readyz?verbose", &[]).unwrap();
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
    let search = privet(&site.dir(), &["audit", "search", "--output", "jsonl"]);
    let entries = String::from_utf8(search.stdout).unwrap();
    assert!(entries.lines().count() > 8, "{entries}");

    let tokens = [support.as_str(), herself.as_str(), app.as_str(), officer.as_str()];
    for needle in VALUES.iter().copied().chain(tokens) {
        for (place, text) in [
            ("the log on stderr", log.as_bytes()),
            ("/metrics", &metrics.body),
            ("/readyz", &ready.body),
            ("audit search", entries.as_bytes()),
        ] {
            assert!(
                !holds(text, needle),
                "{needle} is in {place}:\n{}",
                String::from_utf8_lossy(text)
            );
        }
        for file in files(&site.dir()) {
            assert!(!holds(&fs::read(&file).unwrap(), needle), "{needle} is in {}", file.display());
        }
    }
}

/// Writes that are done and writes that are refused, with values of their own in the bodies; the
/// credentials they came with.
fn write(site: &Site, gateway: &Gateway) -> (String, String) {
    let app = site.token(&["--role", "shop-app", "--purpose", "operations", "--region", "GB"]);
    let officer = site.token(&["--role", "dpo", "--purpose", "subject_request", "--mfa"]);
    let one = format!("/shop/customers/{ID}");
    let broken = format!("/shop/customers/broken-{ID}");
    let fresh = json!({ "nickname": "zq7planted fresh" }).to_string();
    let put = json!({ "name": "zq7planted fresh", "email": "zq7planted.fresh@mail.example",
        "country": "GB" })
    .to_string();
    let json = "application/json";
    for (method, path, token, media, body, status) in [
        ("PATCH", &*one, &app, json, &*fresh, 200),
        ("PUT", &one, &app, json, &put, 200),
        ("PATCH", &one, &app, "application/x-www-form-urlencoded", "name=zq7planted+fresh", 200),
        // The store's answer to it has two records where one is listed, so nobody knows whose the
        // sealed values are.
        ("POST", "/shop/customers", &app, json, &put, 502),
        ("DELETE", &one, &officer, json, "", 204),
        ("DELETE", &one, &app, json, "", 403),
        ("PATCH", &broken, &app, json, &fresh, 502),
        ("PATCH", &one, &app, json, r#"{"health_note":"zq7planted fresh"}"#, 403),
        ("PATCH", &one, &app, json, r#"{"ZQ7UNLISTED":"zq7planted fresh"}"#, 422),
        ("PATCH", &one, &app, json, r#"{"id":"zq7planted fresh"}"#, 403),
        ("PATCH", &one, &app, json, r#"{"name":"zq7planted fresh"#, 400),
        ("PATCH", &one, &app, "text/zq7planted", &fresh, 415),
        // An unknown country closes: the record would be out of reach.
        ("PATCH", &one, &app, json, r#"{"country":"zq7planted fresh"}"#, 403),
        (
            "POST",
            "/shop/customers",
            &app,
            json,
            r#"{"country":"GB","ZQ7UNLISTED":"zq7planted fresh"}"#,
            422,
        ),
        ("PATCH", &one, &officer, json, r#"{"email":"z***@mail.example"}"#, 422),
    ] {
        let purpose = if token == &app { "operations" } else { "subject_request" };
        let headers = [
            ("Authorization", format!("Bearer {token}")),
            ("Privet-Purpose", purpose.to_owned()),
            ("Content-Type", media.to_owned()),
        ];
        let answer = send(gateway.gateway, (method, path), &headers, body).unwrap();
        assert_eq!(answer.status, status, "{method} {body}: {}", answer.head);
    }
    (app, officer)
}

/// Whether the bytes hold the needle, in any case.
fn holds(bytes: &[u8], needle: &str) -> bool {
    let lower = bytes.to_ascii_lowercase();
    let needle = needle.to_ascii_lowercase();
    lower.windows(needle.len()).any(|window| window == needle.as_bytes())
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

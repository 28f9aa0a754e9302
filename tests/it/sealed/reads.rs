//! What callers read of a store whose values are sealed.

use privet::audit::Kind;
use privet::audit::Shown;
use privet::crypto::ValueKind;
use privet::types::DomainId;

use crate::harness::json;
use crate::harness::person;

use super::site::Site;
use super::site::typed;

#[tokio::test]
async fn every_view_of_a_sealed_store_is_that_of_one_that_is_not() {
    let site = Site::start("strict").await;
    let (ana, sealed_ana) = site.record("c-1", "ana@mail.example").await;
    let (bo, sealed_bo) = site.record("c-2", "bo@mail.example").await;
    for (name, ana, bo) in [("plain", &ana, &bo), ("people", &sealed_ana, &sealed_bo)] {
        site.answer(&format!("/{name}/c-1"), json(200, ana));
        site.answer(&format!("/{name}"), json(200, &format!("[{ana},{bo}]")));
        site.answer(
            &format!("/{name}?limit=1"),
            typed("application/x-ndjson", &format!("{ana}\n{bo}\n")),
        );
        let bundle = format!("{{\"more\":[{bo},{ana}],\"own\":{ana}}}");
        site.answer(&format!("/bundles/{name}"), json(200, &bundle));
    }
    for role in ["desk", "hint", "stats", "door"] {
        for path in ["/NAME/c-1", "/NAME", "/NAME?limit=1", "/bundles/NAME"] {
            let plain = site.read(role, &path.replace("NAME", "plain"), "").await;
            let sealed = site.read(role, &path.replace("NAME", "people"), "").await;
            assert_eq!((plain.status, sealed.status), (200, 200), "{role} at {path}");
            assert_eq!(sealed.text(), plain.text(), "{role} at {path}");
            assert_eq!(sealed.header("privet-fields"), plain.header("privet-fields"));
            assert!(!sealed.raw_text().contains("pvt1_") && !sealed.raw_text().contains("bi1_"));
        }
    }
    let shown = site.read("desk", "/people/c-1", "").await.json();
    assert_eq!(shown["name"], "Ana \"Q\" Ruiz é");
    assert!(site.entries(Kind::Alert).await.is_empty());
}

#[tokio::test]
async fn rows_hold_what_their_cells_were_sealed_from() {
    let site = Site::start("strict").await;
    let email = site.seal("c-1", "email", (ValueKind::Text, "ana@mail.example")).await;
    let points = site.seal("c-1", "points", (ValueKind::Number, "1234")).await;
    let rows = |email: &str, points: &str| {
        typed("text/csv", &format!("id,email,points,memo\r\nc-1,{email},{points},\"=1\"\r\n"))
    };
    site.answer("/plain", rows("ana@mail.example", "1234"));
    site.answer("/people", rows(&email, &points));
    for role in ["desk", "hint", "stats"] {
        let (plain, sealed) =
            (site.read(role, "/plain", "").await, site.read(role, "/people", "").await);
        assert_eq!((plain.status, sealed.text()), (200, plain.text()), "{role}");
    }
}

#[tokio::test]
async fn ciphertext_is_what_the_store_holds_and_opens_nothing() {
    let site = Site::start("strict").await;
    let (_, sealed) = site.record("c-1", "ana@mail.example").await;
    let foreign = site.seal("c-2", "email", (ValueKind::Text, "bo@mail.example")).await;
    site.answer("/people/c-1", json(200, &sealed));
    let shown = site.read("copy", "/people/c-1", "").await;
    let stored: serde_json::Value = serde_json::from_str(&sealed).unwrap();
    let expected = serde_json::json!({
        "id": "c-1", "email": stored["email"], "notes": stored["notes"],
    });
    assert_eq!(shown.json(), expected, "`memo` is not sealed, so it has no ciphertext");
    assert_eq!(shown.header("privet-fields"), Some("shown=1, ciphertext=2, dropped=6"));
    for (email, is_shown) in
        [(foreign.as_str(), true), ("ana@mail.example", false), ("pvt1_", false)]
    {
        let record = format!(r#"{{"id":"c-1","email":"{email}"}}"#);
        site.answer("/people/c-1", json(200, &record));
        let shown = site.read("copy", "/people/c-1", "").await.json();
        assert_eq!(shown.get("email").is_some(), is_shown, "{email}");
    }
}

#[tokio::test]
async fn what_does_not_open_looks_like_what_is_dropped_and_is_told_to_those_who_watch() {
    let site = Site::start("strict").await;
    let text = |plain| (ValueKind::Text, plain);
    let buyer = DomainId::parse("buyer").unwrap();
    let own = site.seal("c-1", "email", text("ana@mail.example")).await;
    let cases = [
        ("foreign", site.seal("c-2", "email", text("bo@mail.example")).await),
        ("foreign", site.seal_in(&buyer, "c-1", "shop.people.email", text("x@y.example")).await),
        ("forged", site.seal("c-1", "name", text("Ana")).await),
        ("forged", site.seal_in(&person(), "c-1", "shop.plain.email", text("Ana")).await),
        ("forged", format!("{}AAAA", own.get(..own.len() - 4).unwrap())),
        ("malformed", own.get(..40).unwrap().to_owned()),
        ("malformed", "pvt1_".to_owned()),
        ("plaintext", "ana@mail.example".to_owned()),
        ("plaintext", format!("see {own}")),
    ];
    site.answer("/plain/c-1", json(200, r#"{"id":"c-1","memo":"m"}"#));
    let dropped = site.read("desk", "/plain/c-1", "").await;
    for (at, (reason, value)) in cases.iter().enumerate() {
        let line = format!("privet_unopened_values_total{{reason=\"{reason}\"}}");
        let before = site.metric(&line);
        site.answer(
            "/people/c-1",
            json(200, &format!(r#"{{"id":"c-1","email":"{value}","memo":"m"}}"#)),
        );
        let shown = site.read("desk", "/people/c-1", "").await;
        assert_eq!((shown.status, shown.text()), (200, dropped.text()), "{value}");
        assert_eq!(shown.header_names(), dropped.header_names(), "{value}");
        assert_eq!(shown.header("privet-fields"), dropped.header("privet-fields"));
        assert_eq!(site.metric(&line), before + 1);
        let alerts = site.entries(Kind::Alert).await;
        assert_eq!(alerts.len(), at + 1, "{value}");
        let alert = alerts.last().unwrap();
        let release = site.entries(Kind::Release).await.pop().unwrap();
        assert_eq!(alert.reason.as_deref(), Some("unopened"));
        assert_eq!(alert.subjects, release.subjects);
        assert_eq!(alert.data_set, release.data_set);
        assert_eq!(alert.facts.get(*reason).map(|count| &**count), Some("1"));
        let fields: Vec<_> =
            alert.fields.iter().map(|field| (field.category.as_str(), field.view)).collect();
        assert_eq!(fields, [("user.contact.email", Shown::Drop)]);
        let line = String::from_utf8(alert.to_bytes().unwrap()).unwrap();
        // With its end: a decision id may have these characters in it.
        for planted in ["pvt1_", "c-1\"", "mail.example"] {
            assert!(!line.contains(planted), "{planted} in {line}");
        }
    }
    // A view that opens nothing tells nobody of it.
    let alerts = site.entries(Kind::Alert).await.len();
    site.read("door", "/people/c-1", "").await;
    assert_eq!(site.entries(Kind::Alert).await.len(), alerts);
    // What is sealed in a field that is not is text like any other.
    site.answer("/people/c-1", json(200, &format!(r#"{{"id":"c-1","memo":"{own}"}}"#)));
    assert_eq!(site.read("desk", "/people/c-1", "").await.json()["memo"], own.as_str());
    assert_eq!(site.entries(Kind::Alert).await.len(), alerts);
}

#[tokio::test]
async fn a_version_is_named_only_when_everything_opened() {
    let site = Site::start("strict").await;
    let own = site.seal("c-1", "email", (ValueKind::Text, "ana@mail.example")).await;
    let other = site.seal("c-2", "email", (ValueKind::Text, "bo@mail.example")).await;
    for (value, tag) in [(&own, Some("\"v1\"")), (&other, None)] {
        let body = format!(r#"{{"id":"c-1","email":"{value}"}}"#);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        site.answer("/people/c-1", answer.into_bytes());
        assert_eq!(site.read("desk", "/people/c-1", "").await.header("etag"), tag);
        let known = site.read("desk", "/people/c-1", "If-None-Match: \"v1\"\r\n").await;
        assert_eq!(known.status, if tag.is_some() { 304 } else { 200 });
    }
}

#[tokio::test]
async fn values_from_before_are_shown_while_a_field_is_being_sealed() {
    let site = Site::start("migrating").await;
    let record = r#"{"id":"c-1","email":"ana@mail.example","points":1234,"notes":{"a":1}}"#;
    for name in ["plain", "people"] {
        site.answer(&format!("/{name}/c-1"), json(200, record));
    }
    for role in ["desk", "hint", "stats"] {
        let plain = site.read(role, "/plain/c-1", "").await;
        assert_eq!(site.read(role, "/people/c-1", "").await.text(), plain.text(), "{role}");
    }
    // Three values of the first role, two of each other.
    assert_eq!(site.metric("privet_plaintext_in_sealed_field_total"), 7);
    assert!(site.entries(Kind::Alert).await.is_empty());
    site.answer("/people/c-1", json(200, r#"{"id":"c-1","email":"pvt1_ is not sealed"}"#));
    assert_eq!(site.read("desk", "/people/c-1", "").await.text(), r#"{"id":"c-1"}"#);
}

#[tokio::test]
async fn a_sealed_field_is_found_by_its_index_and_by_nothing_else() {
    let site = Site::start("strict").await;
    let (_, ana) = site.record("c-1", "ana@mail.example").await;
    let (_, bo) = site.record("c-2", "bo@mail.example").await;
    let next = |query: &str| format!(r#"{{"items":[{ana}],"next":"/pages/people?{query}"}}"#);
    let index = site.index("ana@mail.example");
    // A store that answers with more than it was asked for: indexes may be cut short.
    site.answer("/people", json(200, &format!("[{ana},{bo}]")));
    let found = site.read("hint", "/people?limit=5&email=%20ANA%40mail.example", "").await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json().as_array().unwrap().len(), 1);
    assert_eq!(found.json()[0]["id"], "c-1");
    assert_eq!(found.header("privet-page"), Some("may-be-short"));
    let asked = site.store.asked().pop().unwrap();
    assert_eq!(asked.target(), format!("/people?limit=5&email_index={index}"));
    assert!(!asked.head.contains("ana"), "no value is told to the store");
    // Links of the store speak of the index; those of the gateway of the value.
    site.answer("/pages/people", json(200, &next(&format!("mail_index=x&email_index={index}"))));
    let page = site.read("hint", "/pages/people?mail=ana@mail.example", "").await;
    assert!(page.json().get("next").is_none_or(serde_json::Value::is_null));
    site.answer("/pages/people", json(200, &next(&format!("email_index={index}"))));
    let page = site.read("hint", "/pages/people?mail=ana@mail.example", "").await;
    assert_eq!(page.json()["next"], "/shop/pages/people?mail=ana%40mail.example");
    // Nobody selects by the index itself, by nothing, or without being allowed to.
    let asked = site.store.asked().len();
    for (role, query, status) in [
        ("hint", format!("email_index={index}"), 400),
        ("hint", "email=".to_owned(), 400),
        ("hint", "email=%20".to_owned(), 400),
        ("stats", "email=ana@mail.example".to_owned(), 403),
        ("copy", "email=ana@mail.example".to_owned(), 403),
    ] {
        let reply = site.read(role, &format!("/people?{query}"), "").await;
        assert_eq!(reply.status, status, "{role}: {query}: {}", reply.text());
    }
    assert_eq!(site.store.asked().len(), asked);
    // An index that was copied beside the value of somebody else finds nobody.
    let stolen = bo.replace(&site.index("bo@mail.example"), &index);
    site.answer("/people", json(200, &format!("[{stolen}]")));
    let found = site.read("hint", "/people?email=ana@mail.example", "").await;
    assert_eq!(found.text(), "[]");
}

//! What callers read of a store whose values are sealed.

use std::collections::BTreeMap;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::audit::Shown;
use privet::catalog::BlindIndex;
use privet::clock::SystemEntropy;
use privet::crypto::NormalForm;
use privet::crypto::ValueKind;
use privet::types::DomainId;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;

/// Two data sets with the same fields: those of one are sealed.
fn policy(encryption: &str) -> String {
    let set = |name: &str, at_rest: &dyn Fn(&str) -> String| {
        format!(
            r#"
  shop.{name}:
    subject: {{ field: id, domain: person }}
    routes:
      - {{ on: "GET /{name}/{{id}}", records: "$" }}
      - {{ on: "GET /{name}", records: "$[*]", query: [limit], find_by: {{ email: email }} }}
      - {{ on: "GET /pages/{name}", records: "$.items[*]", around: [next], find_by: {{ mail: email }} }}
      - {{ on: "GET /bundles/{name}", records: {{ "$.own": shop.{name}, "$.more[*]": shop.{name} }} }}
    fields:
      id: {{ category: user.unique_id }}
      email: {{ category: user.contact.email{} }}
      name: {{ category: user.name{} }}
      born: {{ category: user.demographic.date_of_birth{} }}
      points: {{ category: user.behavior{} }}
      vip: {{ category: user.behavior{} }}
      notes: {{ category: user.content.private, whole: true{} }}
      "cards[*].pan": {{ category: user.financial.credit_card{} }}
      memo: {{ category: user.content.private }}"#,
            at_rest(", index: email_index"),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
        )
    };
    let sealed = |more: &str| format!(", at_rest: encrypt, encryption: {encryption}{more}");
    let people = set("people", &sealed);
    let plain = set("plain", &|_| String::new());
    let sets = format!("{people}{plain}");
    format!(
        r#"
privet: policy/v1
name: sealed
purposes: {{ care: {{ basis: contract }}, count: {{ basis: contract }} }}
roles:
  desk: {{ claim: roles, has: desk }}
  hint: {{ claim: roles, has: hint }}
  stats: {{ claim: roles, has: stats }}
  copy: {{ claim: roles, has: copy }}
  door: {{ claim: roles, has: door }}
views:
  hint: {{ mask: {{ keep_first: 1, keep_domain: true }} }}
  token: {{ pseudonymize: {{ scope: purpose }} }}
  year: {{ generalize: {{ date: year }} }}
  tens: {{ generalize: {{ number: 10 }} }}
data:{sets}
grants:
  - {{ id: all, roles: [desk], purposes: [care], data: [shop.people, shop.plain], can: [read], fields: {{ id: show, email: show, name: show, born: show, points: show, vip: show, notes: show, cards: show, memo: show }} }}
  - {{ id: hints, roles: [hint], purposes: [care], data: [shop.people, shop.plain], can: [read], find_by: [email], fields: {{ id: show, email: hint, name: hint, points: hint, vip: hint, cards: hint }} }}
  - {{ id: stats, roles: [stats], purposes: [count], data: [shop.people, shop.plain], can: [read], find_by: [id], fields: {{ id: token, email: token, name: token, born: year, points: tens, vip: token, cards: token }} }}
  - {{ id: copies, roles: [copy], purposes: [care], data: [shop.people], can: [read], fields: {{ id: show, email: ciphertext, notes: ciphertext, memo: ciphertext }} }}
  - {{ id: doors, roles: [door], purposes: [care], data: [shop.people, shop.plain], can: [read], fields: {{ id: show, memo: show }} }}
"#
    )
}

/// A store, and a gateway before it whose keys seal what the store holds.
struct Site {
    gateway: Gateway,
    store: FakeStore,
    answers: std::sync::Arc<std::sync::Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Site {
    async fn start(encryption: &str) -> Self {
        let answers = std::sync::Arc::<std::sync::Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let script = std::sync::Arc::clone(&answers);
        let store = FakeStore::start(move |asked| {
            let answers = script.lock().unwrap();
            let path = asked.target().split('?').next().unwrap_or_default();
            let found = answers.get(asked.target()).or(answers.get(path)).cloned();
            vec![Step::Bytes(found.unwrap_or_else(|| json(404, "{}")))]
        })
        .await;
        let gateway = Gateway::start(Setup::new(&policy(encryption), &store));
        Self { gateway, store, answers }
    }

    fn answer(&self, path: &str, answer: Vec<u8>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The envelope of a value of somebody's field.
    async fn seal(&self, id: &str, field: &str, (kind, plain): (ValueKind, &str)) -> String {
        self.seal_in(&person(), id, &format!("shop.people.{field}"), (kind, plain)).await
    }

    async fn seal_in(
        &self,
        domain: &DomainId,
        id: &str,
        name: &str,
        (kind, plain): (ValueKind, &str),
    ) -> String {
        let mut cards = Vec::new();
        self.gateway.cards.cards(&[(domain, id)], &mut cards).await.unwrap();
        let keys = cards[0].as_ref().unwrap().keys.clone().unwrap();
        let mut out = Vec::new();
        keys.seal(name, (kind, plain.as_bytes()), &SystemEntropy, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The blind index of an address.
    fn index(&self, value: &str) -> String {
        let index = BlindIndex { member: "email_index".into(), form: NormalForm::Email, bytes: 16 };
        let mut out = Vec::new();
        self.gateway.keys.blind_index("shop.people.email", &index, value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    async fn read(&self, role: &str, target: &str, more: &str) -> Reply {
        let purpose = if role == "stats" { "count" } else { "care" };
        let token = self.gateway.token(&[role], &[purpose]);
        get(self.gateway.address, &format!("/shop{target}"), &token, more).await
    }

    /// Somebody's record, in clear and sealed.
    async fn record(&self, id: &str, email: &str) -> (String, String) {
        let values = [
            ("email", ValueKind::Text, email.to_owned()),
            ("name", ValueKind::Text, "Ana \"Q\" Ruiz é".to_owned()),
            ("born", ValueKind::Text, "1988-10-09".to_owned()),
            ("points", ValueKind::Number, "1234".to_owned()),
            ("vip", ValueKind::Boolean, "true".to_owned()),
            ("notes", ValueKind::Json, r#"{"a":[1,"x"],"b":null}"#.to_owned()),
        ];
        let (mut plain, mut sealed) = (format!("{{\"id\":\"{id}\""), format!("{{\"id\":\"{id}\""));
        for (field, kind, value) in values {
            let text = match kind {
                ValueKind::Text => serde_json::to_string(&value).unwrap(),
                _ => value.clone(),
            };
            plain.push_str(&format!(",\"{field}\":{text}"));
            let envelope = self.seal(id, field, (kind, &value)).await;
            sealed.push_str(&format!(",\"{field}\":\"{envelope}\""));
        }
        let pan = self.seal(id, "cards[*].pan", (ValueKind::Text, "4111111111111111")).await;
        let rest = |pan: &str| {
            format!(r#","cards":[{{"pan":"{pan}","x":1}},{{"pan":null}}],"memo":"m"}}"#)
        };
        plain.push_str(&rest("4111111111111111"));
        sealed.push_str(&rest(&pan));
        sealed.insert_str(sealed.len() - 1, &format!(r#","email_index":"{}""#, self.index(email)));
        (plain, sealed)
    }

    async fn entries(&self, kind: Kind) -> Vec<Entry> {
        self.gateway.log.flush().await.unwrap();
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        let found = privet::audit::search(&self.gateway.audit_dir(), &filter, 0).unwrap();
        found.map(|found| found.unwrap().1).collect()
    }

    fn metric(&self, line: &str) -> u64 {
        let mut registry = Registry::default();
        self.gateway.shared.metrics().clone().register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{line} is not in:\n{text}"))
    }
}

fn typed(media: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length");
    format!("{head}: {}\r\n\r\n{body}", body.len()).into_bytes()
}

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

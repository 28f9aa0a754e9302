//! What is written to a store that keeps values sealed: never one of them in clear.

use privet::state::FaultMoment;
use privet::state::FaultPlan;
use privet::types::SubjectStatus;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::exchange;
use crate::harness::person;
use crate::harness::wanted;

pub(super) const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { basis: contract }
roles:
  boss: { claim: roles, has: boss }
  clerk: { claim: roles, has: clerk }
  vault: { claim: roles, has: vault }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "PUT /customers/{id}", records: "$" }
      - { on: "PATCH /customers/{id}", records: "$" }
      - { on: "POST /customers", records: "$" }
      - { on: "POST /batch", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email, at_rest: encrypt, index: email_index, max_length: 200 }
      age: { category: user.demographic.age_range, at_rest: encrypt }
      "cards[*].pan": { category: user.financial, at_rest: encrypt }
      extra: { category: user.content.private, whole: true, at_rest: encrypt }
      note: { category: user.content.private }
grants:
  - id: boss-all
    roles: [boss]
    purposes: [care]
    data: [shop.customers]
    can: [read, create, update]
    levels: { general: show, sensitive: show, critical: show }
    writes: [id, name, email, age, "cards[*].pan", extra, note]
  - id: clerk-hints
    roles: [clerk]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    fields: { id: show, name: show, email: email-hint, age: drop }
    writes: [name, email]
  - id: vault-copies
    roles: [vault]
    purposes: [care]
    data: [shop.customers]
    can: [read, update]
    fields: { id: show, name: show, email: ciphertext }
    writes: [name, email]
"#;

/// A record of which every planted value is sealed where it is stored.
pub(super) const ANA: &str = r#"{"id":"c-1","name":"Ana","email":"ana-planted@mail.example","age":417417,"cards":[{"pan":"planted-4000"},{"pan":"planted-4001"}],"extra":{"deep":["planted-deep"]},"note":"n"}"#;
const PLANTED: [&str; 3] = ["planted", "417417", "eve@"];

pub(super) async fn ask(
    gateway: &Gateway,
    role: &str,
    call: (&str, &str),
    more: &str,
    body: &str,
) -> Reply {
    let mut wanted = wanted("someone");
    wanted.roles = vec![role.to_owned()];
    wanted.purposes = vec!["care".to_owned()];
    let token = gateway.mint(&wanted);
    let media = if body.is_empty() || more.contains("Content-Type") {
        ""
    } else {
        "Content-Type: application/json\r\n"
    };
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!(
        "{} /shop{} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n{media}{length}{more}\r\n{body}",
        call.0, call.1
    );
    Reply::parse(exchange(gateway.address, request.as_bytes()).await, false)
}

pub(super) async fn one(gateway: &Gateway, role: &str, method: &str, body: &str) -> Reply {
    ask(gateway, role, (method, "/customers/c-1"), "", body).await
}

/// A store that holds Ana as the gateway made her.
pub(super) async fn with_ana() -> (Table, FakeStore, Gateway) {
    let (table, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let made = ask(&gateway, "boss", ("POST", "/customers"), "", ANA).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json(), serde_json::from_str::<serde_json::Value>(ANA).unwrap());
    (table, store, gateway)
}

/// Nothing that the store was ever told holds a value that is sealed there.
pub(super) fn assert_nothing_leaked(store: &FakeStore) {
    for asked in store.asked() {
        for planted in PLANTED {
            let told = format!("{}{}", asked.head, asked.body);
            assert!(!told.contains(planted), "the store was told {planted}: {told}");
        }
    }
}

pub(super) fn row(table: &Table) -> serde_json::Value {
    serde_json::from_str(&table.row("c-1").unwrap()).unwrap()
}

pub(super) fn is_envelope(value: &serde_json::Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("pvt1_"))
}

#[tokio::test]
async fn a_new_record_is_kept_sealed_and_shown_as_the_policy_says() {
    let (table, store, gateway) = with_ana().await;
    let stored = row(&table);
    for sealed in ["/email", "/age", "/cards/0/pan", "/cards/1/pan", "/extra"] {
        assert!(is_envelope(stored.pointer(sealed).unwrap()), "{sealed}: {stored}");
    }
    assert!(stored["email_index"].as_str().unwrap().starts_with("bi1_"));
    assert_eq!((&stored["name"], &stored["note"]), (&"Ana".into(), &"n".into()));
    assert_nothing_leaked(&store);
    let hint = one(&gateway, "clerk", "GET", "").await.json();
    assert_eq!(hint, serde_json::json!({"id": "c-1", "name": "Ana", "email": "a***@mail.example"}));
}

#[tokio::test]
async fn what_is_set_is_sealed_anew_and_what_is_kept_stays_the_envelope() {
    let (table, store, gateway) = with_ana().await;
    let before = row(&table);
    let sent = r#"{"email":"eve@mail.example","extra":{"deep":["planted-other"]}}"#;
    let reply = one(&gateway, "boss", "PATCH", sent).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["email"], "eve@mail.example");
    let after = row(&table);
    for changed in ["email", "email_index", "extra"] {
        assert_ne!(before[changed], after[changed], "{changed}");
    }
    for kept in ["age", "cards", "name", "note"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    // All of it sent back with one item moved, by a client that knows nothing of envelopes.
    let mut whole = one(&gateway, "boss", "GET", "").await.json();
    whole["cards"].as_array_mut().unwrap().reverse();
    whole["name"] = "Eve".into();
    assert_eq!(one(&gateway, "boss", "PUT", &whole.to_string()).await.status, 200);
    let put = row(&table);
    assert_eq!(put["cards"][0], after["cards"][1]);
    assert_eq!(put["cards"][1], after["cards"][0]);
    for kept in ["email", "email_index", "age", "extra"] {
        assert_eq!(put[kept], after[kept], "{kept}");
    }
    // Removed with its index.
    assert_eq!(one(&gateway, "boss", "PATCH", r#"{"email":null}"#).await.status, 200);
    let removed = row(&table);
    assert!(removed["email"].is_null() && removed["email_index"].is_null(), "{removed}");
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn a_masked_value_that_comes_back_changes_nothing() {
    let (table, store, gateway) = with_ana().await;
    let before = row(&table);
    let mut shown = one(&gateway, "clerk", "GET", "").await.json();
    assert_eq!(one(&gateway, "clerk", "PUT", &shown.to_string()).await.status, 200);
    assert_eq!(row(&table), before);
    shown["name"] = "Eve".into();
    assert_eq!(one(&gateway, "clerk", "PUT", &shown.to_string()).await.status, 200);
    let mut expected = before;
    expected["name"] = "Eve".into();
    assert_eq!(row(&table), expected);
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn an_envelope_comes_back_where_it_was_shown_and_nowhere_else() {
    let (table, store, gateway) = with_ana().await;
    let bob = ANA.replace("c-1", "c-2").replace("ana-", "bob-");
    assert_eq!(ask(&gateway, "boss", ("POST", "/customers"), "", &bob).await.status, 201);
    let before = row(&table);
    let shown = one(&gateway, "vault", "GET", "").await.json();
    assert_eq!(shown["email"], before["email"]);
    let other = ask(&gateway, "vault", ("GET", "/customers/c-2"), "", "").await.json();
    assert!(is_envelope(&other["email"]));
    // Back where it was shown, it is kept.
    let mut back = shown.clone();
    back["name"] = "Eve".into();
    assert_eq!(one(&gateway, "vault", "PUT", &back.to_string()).await.status, 200);
    assert_eq!(row(&table)["email"], before["email"]);
    let (own, foreign) = (before["email"].as_str().unwrap(), other["email"].as_str().unwrap());
    let asked = store.asked().len();
    for (role, sent) in [
        ("vault", format!(r#"{{"email":"{foreign}"}}"#)),
        ("boss", format!(r#"{{"email":"{foreign}"}}"#)),
        // Who is shown the value was shown no envelope.
        ("boss", format!(r#"{{"email":"{own}"}}"#)),
        ("clerk", format!(r#"{{"email":"{own}"}}"#)),
        ("boss", format!(r#"{{"extra":"{own}"}}"#)),
        ("boss", format!(r#"{{"email":"{}"}}"#, own.replacen('p', r"\u0070", 1))),
        ("boss", r#"{"em\u0061il":"\u0070vt1_x"}"#.to_owned()),
        ("boss", r#"{"cards":[{"pan":"pvt1_x"}]}"#.to_owned()),
    ] {
        let refused = one(&gateway, role, "PATCH", &sent).await;
        assert_eq!(refused.status, 422, "{role} {sent}: {}", refused.text());
        assert_eq!(refused.json()["type"], "urn:privet:problem:forged-envelope");
    }
    for (sent, status) in [
        (r#"{"email":"eve@a.example","e\u006dail":"eve@b.example"}"#, 400),
        (r#"{"email_index":"bi1_x"}"#, 422),
        (r#"{"id":"c-2"}"#, 403),
    ] {
        assert_eq!(one(&gateway, "boss", "PATCH", sent).await.status, status, "{sent}");
    }
    let writes = store.asked().into_iter().skip(asked).filter(|asked| asked.method() != "GET");
    assert_eq!(writes.count(), 0);
    // In a field that is not sealed it is a text like any other.
    assert_eq!(one(&gateway, "boss", "PATCH", r#"{"note":"pvt1_x"}"#).await.status, 200);
    assert_eq!(row(&table)["note"], "pvt1_x");
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn every_kind_of_body_is_sealed() {
    let store = FakeStore::always(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    for (target, media, body, status) in [
        (
            "/customers",
            "application/x-www-form-urlencoded",
            "id=c-1&email=eve%40mail.example&age=417417",
            201,
        ),
        ("/batch", "text/csv", "id,email,name\r\nc-1,eve@mail.example,Eve\r\nc-2,,Bob\r\n", 201),
        (
            "/batch",
            "application/x-ndjson",
            "{\"id\":\"c-1\",\"extra\":\"planted\"}\n{\"id\":\"c-2\",\"age\":417417}\n",
            201,
        ),
        ("/batch", "application/json", r#"[{"id":"c-1","email":"eve@x.example"}]"#, 201),
        ("/batch", "text/csv", "id,email\r\nc-1,pvt1_x\r\n", 422),
        ("/customers", "application/x-www-form-urlencoded", "id=c-1&email=%70vt1_x", 422),
        ("/batch", "text/csv", "id,email_index\r\nc-1,bi1_x\r\n", 422),
        ("/customers", "application/x-www-form-urlencoded", "id=c-1&email_index=x", 422),
    ] {
        let more = format!("Content-Type: {media}\r\n");
        let reply = ask(&gateway, "boss", ("POST", target), &more, body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    let sent: Vec<String> = store.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|body| body.contains("pvt1_")), "{sent:?}");
    assert!(sent[0].contains("&email_index=bi1_"), "{}", sent[0]);
    assert!(sent[1].starts_with("id,email,name,email_index\r\nc-1,pvt1_"), "{}", sent[1]);
    assert!(sent[1].ends_with("\r\nc-2,,Bob,\r\n"), "{}", sent[1]);
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn a_value_that_would_not_fit_is_refused_with_its_limit() {
    let (_table, store, gateway) = with_ana().await;
    let sent = format!(r#"{{"email":"{}@mail.example"}}"#, "x".repeat(100));
    let refused = one(&gateway, "boss", "PATCH", &sent).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("`email`") && refused.text().contains("200 bytes"));
    assert!(!refused.text().contains("xxx") && !refused.text().contains("planted"));
    assert_nothing_leaked(&store);
}

#[tokio::test]
async fn about_nobody_or_the_erased_nothing_is_sealed_and_nothing_sent() {
    let (table, store, gateway) = with_ana().await;
    let nobody = r#"{"email":"eve@mail.example"}"#;
    let refused = ask(&gateway, "boss", ("POST", "/customers"), "", nobody).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("whom it is about"), "{}", refused.text());
    gateway.cards.set_status(&person(), "c-1", SubjectStatus::Erased).await.unwrap();
    gateway.cards.set_status(&person(), "c-9", SubjectStatus::Erased).await.unwrap();
    let before = table.row("c-1");
    let asked = store.asked().len();
    let gone = ANA.replace("c-1", "c-9");
    let made = ask(&gateway, "boss", ("POST", "/customers"), "", &gone).await;
    let changed = one(&gateway, "boss", "PATCH", r#"{"email":"eve@mail.example"}"#).await;
    assert!(made.status >= 400 && changed.status >= 400, "{} {}", made.status, changed.status);
    let writes = store.asked().into_iter().skip(asked).filter(|asked| asked.method() != "GET");
    assert_eq!(writes.count(), 0);
    assert_eq!(table.row("c-1"), before);
    assert_nothing_leaked(&store);
}

/// Makes Ana, or changes her, while one call of an engine fails, each once.
async fn fail_at_every_call(method: &str, body: &str, may_hold: &[&str]) {
    for of_keys in [true, false] {
        for moment in [FaultMoment::Before, FaultMoment::After] {
            for call in 1.. {
                let (table, store) = Table::start(Versions::Strong, &[]).await;
                let setup = Setup::new(POLICY, &store);
                let engine = if of_keys { &setup.key_rows } else { &setup.card_rows }.clone();
                let gateway = Gateway::start(setup);
                let post = ("POST", "/customers");
                if method == "PATCH" {
                    assert_eq!(ask(&gateway, "boss", post, "", ANA).await.status, 201);
                }
                engine.plan_fault(FaultPlan { call, moment });
                let path = if method == "PATCH" { (method, "/customers/c-1") } else { post };
                let reply = ask(&gateway, "boss", path, "", body).await;
                let has_failed = engine.clear_fault();
                // Nothing in clear; what is there opens, whatever its writer was told.
                assert_nothing_leaked(&store);
                assert!(table.len() > 0 || reply.status >= 400, "{call}: {}", reply.status);
                if table.len() > 0 {
                    let found = one(&gateway, "boss", "GET", "").await.json()["email"].clone();
                    assert!(may_hold.iter().any(|value| found == *value), "{call}: {found}");
                }
                if !has_failed {
                    assert!(reply.status < 300, "{}", reply.text());
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_fails_while_a_record_is_written_it_is_sealed_and_opens() {
    let sent = r#"{"email":"eve@mail.example"}"#;
    fail_at_every_call("POST", ANA, &["ana-planted@mail.example"]).await;
    let may_hold = ["ana-planted@mail.example", "eve@mail.example"];
    fail_at_every_call("PATCH", sent, &may_hold).await;
}

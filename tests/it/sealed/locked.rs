//! The root key's provider goes silent: what needs a key is refused before a store is asked, the
//! rest goes on, and all of it works again when the provider is back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use privet::clock::SystemEntropy;
use privet::crypto::KdfCost;
use privet::keys::KeyRing;
use privet::keys::KeysConfig;
use privet::keys::OpenBao;
use privet::keys::RootProvider;
use privet::types::Consent;
use privet::types::PurposeId;
use privet::types::SubjectStatus;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::erased::admin;
use super::erased::erase;
use super::writes::ask;
use crate::harness::Asked;
use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::person;
use crate::transit_server::Mood;
use crate::transit_server::TOKEN;
use crate::transit_server::TransitServer;

const POLICY: &str = r#"
privet: policy/v1
purposes: { care: { basis: contract } }
roles:
  boss: { claim: roles, has: boss }
  copy: { claim: roles, has: copy }
  stats: { claim: roles, has: stats }
views:
  token: { pseudonymize: { scope: purpose } }
  vault: { pseudonymize: { scope: purpose, reversible: true } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", find_by: { email: email } }
      - { on: "PATCH /customers/{id}", records: "$" }
      - { on: "PUT /customers/{id}", records: "$" }
      - { on: "DELETE /customers/{id}" }
      - { on: "POST /customers", records: "$", created_id: "$.id" }
      - { on: "GET /bundle", records: { "$.own": shop.orders, "$.more[*]": shop.customers } }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email, at_rest: encrypt, index: email_index, max_length: 200 }
  shop.orders:
    subject: { field: customer, domain: person }
    routes:
      - { on: "GET /orders/{customer}", records: "$" }
    fields:
      customer: { category: user.unique_id }
      note: { category: user.content.private }
  shop.goods:
    subject: none
    routes:
      - { on: "GET /goods", records: "$[*]" }
    fields:
      sku: { category: system.operations }
grants:
  - id: boss-all
    roles: [boss]
    purposes: [care]
    data: [shop.customers, shop.orders, shop.goods]
    can: [read, create, update, delete]
    find_by: [email]
    levels: { general: show, sensitive: show, critical: show }
    writes: [id, name, email, customer, note, sku]
  - id: copies
    roles: [copy]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show, name: show, email: ciphertext }
  - id: tokens
    roles: [stats]
    purposes: [care]
    data: [shop.orders]
    can: [read]
    find_by: [customer]
    fields: { customer: token, note: show }
"#;

const ANA: &str = r#"{"id":"c-1","name":"Ana","email":"ana-planted@mail.example"}"#;
const BO: &str = r#"{"name":"Bo","email":"bo-planted@mail.example"}"#;
/// Keys lock this long after the last word. Long enough for a machine that is busy.
const CACHED: Duration = Duration::from_secs(3);

/// A gateway whose root key is in a transit engine.
struct Site {
    provider: TransitServer,
    table: Table,
    store: FakeStore,
    gateway: Gateway,
    _home: TempDir,
}

pub(super) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A ring of fresh keys whose root key is in that engine.
pub(super) async fn ring(home: &Path, provider: &TransitServer) -> KeyRing {
    let token_file = home.join("token");
    write(&token_file, TOKEN);
    let root = RootProvider::OpenBao(OpenBao {
        url: provider.url().parse().unwrap(),
        mount: "transit".to_owned(),
        key: "shop".to_owned(),
        token_file,
        ca: None,
        namespace: None,
    });
    let config = KeysConfig {
        root,
        cached: CACHED,
        high_water: None,
        dir: home.join("keys"),
        tenant: "shop".to_owned(),
    };
    KeyRing::init(&config, KdfCost::FLOOR, &SystemEntropy).await.unwrap();
    KeyRing::open(&config, Arc::new(SystemEntropy)).await.unwrap()
}

impl Site {
    /// With Ana in the store, sealed.
    async fn start() -> Self {
        Self::with(|_, _| Vec::new()).await
    }

    async fn with(before: impl Fn(&Table, &Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let (home, provider) = (TempDir::new().unwrap(), TransitServer::start().await);
        let (table, store) = Table::with(Versions::Strong, &[], move |table, asked| {
            let body = match asked.target() {
                "/goods" => r#"[{"sku":"s-1"}]"#,
                "/orders/c-1" => r#"{"customer":"c-1","note":"n"}"#,
                "/orders/c-2" => r#"{"customer":"c-2","note":"n"}"#,
                _ => return before(table, asked),
            };
            vec![Step::Bytes(crate::harness::json(200, body))]
        })
        .await;
        let mut setup = Setup::new(POLICY, &store);
        setup.keys = Some(ring(home.path(), &provider).await);
        let gateway = Gateway::start(setup);
        let site = Self { provider, table, store, gateway, _home: home };
        let made = site.ask("boss", ("POST", "/customers"), ANA).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(!site.table.row("c-1").unwrap().contains("planted"));
        site
    }

    async fn ask(&self, role: &str, call: (&str, &str), body: &str) -> Reply {
        ask(&self.gateway, role, call, "", body).await
    }

    async fn get(&self, role: &str, target: &str) -> Reply {
        self.ask(role, ("GET", target), "").await
    }

    async fn lock(&self) {
        self.provider.is(Mood::Sealed);
        until(|| !self.gateway.keys.is_usable() && self.is_told(1)).await;
    }

    async fn unlock(&self) {
        self.provider.is(Mood::Well);
        until(|| self.gateway.keys.is_usable() && self.is_told(0)).await;
    }

    /// Whether the metric says so, which is set last.
    fn is_told(&self, locked: i64) -> bool {
        self.gateway.keys.metrics().locked.get() == locked
    }

    /// Refused for want of keys, with the store not asked.
    async fn assert_refused(&self, role: &str, call: (&str, &str), body: &str) {
        let before = self.store.asked().len();
        let reply = self.ask(role, call, body).await;
        assert_locked(&reply, &format!("{role} {call:?}"));
        let asked = self.store.asked();
        assert_eq!(asked.len(), before, "{role} {call:?}: {:?}", asked.last());
    }
}

fn assert_locked(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 503, "{what}: {}", reply.text());
    assert!(reply.text().contains("urn:privet:problem:key-unavailable"), "{what}");
    assert!(reply.header("retry-after").is_some(), "{what}");
    for secret in ["planted", "pvt1_", "bi1_", "c-1", "OpenBao", "transit"] {
        assert!(!reply.raw_text().contains(secret), "{what}: {}", reply.raw_text());
    }
}

/// Waits until something holds.
pub(super) async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it holds in time");
}

/// Everything that cannot be done without a key, with a body where there is one.
const NEEDS_KEYS: [(&str, (&str, &str), &str); 9] = [
    ("boss", ("GET", "/bundle"), ""),
    ("boss", ("GET", "/customers/c-1"), ""),
    ("boss", ("GET", "/customers"), ""),
    ("boss", ("GET", "/customers?email=ana-planted@mail.example"), ""),
    ("boss", ("POST", "/customers"), BO),
    ("boss", ("PATCH", "/customers/c-1"), r#"{"name":"Eve"}"#),
    ("boss", ("PUT", "/customers/c-1"), ANA),
    ("boss", ("DELETE", "/customers/c-1"), ""),
    ("stats", ("GET", "/orders/c-1"), ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_key_is_refused_before_the_store_is_asked_and_comes_back_by_itself() {
    let site = Site::start().await;
    let record = site.get("boss", "/customers/c-1").await;
    let token = site.get("stats", "/orders/c-1").await;
    assert!(record.text().contains("ana-planted@mail.example"), "{}", record.text());
    assert!(token.text().contains("ps1_"), "{}", token.text());
    let stored = site.table.row("c-1");

    for _ in 0..2 {
        site.lock().await;
        for (role, call, body) in NEEDS_KEYS {
            site.assert_refused(role, call, body).await;
        }
        assert_eq!((site.table.row("c-1"), site.table.len()), (stored.clone(), 1));

        // What needs none goes on, for people at hand too.
        assert_eq!(site.get("boss", "/goods").await.text(), r#"[{"sku":"s-1"}]"#);
        assert_eq!(site.get("boss", "/orders/c-1").await.status, 200);
        let copy = site.get("copy", "/customers/c-1").await;
        assert!(copy.text().contains("pvt1_"), "{} {}", copy.status, copy.text());
        // The name in the log of somebody who is not at hand comes from their key; a newcomer has
        // none yet, and gets no card without one.
        let unknown = site.get("boss", "/orders/c-2").await;
        assert_locked(&unknown, "somebody who is not at hand");
        assert!(site.gateway.cards.find(&person(), "c-2").await.unwrap().is_none());

        site.unlock().await;
        assert_eq!(site.get("boss", "/customers/c-1").await.body, record.body);
        assert_eq!(site.get("stats", "/orders/c-1").await.body, token.body);
        let found = site.get("boss", "/customers?email=ana-planted@mail.example").await;
        assert!(found.text().contains("ana-planted"), "{}", found.text());
    }
    let made = site.ask("boss", ("POST", "/customers"), BO).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let read = site.get("boss", &format!("/customers/{id}")).await;
    assert!(read.text().contains("bo-planted@mail.example"), "{}", read.text());
    assert_eq!(site.get("boss", "/orders/c-2").await.status, 200);
    let gone = site.ask("boss", ("DELETE", "/customers/c-1"), "").await;
    assert_eq!(gone.status, 204, "{}", gone.text());
}

/// So many records as the store holds Ana, each long, so that they leave in several pieces.
fn many(row: &str, count: usize) -> String {
    let row = row.replacen("Ana", &"Ana".repeat(200), 1);
    vec![row; count].join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_is_cut_off_when_keys_lock() {
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let site = Site::with(move |table, asked| {
        if asked.method() != "GET" || asked.target() != "/customers" {
            return Vec::new();
        }
        let row = table.row("c-1").unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
        vec![
            Step::Bytes(format!("{head}{}", many(&row, 600)).into_bytes()),
            Step::Wait(Arc::clone(&wait)),
            Step::Bytes(format!(",{}]", many(&row, 600)).into_bytes()),
            Step::Close,
        ]
    })
    .await;
    go_on.notify_one();
    let whole = site.get("boss", "/customers").await;
    assert!(whole.is_whole && whole.text().matches("ana-planted").count() == 1_200);

    for role in ["boss", "copy"] {
        let before = site.store.asked().len();
        let (reply, ()) = tokio::join!(site.get(role, "/customers"), async {
            until(|| site.store.asked().len() > before).await;
            site.lock().await;
            go_on.notify_one();
        });
        let records = reply.text().matches(r#""id":"c-1""#).count();
        if role == "copy" {
            // Needs no key: it ends as it should.
            assert!(reply.is_whole && records == 1_200, "{records}");
        } else {
            assert_eq!(reply.status, 200);
            assert!(!reply.is_whole, "cut off, so that nobody takes it for all");
            assert!((1..=600).contains(&records), "{records}");
        }
        site.unlock().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_key_is_destroyed_while_keys_are_locked() {
    let site = Site::start().await;
    let made = site.ask("boss", ("POST", "/customers"), BO).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let admin = admin(&site.gateway).await;
    let key = site.gateway.cards.find(&person(), "c-1").await.unwrap().unwrap();
    assert!(key.keys.as_ref().unwrap().sealing().is_some());
    site.lock().await;
    let card = site.gateway.cards.find(&person(), "c-1").await.unwrap().unwrap();
    assert!(
        card.keys.as_ref().unwrap().is_locked() && card.token == key.token,
        "the name without the keys"
    );
    assert_eq!(erase(admin, "olga", "c-404").await.status, 404);
    let done = erase(admin, "olga", "c-1").await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.json()["keys_destroyed"], 1);
    site.unlock().await;
    let closed = site.get("boss", "/customers/c-1").await;
    assert!(!closed.text().contains("planted"), "{}", closed.text());
    let other = site.get("boss", &format!("/customers/{id}")).await;
    assert!(other.text().contains("bo-planted"), "{}", other.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_a_use_is_written_down_while_keys_are_locked() {
    let site = Site::start().await;
    let cards = &site.gateway.cards;
    site.lock().await;
    cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    cards.set_consent(&person(), "c-1", "care", Consent::Refused).await.unwrap();
    let unknown = cards.set_status(&person(), "c-9", SubjectStatus::Restricted).await;
    assert!(unknown.unwrap_err().is_locked(), "somebody without a card gets none without a key");
    site.unlock().await;
    let card = cards.find(&person(), "c-1").await.unwrap().unwrap();
    assert_eq!(card.status, SubjectStatus::Restricted.into());
    assert_eq!(card.consents["care"], Consent::Refused);
    assert!(card.keys.as_ref().unwrap().sealing().is_some(), "and the key is there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_kept_from_before_makes_anything_while_keys_are_locked() {
    let site = Site::start().await;
    let keys = &site.gateway.keys;
    let purpose = PurposeId::parse("care").unwrap();
    site.lock().await;
    assert!(keys.pseudonyms(&purpose).is_err());
    assert!(keys.roll(|_| {}).await.is_err(), "no epoch begins without the provider");
    let rotated = site.gateway.cards.rotate_key(&person(), "c-1").await;
    assert!(rotated.unwrap_err().is_locked());
    site.provider.is(Mood::Well);
    until(|| keys.is_usable()).await;
    assert!(keys.roll(|_| {}).await.is_ok());
    assert!(site.get("boss", "/customers/c-1").await.text().contains("ana-planted"));
    site.lock().await;
    site.assert_refused("boss", ("GET", "/customers/c-1"), "").await;
    site.unlock().await;
    assert!(site.get("boss", "/customers/c-1").await.text().contains("ana-planted"));
}

//! What is said to the admin listener counts for the next read, of lists, of single records and of
//! answers under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;

use super::admin;
use super::erased::admin as listen;
use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json as answer;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { basis: contract, opt_out: care }
  news: { basis: consent, consent: news }
  stats: { basis: legitimate_interest }
  post: { basis: contract, use: marketing.communications }
roles:
  support: { claim: roles, has: support }
  family: { is_subject: true, or_representative: [guardian] }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
grants:
  - { id: all, roles: [support], purposes: [care, news, stats, post], data: [shop.customers], can: [read], fields: { id: show, email: show } }
  - { id: family, roles: [family], purposes: [care], data: [shop.customers], can: [read], fields: { id: show, email: show } }
limits:
  - { id: restricted, if: { subject_status: restricted }, then: leave_out }
  - { id: out, if: { opted_out: true }, then: leave_out }
"#;

const KIM: &str = r#"{"id":"c-1","email":"kim@mail.example"}"#;
const BOB: &str = r#"{"id":"c-2","email":"bob@mail.example"}"#;

/// What closes, for which purpose, and what must have been said before.
const KINDS: [(&str, &str, &str, &str); 6] = [
    (
        "withdrawal",
        "news",
        r#"{"consent":"news","given":true}"#,
        r#"{"consent":"news","given":false}"#,
    ),
    ("opt-out", "care", "", r#"{"name":"care","out":true}"#),
    ("objection", "stats", "", r#"{"status":"objected"}"#),
    ("objection to marketing", "post", "", r#"{"status":"objected,minor"}"#),
    ("restriction", "care", r#"{"status":"minor"}"#, r#"{"status":"minor,restricted"}"#),
    (
        "expiry",
        "news",
        r#"{"consent":"news","given":true}"#,
        r#"{"consent":"news","given":true,"until":1}"#,
    ),
];

/// A store with two people, as records and as a list.
async fn site() -> (FakeStore, Gateway, SocketAddr) {
    let store = FakeStore::start(|asked| {
        vec![Step::Bytes(match asked.target() {
            target if target.ends_with("/c-1") => answer(200, KIM),
            target if target.ends_with("/c-2") => answer(200, BOB),
            target if target.ends_with("/customers") => answer(200, &format!("[{KIM},{BOB}]")),
            _ => answer(404, "{}"),
        })]
    })
    .await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let admin = listen(&gateway).await;
    (store, gateway, admin)
}

/// Tells the admin listener something about the first person.
async fn say(admin: SocketAddr, said: &str) {
    if said.is_empty() {
        return;
    }
    let mut body: Value = serde_json::from_str(said).unwrap();
    let path = ["consent", "status", "name"].into_iter().find(|key| body.get(key).is_some());
    let path = path.unwrap().replace("name", "opt-out");
    body["id"] = "c-1".into();
    let reply = post(admin, &format!("subjects/{path}"), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn post(admin: SocketAddr, path: &str, body: &Value) -> Reply {
    admin::post(admin, "olga", &format!("/api/v1/{path}"), (None, body)).await
}

async fn one(gateway: &Gateway, token: &str, id: &str) -> Reply {
    get(gateway.address, &format!("/shop/customers/{id}"), token, "").await
}

#[tokio::test]
async fn lists_leave_out_and_single_reads_are_the_stores_own_404_from_the_next_read_on() {
    for (kind, purpose, before, said) in KINDS {
        let (_store, gateway, admin) = site().await;
        let token = gateway.token(&["support"], &[purpose]);
        if purpose == "news" {
            let given = json!({ "id": "c-2", "consent": "news", "given": true });
            assert_eq!(post(admin, "subjects/consent", &given).await.status, 200);
        }
        say(admin, before).await;
        assert_eq!(one(&gateway, &token, "c-1").await.status, 200, "{kind}");
        say(admin, said).await;
        let (closed, absent) =
            (one(&gateway, &token, "c-1").await, one(&gateway, &token, "c-3").await);
        assert_eq!((closed.status, &closed.body), (404, &absent.body), "{kind}");
        assert_eq!(closed.header_names(), absent.header_names(), "{kind}");
        let list = get(gateway.address, "/shop/customers", &token, "").await.json();
        assert_eq!(list, serde_json::from_str::<Value>(&format!("[{BOB}]")).unwrap(), "{kind}");
    }
}

async fn releases(gateway: &Gateway) -> Vec<Entry> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(Kind::Release), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(|found| found.unwrap().1).collect()
}

/// The second half comes from the store after what was said: nothing of it leaves.
#[tokio::test]
async fn an_answer_under_way_shows_nothing_more_of_whoever_said_so() {
    for (kind, purpose, before, said) in KINDS {
        let go_on = Arc::new(Notify::new());
        let wait = Arc::clone(&go_on);
        let half = vec![KIM; HALF].join(",");
        let text = format!("[{half},{half}]");
        let (first, second) = text.split_at(half.len() + 1);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
            text.len()
        );
        let (head, second) = (head.into_bytes(), second.as_bytes().to_vec());
        let store = FakeStore::start(move |_| {
            let wait = Arc::clone(&wait);
            vec![Step::Bytes(head.clone()), Step::Wait(wait), Step::Bytes(second.clone())]
        })
        .await;
        let gateway = Gateway::start(Setup::new(POLICY, &store));
        let admin = listen(&gateway).await;
        say(admin, before).await;
        let token = gateway.token(&["support"], &[purpose]);
        let address = gateway.address;
        let read = tokio::spawn(async move { get(address, "/shop/customers", &token, "").await });
        while releases(&gateway).await.is_empty() {}
        say(admin, said).await;
        go_on.notify_one();
        let reply = read.await.unwrap();
        assert_eq!(reply.status, 200, "{kind}");
        let shown: u32 = releases(&gateway).await.iter().filter_map(|entry| entry.records).sum();
        assert!(shown > 0 && usize::try_from(shown).unwrap() <= HALF, "{kind}: {shown}");
        assert_eq!(reply.json().as_array().unwrap().len(), usize::try_from(shown).unwrap());
    }
}

/// Consent that runs out closes without anybody saying so: every read that starts after its end is
/// refused.
#[tokio::test]
async fn what_expires_closes_by_itself() {
    let (_store, gateway, admin) = site().await;
    let token = gateway.token(&["support"], &["news"]);
    let until = gateway.keys.now().plus_ms(1_500);
    let given = json!({ "consent": "news", "given": true, "until": until.unix_ms() });
    say(admin, &given.to_string()).await;
    assert_eq!(one(&gateway, &token, "c-1").await.status, 200);
    let mut after = 0;
    while after < 3 {
        let is_after = gateway.keys.now() >= until;
        let status = one(&gateway, &token, "c-1").await.status;
        assert!(!is_after || status == 404, "{status}");
        after += u32::from(is_after);
    }
}

/// Reads that start after the admin listener has answered see what was said, however many others
/// read at the same time. Prints how long it took from that answer to the end of the first refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_no_read_is_stale_after_the_answer() {
    let (_store, gateway, admin) = site().await;
    let token = gateway.token(&["support"], &["care"]);
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..4)
        .map(|n| {
            let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
            let (address, token) = (gateway.address, token.clone());
            let target = if n % 2 == 0 { "/shop/customers" } else { "/shop/customers/c-1" };
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let status = get(address, target, &token, "").await.status;
                    assert!(matches!(status, 200 | 404 | 503), "{status}");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut took = Vec::with_capacity(CHANGES / 2);
    for n in 0..CHANGES {
        let closes = n % 2 == 0;
        say(admin, if closes { r#"{"status":"restricted"}"# } else { r#"{"status":"active"}"# })
            .await;
        let since = Instant::now();
        let status = one(&gateway, &token, "c-1").await.status;
        assert_eq!(status, if closes { 404 } else { 200 }, "change {n}");
        if closes {
            took.push(since.elapsed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in load {
        reader.await.unwrap();
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "{CHANGES} changes, none stale, {} other reads: from answer to refusal p50 {:.1} ms, p99 {:.1} ms",
        reads.load(Ordering::Relaxed),
        at(50),
        at(99)
    );
}

#[tokio::test]
async fn a_hold_is_placed_shown_and_released_and_keeps_the_key_meanwhile() {
    let (_store, _gateway, admin) = site().await;
    say(admin, r#"{"status":"restricted,minor"}"#).await;
    let refused = post(admin, "subjects/status", &json!({ "id": "c-1", "status": "held" })).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("privet hold add"), "{}", refused.text());
    let wish = json!({ "id": "c-1", "case": "2026-113", "why": "a claim" });
    let mut holds = Vec::new();
    for _ in 0..2 {
        let placed = post(admin, "holds", &wish).await;
        assert_eq!(placed.status, 200, "{}", placed.text());
        holds.push(placed.json()["hold"].as_str().unwrap().to_owned());
    }
    let show = async || post(admin, "subjects/show", &json!({ "id": "c-1" })).await.json();
    // Setting the rest leaves holds as they are.
    say(admin, r#"{"status":"minor"}"#).await;
    let shown = show().await;
    assert_eq!(
        (&shown["status"], &shown["holds"][1]["by"]),
        (&"held,minor".into(), &"olga".into())
    );
    for hold in &holds {
        let erased = super::erased::erase(admin, "olga", "c-1").await;
        assert_eq!((erased.status, show().await["status"].as_str()), (409, Some("held,minor")));
        let path = format!("holds/{hold}/release");
        assert_eq!(post(admin, &path, &json!({ "why": "" })).await.status, 400);
        assert_eq!(post(admin, &path, &json!({ "why": "settled" })).await.status, 200);
        assert_eq!(post(admin, &path, &json!({ "why": "settled" })).await.status, 404);
    }
    assert_eq!(show().await["status"], "minor");
    assert_eq!(super::erased::erase(admin, "olga", "c-1").await.status, 200);
}

#[tokio::test]
async fn a_guardian_reads_the_childs_record_while_it_is_a_child_and_the_log_says_as_what() {
    let (_store, gateway, admin) = site().await;
    let as_person = |id: &str| {
        let (subject_id, purposes) = (Some(id.to_owned()), vec!["care".to_owned()]);
        gateway.mint(&Wanted { subject_id, purposes, ..wanted(id) })
    };
    let (ana, eve) = (as_person("ana-ruiz-1971"), as_person("eve-ruiz-1972"));
    assert_eq!(one(&gateway, &ana, "c-1").await.status, 404, "she acts for nobody yet");
    let until = gateway.keys.now().plus_ms(60_000).unix_ms();
    let wish = json!({ "id": "c-1", "by": "ana-ruiz-1971", "kind": "guardian", "until": until, "proof": "register 118" });
    let named = post(admin, "subjects/representatives/add", &wish).await;
    assert_eq!(named.status, 200, "{}", named.text());
    assert!(!named.text().contains("ana-ruiz-1971"), "no id is told: {}", named.text());
    assert_eq!(named.json()["representatives"][0]["in_force"], false);
    assert_eq!(one(&gateway, &ana, "c-1").await.status, 404);

    say(admin, r#"{"status":"minor"}"#).await;
    let seen = one(&gateway, &ana, "c-1").await;
    assert_eq!((seen.status, seen.text()), (200, KIM.to_owned()));
    assert_eq!(one(&gateway, &ana, "c-2").await.status, 404);
    assert_eq!(one(&gateway, &eve, "c-1").await.status, 404);
    let list = get(gateway.address, "/shop/customers", &ana, "").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let mut shown = releases(&gateway).await;
    shown.retain(|entry| entry.records > Some(0));
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|entry| entry.facts["as"].as_ref() == "guardian"));

    // The child is itself, and says so in no other way.
    assert_eq!(one(&gateway, &as_person("c-1"), "c-1").await.status, 200);
    assert!(!releases(&gateway).await.last().unwrap().facts.contains_key("as"));

    say(admin, r#"{"status":"minor,deceased"}"#).await;
    assert_eq!(one(&gateway, &ana, "c-1").await.status, 404);
    assert_eq!(one(&gateway, &as_person("c-1"), "c-1").await.status, 403, "the dead do not call");
    say(admin, r#"{"status":"minor"}"#).await;
    let back = json!({ "id": "c-1", "by": "ana-ruiz-1971" });
    assert_eq!(post(admin, "subjects/representatives/remove", &back).await.status, 200);
    assert_eq!(one(&gateway, &ana, "c-1").await.status, 404);
    assert_eq!(post(admin, "subjects/representatives/remove", &back).await.status, 400);
}

/// Records of half a list: more than an answer that is gathered before it begins.
const HALF: usize = 8_000;
/// Changes under load.
const CHANGES: usize = 500;

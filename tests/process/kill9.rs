//! Killed under load, a hundred times: what a client received is in the log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::harness::{Answer, Site, Store, get_with, privet};

const ROUNDS: usize = 100;
const CLIENTS: usize = 4;

/// Every record is wide enough that a list of them is streamed in several batches.
fn customer(n: usize) -> Value {
    json!({
        "id": format!("c-{n}"), "nickname": "x".repeat(300), "name": format!("Person {n}"),
        "email": format!("p{n}@mail.example"), "phone": "+440000000000", "country": "GB",
        "last_order_at": "2026-11-01",
    })
}

fn store() -> Store {
    let list = Value::from((0..600).map(customer).collect::<Vec<_>>()).to_string();
    Store::start(move |target| match target.strip_prefix("/customers/c-") {
        Some(id) => Some(customer(id.parse().ok()?).to_string()),
        None => Some(list.clone()),
    })
}

#[test]
fn no_byte_a_client_received_lacks_its_entry() {
    let store = store();
    let site = Site::new(store.address());
    // Two clients read lists of 600 as fast as they can; bulk limits are not under test here.
    site.edit("policies/customer-care.yaml", |text| {
        text.replace("subjects_shown_over: 2000", "subjects_shown_over: 1000000")
    });
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let mut received: Vec<Answer> = Vec::new();
    for round in 0..ROUNDS {
        let gateway = site.serve();
        received.extend(load_until_killed(gateway, &token, round));
    }
    // What the last kill left in the journal gets its checkpoint at the next start.
    let gateway = site.serve();
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().0, Some(0));

    let released = releases(&site);
    let mut cut = 0;
    for answer in &received {
        assert_eq!(answer.status, 200, "{}", answer.head);
        let records = answer.body.windows(6).filter(|w| w == b"\"id\":\"").count();
        cut += usize::from(!answer.complete);
        if answer.body.is_empty() {
            continue;
        }
        let id = answer.decision().unwrap();
        let logged = released.get(id).copied().unwrap_or(0);
        assert!(records <= logged, "call {id}: {records} records received, {logged} in the log");
    }
    // Otherwise the test has shown nothing.
    assert!(received.len() > ROUNDS, "only {} answers in all", received.len());
    assert!(cut > 0, "no answer was cut off by a kill");
}

/// Calls from several threads; kills the gateway when a number of answers that differs from round
/// to round has come.
fn load_until_killed(gateway: crate::harness::Gateway, token: &str, round: usize) -> Vec<Answer> {
    let stop = AtomicBool::new(false);
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (sender, stop, to) = (sender.clone(), &stop, gateway.gateway);
            scope.spawn(move || client_loop(to, token, client, stop, &sender));
        }
        drop(sender);
        let mut got: Vec<Answer> = answers.iter().take(2 + round % 7).collect();
        gateway.kill9();
        stop.store(true, Ordering::SeqCst);
        got.extend(answers.iter());
        got
    })
}

fn client_loop(
    to: SocketAddr,
    token: &str,
    client: usize,
    stop: &AtomicBool,
    sender: &mpsc::Sender<Answer>,
) {
    let headers = [("Authorization", format!("Bearer {token}"))];
    let path =
        if client.is_multiple_of(2) { "/shop/customers?limit=600" } else { "/shop/customers/c-7" };
    while !stop.load(Ordering::SeqCst) {
        // Nothing came: the gateway is gone.
        let Some(answer) = get_with(to, path, &headers) else { return };
        if sender.send(answer).is_err() {
            return;
        }
    }
}

/// Records released, by decision id, as the log has them.
fn releases(site: &Site) -> BTreeMap<String, usize> {
    let verified = privet(&site.dir(), &["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let all = ["audit", "search", "--kind", "release", "--limit", "100000000", "--output", "jsonl"];
    let out = privet(&site.dir(), &all);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut found = BTreeMap::new();
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["decision_id"].as_str().unwrap().to_owned();
        let records = usize::try_from(row["records"].as_u64().unwrap()).unwrap();
        let tokens = row["subjects"].as_array().unwrap().len();
        assert_eq!(tokens, records, "each record of a batch is about one person");
        *found.entry(id).or_insert(0) += records;
    }
    found
}

//! What comes before what, and what happens when something changes in between.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::person;
use privet::clock::Clock;
use privet::clock::ManualClock;
use privet::clock::SystemClock;
use privet::types::SubjectStatus;

const PATCH: &str = r#"{"city":"Rome"}"#;

/// A store that waits before it answers the first `method`.
struct Gate {
    table: Table,
    store: FakeStore,
    asked: Arc<Notify>,
    go: Arc<Notify>,
}

impl Gate {
    async fn before(method: &'static str) -> Self {
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, open) = (Arc::clone(&asked), Arc::clone(&go));
        let is_first = AtomicBool::new(true);
        let before = move |_: &Table, request: &crate::harness::Asked| {
            if request.method() != method || !is_first.swap(false, Ordering::Relaxed) {
                return Vec::new();
            }
            told.notify_one();
            vec![Step::Wait(Arc::clone(&open))]
        };
        let (table, store) = Table::with(Versions::Strong, &[("c-1", ANA)], before).await;
        Self { table, store, asked, go }
    }

    /// Lets something happen while the store is asked.
    async fn meanwhile(
        &self,
        call: impl Future<Output = Reply>,
        happens: impl Future<Output = ()>,
    ) -> Reply {
        let happens = async {
            self.asked.notified().await;
            happens.await;
            self.go.notify_one();
        };
        tokio::join!(call, happens).0
    }
}

#[tokio::test]
async fn without_its_entry_in_the_log_nothing_is_written() {
    let gate = Gate::before("GET").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let call = call(&gateway, "PATCH", &clerk, "", PATCH);
    let reply = gate.meanwhile(call, async { gateway.log.close().await.unwrap() }).await;
    assert_eq!(reply.status, 503);
    assert_eq!(writes(&gate.store), Vec::<String>::new());
    assert_eq!(gate.table.row("c-1").unwrap(), ANA);
}

#[tokio::test]
async fn the_intent_is_on_disk_when_the_store_is_asked() {
    let gate = Gate::before("PATCH").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let call = call(&gateway, "PATCH", &clerk, "", PATCH);
    let look = async {
        assert_eq!(kinds(&entries(&gateway).await), [Kind::Intent]);
    };
    assert_eq!(gate.meanwhile(call, look).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_not_told() {
    let gate = Gate::before("PATCH").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let call = call(&gateway, "PATCH", &clerk, "", PATCH);
    let reply = gate.meanwhile(call, async { gateway.log.close().await.unwrap() }).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert!(gate.table.row("c-1").unwrap().contains("Rome"));
}

#[tokio::test]
async fn another_policy_between_reading_and_writing_counts() {
    for (from, to) in [
        ("writes: [name, email, city, country]", "writes: [name]"),
        ("can: [read, create, update]\n    fields", "can: [read]\n    fields"),
        ("email: email-hint, city", "email: show, city"),
    ] {
        let gate = Gate::before("GET").await;
        let gateway = gateway(&gate.store);
        let clerk = token(&gateway, "clerk");
        let policy = POLICY.replace(from, to);
        assert_ne!(policy, POLICY);
        let policy = if to == "can: [read]\n    fields" {
            policy.replacen("    writes: [name, email, city, country]\n", "", 1)
        } else {
            policy
        };
        let call = call(&gateway, "PATCH", &clerk, "", PATCH);
        let reply = gate.meanwhile(call, async { gateway.reload(&policy) }).await;
        assert_eq!(reply.status, 403, "{to}: {}", reply.text());
        assert_eq!(writes(&gate.store), Vec::<String>::new(), "{to}");
    }
}

#[tokio::test]
async fn a_credential_that_expires_between_reading_and_writing_counts() {
    for (method, body) in [("PATCH", PATCH), ("DELETE", "")] {
        let gate = Gate::before("GET").await;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let mut setup = Setup::new(POLICY, &gate.store);
        setup.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let gateway = Gateway::start(setup);
        let boss = token(&gateway, "boss");
        let call = call(&gateway, method, &boss, "", body);
        let reply = gate.meanwhile(call, async { clock.advance_ms(2 * 3_600_000) }).await;
        assert_eq!(reply.status, 401, "{}", reply.text());
        assert_eq!(writes(&gate.store), Vec::<String>::new(), "{method}");
        assert_eq!(gate.table.row("c-1").unwrap(), ANA);
    }
}

#[tokio::test]
async fn a_restriction_between_reading_and_writing_counts() {
    let gate = Gate::before("GET").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let call = call(&gateway, "PATCH", &clerk, "", PATCH);
    let restrict = async {
        let status = SubjectStatus::Restricted;
        gateway.cards.set_status(&person(), "c-1", status).await.unwrap();
    };
    let reply = gate.meanwhile(call, restrict).await;
    assert_eq!(reply.status, 404);
    assert_eq!(writes(&gate.store), Vec::<String>::new());
}

#[tokio::test]
async fn a_restriction_while_the_store_writes_keeps_the_answer_back() {
    let gate = Gate::before("PATCH").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let call = call(&gateway, "PATCH", &clerk, "", PATCH);
    let restrict = async {
        let status = SubjectStatus::Restricted;
        gateway.cards.set_status(&person(), "c-1", status).await.unwrap();
    };
    let reply = gate.meanwhile(call, restrict).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert!(gate.table.row("c-1").unwrap().contains("Rome"));
}

#[tokio::test]
async fn a_client_that_goes_away_changes_nothing_about_its_write() {
    let gate = Gate::before("PATCH").await;
    let gateway = gateway(&gate.store);
    let clerk = token(&gateway, "clerk");
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "PATCH /shop/customers/c-1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {clerk}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{PATCH}",
        PATCH.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    gate.asked.notified().await;
    drop(stream);
    gate.go.notify_one();
    let outcome = loop {
        let entries = entries(&gateway).await;
        if let Some(outcome) = entries.into_iter().find(|entry| entry.kind == Kind::Outcome) {
            break outcome;
        }
        tokio::task::yield_now().await;
    };
    assert!(gate.table.row("c-1").unwrap().contains("Rome"));
    assert_eq!(outcome.reason.as_deref(), Some("written"));
    assert_eq!(outcome.status, Some(200));
}

//! Privet in front of json-server, a store that nobody here wrote.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use privet::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Site, get};

struct JsonServer {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl JsonServer {
    /// Starts it with a few customers; `None`, said in a line, when `make test` has not fetched it.
    fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/stores/json-server/node_modules/json-server/lib/cli/bin.js");
        if !script.exists() {
            eprintln!("skipped: json-server is not there; `make test` fetches it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let people: Vec<Value> = (1..=3)
            .map(|n| {
                json!({
                    "id": format!("c-{n}"), "name": format!("Zoë {n} \u{1F33B}"), "nickname": "z",
                    "email": format!("zoe.{n}@mail.example"), "phone": format!("+44770090019{n}"),
                    "address": { "street": "1 High Street", "city": "Leeds" },
                    "country": "GB", "national_id": "TEST0000T", "birthday": "1988-10-09",
                    "last_order_at": "2026-11-01", "loyalty": 12345678901234567890u64,
                })
            })
            .collect();
        let data = folder.path().join("db.json");
        fs::write(&data, json!({ "customers": people, "orders": [] }).to_string()).unwrap();
        // A port that was free a moment ago; json-server cannot pick one itself.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("node")
            .arg(&script)
            .args(["--quiet", "--host", "127.0.0.1", "--port", &address.port().to_string()])
            .arg(&data)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, address, _folder: folder };
        // Connecting is retried by the system's clock alone: a refused connect returns at once.
        let deadline_ms = SystemClock.uptime_ms() + 30_000;
        while TcpStream::connect(server.address).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "json-server ended");
            assert!(SystemClock.uptime_ms() < deadline_ms, "json-server does not listen");
            std::thread::yield_now();
        }
        Some(server)
    }
}

impl Drop for JsonServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_store_nobody_here_wrote_is_read_through_the_policy() {
    let Some(store) = JsonServer::start() else { return };
    let site = Site::new(store.address);
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);

    let one = get(gateway.gateway, "/shop/customers/c-2", &token, "order_support");
    assert_eq!(one.status, 200, "{}", one.head);
    assert_eq!(
        one.json(),
        json!({
            "id": "c-2", "name": "Zoë 2 \u{1F33B}", "nickname": "z", "email": "z***@mail.example",
            "phone": "***0192", "address": { "city": "Leeds" }, "country": "GB",
            "last_order_at": "2026-11-01",
        })
    );

    let list = get(gateway.gateway, "/shop/customers", &token, "order_support");
    assert_eq!(list.json().as_array().unwrap().len(), 3);
    assert!(!String::from_utf8_lossy(&list.body).contains("High Street"));

    // Its own 404, and the same bytes for a record that exists and is not the caller's.
    let missing = get(gateway.gateway, "/shop/customers/c-9", &token, "order_support");
    assert_eq!(missing.status, 404);
    let customer = site.token(&["--purpose", "subject_request", "--subject-id", "c-1"]);
    let hers = get(gateway.gateway, "/shop/customers/c-1", &customer, "subject_request");
    assert_eq!(hers.json()["address"]["street"], "1 High Street");
    let not_hers = get(gateway.gateway, "/shop/customers/c-2", &customer, "subject_request");
    let nobody = get(gateway.gateway, "/shop/customers/c-9", &customer, "subject_request");
    assert_eq!((not_hers.status, nobody.status), (404, 404));
    assert_eq!(without_ids(&not_hers.json()), without_ids(&nobody.json()));

    let analyst = site.token(&["--role", "analyst", "--purpose", "analytics", "--region", "GB"]);
    let cohort = get(gateway.gateway, "/shop/customers", &analyst, "analytics").json();
    assert!(cohort[0]["id"].as_str().unwrap().starts_with("ps1_"), "{cohort}");
    assert_ne!(cohort[0]["id"], cohort[1]["id"]);
    assert_eq!(cohort[0]["birthday"], "1988");
}

fn without_ids(problem: &Value) -> Value {
    let mut copy = problem.clone();
    copy.as_object_mut().unwrap().remove("decision_id");
    copy
}

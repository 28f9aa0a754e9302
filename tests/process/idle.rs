//! Ten thousand connections that say nothing: what they cost, and whom they hold up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Site, Store, get, privet};

/// How many connections are held.
const MANY: u64 = 10_000;
/// What one may cost.
const KIB_EACH: u64 = 25;

/// A connection on which somebody has shown who they are.
struct Held(TcpStream);

impl Held {
    fn open(to: SocketAddr, call: &str) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut held = Self(stream);
        held.call(call);
        held
    }

    /// A call that costs little: no route leads there.
    fn call(&mut self, call: &str) {
        self.0.write_all(call.as_bytes()).unwrap();
        let mut answer = [0; 2048];
        let count = self.0.read(&mut answer).unwrap();
        let said = String::from_utf8_lossy(&answer[..count]);
        assert!(said.starts_with("HTTP/1.1 404"), "{said}");
    }
}

/// Opens `count` connections on several threads.
fn open(count: u64, to: SocketAddr, call: &str) -> Vec<Held> {
    let part = |_| {
        let call = call.to_owned();
        std::thread::spawn(move || {
            (0..count / 4).map(|_| Held::open(to, &call)).collect::<Vec<_>>()
        })
    };
    let parts: Vec<_> = (0..4).map(part).collect();
    parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_hold_up_nobody() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    // Both ends take a descriptor, each in its own process; some are for other things.
    let many = MANY.min(limit.maximum.unwrap_or(u64::MAX).saturating_sub(2048)) / 4 * 4;
    if many < MANY {
        eprintln!("only {many} connections: the hard limit on open files allows no more");
    }
    let store = Store::start(|_| Some(r#"{"id":"c-1002","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    site.limit(
        "connections_per_peer = 15000\nidle_s = 600\nper_principal = { per_second = 1000000 }\n",
    );
    let gateway = site.serve();
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let call = format!(
        "GET /nowhere HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    // What is made once is there before the count starts.
    let mut held = open(200, gateway.gateway, &call);
    let before = gateway.resident_kib();
    held.extend(open(many, gateway.gateway, &call));
    let grown = gateway.resident_kib().saturating_sub(before);
    eprintln!("{many} idle connections: {grown} KiB, {} bytes each", grown * 1024 / many);
    assert!(grown <= many * KIB_EACH, "{grown} KiB for {many} connections");

    let asked = Instant::now();
    let answer = get(gateway.gateway, "/shop/customers/c-1002", &token, "order_support");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    for held in &mut held {
        held.call(&call);
    }
}

#[test]
fn more_connections_than_the_system_has_descriptors_for_are_warned_of() {
    let store = Store::start(|_| None);
    let site = Site::new(store.address());
    site.limit("connections = 16000000\n");
    let out = privet(&site.dir(), &["check"]);
    let said = String::from_utf8_lossy(&out.stderr);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let is_low = limit.maximum.is_some_and(|most| most < 16_000_000);
    assert!(out.status.success(), "{said}");
    assert_eq!(said.contains("LimitNOFILE"), is_low, "{said}");
}

//! A witness beside a gateway: what it signs, what an officer sees of it, and what happens when it
//! is away or the log is put back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use privet::clock::{Clock, SystemClock};

use crate::harness::{Gateway, Site, Store, get, privet, said, send};

/// Nothing here takes longer, unless it hangs.
const LIMIT_MS: u64 = 60_000;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + LIMIT_MS;
    while !done() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "{what} takes too long");
        std::thread::yield_now();
    }
}

/// A running witness; killed when dropped.
struct Witness {
    child: Child,
    address: SocketAddr,
    _log: std::thread::JoinHandle<()>,
}

impl Witness {
    fn serve(dir: &Path, listen: &str) -> Self {
        Self::serve_with(dir, &["--listen", listen])
    }

    fn serve_with(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_privet"))
            .args(["witness", "serve", "w1"])
            .args(arguments)
            .current_dir(dir)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready = lines.by_ref().find(|line| line.starts_with("ready ")).expect("it starts");
        let address = ready.split("://").nth(1).unwrap().split(' ').next().unwrap();
        let address = address.parse().unwrap();
        let log = std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, _log: log }
    }

    fn post(&self, body: &str) -> (u16, String) {
        let answer = send(self.address, ("POST", "/add-checkpoint"), &[], body).unwrap();
        let content = answer.header("content-type").unwrap_or_default().to_owned();
        (answer.status, content)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn call(site: &Site, gateway: &Gateway) {
    let token = site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"]);
    let answer = get(gateway.gateway, "/shop/customers/c-5", &token, "order_support");
    assert_eq!(answer.status, 200, "{}", answer.head);
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let page = get(gateway.admin, "/metrics", "", "").body;
    let page = String::from_utf8(page).unwrap();
    let name = format!("privet_audit_{name}");
    let line = page.lines().find(|line| line.starts_with(&name)).unwrap_or("x 0");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until the witness has signed all that is published.
fn signed(gateway: &Gateway) {
    until("everything is signed", || {
        let size = metric(gateway, "size");
        metric(gateway, "checkpoint_size") == size && metric(gateway, "witness_size{") == size
    });
}

fn stop(gateway: Gateway) -> String {
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

/// What others may send it.
fn answers_others(witness: &Witness, dir: &Path) {
    let published = fs::read_to_string(dir.join("data/audit/checkpoint")).unwrap();
    let of_another = published.replacen("shop-example", "shop-example-2", 1);
    let root = published.lines().nth(2).unwrap();
    let letter = if root.starts_with('A') { "B" } else { "A" };
    let other: String = letter.chars().chain(root.chars().skip(1)).collect();
    let forged = published.replacen(root, &other, 1);
    for (body, status, content) in [
        ("nonsense".to_owned(), 400, "text/plain; charset=utf-8"),
        ("a".repeat(300_000), 413, "text/plain; charset=utf-8"),
        (format!("old 0\n\n{of_another}"), 404, "text/plain; charset=utf-8"),
        (format!("old 0\n\n{published}"), 409, "text/x.tlog.size"),
        (format!("old 0\n\n{forged}"), 403, "text/plain; charset=utf-8"),
    ] {
        assert_eq!(witness.post(&body), (status, content.to_owned()), "{body:.40}");
    }
    assert_eq!(get(witness.address, "/add-checkpoint", "", "").status, 405);
}

#[test]
fn a_witness_signs_what_continues_and_tells_of_a_log_that_was_put_back() {
    let store = Store::start(|_| Some(r#"{"id":"c-5","name":"Eva","country":"GB"}"#.to_owned()));
    let site = Site::new(store.address());
    let dir = site.dir();
    let run = |code: i32, arguments: &[&str]| {
        let out = privet(&dir, arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", said(&out));
        said(&out)
    };
    run(0, &["witness", "init", "w1", "--name", "witness.example/w1"]);
    run(2, &["witness", "init", "w1", "--name", "witness.example/w1"]);
    run(0, &["witness", "init", "other", "--name", "witness.example/w1"]);
    assert!(run(3, &["witness", "serve", "w1"]).contains("names no log"));
    assert!(run(2, &["witness", "serve", "w1", "--listen", "0.0.0.0:0"]).contains("plain HTTP"));
    let gateway = site.serve();
    stop(gateway);
    fs::copy(dir.join("data/audit.pub"), dir.join("w1/logs")).unwrap();
    fs::copy(dir.join("data/audit/checkpoint"), dir.join("kept")).unwrap();
    let kept = fs::read_to_string(dir.join("kept")).unwrap().lines().nth(1).unwrap().to_owned();
    let witness = Witness::serve(&dir, "127.0.0.1:0");
    let address = witness.address.to_string();
    let key = fs::read_to_string(dir.join("w1/witness.pub")).unwrap();
    site.edit("privet.toml", |text| {
        let line = format!(
            "[audit]\nwitness = [{{ url = \"http://{address}\", key = \"{}\" }}]",
            key.trim()
        );
        text.replacen("[audit]", &line, 1)
    });

    let gateway = site.serve();
    call(&site, &gateway);
    signed(&gateway);
    let told = run(0, &["audit", "verify", "--witness-key", "w1/witness.pub"]);
    assert!(told.contains("the witness `witness.example/w1` signed"), "{told}");
    // What the witness signed is newer, and is not told as what somebody kept.
    let both = ["audit", "verify", "--witness-key", "w1/witness.pub", "--since", "kept"];
    let told = run(0, &both);
    assert!(told.contains(&format!("the checkpoint of {kept} entries you kept")), "{told}");
    let told = run(5, &["audit", "verify", "--witness-key", "other/witness.pub"]);
    assert!(told.contains("no checkpoint with a signature of the witness"), "{told}");
    run(0, &["audit", "prove", "1", "--witness-key", key.trim(), "--output", "one.tlog-proof"]);
    let proof = ["audit", "verify", "--proof", "one.tlog-proof", "--witness-key"];
    assert!(run(0, &[&proof[..], &["w1/witness.pub"]].concat()).contains("signed that state"));
    run(5, &[&proof[..], &["other/witness.pub"]].concat());

    answers_others(&witness, &dir);

    // Killed, it holds up nothing; started again, it goes on where it was.
    drop(witness);
    call(&site, &gateway);
    until("a failure is counted", || metric(&gateway, "witness_failures_total{") > 0);
    assert_eq!(get(gateway.admin, "/readyz", "", "").status, 200);
    call(&site, &gateway);
    let told = run(0, &["audit", "verify", "--witness-key", "w1/witness.pub"]);
    assert!(told.contains("the witness"), "{told}");
    let witness = Witness::serve(&dir, &address);
    signed(&gateway);
    stop(gateway);

    // The whole folder as it was, log and state and all: the gateway itself cannot know.
    run_copy(&dir, "data", "older");
    let gateway = site.serve();
    call(&site, &gateway);
    signed(&gateway);
    stop(gateway);
    fs::remove_dir_all(dir.join("data")).unwrap();
    run_copy(&dir, "older", "data");
    run(0, &["audit", "verify"]);
    let gateway = site.serve();
    call(&site, &gateway);
    call(&site, &gateway);
    until("the witness refuses", || metric(&gateway, "witness_failures_total{") > 0);
    let log = stop(gateway);
    assert!(log.contains("the audit log is not what it was"), "{log}");
    drop(witness);
}

#[test]
fn a_witness_elsewhere_is_reached_over_tls_and_only_with_a_certificate_that_is_vouched_for() {
    let store = Store::start(|_| None);
    let site = Site::new(store.address());
    let dir = site.dir();
    let out = privet(&dir, &["witness", "init", "w1", "--name", "witness.example/w1"]);
    assert!(out.status.success(), "{}", said(&out));
    stop(site.serve());
    fs::copy(dir.join("data/audit.pub"), dir.join("w1/logs")).unwrap();
    let certificate = ["--tls-cert", "certs/gateway.pem", "--tls-key", "certs/gateway.key"];
    let witness =
        Witness::serve_with(&dir, &[&["--listen", "127.0.0.1:0"][..], &certificate].concat());
    let key = fs::read_to_string(dir.join("w1/witness.pub")).unwrap();
    let line = format!("url = \"https://{}\", key = \"{}\"", witness.address, key.trim());
    site.edit("privet.toml", |text| {
        text.replacen("[audit]", &format!("[audit]\nwitness = [{{ {line} }}]"), 1)
    });
    // The system's authorities know nothing of it.
    let gateway = site.serve();
    until("a failure is counted", || metric(&gateway, "witness_failures_total{") > 0);
    assert_eq!(metric(&gateway, "witness_size{"), 0);
    stop(gateway);
    site.edit("privet.toml", |text| {
        text.replacen(&line, &format!("{line}, ca = \"certs/ca.pem\""), 1)
    });
    let gateway = site.serve();
    signed(&gateway);
    stop(gateway);
    let out = privet(&dir, &["audit", "verify", "--witness-key", "w1/witness.pub"]);
    assert!(out.status.success(), "{}", said(&out));
}

fn run_copy(dir: &Path, from: &str, to: &str) {
    let done = Command::new("cp").args(["-a", from, to]).current_dir(dir).status().unwrap();
    assert!(done.success());
}

//! Running it: reloads under load, stops and restarts that lose no call, and what systemd is told.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use privet::clock::{Clock, SystemClock};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use crate::harness::{Gateway, Site, Store, get, get_with};

/// Nothing here takes longer, unless it hangs.
const LIMIT_MS: u64 = 60_000;
const EVA: &str = r#"{"id":"c-5","phone":"+447700900007","country":"GB"}"#;
const MASKED: &str = r#"{"id":"c-5","phone":"***0007","country":"GB"}"#;

fn eva() -> Store {
    Store::start(|_| Some(EVA.to_owned()))
}

fn support(site: &Site) -> String {
    site.token(&["--role", "support", "--purpose", "order_support", "--region", "GB"])
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline_ms = SystemClock.uptime_ms() + LIMIT_MS;
    while !done() {
        assert!(SystemClock.uptime_ms() < deadline_ms, "{what} takes too long");
        std::thread::yield_now();
    }
}

/// An authority of the test's own, and the certificates it signs.
struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { issuer: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    /// Writes a new certificate for the gateway; gives it in DER.
    fn issue(&self, site: &Site) -> CertificateDer<'static> {
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |name: &str| site.dir().join("certs").join(name);
        fs::write(file("gateway.pem"), certificate.pem()).unwrap();
        fs::write(file("gateway.key"), key.serialize_pem()).unwrap();
        fs::set_permissions(file("gateway.key"), fs::Permissions::from_mode(0o600)).unwrap();
        certificate.der().clone()
    }

    fn connector(&self, protocol: &str) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

/// Clients that never stop asking, and what they saw.
struct Load {
    to: SocketAddr,
    token: String,
    stop: AtomicBool,
    answers: AtomicUsize,
    faults: Mutex<Vec<String>>,
    certificates: Mutex<Vec<CertificateDer<'static>>>,
}

impl Load {
    /// Calls on one connection, `at_once` of them, until told to stop; over HTTP/1.1 `calls` of
    /// them, then the next connection.
    async fn http1(self: Arc<Self>, tls: TlsConnector, calls: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let stream = self.connect(&tls).await;
            let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut client, connection) = shaken.unwrap();
            tokio::spawn(connection);
            for _ in 0..calls {
                let answer = client.send_request(self.request()).await;
                self.see(answer).await;
                if client.ready().await.is_err() {
                    break;
                }
            }
        }
    }

    async fn http2(self: Arc<Self>, tls: TlsConnector, at_once: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let stream = self.connect(&tls).await;
            let shaken =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (client, connection) = shaken.await.unwrap();
            tokio::spawn(connection);
            for _ in 0..5 {
                let calls = (0..at_once).map(|_| {
                    let (load, mut client) = (Arc::clone(&self), client.clone());
                    tokio::spawn(async move {
                        let answer = client.send_request(load.request()).await;
                        load.see(answer).await;
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    call.await.unwrap();
                }
            }
        }
    }

    async fn connect(
        &self,
        tls: &TlsConnector,
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let stream = tokio::net::TcpStream::connect(self.to).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = tls.connect(name, stream).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        let mut seen = self.certificates.lock().unwrap();
        if !seen.contains(&shown) {
            seen.push(shown);
        }
        stream
    }

    fn request(&self) -> http::Request<Empty<Bytes>> {
        http::Request::get(format!("https://{}/shop/customers/c-5", self.to))
            .header("host", self.to.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("privet-purpose", "order_support")
            .body(Empty::new())
            .unwrap()
    }

    async fn see(&self, answer: hyper::Result<http::Response<hyper::body::Incoming>>) {
        let seen = async {
            let answer = answer.map_err(|error| format!("{error:?}"))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
            let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            let fine = status == 200 && (body == MASKED || body == EVA);
            if fine { Ok(()) } else { Err(format!("{status} {body}")) }
        };
        match seen.await {
            Ok(()) => drop(self.answers.fetch_add(1, Ordering::Relaxed)),
            Err(fault) => self.faults.lock().unwrap().push(fault),
        }
    }
}

#[test]
fn twenty_reloads_under_load_lose_no_call() {
    let (store, authority) = (eva(), Authority::new());
    let site = Site::new(store.address());
    site.edit("privet.toml", |text| {
        let tls = "tls = { cert = \"certs/gateway.pem\", key_file = \"certs/gateway.key\" }";
        text.replacen("[gateway.limits]", &format!("{tls}\n[gateway.limits]"), 1)
            .replace("per_second = 2000", "per_second = 1000000")
    });
    // The shipped tests say what support sees of a phone number.
    fs::remove_file(site.dir().join("policies/customer-care.test.yaml")).unwrap();
    let mut certificates = vec![authority.issue(&site)];
    let gateway = site.serve();
    let load = Arc::new(Load {
        to: gateway.gateway,
        token: support(&site),
        stop: AtomicBool::new(false),
        answers: AtomicUsize::new(0),
        faults: Mutex::default(),
        certificates: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let clients = [
        runtime.spawn(Arc::clone(&load).http1(authority.connector("http/1.1"), 1)),
        runtime.spawn(Arc::clone(&load).http1(authority.connector("http/1.1"), 50)),
        runtime.spawn(Arc::clone(&load).http2(authority.connector("h2"), 4)),
    ];
    let operator = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    for round in 0..20 {
        let wanted = change(&site, &authority, round, &mut certificates);
        let before = load.answers.load(Ordering::Relaxed);
        let reloaded = super::command_line::post(gateway.admin, "/api/v1/reload", operator.trim());
        assert_eq!(reloaded, wanted, "reload {round}");
        until("a call after a reload", || {
            load.answers.load(Ordering::Relaxed) > before + 10
                || !load.faults.lock().unwrap().is_empty()
        });
        repair(&site, &authority, round, &mut certificates);
    }
    load.stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for client in clients {
            client.await.unwrap();
        }
    });
    let answers = load.answers.load(Ordering::Relaxed);
    let faults = load.faults.lock().unwrap();
    assert!(faults.is_empty() && answers > 200, "{answers} answers, faults: {faults:?}");
    let seen = load.certificates.lock().unwrap();
    assert!(seen.len() > 1 && seen.iter().all(|shown| certificates.contains(shown)));
    println!("{answers} answers during 20 reloads, {} certificates seen", seen.len());
}

/// Makes the change of a round; gives what the reload must answer.
fn change(
    site: &Site,
    authority: &Authority,
    round: usize,
    issued: &mut Vec<CertificateDer<'static>>,
) -> u16 {
    match round % 5 {
        0 => issued.push(authority.issue(site)),
        1 => site.edit("policies/customer-care.yaml", |text| text + "\nnot_a_word: 1\n"),
        2 => site.edit("policies/customer-care.yaml", |text| {
            text.replacen("phone: tail-4", "phone: show", 1)
        }),
        3 => site.edit("certs/gateway.pem", |text| text.replace("BEGIN", "BROKEN")),
        _ => site.edit("policies/customer-care.yaml", |text| {
            text.replacen("phone: show", "phone: tail-4", 1)
        }),
    }
    if matches!(round % 5, 1 | 3) { 400 } else { 200 }
}

/// Takes back what was broken on purpose.
fn repair(
    site: &Site,
    authority: &Authority,
    round: usize,
    issued: &mut Vec<CertificateDer<'static>>,
) {
    match round % 5 {
        1 => site.edit("policies/customer-care.yaml", |text| text.replace("\nnot_a_word: 1\n", "")),
        3 => issued.push(authority.issue(site)),
        _ => {}
    }
}

/// A store whose answers wait until the test opens a gate.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.0 += 1;
        drop(changed.wait_while(state, |(_, open)| !*open).unwrap());
    }

    fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }

    fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().0
    }
}

#[test]
fn a_stop_says_so_first_ends_what_runs_and_exits_in_good_order() {
    let gate = Gate::default();
    let slow = gate.clone();
    let store = Store::start(move |target| {
        if target.ends_with("/c-5") {
            slow.pass();
        }
        Some(EVA.to_owned())
    });
    let site = Site::new(store.address());
    site.edit("privet.toml", |text| {
        let drain = "drain = { notice_s = 5, finish_s = 40 }";
        text.replacen("[gateway.limits]", &format!("{drain}\n[gateway.limits]"), 1)
    });
    let gateway = site.serve();
    let (to, token) = (gateway.gateway, support(&site));
    let call = {
        let token = token.clone();
        std::thread::spawn(move || get(to, "/shop/customers/c-5", &token, "order_support"))
    };
    until("the call to reach the store", || gate.waiting() == 1);
    assert_eq!(get_with(gateway.admin, "/readyz", &[]).unwrap().status, 200);
    gateway.signal("-TERM");
    until("being not ready", || {
        get_with(gateway.admin, "/readyz?verbose", &[]).is_some_and(|page| {
            page.status == 503 && String::from_utf8_lossy(&page.body).contains("[-] drain")
        })
    });
    let late = get(to, "/shop/customers/c-6", &token, "order_support");
    assert_eq!(late.status, 200, "calls are taken while others are told to go elsewhere");
    assert_eq!(late.header("connection"), Some("close"));
    until("the end of listening", || TcpStream::connect(to).is_err());
    assert_eq!(get_with(gateway.admin, "/readyz", &[]).unwrap().status, 503);
    gate.open();
    let answer = call.join().unwrap();
    assert_eq!((answer.status, answer.complete), (200, true));
    assert_eq!(String::from_utf8(answer.body).unwrap(), MASKED);
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let gate = Gate::default();
    let slow = gate.clone();
    let store = Store::start(move |_| {
        slow.pass();
        Some(EVA.to_owned())
    });
    let site = Site::new(store.address());
    site.edit("privet.toml", |text| {
        text.replacen("[gateway.limits]", "drain = { finish_s = 1 }\n[gateway.limits]", 1)
    });
    let gateway = site.serve();
    let (to, token) = (gateway.gateway, support(&site));
    let headers = [("Authorization", format!("Bearer {token}"))];
    let call = std::thread::spawn(move || get_with(to, "/shop/customers/c-5", &headers));
    until("the call to reach the store", || gate.waiting() == 1);
    gateway.signal("-TERM");
    let (code, log) = gateway.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("connections were cut"), "{log}");
    assert!(call.join().unwrap().is_none_or(|answer| answer.status != 200));
    gate.open();
}

#[test]
fn a_restart_on_a_socket_that_was_handed_over_loses_no_call() {
    let store = eva();
    let site = Site::new(store.address());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap();
    let mut gateway = site.serve_on(&socket, "gateway");
    assert_eq!(gateway.gateway, to);
    let token = support(&site);
    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (stop, answers, token) = (Arc::clone(&stop), Arc::clone(&answers), token.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = get(to, "/shop/customers/c-5", &token, "order_support");
                    assert_eq!((answer.status, answer.complete), (200, true), "{}", answer.head);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..2 {
        let before = answers.load(Ordering::Relaxed);
        until("calls before a restart", || answers.load(Ordering::Relaxed) > before + 20);
        gateway.signal("-TERM");
        let (code, log) = gateway.wait();
        assert_eq!(code, Some(0), "{log}");
        gateway = site.serve_on(&socket, "gateway");
    }
    let before = answers.load(Ordering::Relaxed);
    until("calls after the restarts", || answers.load(Ordering::Relaxed) > before + 20);
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    println!("{} answers over two restarts", answers.load(Ordering::Relaxed));
}

#[test]
fn sockets_that_are_handed_over_obey_the_rules_of_listen() {
    let store = eva();
    let site = Site::new(store.address());
    let refused = |socket: &TcpListener, name: &str, why: &str| {
        let mut command = Site::on(socket, name);
        let out = command.current_dir(site.dir()).stdout(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    };
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    refused(&open, "gateway", "plain HTTP on the gateway socket");
    refused(&open, "admin", "plain HTTP on the admin socket");
    let local = TcpListener::bind("127.0.0.1:0").unwrap();
    refused(&local, "privet.socket", "FileDescriptorName=gateway");
    let gateway = site.serve_on(&local, "admin");
    assert_eq!(gateway.admin, local.local_addr().unwrap());
    assert_eq!(get_with(gateway.admin, "/livez", &[]).unwrap().status, 200);
}

#[test]
fn systemd_is_told_of_the_start_each_reload_the_stop_and_that_workers_run() {
    let store = eva();
    let site = Site::new(store.address());
    let place = site.dir().join("notify");
    let systemd = UnixDatagram::bind(&place).unwrap();
    systemd.set_read_timeout(Some(Duration::from_millis(LIMIT_MS))).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let count = systemd.recv(&mut message).unwrap();
        String::from_utf8(message[..count].to_vec()).unwrap()
    };
    // The watchdog speaks between everything else.
    let next = || loop {
        let message = heard();
        if !message.contains("WATCHDOG=1") {
            return message;
        }
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_privet"));
    command.arg("serve").stdin(Stdio::null());
    command.env("NOTIFY_SOCKET", &place).env("WATCHDOG_USEC", "6000000");
    let gateway: Gateway = site.serve_by(command);
    assert!(next().contains("READY=1"));
    gateway.signal("-HUP");
    let reloading = next();
    assert!(reloading.contains("RELOADING=1"), "{reloading}");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next().contains("READY=1"));
    assert!(heard().contains("WATCHDOG=1"), "workers run");
    gateway.signal("-TERM");
    let stopping = next();
    assert!(stopping.contains("STOPPING=1"), "{stopping}");
    assert!(stopping.contains("EXTEND_TIMEOUT_USEC="), "{stopping}");
    assert_eq!(gateway.wait().0, Some(0));
}

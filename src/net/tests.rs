//! Sockets on loopback, with certificates made on the spot.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::ManualClock;
use crate::types::Timestamp;

use super::*;

const MID_2026_S: u64 = 1_782_000_000;
const LONG: Duration = Duration::from_secs(60);

/// An authority, and a folder for what it issues.
pub(crate) struct Pki {
    pub(crate) dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { dir, authority };
        std::fs::write(pki.ca(), pki.authority.pem()).unwrap();
        pki
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Writes a certificate for loopback and its key, and gives the certificate in DER.
    pub(crate) fn issue(&self, files: &TlsConfig, last_year: i32) -> Vec<u8> {
        let (certificate, key) = self.leaf(last_year, ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        write_private(&files.key_file, &key.serialize_pem(), 0o600);
        certificate.der().to_vec()
    }

    /// Writes a certificate for a client and its key.
    pub(crate) fn issue_client(&self) -> (ClientIdentity, Vec<u8>) {
        let (certificate, key) = self.leaf(2090, ExtendedKeyUsagePurpose::ClientAuth);
        let path = |name: &str| self.dir.path().join(name);
        let identity = ClientIdentity { cert: path("client.pem"), key_file: path("client.key") };
        std::fs::write(&identity.cert, certificate.pem()).unwrap();
        write_private(&identity.key_file, &key.serialize_pem(), 0o600);
        (identity, certificate.der().to_vec())
    }

    pub(crate) fn files(&self) -> TlsConfig {
        let path = |name: &str| self.dir.path().join(name);
        TlsConfig { cert: path("gateway.pem"), key_file: path("gateway.key"), client_ca: None }
    }

    fn leaf(
        &self,
        last_year: i32,
        usage: ExtendedKeyUsagePurpose,
    ) -> (rcgen::Certificate, KeyPair) {
        let names = vec!["127.0.0.1".to_owned(), "client.internal".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    /// A client that shows a certificate of this authority and believes `ca`.
    fn client(
        &self,
        ca: &Path,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsConnector {
        let (certificate, key) = self.leaf(2090, ExtendedKeyUsagePurpose::ClientAuth);
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let mut config = ClientConfig::builder_with_provider(server_tls::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(server_tls::authorities(ca).unwrap())
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_unix_s(MID_2026_S)))
}

pub(crate) fn setup(tls: Option<Arc<ServerTls>>) -> ListenerSetup {
    ListenerSetup {
        tls,
        connections: Places::new(16, 16),
        handshake_timeout: LONG,
        drain: Drain::new(),
        metrics: NetMetrics::default(),
    }
}

pub(crate) fn listen(setup: &ListenerSetup) -> Listener {
    let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Listener::new(bound, setup.clone()).unwrap()
}

fn write_private(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn target(listener: &Listener, tls: Option<ClientTls>) -> Target {
    Target { host: "127.0.0.1".into(), port: listener.address().port(), tls }
}

/// Sends what it receives back, until the peer ends.
async fn echo(connection: Connection) {
    let (mut reader, mut writer) = tokio::io::split(connection.stream);
    // A peer that is gone ends the copy; either way the connection is over.
    drop(tokio::io::copy(&mut reader, &mut writer).await);
}

async fn say(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) -> bool {
    let mut heard = [0; 5];
    stream.write_all(b"hello").await.is_ok()
        && stream.flush().await.is_ok()
        && stream.read_exact(&mut heard).await.is_ok()
        && &heard == b"hello"
}

fn is_ready<F: Future>(future: F) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// The certificate that the listener shows now.
async fn shown(listener: &Listener, tls: &ClientTls) -> Vec<u8> {
    let target = target(listener, Some(tls.clone()));
    let (stream, accepted) = tokio::join!(connect(&target, LONG), accept(listener));
    accepted.unwrap();
    let Stream::Tls(stream) = stream.unwrap() else { panic!("in the clear") };
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn accept(listener: &Listener) -> Result<Connection, NetError> {
    listener.accept().await.unwrap().establish().await
}

#[tokio::test]
async fn bytes_pass_in_the_clear() {
    let setup = setup(None);
    let listener = listen(&setup);
    let to = target(&listener, None);
    let serving = tokio::spawn(listener.serve(echo));
    let mut stream = connect(&to, LONG).await.unwrap();
    assert!(say(&mut stream).await);
    assert_eq!((setup.metrics.accepted.get(), setup.metrics.open.get()), (1, 1));
    drop(stream);
    setup.drain.start();
    assert_eq!(setup.drain.finished(LONG).await, 0);
    serving.await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", to.port)).await.is_err(), "nobody listens any more");
}

#[test]
fn workers_share_a_port_that_nobody_else_can_join() {
    let any = "127.0.0.1:0".parse().unwrap();
    let shared = Bound::bind_shared(any, 3).unwrap();
    let address = shared[0].address();
    assert!(shared.iter().all(|bound| bound.address() == address) && shared.len() == 3);
    assert!(matches!(Bound::bind(address), Err(NetError::Bind { .. })));
    assert!(matches!(Bound::bind_shared(address, 3), Err(NetError::Bind { .. })));
    drop(shared);
    assert_eq!(Bound::bind_shared(address, 1).unwrap().len(), 1);
}

#[tokio::test]
async fn beyond_the_limit_a_connection_is_closed_at_once_and_the_next_is_looked_at() {
    let mut setup = setup(None);
    setup.connections = Places::new(1, 1);
    let listener = listen(&setup);
    let to = target(&listener, None);
    let _first = connect(&to, LONG).await.unwrap();
    let accepted = accept(&listener).await.unwrap();
    for count in 1..20 {
        let mut beyond = connect(&to, LONG).await.unwrap();
        let mut said = Vec::new();
        tokio::select! {
            accepted = listener.accept() => panic!("{accepted:?}"),
            read = beyond.read_to_end(&mut said) => assert_eq!(read.unwrap(), 0),
        }
        assert_eq!(setup.metrics.limit_reached.get(), count);
    }
    drop(accepted);
    let _next = connect(&to, LONG).await.unwrap();
    assert!(accept(&listener).await.is_ok());
}

#[tokio::test]
async fn a_drain_takes_nothing_new_and_waits_for_what_is_open() {
    let setup = setup(None);
    let listener = listen(&setup);
    let to = target(&listener, None);
    let _client = connect(&to, LONG).await.unwrap();
    let open = accept(&listener).await.unwrap();
    let _late = connect(&to, LONG).await.unwrap();
    assert!(!is_ready(setup.drain.started()));
    setup.drain.start();
    assert!(setup.drain.is_started() && listener.accept().await.is_none());
    assert_eq!(setup.drain.finished(Duration::ZERO).await, 1);
    drop(open);
    assert_eq!(setup.drain.finished(LONG).await, 0);
}

#[tokio::test]
async fn tls_agrees_on_a_protocol_and_shows_the_client_certificate() {
    let pki = Pki::new();
    let files = TlsConfig { client_ca: Some(pki.ca()), ..pki.files() };
    pki.issue(&files, 2090);
    let setup = setup(Some(Arc::new(ServerTls::load(files, clock()).unwrap())));
    let listener = listen(&setup);
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let client = pki.client(&pki.ca(), &versions);
        let socket = TcpStream::connect(listener.address()).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let (shaken, accepted) = tokio::join!(client.connect(name, socket), accept(&listener));
        let connection = accepted.unwrap();
        let facts = connection.tls.clone().unwrap();
        assert_eq!(facts.alpn, Some(Alpn::H2));
        let der = CertificateDer::from(facts.client_certificate().unwrap().to_vec());
        assert!(rustls::server::ParsedCertificate::try_from(&der).is_ok());
        tokio::spawn(echo(connection));
        assert!(say(&mut shaken.unwrap()).await);
    }
    let tls = ClientTls::new(Some(&pki.ca())).unwrap();
    let to = target(&listener, Some(tls));
    let (stream, accepted) = tokio::join!(connect(&to, LONG), accept(&listener));
    let facts = accepted.unwrap().tls.unwrap();
    assert_eq!(facts.alpn, Some(Alpn::Http1));
    assert!(facts.client_certificate().is_none() && stream.is_ok());
}

#[tokio::test]
async fn strangers_are_refused_on_either_side() {
    let (pki, other) = (Pki::new(), Pki::new());
    let files = TlsConfig { client_ca: Some(pki.ca()), ..pki.files() };
    pki.issue(&files, 2090);
    let setup = setup(Some(Arc::new(ServerTls::load(files, clock()).unwrap())));
    let listener = listen(&setup);
    // A client certificate of another authority.
    let client = other.client(&pki.ca(), &[&rustls::version::TLS12]);
    let socket = TcpStream::connect(listener.address()).await.unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let (shaken, accepted) = tokio::join!(client.connect(name, socket), accept(&listener));
    assert!(matches!(accepted, Err(NetError::Handshake(_))) && shaken.is_err());
    // A gateway certificate of another authority.
    let tls = ClientTls::new(Some(&other.ca())).unwrap();
    let to = target(&listener, Some(tls));
    let (stream, accepted) = tokio::join!(connect(&to, LONG), accept(&listener));
    assert!(matches!(stream, Err(NetError::Handshake(_))) && accepted.is_err());
    // Another name than the one connected to.
    let tls = ClientTls::new(Some(&pki.ca())).unwrap();
    let to = Target { host: "localhost".into(), ..target(&listener, Some(tls)) };
    let (stream, _) = tokio::join!(connect(&to, LONG), accept(&listener));
    assert!(matches!(stream, Err(NetError::Handshake(_))));
    // Somebody who does not speak TLS.
    let mut socket = TcpStream::connect(listener.address()).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(matches!(accept(&listener).await, Err(NetError::Handshake(_))));
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_dropped() {
    let pki = Pki::new();
    pki.issue(&pki.files(), 2090);
    let mut setup = setup(Some(Arc::new(ServerTls::load(pki.files(), clock()).unwrap())));
    setup.handshake_timeout = Duration::ZERO;
    let listener = listen(&setup);
    let _silent = TcpStream::connect(listener.address()).await.unwrap();
    assert!(matches!(accept(&listener).await, Err(NetError::Timeout { .. })));
    assert_eq!((setup.drain.open(), setup.metrics.handshakes_failed.get()), (0, 1));
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_dropping_connections() {
    let pki = Pki::new();
    let first = pki.issue(&pki.files(), 2090);
    let tls = Arc::new(ServerTls::load(pki.files(), clock()).unwrap());
    let setup = setup(Some(Arc::clone(&tls)));
    let listener = listen(&setup);
    let believes = ClientTls::new(Some(&pki.ca())).unwrap();
    let to = target(&listener, Some(believes.clone()));
    let (stream, accepted) = tokio::join!(connect(&to, LONG), accept(&listener));
    let mut stream = stream.unwrap();
    tokio::spawn(echo(accepted.unwrap()));
    assert_eq!(shown(&listener, &believes).await, first);

    let second = pki.issue(&pki.files(), 2091);
    assert_eq!(shown(&listener, &believes).await, first, "nothing changes before the reload");
    tls.reload().unwrap();
    assert_eq!(shown(&listener, &believes).await, second);
    assert!(say(&mut stream).await, "the old connection goes on");
}

#[tokio::test]
async fn bad_certificate_files_leave_the_old_certificate() {
    let pki = Pki::new();
    let files = pki.files();
    let first = pki.issue(&files, 2090);
    let key = std::fs::read_to_string(&files.key_file).unwrap();
    let tls = Arc::new(ServerTls::load(files.clone(), clock()).unwrap());
    let setup = setup(Some(Arc::clone(&tls)));
    let listener = listen(&setup);
    let believes = ClientTls::new(Some(&pki.ca())).unwrap();
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let spoil: [(&dyn Fn(), &str); 7] = [
        (&|| write_private(&files.key_file, &key, 0o640), "mode 0640"),
        (&|| write_private(&files.key_file, &key, 0o604), "chmod 600"),
        (&|| write_private(&files.key_file, &other_key, 0o600), "does not go with the key"),
        (&|| write_private(&files.key_file, "no key", 0o600), "no private key in PEM"),
        (&|| std::fs::write(&files.cert, "no certificate").unwrap(), "no PEM block"),
        (&|| drop(pki.issue(&files, 2026)), "has expired"),
        (&|| std::fs::remove_file(&files.cert).unwrap(), "cannot read"),
    ];
    for (spoil, reason) in spoil {
        pki.issue(&files, 2090);
        spoil();
        let error = tls.reload().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(shown(&listener, &believes).await, first, "{reason}");
    }
    std::fs::write(&files.cert, vec![b'x'; 5 << 20]).unwrap();
    assert!(matches!(tls.reload(), Err(NetError::TooLarge { .. })));
}

#[tokio::test]
async fn a_document_is_fetched_within_its_limits() {
    let pki = Pki::new();
    pki.issue(&pki.files(), 2090);
    let setup = setup(Some(Arc::new(ServerTls::load(pki.files(), clock()).unwrap())));
    let listener = listen(&setup);
    let port = listener.address().port();
    let small = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let until_closed = "HTTP/1.1 200 OK\r\n\r\nhello";
    for (answer, expected) in [
        (small, Some("hello")),
        (until_closed, Some("hello")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhellohell", None),
        ("HTTP/1.1 200 OK\r\n\r\nhellohell", None),
        ("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("nonsense\r\n\r\n", None),
        ("", None),
    ] {
        let fetch = Fetch {
            url: format!("https://127.0.0.1:{port}/jwks.json").parse().unwrap(),
            tls: Some(ClientTls::new(Some(&pki.ca())).unwrap()),
            limit_bytes: 8,
            timeout: LONG,
        };
        let (document, ()) = tokio::join!(https_get(&fetch), answer_once(&listener, answer));
        let document = document.ok();
        assert_eq!(document, expected.map(|text| Bytes::from_static(text.as_bytes())), "{answer}");
    }
    let tls = ClientTls::new(Some(&pki.ca())).unwrap();
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let fetch = Fetch { url, tls: Some(tls), limit_bytes: 8, timeout: LONG };
    assert!(matches!(https_get(&fetch).await, Err(NetError::Url { .. })));
}

/// Answers one request with the given bytes and closes.
pub(crate) async fn answer_once(listener: &Listener, answer: &str) {
    let mut connection = accept(listener).await.unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(connection.stream.read_u8().await.unwrap());
    }
    // A client that has read enough may be gone before everything is sent.
    drop(connection.stream.write_all(answer.as_bytes()).await);
    drop(connection.stream.shutdown().await);
}

#[tokio::test]
async fn urls_that_cannot_be_meant_are_refused() {
    let pki = Pki::new();
    let tls = ClientTls::new(Some(&pki.ca())).unwrap();
    for (url, expected) in [
        ("http://127.0.0.1:7001", Some(("127.0.0.1", 7001, false))),
        ("http://shop.internal/x", Some(("shop.internal", 80, false))),
        ("https://[::1]/", Some(("::1", 443, true))),
        ("ftp://shop.internal/", None),
        ("shop.internal:80", None),
        ("/path", None),
        ("https://user:secret@shop.internal/", None),
    ] {
        let read = Target::from_uri(&url.parse().unwrap(), Some(&tls));
        if let Err(error) = &read {
            assert!(!error.to_string().contains("secret"));
        }
        let read = read.ok().map(|to| (to.host.to_string(), to.port, to.tls.is_some()));
        let expected = expected.map(|(host, port, tls)| (host.to_owned(), port, tls));
        assert_eq!(read, expected, "{url}");
    }
    assert!(Target::from_uri(&"https://x/".parse().unwrap(), None).is_err());
}

#[tokio::test]
async fn nobody_listening_is_an_error_and_not_a_wait() {
    let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = bound.address().port();
    drop(bound);
    let to = Target { host: "127.0.0.1".into(), port, tls: None };
    assert!(matches!(connect(&to, LONG).await, Err(NetError::Connect { .. })));
}

//! Exports to syslog servers under TLS that read, die, or close without a word.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::tests::Site;
use super::tests::indexes;
use super::*;

/// How a server ends a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Reads all, and says `close_notify`.
    Properly,
    /// Reads all, and ends the connection below TLS.
    Silently,
    /// Dies after some bytes.
    Midway,
}

/// What a server read, a connection each.
type Read = Arc<Mutex<Vec<Vec<u8>>>>;

/// A server with a certificate of its own; the number of a connection says how it ends.
async fn server(
    site: &Site,
    end: impl Fn(usize) -> End + Send + 'static,
) -> (SocketAddr, PathBuf, Read) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let ca = site.dir().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, read) = (listener.local_addr().unwrap(), Read::default());
    let seen = Arc::clone(&read);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = vec![0; 5000];
            match end(number) {
                End::Midway => {
                    drop(stream.read_exact(&mut bytes).await);
                    continue;
                }
                how => {
                    bytes.clear();
                    // An export that ends, or waits too long, breaks off: the batch comes again.
                    if stream.read_to_end(&mut bytes).await.is_err() {
                        continue;
                    }
                    seen.lock().unwrap().push(bytes);
                    if how == End::Properly {
                        stream.shutdown().await.unwrap();
                    }
                }
            }
        }
    });
    (address, ca, read)
}

fn to(address: SocketAddr, ca: PathBuf, confirm: Confirm) -> Receiver {
    let (host, port) = (address.ip().to_string(), address.port());
    Receiver::Syslog { host, port, ca: Some(ca), identity: None, confirm }
}

/// The messages of a connection, by their lengths.
fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let (message, rest) = bytes[space + 1..].split_at(length);
        found.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = rest;
    }
    found
}

/// The JSON of each message, after a head that was looked at.
fn rows(messages: &[String]) -> String {
    let row = |message: &String| {
        let parts: Vec<&str> = message.splitn(8, ' ').collect();
        let [head, time, host, app, process, kind, data, row] = parts.try_into().unwrap();
        assert_eq!((head, host, app), ("<109>1", "log.example/export", "privet"), "{message}");
        assert_eq!((process, kind, data), ("-", "release", "-"), "{message}");
        assert!(time.ends_with('Z') && time.len() == 24, "{message}");
        format!("{row}\n")
    };
    messages.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_syslog_server_that_dies_midway_gets_every_entry_in_order() {
    let site = Site::with(1500).await;
    let ends = [End::Midway, End::Properly, End::Silently, End::Properly];
    let (address, ca, read) = server(&site, move |number| ends[number % 4]).await;
    site.run_to(site.export(Format::Jsonl, to(address, ca, Confirm::Tls)), 1500).await;
    let mut next = 0;
    let mut repeated = 0;
    for bytes in read.lock().unwrap().iter() {
        let found = indexes(&rows(&messages(bytes)));
        repeated += u64::from(found[0] < next);
        assert!(found[0] <= next, "{} after {next}", found[0]);
        assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1));
        next = found.last().unwrap() + 1;
    }
    assert_eq!(next, 1500);
    assert!(repeated > 0, "an end without a word was taken for a confirmation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_never_say_close_notify_are_believed_only_where_that_is_said() {
    let site = Site::with(300).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (address, ca, read) = server(&site, move |number| {
        counted.store(number + 1, Ordering::SeqCst);
        End::Silently
    })
    .await;
    let export = site.export(Format::Ocsf, to(address, ca.clone(), Confirm::Tls));
    let status = export.status();
    tokio::select! {
        () = export.run() => {}
        () = async { while calls.load(Ordering::SeqCst) < 2 { tokio::task::yield_now().await } } => {}
    }
    assert_eq!((site.next(), status.is_well()), (0, false));
    read.lock().unwrap().clear();
    site.run_to(site.export(Format::Ocsf, to(address, ca, Confirm::Tcp)), 300).await;
    let read = read.lock().unwrap();
    let last = messages(read.last().unwrap());
    let (_, event) = last.last().unwrap().split_once(" - release - ").unwrap();
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!((&event["class_uid"], &event["metadata"]["sequence"]), (&6003.into(), &299.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_another_authority_vouches_for_gets_nothing() {
    let site = Site::with(10).await;
    let (address, ca, read) = server(&site, |_| End::Properly).await;
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&ca, other.cert.pem()).unwrap();
    let export = site.export(Format::Jsonl, to(address, ca, Confirm::Tls));
    let status = export.status();
    tokio::select! {
        () = export.run() => {}
        () = async { while status.is_well() { tokio::task::yield_now().await } } => {}
    }
    assert!(status.to_string().ends_with("the receiver cannot be reached"), "{status}");
    assert!(read.lock().unwrap().is_empty());
}

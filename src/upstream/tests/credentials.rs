//! What the gateway shows a store of itself.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::net::ServerTls;
use crate::net::TlsConfig;
use crate::net::tests::Pki;
use crate::net::tests::clock;
use crate::net::tests::listen;
use crate::net::tests::setup;
use crate::types::ClientError;
use crate::types::ErrorKind;
use crate::types::told;

use super::*;

fn write(path: &Path, text: &str, mode: u32) {
    let _absent = std::fs::remove_file(path);
    let options = std::fs::OpenOptions::new().write(true).create(true).mode(mode).open(path);
    std::io::Write::write_all(&mut options.unwrap(), text.as_bytes()).unwrap();
}

/// Reads the credentials again and uses them.
fn reload(upstream: &Upstream) -> Result<(), UpstreamError> {
    let store = upstream.store();
    store.prepare_credentials().map(|next| store.use_credentials(next))
}

#[tokio::test]
async fn a_store_is_shown_the_gateways_token_as_it_changes() {
    let fake = Fake::new(vec![vec![json("1"), json("2"), json("3")]]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bearer");
    write(&path, "first\n", 0o600);
    let mut config = config(&[&fake.url]);
    config.bearer = Some(Bearer::File(path.clone()));
    let upstream = upstream(config);
    get(&upstream).await.unwrap();
    write(&path, "second", 0o600);
    reload(&upstream).unwrap();
    for (text, mode) in [("", 0o600), ("a\nb", 0o600), ("readable by all", 0o644)] {
        write(&path, text, mode);
        assert!(reload(&upstream).is_err(), "{text:?}");
        assert_eq!(examine(upstream.store().config()).len(), 1, "{text:?}");
    }
    get(&upstream).await.unwrap();
    write(&path, "third", 0o600);
    let watch = tokio::spawn(Arc::clone(upstream.store()).watch());
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(6)).await;
    tokio::time::resume();
    get(&upstream).await.unwrap();
    watch.abort();
    for (head, token) in fake.heads().iter().zip(["first", "second", "third"]) {
        assert!(head.contains(&format!("authorization: Bearer {token}\r\n")), "{head}");
    }
}

/// A store under TLS that answers every request, and remembers the certificates it was shown.
fn behind_tls(pki: &Pki, shown: Arc<Mutex<Vec<Option<Vec<u8>>>>>) -> u16 {
    let files = TlsConfig { client_ca: Some(pki.ca()), ..pki.files() };
    pki.issue(&files, 2090);
    let tls = ServerTls::load(files, clock()).unwrap();
    let listener = listen(&setup(Some(Arc::new(tls))));
    let port = listener.address().port();
    tokio::spawn(listener.serve(move |mut connection| {
        let facts = connection.tls.take().unwrap_or_default();
        shown.lock().unwrap().push(facts.client_certificate().map(<[u8]>::to_vec));
        async move {
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";
            let mut head = [0; 4096];
            while connection.stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                connection.stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }));
    port
}

fn over_tls(host: &str, port: u16, pki: &Pki) -> UpstreamConfig {
    let url = StoreUrl::parse(&format!("https://{host}:{port}")).unwrap();
    UpstreamConfig { ca: Some(pki.ca()), ..config(&[&url]) }
}

#[tokio::test]
async fn a_store_is_believed_by_its_authority_and_its_name_alone() {
    let (pki, other) = (Pki::new(), Pki::new());
    let port = behind_tls(&pki, Arc::default());
    assert_eq!(get(&upstream(over_tls("127.0.0.1", port, &pki))).await.unwrap(), "1");
    // The certificate is for 127.0.0.1 and not for this name of the same machine.
    for config in [over_tls("localhost", port, &pki), over_tls("127.0.0.1", port, &other)] {
        let error = get(&upstream(config)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
        assert!(told(&error).contains("certificate"), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_store_is_shown_the_gateways_certificate_and_a_new_one_at_once_after_a_reload() {
    let pki = Pki::new();
    let shown = Arc::<Mutex<Vec<_>>>::default();
    let port = behind_tls(&pki, Arc::clone(&shown));
    let (identity, first) = pki.issue_client();
    let mut config = over_tls("127.0.0.1", port, &pki);
    config.identity = Some(identity.clone());
    let upstream = upstream(config);
    for _ in 0..3 {
        get(&upstream).await.unwrap();
    }
    let (_, second) = pki.issue_client();
    get(&upstream).await.unwrap();
    assert_eq!(*shown.lock().unwrap(), [Some(first.clone())], "nothing changes before a reload");
    reload(&upstream).unwrap();
    for _ in 0..3 {
        get(&upstream).await.unwrap();
    }
    assert_eq!(*shown.lock().unwrap(), [Some(first), Some(second)]);

    // Readable by others, of another certificate, no key.
    let key = std::fs::read_to_string(&identity.key_file).unwrap();
    let elsewhere = Pki::new();
    let other = std::fs::read_to_string(elsewhere.issue_client().0.key_file).unwrap();
    for (text, mode) in [(key.as_str(), 0o644), (other.as_str(), 0o600), ("no key", 0o600)] {
        write(&identity.key_file, text, mode);
        assert!(reload(&upstream).is_err());
        assert_eq!(examine(upstream.store().config())[0].0, ["auth", "client_cert"]);
    }
    get(&upstream).await.unwrap();
}

/// A token service that answers what `answer` says to the n-th question.
struct TokenService {
    url: http::Uri,
    asked: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl TokenService {
    async fn new(answer: impl Fn(usize) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut question = read_head(&mut stream).await.unwrap();
                let length = question.lines().find_map(|l| l.strip_prefix("content-length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                stream.read_exact(&mut body).await.unwrap();
                question.push_str(std::str::from_utf8(&body).unwrap());
                let count = {
                    let mut log = log.lock().unwrap();
                    log.push(question);
                    log.len()
                };
                stream.write_all(answer(count).as_bytes()).await.unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("secret"), "s e/cret\n", 0o600);
        Self { url, asked, folder }
    }

    /// Gives `token-1`, `token-2` and so on, each for `life` seconds.
    async fn giving(life: u64) -> Self {
        Self::new(move |count| token(&format!("token-{count}"), life)).await
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// A store at `url` with tokens from here.
    fn before(&self, url: &StoreUrl) -> Upstream {
        let mut config = config(&[url]);
        config.bearer = Some(Bearer::OAuth(OAuth {
            token_url: self.url.clone(),
            client_id: "privet:1".into(),
            client_secret_file: self.secret(),
            scope: Some("records.read records.list".into()),
            ca: None,
        }));
        upstream(config)
    }
}

fn token(token: &str, life: u64) -> String {
    ok(&format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{life}}}"#))
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A store that answers every request, with 401 to tokens it does not know.
struct Guarded {
    url: StoreUrl,
    shown: Arc<Mutex<Vec<String>>>,
    /// Tokens below this number are refused.
    from: Arc<AtomicUsize>,
}

impl Guarded {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = StoreUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (shown, from) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (log, least) = (Arc::clone(&shown), Arc::clone(&from));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, least) = (Arc::clone(&log), Arc::clone(&least));
                tokio::spawn(async move {
                    while let Some(head) = read_head(&mut stream).await {
                        let token = head.split("authorization: Bearer ").nth(1).unwrap_or("");
                        let token = token.lines().next().unwrap_or_default().to_owned();
                        let number: usize = token.trim_start_matches("token-").parse().unwrap();
                        log.lock().unwrap().push(token);
                        let status = if number < least.load(SeqCst) { "401 No" } else { "200 OK" };
                        let answer = format!(
                            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1"
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { url, shown, from }
    }

    fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}

/// Lets time pass, with nothing else happening meanwhile.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn one_question_gives_the_token_for_everybody_until_shortly_before_its_end() {
    let (service, store) = (TokenService::giving(100).await, Guarded::new().await);
    let upstream = service.before(&store.url);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { get(&upstream).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "1");
    }
    assert_eq!(store.shown(), vec!["token-1"; 20]);
    let asked = service.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    // `privet:1` and `s e/cret`, each form-encoded before they are joined.
    let shown = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "privet%3A1:s+e%2Fcret");
    assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains(&format!("authorization: Basic {shown}\r\n")), "{}", asked[0]);
    let form = "\r\n\r\ngrant_type=client_credentials&scope=records.read+records.list";
    assert!(asked[0].ends_with(form), "{}", asked[0]);

    pass(79).await;
    get(&upstream).await.unwrap();
    assert_eq!(service.questions(), 1);
    pass(2).await;
    get(&upstream).await.unwrap();
    assert_eq!((service.questions(), store.shown().last().unwrap().as_str()), (2, "token-2"));
}

#[tokio::test]
async fn the_token_is_renewed_in_the_background_so_that_no_call_waits() {
    let (service, store) = (TokenService::giving(100).await, Guarded::new().await);
    let upstream = service.before(&store.url);
    let watch = tokio::spawn(Arc::clone(upstream.store()).watch());
    for count in 1..4 {
        while service.questions() < count {
            tokio::task::yield_now().await;
        }
        assert!(upstream.store().health().is_up());
        // Between its renewal after 60 seconds and its end after 80.
        pass(61).await;
    }
    watch.abort();
    assert!(store.shown().is_empty());
}

#[tokio::test]
async fn without_a_token_the_store_is_away_with_a_reason_and_is_not_asked() {
    let well = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&well);
    let service = TokenService::new(move |count| match seen.load(SeqCst) {
        0 => "HTTP/1.1 401 planted\r\nContent-Length: 7\r\n\r\nplanted".to_owned(),
        1 => ok(r#"{"access_token":"planted","token_type":"mac"}"#),
        2 => ok(r#"{"access_token":"plan\nted","token_type":"Bearer"}"#),
        3 => ok(r#"{"access_token":"planted","token_type":"Bearer","expires_in":0}"#),
        4 => ok(r#"["planted"]"#),
        5 => "HTTP/1.1 302 Found\r\nLocation: /planted\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => token(&format!("token-{count}"), 100),
    })
    .await;
    let store = Guarded::new().await;
    let upstream = service.before(&store.url);
    for (kind, why) in
        ["status 401", "another type", "cannot be sent", "ended already", "RFC 6749", "status 302"]
            .into_iter()
            .enumerate()
    {
        well.store(kind, SeqCst);
        // However many call, the service is asked once in a while.
        for _ in 0..3 {
            let error = get(&upstream).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Token { .. }), "{error:?}");
            let text = format!("{} {}", told(&error), error.client_message());
            assert!(text.contains(why) && !text.contains("planted"), "{text}");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.retry_after().unwrap() <= Duration::from_secs(5));
        }
        assert_eq!(service.questions(), kind + 1);
        let health = upstream.store().health();
        assert!(!health.is_up() && health.trouble.unwrap().contains(why));
        pass(6).await;
    }
    assert!(store.shown().is_empty());
    well.store(6, SeqCst);
    get(&upstream).await.unwrap();
    assert!(upstream.store().health().is_up());
}

#[tokio::test]
async fn a_token_the_store_refuses_is_dropped_and_the_read_is_sent_once_more() {
    let (service, store) = (TokenService::giving(1000).await, Guarded::new().await);
    let upstream = service.before(&store.url);
    get(&upstream).await.unwrap();
    pass(10).await;
    store.from.store(2, SeqCst);
    assert_eq!(get(&upstream).await.unwrap(), "1");
    assert_eq!(store.shown(), ["token-1", "token-1", "token-2"]);
    assert!(upstream.store().health().addresses[0].state == AddressState::Up);

    // A store that refuses every token is not a reason to ask for ever more of them.
    pass(10).await;
    store.from.store(1000, SeqCst);
    for _ in 0..10 {
        let answer = upstream.ask(&request()).await.unwrap();
        assert_eq!(answer.status.as_u16(), 401);
    }
    assert_eq!(service.questions(), 3);
    assert_eq!(store.shown().len(), 3 + 11);
}

#[tokio::test]
async fn another_secret_is_shown_from_the_next_question_on() {
    let (service, store) = (TokenService::giving(100).await, Guarded::new().await);
    let upstream = service.before(&store.url);
    get(&upstream).await.unwrap();
    write(&service.secret(), "another", 0o600);
    reload(&upstream).unwrap();
    get(&upstream).await.unwrap();
    assert_eq!(service.questions(), 1, "the token at hand is still good");
    for (text, mode) in [("", 0o600), ("readable by all", 0o644)] {
        write(&service.secret(), text, mode);
        assert!(reload(&upstream).is_err(), "{text:?}");
        let found = examine(upstream.store().config());
        assert_eq!(found[0].0, ["auth", "oauth", "client_secret_file"]);
    }
    pass(90).await;
    get(&upstream).await.unwrap();
    let shown = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "privet%3A1:another");
    let asked = service.asked.lock().unwrap().clone();
    assert!(asked[1].contains(&format!("authorization: Basic {shown}\r\n")), "{}", asked[1]);
}

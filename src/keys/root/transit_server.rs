//! A stand-in for the transit engine of OpenBao: its paths, answers and refusals, over sockets,
//! with real seals that bind their associated data. It can also be as unwell as the real one, and
//! worse.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::Aead;
use aes_gcm::aead::KeyInit;
use aes_gcm::aead::Payload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Entropy as _;
use crate::clock::SystemEntropy;

/// How the engine is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    Well,
    Sealed,
    /// Every token has expired.
    Expired,
    /// Says nothing, ever.
    Silent,
    /// Answers with a page for people.
    Garbage,
    /// Answers without end.
    Huge,
    /// Sends everybody elsewhere.
    Redirecting,
    /// Answers 200 with what it was sent, token included.
    Parrot,
    /// Ignores associated data, as engines did that did not know it.
    Loose,
    /// Unwraps to some other key.
    Lying,
}

struct Key {
    versions: Vec<[u8; 32]>,
    exportable: bool,
    deletion_allowed: bool,
    min_decryption_version: usize,
}

impl Key {
    fn new(exportable: bool) -> Self {
        let versions = vec![random()];
        Self { versions, exportable, deletion_allowed: false, min_decryption_version: 1 }
    }
}

struct State {
    mood: Mood,
    keys: BTreeMap<String, Key>,
    /// Method, path and namespace of each call.
    calls: Vec<(Method, String, String)>,
}

/// A running engine; gone when dropped.
pub(crate) struct TransitServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl TransitServer {
    /// Answers at `/v1/transit` to [`TOKEN`].
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let state = State { mood: Mood::Well, keys: BTreeMap::new(), calls: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    let connection = http1::Builder::new();
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.state.lock().unwrap().keys.keys().cloned().collect()
    }

    pub(crate) fn calls(&self) -> Vec<(Method, String, String)> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Makes a key as an administrator would.
    pub(crate) fn make(&self, name: &str, exportable: bool) {
        self.state.lock().unwrap().keys.insert(name.to_owned(), Key::new(exportable));
    }

    /// Loses a key.
    pub(crate) fn lose(&self, name: &str) {
        self.state.lock().unwrap().keys.remove(name).unwrap();
    }

    /// Lets no version before `least` open anything.
    pub(crate) fn retire(&self, name: &str, least: usize) {
        self.state.lock().unwrap().keys.get_mut(name).unwrap().min_decryption_version = least;
    }

    /// How many versions a key has.
    pub(crate) fn versions(&self, name: &str) -> usize {
        self.state.lock().unwrap().keys[name].versions.len()
    }

    /// Adds a version to a key; what older ones wrapped still opens.
    pub(crate) fn rotate(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.keys.get_mut(name).unwrap().versions.push(random());
    }
}

impl Drop for TransitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (token, namespace) = (header("x-vault-token"), header("x-vault-namespace"));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mood = {
        let mut state = state.lock().unwrap();
        state.calls.push((method.clone(), path.clone(), namespace));
        state.mood
    };
    let (status, text) = match mood {
        Mood::Sealed => (503, json!({ "errors": ["Vault is sealed"] }).to_string()),
        Mood::Silent => std::future::pending().await,
        Mood::Garbage => (200, "<html>Welcome to nginx!</html>".to_owned()),
        Mood::Huge => (200, "{\"data\":".to_owned() + &" ".repeat(1 << 20)),
        Mood::Redirecting => (307, String::new()),
        Mood::Parrot => (200, format!("{{\"data\":\"{token} {}\"}}", body.escape_ascii())),
        Mood::Expired => (403, denied()),
        Mood::Well | Mood::Loose | Mood::Lying if token != TOKEN => (403, denied()),
        Mood::Well | Mood::Loose | Mood::Lying => {
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (status, answer) = state.lock().unwrap().answer(&method, &path, &body);
            (status, if answer.is_null() { String::new() } else { answer.to_string() })
        }
    };
    let mut response = Response::builder().status(status);
    if status == 307 {
        response = response.header("location", "http://127.0.0.1:1/v1/elsewhere");
    }
    Ok(response.body(Full::from(text)).unwrap())
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let Some(rest) = path.strip_prefix("/v1/transit/") else {
            return (404, json!({ "errors": [format!("no handler for route {path:?}")] }));
        };
        let words: Vec<&str> = rest.split('/').collect();
        match (method.as_str(), words.as_slice()) {
            ("GET", ["keys", name]) => self.describe(name),
            ("POST", ["keys", name]) => {
                let fresh = || Key::new(body["exportable"] == true);
                self.keys.entry((*name).to_owned()).or_insert_with(fresh);
                self.describe(name)
            }
            ("POST", ["keys", name, "rotate"]) => match self.keys.get_mut(*name) {
                Some(key) => {
                    key.versions.push(random());
                    self.describe(name)
                }
                None => refused("no existing key found"),
            },
            ("POST", ["keys", name, "config"]) => {
                let Some(key) = self.keys.get_mut(*name) else {
                    return refused("no existing key found");
                };
                key.deletion_allowed = body["deletion_allowed"] == true;
                self.describe(name)
            }
            ("DELETE", ["keys", name]) => match self.keys.get(*name) {
                Some(key) if !key.deletion_allowed => {
                    refused("deletion is not allowed for this key")
                }
                Some(_) => {
                    self.keys.remove(*name);
                    (204, Value::Null)
                }
                None => refused("could not delete key; not found"),
            },
            ("POST", ["encrypt", name]) => self.encrypt(name, body),
            ("POST", ["decrypt", name]) => self.decrypt(name, body),
            _ => (405, json!({ "errors": ["unsupported operation"] })),
        }
    }

    fn describe(&self, name: &str) -> (u16, Value) {
        match self.keys.get(name) {
            None => (404, json!({ "errors": [] })),
            Some(key) => {
                let data = json!({
                    "allow_plaintext_backup": false, "deletion_allowed": key.deletion_allowed,
                    "derived": false, "exportable": key.exportable, "imported_key": false,
                    "keys": { "1": 1_790_000_000 }, "latest_version": key.versions.len(),
                    "min_decryption_version": 1, "min_encryption_version": 0, "name": name,
                    "supports_encryption": true, "type": "aes256-gcm96",
                });
                (200, json!({ "request_id": "r", "lease_duration": 0, "data": data }))
            }
        }
    }

    fn encrypt(&self, name: &str, body: &Value) -> (u16, Value) {
        let Some(key) = self.keys.get(name) else { return refused("encryption key not found") };
        let plain = STANDARD.decode(body["plaintext"].as_str().unwrap()).unwrap();
        let aad = self.associated(body);
        let mut nonce = [0; 12];
        SystemEntropy.fill(&mut nonce).unwrap();
        let payload = Payload { msg: &plain, aad: &aad };
        let sealed = cipher(key.versions.last().unwrap()).encrypt(&nonce.into(), payload).unwrap();
        let text = STANDARD.encode([nonce.as_slice(), &sealed].concat());
        let version = key.versions.len();
        let data =
            json!({ "ciphertext": format!("vault:v{version}:{text}"), "key_version": version });
        (200, json!({ "data": data }))
    }

    fn decrypt(&self, name: &str, body: &Value) -> (u16, Value) {
        let Some(key) = self.keys.get(name) else { return refused("encryption key not found") };
        let aad = self.associated(body);
        let opened = || {
            let text = body["ciphertext"].as_str()?.strip_prefix("vault:v")?;
            let (version, text) = text.split_once(':')?;
            let number = version.parse::<usize>().ok()?;
            let version = key.versions.get(number.checked_sub(1)?)?;
            if number < key.min_decryption_version {
                return None;
            }
            let sealed = STANDARD.decode(text).ok()?;
            let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
            let payload = Payload { msg: sealed, aad: &aad };
            cipher(version).decrypt(nonce.into(), payload).ok()
        };
        match opened() {
            Some(_) if self.mood == Mood::Lying => {
                (200, json!({ "data": { "plaintext": STANDARD.encode([7; 64]) } }))
            }
            Some(plain) => (200, json!({ "data": { "plaintext": STANDARD.encode(plain) } })),
            None => refused("cipher: message authentication failed"),
        }
    }

    fn associated(&self, body: &Value) -> Vec<u8> {
        match self.mood {
            Mood::Loose => Vec::new(),
            _ => STANDARD.decode(body["associated_data"].as_str().unwrap_or_default()).unwrap(),
        }
    }
}

fn refused(why: &str) -> (u16, Value) {
    (400, json!({ "errors": [why] }))
}

fn denied() -> String {
    json!({ "errors": ["1 error occurred:\n\t* permission denied\n\n"] }).to_string()
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemEntropy.fill(&mut bytes).unwrap();
    bytes
}

/// The only token that opens anything.
pub(crate) const TOKEN: &str = "s.a-token-that-nobody-may-see";

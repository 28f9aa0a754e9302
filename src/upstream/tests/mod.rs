//! Calls over loopback to stores that answer, stall, lie and break.

mod answers;
mod bodies;
mod calls;
mod credentials;
mod health;
mod writes;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::protocol::http::RequestId;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;
use crate::protocol::http::TraceParent;
use crate::types::StoreId;
use crate::types::Timestamp;

/// What a fake store does with a connection, in order. After the last step it waits until the
/// gateway closes.
#[derive(Clone, Debug)]
enum Step {
    /// Reads a request head, then sends bytes.
    Answer(Vec<u8>),
    /// Closes without a word after reading a request head.
    Drop,
    /// Sends no more, but goes on reading.
    HalfClose,
    /// Reads a request head, then resets the connection.
    Reset,
    /// Reads a request head and stays silent.
    Silence,
}

fn answer(text: &str) -> Step {
    Step::Answer(text.as_bytes().to_vec())
}

fn json(body: &str) -> Step {
    let length = body.len();
    answer(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

/// A store with a script for each connection, in the order they come.
struct Fake {
    url: StoreUrl,
    heads: Arc<Mutex<Vec<String>>>,
    asked: Arc<Notify>,
    /// Ends when every scripted connection has been closed by the gateway.
    done: JoinHandle<()>,
}

impl Fake {
    async fn new(connections: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::new(Notify::new());
        let (seen, told) = (Arc::clone(&heads), Arc::clone(&asked));
        let done = tokio::spawn(async move {
            let mut open = Vec::new();
            for script in connections {
                let (stream, _) = listener.accept().await.unwrap();
                open.push(tokio::spawn(play(stream, script, Arc::clone(&seen), Arc::clone(&told))));
            }
            for connection in open {
                connection.await.unwrap();
            }
        });
        Self { url: StoreUrl::parse(&url).unwrap(), heads, asked, done }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Stops the clock once the first request was read: from then on time passes by itself
    /// whenever nothing else happens.
    async fn pause_when_asked(&self) {
        self.asked.notified().await;
        tokio::time::pause();
    }
}

async fn play(
    mut stream: TcpStream,
    script: Vec<Step>,
    heads: Arc<Mutex<Vec<String>>>,
    asked: Arc<Notify>,
) {
    for step in script {
        if matches!(step, Step::HalfClose) {
            stream.shutdown().await.unwrap();
            continue;
        }
        let Some(head) = read_head(&mut stream).await else { return };
        heads.lock().unwrap().push(head);
        asked.notify_one();
        match step {
            Step::Answer(bytes) => {
                // The gateway may rightly hang up in the middle.
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Drop => return,
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Step::Silence | Step::HalfClose => {}
        }
    }
    let mut rest = Vec::new();
    let _closed = stream.read_to_end(&mut rest).await;
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn config(urls: &[&StoreUrl]) -> UpstreamConfig {
    let urls = urls.iter().map(|url| (*url).clone()).collect();
    let mut config = UpstreamConfig::new(StoreId::parse("shop").unwrap(), urls);
    // Loopback answers at once; a busy machine may take its time.
    config.timeouts.connect = Duration::from_secs(20);
    config.timeouts.first_byte = Duration::from_secs(20);
    config
}

fn upstream(config: UpstreamConfig) -> Upstream {
    Upstream::new(Store::open(config, &UpstreamMetrics::default()).unwrap())
}

fn request() -> StoreRequest {
    let mut client = HeaderMap::new();
    client.insert("authorization", HeaderValue::from_static("Bearer the-callers-own"));
    client.insert("cookie", HeaderValue::from_static("a=b"));
    let id = RequestId::new(Timestamp::from_unix_ms(1), &[1; 10]);
    let trace = TraceParent::root([1; 16], [2; 8]);
    StoreRequest {
        method: Method::GET,
        target: Target::parse_origin("/customers/1?limit=2").unwrap(),
        headers: StoreHeaders::new(&client, &id, &trace),
    }
}

async fn read(mut body: StoreBody) -> Result<String, UpstreamError> {
    let mut all = Vec::new();
    while let Some(piece) = body.chunk().await? {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(all).unwrap())
}

/// Asks `upstream` and reads the whole body.
async fn get(upstream: &Upstream) -> Result<String, UpstreamError> {
    read(upstream.ask(&request()).await?.body).await
}

/// What comes of a store that sends `bytes` to the first request.
async fn after(bytes: &[u8]) -> Result<String, UpstreamError> {
    let fake = Fake::new(vec![vec![Step::Answer(bytes.to_vec()), Step::HalfClose]]).await;
    get(&upstream(config(&[&fake.url]))).await
}

#[track_caller]
fn refused(result: Result<String, UpstreamError>, fault: AnswerFault) {
    match result {
        Err(UpstreamError::Answer(found)) => assert_eq!(found, fault),
        other => panic!("{other:?} instead of {fault:?}"),
    }
}

/// A URL where nobody listens.
async fn nobody() -> StoreUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    StoreUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

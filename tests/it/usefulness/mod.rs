//! Well-formed exchanges whose clear fields must arrive byte for byte: refusing everything is no
//! solution. The corpus of attacks is the other half.

mod calls;
mod cuts;
mod exchange;
mod framing;
mod structure;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use privet::proxy::Place;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::exchange;

use self::exchange::Client;
use self::exchange::Exchange;

const POLICY: &str = include_str!("policy.yaml");

/// A gateway before a store whose answer the test changes.
struct Bench {
    store: FakeStore,
    gateway: Gateway,
    token: String,
    script: Arc<Mutex<Vec<Step>>>,
}

impl Bench {
    async fn start() -> Self {
        let script: Arc<Mutex<Vec<Step>>> = Arc::default();
        let said = Arc::clone(&script);
        let store = FakeStore::start(move |_| said.lock().unwrap().clone()).await;
        let gateway = Gateway::start(Setup {
            place: Place::Prefix("/".into()),
            store: ("store", store.address()),
            ..Setup::new(POLICY, &store)
        });
        let token = gateway.token(&["clerk"], &["care"]);
        Self { store, gateway, token, script }
    }

    /// What the store says from now on.
    fn says(&self, pieces: &[Vec<u8>], closes: bool) {
        let mut steps: Vec<Step> = pieces.iter().cloned().map(Step::Bytes).collect();
        steps.extend(closes.then_some(Step::Close));
        *self.script.lock().unwrap() = steps;
    }

    async fn run(&self, exchange: &Exchange) -> Result<(), String> {
        self.says(&exchange.answer, exchange.closes);
        let before = self.store.asked().len();
        let replies = match exchange.client {
            Client::Http2(calls) => self.http2(exchange, calls).await?,
            _ => self.http1(exchange).await,
        };
        let asked = self.store.asked();
        let asked = asked.get(before..).unwrap_or_default();
        if let Some(other) = asked.iter().find(|asked| asked.target() != exchange.asked) {
            return Err(format!("the store was asked for {}", other.target()));
        }
        if asked.len() != replies.len() {
            return Err(format!("the store was asked {} times", asked.len()));
        }
        replies.iter().try_for_each(|reply| judge(exchange, reply))
    }

    async fn http1(&self, wanted: &Exchange) -> Vec<Reply> {
        let version = if wanted.client == Client::Http10 { "1.0" } else { "1.1" };
        let call = |last: bool| {
            format!(
                "{} {} HTTP/{version}\r\nHost: gateway.test\r\nAuthorization: Bearer {}\r\n{}{}\r\n",
                wanted.method,
                wanted.target,
                self.token,
                wanted.headers,
                if last { "Connection: close\r\n" } else { "" },
            )
        };
        let raw = match wanted.client {
            Client::Pipeline(calls) => {
                let all: String = (1..=calls).map(|n| call(n == calls)).collect();
                exchange(self.gateway.address, all.as_bytes()).await
            }
            Client::Http1Slow => self.byte_by_byte(call(true).as_bytes()).await,
            _ => exchange(self.gateway.address, call(true).as_bytes()).await,
        };
        split(&raw, wanted.method == "HEAD")
    }

    async fn byte_by_byte(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.gateway.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in request {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    async fn http2(&self, wanted: &Exchange, calls: usize) -> Result<Vec<Reply>, String> {
        let stream = TcpStream::connect(self.gateway.address).await.unwrap();
        let shaken =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (client, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let call = |mut client: hyper::client::conn::http2::SendRequest<Empty<Bytes>>| async move {
            let request = http::Request::builder()
                .method(wanted.method)
                .uri(format!("http://gateway.test{}", wanted.target))
                .header("authorization", format!("Bearer {}", self.token))
                .body(Empty::new())
                .unwrap();
            let answer = client.send_request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
            let body = body.to_bytes().to_vec();
            Ok::<_, String>(Reply {
                status,
                head: String::new(),
                raw: body.clone(),
                body,
                is_whole: true,
            })
        };
        let mut running = Vec::new();
        for _ in 0..calls {
            running.push(Box::pin(call(client.clone())));
        }
        let mut replies = Vec::new();
        for reply in futures(running).await {
            replies.push(reply?);
        }
        Ok(replies)
    }
}

/// Runs everything at once.
async fn futures<F: Future + Unpin>(mut running: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (work, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(work).poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The answers in `raw`, one after the other.
fn split(raw: &[u8], of_head: bool) -> Vec<Reply> {
    let mut starts: Vec<usize> = memchr::memmem::find_iter(raw, b"HTTP/1.").collect();
    starts.push(raw.len());
    starts.windows(2).map(|pair| Reply::parse(raw[pair[0]..pair[1]].to_vec(), of_head)).collect()
}

fn judge(exchange: &Exchange, reply: &Reply) -> Result<(), String> {
    let raw = reply.raw_text();
    if reply.status != exchange.status {
        return Err(format!("status {}: {}", reply.status, reply.text()));
    }
    if raw.contains("CANARY") || raw.contains("canary") {
        return Err("what is not shown got out".to_owned());
    }
    if reply.text() != exchange.body {
        let (at, _) = differs(&reply.body, exchange.body.as_bytes());
        return Err(format!(
            "another body, from byte {at} on: {:.200}",
            String::from_utf8_lossy(reply.body.get(at..).unwrap_or_default())
        ));
    }
    Ok(())
}

fn differs(a: &[u8], b: &[u8]) -> (usize, bool) {
    let at = a.iter().zip(b).position(|(a, b)| a != b);
    (at.unwrap_or(a.len().min(b.len())), at.is_some())
}

#[tokio::test]
async fn what_is_well_formed_arrives_byte_for_byte() {
    let exchanges =
        [values::exchanges(), structure::exchanges(), framing::exchanges(), calls::exchanges()]
            .concat();
    let names: BTreeSet<&str> = exchanges.iter().map(|exchange| exchange.name.as_str()).collect();
    assert_eq!(names.len(), exchanges.len(), "every exchange has its own name");
    assert!(exchanges.len() >= 150, "{}", exchanges.len());
    let bench = Bench::start().await;
    let mut faults = Vec::new();
    for exchange in &exchanges {
        if let Err(fault) = bench.run(exchange).await {
            faults.push(format!("{}: {fault}", exchange.name));
        }
    }
    println!("{} exchanges, {} faults", exchanges.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

//! The witness on the network: one page, small bodies, little time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use http::StatusCode;
use http::header;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::net::Bound;
use crate::net::Connection;
use crate::net::Drain;
use crate::net::Listener;
use crate::net::ListenerSetup;
use crate::net::NetMetrics;
use crate::net::Places;
use crate::net::ServerTls;
use crate::net::TlsConfig;
use crate::protocol::proof::MAX_PROOF_BYTES;

use super::CosignerError;
use super::book::Answer;
use super::book::Book;
use super::folder::Folder;

/// How a witness is run.
#[derive(Clone, Debug)]
pub struct CosignerSetup {
    /// Its folder.
    pub dir: PathBuf,
    /// Where it listens; beyond this machine only with TLS.
    pub listen: SocketAddr,
    /// Its certificate.
    pub tls: Option<TlsConfig>,
}

/// A witness that listens. Stop it with [`stop`](Self::stop).
#[derive(Debug)]
pub struct RunningCosigner {
    address: SocketAddr,
    logs: usize,
    drain: Drain,
    serving: JoinHandle<()>,
}

impl RunningCosigner {
    /// Reads the folder and listens, on the runtime this is called in.
    pub fn start(setup: &CosignerSetup) -> Result<Self, CosignerError> {
        if setup.tls.is_none() && !setup.listen.ip().is_loopback() {
            return Err(CosignerError::Open(setup.listen));
        }
        let book = Arc::new(Book::open(Folder::open(&setup.dir)?)?);
        let tls = setup.tls.clone();
        let tls = tls.map(|files| ServerTls::load(files, Arc::new(SystemClock))).transpose()?;
        let drain = Drain::new();
        let listening = ListenerSetup {
            tls: tls.map(Arc::new),
            connections: Places::new(MOST_CONNECTIONS, MOST_CONNECTIONS_PER_PEER),
            handshake_timeout: HEADERS,
            drain: drain.clone(),
            metrics: NetMetrics::default(),
        };
        let listener = Listener::new(Bound::bind(setup.listen)?, listening)?;
        let (address, logs) = (listener.address(), book.logs());
        let (pages, ending) = (router(book), drain.clone());
        let serving = tokio::spawn(
            listener.serve(move |connection| serve(connection, pages.clone(), ending.clone())),
        );
        Ok(Self { address, logs, drain, serving })
    }

    /// Where it listens, with the port that was picked.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many logs it watches.
    pub const fn logs(&self) -> usize {
        self.logs
    }

    /// Takes nothing new, and lets what is under way end.
    pub async fn stop(self) {
        self.drain.start();
        self.drain.finished(GRACE).await;
        // It ends with the drain; what it would fail of is nobody's any more.
        drop(self.serving.await);
    }
}

fn router(book: Arc<Book>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add))
        .route("/livez", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(MAX_PROOF_BYTES))
        .with_state(book)
}

async fn add(State(book): State<Arc<Book>>, body: String) -> Response {
    let time_s = SystemClock.now().unix_s();
    // Writing down waits for the disk.
    let answer = tokio::task::spawn_blocking(move || book.add(&body, time_s)).await;
    respond(answer.unwrap_or(Answer::Failed))
}

/// The statuses are those of tlog-witness; the texts are for people.
fn respond(answer: Answer) -> Response {
    let (status, text) = match answer {
        Answer::Cosigned(line) => return line.into_response(),
        Answer::Conflict(size) => {
            let content = [(header::CONTENT_TYPE, SIZE)];
            return (StatusCode::CONFLICT, content, format!("{size}\n")).into_response();
        }
        Answer::Malformed => (StatusCode::BAD_REQUEST, "not a request of add-checkpoint\n"),
        Answer::UnknownLog => (StatusCode::NOT_FOUND, "this witness does not watch that log\n"),
        Answer::Unsigned => (StatusCode::FORBIDDEN, "no key of that log signed the checkpoint\n"),
        Answer::NotConsistent => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "the checkpoint does not continue the last one this witness signed\n",
        ),
        Answer::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "it could not be written down\n"),
    };
    (status, text).into_response()
}

/// Answers one connection until it ends, is idle or has lasted long enough.
async fn serve(connection: Connection, pages: Router, drain: Drain) {
    // The slot is given back when the connection is gone.
    let Connection { stream, slot: _slot, .. } = connection;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).half_close(false);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    let service = TowerToHyperService::new(pages);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = drain.started() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What fails here concerns one log, which asks again.
    drop(tokio::time::timeout(GRACE, connection).await);
}

const SIZE: &str = "text/x.tlog.size";
/// Open connections at once; more are closed.
const MOST_CONNECTIONS: usize = 256;
const MOST_CONNECTIONS_PER_PEER: usize = 32;
/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 8;
/// How long a request's headers may take, and how long a connection may be idle.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection may last; a slow body ends with it.
const LIFE: Duration = Duration::from_secs(60);
/// How long a connection that was told to close may still take.
const GRACE: Duration = Duration::from_secs(5);

//! One connection: HTTP/1.1 or HTTP/2, with the limits a stranger meets first.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::net::Alpn;
use crate::net::Drain;

use super::call;
use super::config::Limits;
use super::patience::Patient;
use super::worker::Worker;

/// Streams of one HTTP/2 connection at one time.
const STREAMS: u32 = 128;
/// Resets a client may cause before its connection is closed (CVE-2023-44487).
const RESETS: usize = 32;
/// Header lines of one request.
const HEADERS: usize = 100;
/// The smallest buffer hyper accepts.
const MIN_BUFFER: usize = 8192;
/// How long a connection that was told to close may still take.
const GRACE: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection, as far as the connection itself tells.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The client's verified certificate in DER.
    pub certificate: Option<Arc<[u8]>>,
    /// The protocol agreed on; without one it is read off the first bytes.
    pub alpn: Option<Alpn>,
}

/// What happens on one connection, told by its calls.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    under_way: AtomicUsize,
    /// Milliseconds from `opened` to when the last call ended.
    last_ms: AtomicU64,
    cut: Notify,
}

/// One call of a connection, until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            under_way: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            cut: Notify::new(),
        }
    }

    /// Marks the start of a call.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Closes the connection under its calls: the client takes nothing.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }

    /// How long nothing was under way.
    fn idle(&self) -> Duration {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(last)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, is idle for too long, or the gateway drains.
pub(crate) async fn serve<S>(worker: Arc<Worker>, stream: S, peer: Peer, drain: Drain)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = worker.shared().limits();
    let activity = Arc::new(Activity::new());
    let builder = builder(&limits, peer.alpn);
    let stream = TokioIo::new(Patient::new(stream, limits.client_write));
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request| {
            call::answer(Arc::clone(&worker), peer.clone(), Arc::clone(&activity), request)
        })
    };
    let connection = std::pin::pin!(builder.serve_connection(stream, service));
    watch(connection, &activity, limits.idle, &drain).await;
}

/// Drives a connection to its end and decides when that is.
async fn watch<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    idle: Duration,
    drain: &Drain,
) {
    let mut closing = false;
    let mut timer = std::pin::pin!(tokio::time::sleep(idle));
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = activity.cut.notified() => return,
            () = drain.started(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
                timer.as_mut().reset(Instant::now() + idle);
            }
            () = timer.as_mut() => {
                let idle_for = activity.idle();
                if closing && idle_for >= GRACE {
                    return;
                }
                if !closing && idle_for >= idle {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now() + GRACE);
                } else {
                    timer.as_mut().reset(Instant::now() + idle.saturating_sub(idle_for).max(GRACE));
                }
            }
        }
    }
}

fn builder(limits: &Limits, alpn: Option<Alpn>) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        .max_headers(HEADERS)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(limits.idle / 2)
        .keep_alive_timeout(limits.client_write);
    match alpn {
        Some(Alpn::H2) => builder.http2_only(),
        Some(Alpn::Http1) => builder.http1_only(),
        None => builder,
    }
}

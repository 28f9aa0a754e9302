//! One connection: HTTP/1.1 or HTTP/2, with the limits a stranger meets first.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
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
use tokio::time::Sleep;

use crate::net::Alpn;
use crate::net::Cut;
use crate::net::Drain;

use super::call;
use super::config::Limits;
use super::heard::Heard;
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

/// How long after it was opened a connection may wait for its first call, though draining.
const FRESH: Duration = Duration::from_secs(1);
/// Answers that do not move are not looked for more often.
const OFTEN: Duration = Duration::from_millis(10);
/// Stands for the time at which an answer last moved when it did not for too long.
const STALLED: u64 = u64::MAX;
/// Stands for the time of an answer that waits for the store: the client cannot take anything.
const PAUSED: u64 = u64::MAX - 1;

/// Who is at the other end of a connection, as far as the connection itself tells.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The client's verified certificate in DER.
    pub certificate: Option<Arc<[u8]>>,
    /// The protocol agreed on; without one it is read off the first bytes.
    pub alpn: Option<Alpn>,
}

/// How the bytes of a connection are to be read, as its first ones say.
const UNHEARD: u8 = 0;
const HTTP_1: u8 = 1;
const HTTP_2: u8 = 2;

/// What happens on one connection, told by its calls.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    protocol: AtomicU8,
    /// Whether somebody has shown who they are.
    known: AtomicBool,
    /// When the connection was told to close; 0 before.
    closing_ms: AtomicU64,
    /// Whether the connection ends under its calls.
    is_cut: AtomicBool,
    /// When the head of a request began that has not come to its end; 0 when there is none.
    head_ms: AtomicU64,
    under_way: AtomicUsize,
    /// Milliseconds from `opened` to when the last call ended.
    last_ms: AtomicU64,
    /// When each answer on its way last moved, in milliseconds from `opened`.
    sending: Mutex<Vec<Arc<AtomicU64>>>,
    cut: Notify,
    begun: Notify,
}

/// One call of a connection, until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            protocol: AtomicU8::new(UNHEARD),
            known: AtomicBool::new(false),
            closing_ms: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
            head_ms: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            sending: Mutex::default(),
            cut: Notify::new(),
            begun: Notify::new(),
        }
    }

    /// Marks the start of a call.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.head_ms.store(0, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.notify_waiters();
        UnderWay(Arc::clone(self))
    }

    /// Notes that somebody has shown who they are.
    pub(crate) fn know(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Notes that bytes came. Between calls they are the beginning of a head; under HTTP/2 they may
    /// be anything.
    pub(crate) fn heard(&self, bytes: &[u8]) {
        if self.protocol.load(Ordering::Relaxed) == UNHEARD {
            let protocol = if bytes.starts_with(b"PRI") { HTTP_2 } else { HTTP_1 };
            self.protocol.store(protocol, Ordering::Relaxed);
        }
        let is_head = self.protocol.load(Ordering::Relaxed) == HTTP_1
            && self.under_way.load(Ordering::Relaxed) == 0
            && self.head_ms.load(Ordering::Relaxed) == 0;
        if is_head {
            self.head_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// When the connection is to be looked at next, as far as is known now.
    fn next_look(&self, limits: &Limits) -> Instant {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return Instant::now() + (limits.client_write / 4).max(OFTEN);
        }
        let last = self.last_ms.load(Ordering::Relaxed);
        let closing = self.closing_ms.load(Ordering::Relaxed);
        if closing != 0 {
            return self.opened + Duration::from_millis(last.max(closing)) + GRACE;
        }
        let idle_until = self.opened + Duration::from_millis(last) + self.patience(limits);
        match self.head_ms.load(Ordering::Relaxed) {
            0 => idle_until,
            began => {
                let head = limits.head.min(limits.idle);
                idle_until.min(self.opened + Duration::from_millis(began) + head)
            }
        }
    }

    /// Notes that the connection was told to close.
    fn close(&self) {
        self.closing_ms.store(self.now_ms().max(1), Ordering::Relaxed);
    }

    /// How long the connection may be without a call.
    fn patience(&self, limits: &Limits) -> Duration {
        if self.known.load(Ordering::Relaxed) { limits.idle } else { limits.head.min(limits.idle) }
    }

    /// Whether the head of a request takes too long.
    fn is_slow_to_ask(&self, limits: &Limits) -> bool {
        let began = self.head_ms.load(Ordering::Relaxed);
        let head = u64::try_from(limits.head.min(limits.idle).as_millis()).unwrap_or(u64::MAX);
        began != 0 && self.now_ms().saturating_sub(began) >= head
    }

    /// Closes the connection under its calls: the client takes nothing.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        self.cut.notify_one();
    }

    /// Whether the connection ends under its calls.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Marks an answer as on its way to the client.
    pub(crate) fn sending(self: &Arc<Self>) -> Sending {
        let moved_ms = Arc::new(AtomicU64::new(self.now_ms()));
        self.all_sending().push(Arc::clone(&moved_ms));
        Sending { activity: Arc::clone(self), moved_ms }
    }

    /// Whether the client has left an answer where it is for `patience`; marks those it has.
    fn is_stalled(&self, patience: Duration) -> bool {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let now = self.now_ms();
        let all = self.all_sending();
        let late = all.iter().filter(|it| {
            let moved = it.load(Ordering::Relaxed);
            moved < PAUSED && now.saturating_sub(moved) >= patience
        });
        let is_stalled = late.map(|it| it.store(STALLED, Ordering::Relaxed)).count() > 0;
        if is_stalled {
            self.is_cut.store(true, Ordering::Relaxed);
        }
        is_stalled
    }

    fn all_sending(&self) -> MutexGuard<'_, Vec<Arc<AtomicU64>>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(PAUSED - 1)
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

/// An answer on its way to the client, until dropped. The client may hold it up by an HTTP/2
/// window, which the stream of bytes below does not see.
#[derive(Debug)]
pub(crate) struct Sending {
    activity: Arc<Activity>,
    moved_ms: Arc<AtomicU64>,
}

impl Sending {
    /// Notes that the client has taken a frame.
    pub(crate) fn moved(&self) {
        self.moved_ms.store(self.activity.now_ms(), Ordering::Relaxed);
    }

    /// Notes that there is nothing for the client to take.
    pub(crate) fn pause(&self) {
        self.moved_ms.store(PAUSED, Ordering::Relaxed);
    }

    /// Whether this answer has not moved for `patience`, whoever closed the connection.
    pub(crate) fn is_late(&self, patience: Duration) -> bool {
        let moved = self.moved_ms.load(Ordering::Relaxed);
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let is_moving = moved < PAUSED;
        self.is_stalled() || is_moving && self.activity.now_ms().saturating_sub(moved) >= patience
    }

    /// Whether the connection was closed because this answer did not move.
    pub(crate) fn is_stalled(&self) -> bool {
        self.moved_ms.load(Ordering::Relaxed) == STALLED
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.activity.all_sending().retain(|it| !Arc::ptr_eq(it, &self.moved_ms));
    }
}

impl Clone for UnderWay {
    fn clone(&self) -> Self {
        self.0.begin()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.last_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, is idle for too long, or the gateway drains.
pub(crate) async fn serve<S>(worker: Arc<Worker>, stream: S, peer: Peer, drain: Drain)
where
    S: AsyncRead + AsyncWrite + Cut + Unpin + Send + 'static,
{
    let limits = worker.shared().limits();
    let activity = Arc::new(Activity::new());
    let builder = builder(&limits, peer.alpn);
    let stream = Heard::new(Patient::new(stream, limits.client_write), Arc::clone(&activity));
    let stream = TokioIo::new(stream);
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request| {
            call::answer(Arc::clone(&worker), peer.clone(), Arc::clone(&activity), request)
        })
    };
    let connection = std::pin::pin!(builder.serve_connection(stream, service));
    watch(connection, &activity, &limits, &drain).await;
}

/// Drives a connection to its end and decides when that is.
async fn watch<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    limits: &Limits,
    drain: &Drain,
) {
    let mut closing = false;
    let mut timer = std::pin::pin!(tokio::time::sleep_until(activity.next_look(limits)));
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = activity.cut.notified() => return,
            () = told_to_close(drain, activity), if !closing => {
                closing = true;
                activity.close();
                connection.as_mut().graceful_shutdown();
            }
            () = due(timer.as_mut(), activity, limits) => {
                let idle_for = activity.idle();
                let is_over = closing && activity.next_look(limits) <= Instant::now();
                if is_over
                    || activity.is_stalled(limits.client_write)
                    || activity.is_slow_to_ask(limits)
                {
                    return;
                }
                if !closing && idle_for >= activity.patience(limits) {
                    closing = true;
                    activity.close();
                    connection.as_mut().graceful_shutdown();
                }
                timer.as_mut().reset(activity.next_look(limits).max(Instant::now() + OFTEN));
            }
        }
    }
}

/// Waits until `timer` runs out. Brings it forward when something began meanwhile that is looked
/// at sooner: whatever happens on a connection wakes the task that drives it, and so this.
async fn due(mut timer: Pin<&mut Sleep>, activity: &Activity, limits: &Limits) {
    std::future::poll_fn(|cx| {
        let next = activity.next_look(limits);
        if next < timer.deadline() {
            timer.as_mut().reset(next);
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

/// Waits until a drain concerns this connection: with its next answer once the drain is near, and
/// whatever it does once that has started. Who has just connected has a call on its way, and
/// would never learn what became of it.
async fn told_to_close(drain: &Drain, activity: &Activity) {
    drain.leaving().await;
    if activity.under_way.load(Ordering::Relaxed) > 0 {
        return;
    }
    let started = async {
        drain.started().await;
        tokio::time::sleep_until(activity.opened + FRESH).await;
    };
    tokio::select! {
        () = activity.begun.notified() => {}
        () = started => {}
    }
}

fn builder(limits: &Limits, alpn: Option<Alpn>) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Heads that take too long are seen above, with one timer for everything.
        .header_read_timeout(None)
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

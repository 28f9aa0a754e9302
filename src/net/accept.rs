//! Listening: one socket per worker on one port, a limit over all of them, handshakes with a
//! deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use socket2::Domain;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsStream;

use super::Alpn;
use super::Connection;
use super::Drain;
use super::NetError;
use super::NetMetrics;
use super::Places;
use super::ServerTls;
use super::Slot;
use super::Stream;
use super::TlsFacts;
use super::server_tls::ALPN_H2;
use super::server_tls::ALPN_HTTP1;

/// A socket that is bound but belongs to no runtime yet.
#[derive(Debug)]
pub struct Bound {
    socket: StdListener,
    address: SocketAddr,
}

/// What every listener of one port shares.
#[derive(Clone, Debug)]
pub struct ListenerSetup {
    /// The certificate; without one connections are in the clear.
    pub tls: Option<Arc<ServerTls>>,
    /// The connections that may be open at once, over every listener that shares them.
    pub connections: Arc<Places>,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// When to stop.
    pub drain: Drain,
    /// What is counted.
    pub metrics: NetMetrics,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    setup: ListenerSetup,
}

/// A connection whose handshake has not begun. Establish it in its own task, so that a slow peer
/// holds up nobody else.
#[derive(Debug)]
pub struct Pending {
    socket: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    tls: Option<Arc<ServerTls>>,
    handshake_timeout: Duration,
    slot: Slot,
    metrics: NetMetrics,
}

impl Bound {
    /// Binds one socket that nobody shares. Port 0 picks a free port.
    pub fn bind(address: SocketAddr) -> Result<Self, NetError> {
        Self::open(address, false)
    }

    /// Binds `workers` sockets on one port; the kernel spreads connections over them.
    pub fn bind_shared(address: SocketAddr, workers: usize) -> Result<Vec<Self>, NetError> {
        if workers <= 1 {
            return Self::bind(address).map(|bound| vec![bound]);
        }
        // A shared socket would silently join another process on the same port; an exclusive one
        // reports it.
        drop(Self::open(address, false)?);
        let first = Self::open(address, true)?;
        let address = first.address;
        let rest = (1..workers).map(|_| Self::open(address, true));
        std::iter::once(Ok(first)).chain(rest).collect()
    }

    /// One handle for each of `workers` on a socket that was open before this process. They share
    /// its queue; closing them leaves it to whoever handed the socket over.
    pub fn inherited(socket: &StdListener, workers: usize) -> Result<Vec<Self>, NetError> {
        let one = || {
            let socket = socket.try_clone()?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        let wrong = |source| NetError::Inherited { name: "".into(), source };
        (0..workers.max(1)).map(|_| one().map_err(wrong)).collect()
    }

    /// The address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn open(address: SocketAddr, shared: bool) -> Result<Self, NetError> {
        let open = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            if shared {
                socket.set_reuse_port(true)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = StdListener::from(socket);
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        open().map_err(|source| NetError::Bind { address, source })
    }
}

impl Listener {
    /// Hands a bound socket to the runtime this is called in.
    pub fn new(bound: Bound, setup: ListenerSetup) -> Result<Self, NetError> {
        let address = bound.address;
        let socket = TcpListener::from_std(bound.socket)
            .map_err(|source| NetError::Bind { address, source })?;
        Ok(Self { socket, address, setup })
    }

    /// The address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection; none once draining. One beyond a limit is closed at once,
    /// so that nobody waits behind it.
    pub async fn accept(&self) -> Option<Pending> {
        let setup = &self.setup;
        let (socket, peer, place) = loop {
            let (socket, peer) = tokio::select! {
                biased;
                () = setup.drain.started() => return None,
                accepted = self.next() => accepted,
            };
            match setup.connections.take(peer.ip()) {
                Some(place) => break (socket, peer, place),
                None => setup.metrics.limit_reached.inc(),
            };
        };
        setup.metrics.accepted.inc();
        let slot = Slot::new(place, setup.drain.enter(), setup.metrics.clone());
        let local = socket.local_addr().unwrap_or(self.address);
        let tls = setup.tls.clone();
        let handshake_timeout = setup.handshake_timeout;
        let metrics = setup.metrics.clone();
        Some(Pending { socket, peer, local, tls, handshake_timeout, slot, metrics })
    }

    /// Accepts until draining, running `handle` on each connection in its own task. A handshake
    /// that fails is counted and ends there.
    pub async fn serve<H, F>(self, handle: H)
    where
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(pending) = self.accept().await {
            let handle = handle.clone();
            tokio::spawn(async move {
                match pending.establish().await {
                    Ok(connection) => handle(connection).await,
                    Err(error) => {
                        tracing::debug!(error = &error as &dyn std::error::Error, "no handshake");
                    }
                }
            });
        }
    }

    async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_about_one_peer(&error) => {}
                Err(error) => {
                    // Out of descriptors or memory: the connection stays queued, so asking again
                    // at once would spin.
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Pending {
    /// Who connected.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Does the handshake, when there is one to do. One that fails is counted.
    pub async fn establish(self) -> Result<Connection, NetError> {
        let metrics = self.metrics.clone();
        self.shake().await.inspect_err(|_| {
            metrics.handshakes_failed.inc();
        })
    }

    async fn shake(self) -> Result<Connection, NetError> {
        let Self { socket, peer, local, tls, handshake_timeout, slot, .. } = self;
        // Small answers must not wait for the peer's acknowledgement of the last one.
        socket.set_nodelay(true).map_err(NetError::Handshake)?;
        let Some(tls) = tls else {
            return Ok(Connection { stream: Stream::Plain(socket), peer, local, tls: None, slot });
        };
        let shaking = TlsAcceptor::from(tls.current()).accept(socket);
        let stream = tokio::time::timeout(handshake_timeout, shaking)
            .await
            .map_err(|_| NetError::Timeout {
                what: "the TLS handshake",
                limit_ms: handshake_timeout.as_millis(),
            })?
            .map_err(NetError::Handshake)?;
        let (_, session) = stream.get_ref();
        let facts = TlsFacts {
            alpn: session.alpn_protocol().and_then(alpn),
            client_chain: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        };
        let stream = Stream::Tls(Box::new(TlsStream::Server(stream)));
        Ok(Connection { stream, peer, local, tls: Some(facts), slot })
    }
}

fn alpn(name: &[u8]) -> Option<Alpn> {
    match name {
        ALPN_H2 => Some(Alpn::H2),
        ALPN_HTTP1 => Some(Alpn::Http1),
        _ => None,
    }
}

/// Whether the peer gave up before it was accepted, which says nothing about the socket.
fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

const BACKLOG: i32 = 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

//! One connection, in the clear or under TLS, and what TLS found out about the peer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::NetMetrics;
use super::Open;
use super::places::Place;

/// A byte stream to a peer.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Under TLS, from either side.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A byte stream that can end without the peer taking what is left.
pub trait Cut {
    /// Makes the stream end with a reset when it is dropped: what a peer does not take would
    /// otherwise stay in the system's buffers for minutes.
    fn cut(&self);
}

impl Cut for Stream {
    fn cut(&self) {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Without it the end is only slower.
        drop(socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)));
    }
}

impl Cut for DuplexStream {
    fn cut(&self) {}
}

/// An accepted connection whose handshake is done.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// Who connected.
    pub peer: SocketAddr,
    /// Where they connected to.
    pub local: SocketAddr,
    /// What TLS found out; none in the clear.
    pub tls: Option<TlsFacts>,
    /// The connection's place under the limit; keep it until the stream is dropped.
    pub slot: Slot,
}

/// What a TLS handshake settled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFacts {
    /// The protocol agreed on.
    pub alpn: Option<Alpn>,
    /// The client's certificates in DER, its own first, verified against the configured client
    /// authorities. Empty when the client showed none.
    pub client_chain: Vec<Vec<u8>>,
}

impl TlsFacts {
    /// The client's own verified certificate in DER.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client_chain.first().map(Vec::as_slice)
    }
}

/// An application protocol agreed on in the handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alpn {
    /// `h2`.
    H2,
    /// `http/1.1`.
    Http1,
}

/// A place under the connection limit, and a connection that a drain waits for; both are given back
/// when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _place: Place,
    _open: Open,
    metrics: NetMetrics,
}

impl Slot {
    pub(super) fn new(place: Place, open: Open, metrics: NetMetrics) -> Self {
        metrics.open.inc();
        Self { _place: place, _open: open, metrics }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.open.dec();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

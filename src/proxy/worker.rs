//! What one thread of the gateway owns: its connections to the stores.

use std::fmt;
use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::net::Connection;
use crate::net::Cut;
use crate::net::Drain;
use crate::upstream::Upstream;

use super::connection;
use super::connection::Peer;
use super::shared::Mount;
use super::shared::Shared;

/// One thread's share of the gateway. Connections to the stores are not shared between threads.
pub struct Worker {
    shared: Arc<Shared>,
    /// One per store, in the order of [`Shared::stores`].
    upstreams: Vec<Upstream>,
}

impl Worker {
    /// A worker without connections yet.
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        let upstream = |mount: &Mount| Upstream::new(Arc::clone(&mount.store));
        let upstreams = shared.stores.iter().map(upstream).collect();
        Arc::new(Self { shared, upstreams })
    }

    /// What all workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Serves an accepted connection until it ends, has been idle for too long, or `drain` starts
    /// and its calls are done.
    pub async fn serve(self: Arc<Self>, connection: Connection, drain: Drain) {
        let Connection { stream, tls, slot, .. } = connection;
        let peer = tls.map_or_else(Peer::default, |tls| Peer {
            certificate: tls.client_certificate().map(Arc::from),
            alpn: tls.alpn,
        });
        connection::serve(self, stream, peer, drain).await;
        drop(slot);
    }

    /// As [`serve`](Self::serve), over any stream of bytes.
    pub async fn serve_stream<S>(self: Arc<Self>, stream: S, peer: Peer, drain: Drain)
    where
        S: AsyncRead + AsyncWrite + Cut + Unpin + Send + 'static,
    {
        connection::serve(self, stream, peer, drain).await;
    }

    pub(crate) fn upstream(&self, store: usize) -> Option<&Upstream> {
        self.upstreams.get(store)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("stores", &self.upstreams.len()).finish_non_exhaustive()
    }
}

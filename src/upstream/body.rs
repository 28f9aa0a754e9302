//! A store's body, pulled piece by piece.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::protocol::http::Coding;
use crate::protocol::http::Decoder;

use super::AnswerFault;
use super::UpstreamError;
use super::connection::Connection;
use super::pool::Pool;
use super::store::Load;
use super::store::Store;

/// A body without content coding or trailers. Nothing is read ahead of what is asked for, beyond
/// one network buffer.
///
/// Read to its end, its connection serves the next call; dropped before, the connection closes.
pub struct StoreBody {
    incoming: Incoming,
    decoder: Option<Decoder>,
    /// Coded bytes not yet decoded.
    coded: Bytes,
    stage: Stage,
    lease: Option<Lease>,
    store: Arc<Store>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The store has said everything.
    Ended,
    /// An error was returned.
    Failed,
    /// More may come.
    Open,
}

/// What goes back when the body has been read.
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) connection: Connection,
    pub(super) load: Load,
}

impl StoreBody {
    pub(super) fn new(store: Arc<Store>, incoming: Incoming, coding: Coding, lease: Lease) -> Self {
        let ended = incoming.is_end_stream();
        let mut body = Self {
            decoder: if ended { None } else { Decoder::new(coding, store.config.limits.expansion) },
            incoming,
            coded: Bytes::new(),
            stage: Stage::Open,
            lease: Some(lease),
            store,
        };
        if ended {
            body.end();
        }
        body
    }

    /// The next piece, never empty; `None` after the last. An error means that the body is not
    /// whole: whatever came before it must not be taken for all of it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let piece = match self.stage {
            Stage::Failed => Err(UpstreamError::Over),
            Stage::Ended => Ok(None),
            Stage::Open => self.next().await,
        };
        if let Err(error) = &piece {
            self.fail(error);
        }
        piece
    }

    /// Reads on to the end of a body nobody wants, so that its connection serves the next call;
    /// gives up beyond `most` bytes.
    pub async fn discard(mut self, most: usize) {
        let mut left = most;
        while let Ok(Some(piece)) = self.chunk().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let piece = decoder.decode(&mut self.coded).map_err(AnswerFault::from)?;
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
            match self.frame().await? {
                Some(data) if self.decoder.is_some() => self.coded = data,
                Some(data) => return Ok(Some(data)),
                None => {
                    if let Some(decoder) = &self.decoder {
                        decoder.finish().map_err(AnswerFault::from)?;
                    }
                    self.end();
                    return Ok(None);
                }
            }
        }
    }

    /// The next bytes as the store sent them. Trailers are dropped: they could carry anything.
    async fn frame(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let idle = self.store.config.timeouts.idle;
        loop {
            let frame = within(idle, self.incoming.frame()).await?;
            let Some(frame) = frame.transpose().map_err(UpstreamError::Interrupted)? else {
                return Ok(None);
            };
            match frame.into_data() {
                Ok(data) if !data.is_empty() => {
                    self.store.metrics.body_bytes.inc_by(data.len() as u64);
                    return Ok(Some(data));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn end(&mut self) {
        self.stage = Stage::Ended;
        if let Some(Lease { pool, connection, load }) = self.lease.take() {
            pool.put(load.address.index, connection);
        }
    }

    fn fail(&mut self, error: &UpstreamError) {
        self.stage = Stage::Failed;
        if let Some(lease) = self.lease.take() {
            lease.load.failed(error);
            self.store.metrics.failures.inc();
        }
    }
}

impl fmt::Debug for StoreBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBody").field("stage", &self.stage).finish_non_exhaustive()
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, UpstreamError> {
    timeout(limit, work).await.map_err(|_| UpstreamError::Timeout("between two pieces of a body"))
}

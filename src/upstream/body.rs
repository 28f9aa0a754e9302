//! A store's body, pulled piece by piece.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep_until;

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
    /// Runs while the store is waited for. Made with the first wait: short bodies never wait.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
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
            timer: None,
            is_waiting: false,
        };
        if ended {
            body.end();
        }
        body
    }

    /// The next piece, never empty; `None` after the last. An error means that the body is not
    /// whole: whatever came before it must not be taken for all of it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// As [`chunk`](Self::chunk), for a body that is passed on as it comes.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, UpstreamError>> {
        let piece = match self.stage {
            Stage::Failed => Err(UpstreamError::Over),
            Stage::Ended => Ok(None),
            Stage::Open => ready!(self.poll_next(cx)),
        };
        if let Err(error) = &piece {
            self.fail(error);
        }
        Poll::Ready(piece)
    }

    /// How many bytes are still to come, where the store said so.
    pub fn length(&self) -> Option<u64> {
        if self.decoder.is_some() { None } else { self.incoming.size_hint().exact() }
    }

    /// Whether nothing more comes, because everything was read.
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
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

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, UpstreamError>> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let piece = decoder.decode(&mut self.coded).map_err(AnswerFault::from)?;
                if !piece.is_empty() {
                    return Poll::Ready(Ok(Some(piece)));
                }
            }
            match ready!(self.poll_frame(cx))? {
                Some(data) if self.decoder.is_some() => self.coded = data,
                Some(data) => {
                    // Known to be the last, it frees the connection before it is passed on.
                    if self.incoming.is_end_stream() {
                        self.end();
                    }
                    return Poll::Ready(Ok(Some(data)));
                }
                None => {
                    if let Some(decoder) = &self.decoder {
                        decoder.finish().map_err(AnswerFault::from)?;
                    }
                    self.end();
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// The next bytes as the store sent them. Trailers are dropped: they could carry anything.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, UpstreamError>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.poll_idle(cx);
            };
            self.is_waiting = false;
            let Some(frame) = frame.transpose().map_err(UpstreamError::Interrupted)? else {
                return Poll::Ready(Ok(None));
            };
            match frame.into_data() {
                Ok(data) if !data.is_empty() => {
                    self.store.metrics.body_bytes.inc_by(data.len() as u64);
                    return Poll::Ready(Ok(Some(data)));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Waits for the store, as long as it may take between two pieces.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, UpstreamError>> {
        let until = Instant::now() + self.store.config.timeouts.idle;
        let was_waiting = std::mem::replace(&mut self.is_waiting, true);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if !was_waiting {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(UpstreamError::Timeout("between two pieces of a body")))
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

//! The bytes of a file on their way to the store: read as fast as they are taken, never kept, and
//! looked at again and again whether they may still go on.

use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::upstream::Pipe;

use super::call::Inbound;
use super::error::CallError;
use super::file_body::CHECKED_FOR;
use super::file_body::UNCHECKED;
use super::upload::Target;
use super::write::Case;
use super::write_body::RATE;
use super::write_error::WriteFault;

/// A file that passes. Whatever ends it before its last byte cuts it: the store never sees an end
/// that the client did not send.
pub(crate) struct Pump<'a> {
    inbound: &'a Inbound,
    case: &'a mut Case,
    target: &'a Target,
    body: Incoming,
    /// Bytes handed on.
    sent: u64,
    /// How long the client was waited for.
    waited: Duration,
    /// Bytes handed on since the last look, and when that was.
    unchecked: u64,
    checked: Instant,
}

impl<'a> Pump<'a> {
    /// A file that was judged just now.
    pub(crate) fn new(
        inbound: &'a Inbound,
        (case, target): (&'a mut Case, &'a Target),
        body: Incoming,
    ) -> Self {
        Self {
            inbound,
            case,
            target,
            body,
            sent: 0,
            waited: Duration::ZERO,
            unchecked: 0,
            checked: Instant::now(),
        }
    }

    /// Passes everything on.
    ///
    /// # Errors
    /// When the rest of it may not or cannot be.
    pub(crate) async fn run(mut self, mut pipe: Pipe) -> Result<(), CallError> {
        while !pipe.is_full() {
            // The client is read when the store has room, so that nothing waits here.
            let room = pipe.room().await.map_err(CallError::Upstream)?;
            let Some(piece) = self.next().await? else { break };
            self.pass(&piece).await?;
            room.fill(piece).map_err(CallError::Upstream)?;
        }
        pipe.end().await.map_err(CallError::Upstream)
    }

    /// The next piece, never empty; nothing after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let fault = |fault| Err(CallError::Write(fault));
        let patience = self.inbound.worker.shared().limits().client_write;
        loop {
            let owed = Duration::from_secs(self.sent / RATE);
            let left = (patience + owed).saturating_sub(self.waited).min(patience);
            let began = Instant::now();
            let frame = timeout(left, self.body.frame()).await;
            self.waited += began.elapsed();
            let frame = match frame {
                Err(_) => return fault(WriteFault::Slow),
                Ok(None) if self.is_whole() => return Ok(None),
                Ok(None | Some(Err(_))) => return fault(WriteFault::BrokenOff),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers could carry anything.
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_) => return fault(WriteFault::BrokenOff),
            }
        }
    }

    /// Whether the end is one that the client sent: a stream of HTTP/2 that is reset may seem to
    /// end as well.
    fn is_whole(&self) -> bool {
        self.inbound.head.version != Version::HTTP_2 || self.body.is_end_stream()
    }

    /// Looks whether a piece may be passed on.
    async fn pass(&mut self, piece: &Bytes) -> Result<(), CallError> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.sent = self.sent.saturating_add(length);
        if self.sent > self.inbound.worker.shared().limits().file_bytes {
            return Err(CallError::Write(WriteFault::TooLong));
        }
        self.unchecked = self.unchecked.saturating_add(length);
        if self.unchecked <= UNCHECKED && self.checked.elapsed() < CHECKED_FOR {
            return Ok(());
        }
        self.case.ask_again(self.inbound)?;
        match self.target.judge(self.inbound, self.case).await {
            Ok(_) => {}
            Err(CallError::NotFound) => return Err(CallError::Withdrawn),
            Err(other) => return Err(other),
        }
        self.unchecked = length;
        self.checked = Instant::now();
        Ok(())
    }
}

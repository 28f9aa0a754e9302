//! The body of a request: at hand, or coming piece by piece.

use std::fmt;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Full;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Upstream;
use super::UpstreamError;

/// The body ends here, unfinished: neither its last chunk nor its whole length is sent, so that the
/// store cannot take what it has for all of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body was cut off")]
pub(super) struct Stopped;

/// What a pipe carries. The end is said in so many words: a sender that is merely gone was stopped.
enum Piece {
    Bytes(Bytes),
    End,
}

/// The end of a pipe that pieces are put into. Dropped before [`end`](Self::end), it cuts the body.
pub struct Pipe {
    sender: mpsc::Sender<Piece>,
    left: Option<u64>,
    patience: Duration,
}

/// The end of a pipe that the store takes from.
pub struct Piped {
    receiver: mpsc::Receiver<Piece>,
    left: Option<u64>,
    is_ended: bool,
}

/// Room for one piece.
pub struct Room<'a> {
    place: mpsc::Permit<'a, Piece>,
    left: &'a mut Option<u64>,
}

impl Upstream {
    /// A pipe to the store, which holds one piece. `length`: that of all pieces together, where it
    /// is known.
    pub fn pipe(&self, length: Option<u64>) -> (Pipe, Piped) {
        let (sender, receiver) = mpsc::channel(1);
        let patience = self.store.config.timeouts.idle;
        let pipe = Pipe { sender, left: length, patience };
        (pipe, Piped { receiver, left: length, is_ended: false })
    }
}

impl Pipe {
    /// Whether as much was put into it as was said before.
    pub fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Waits until the store takes more.
    ///
    /// # Errors
    /// When it takes nothing for too long.
    pub async fn room(&mut self) -> Result<Room<'_>, UpstreamError> {
        match timeout(self.patience, self.sender.reserve()).await {
            Ok(Ok(place)) => Ok(Room { place, left: &mut self.left }),
            // The call is over; what it came to is known elsewhere.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Err(UpstreamError::Timeout("to take a piece of a body")),
        }
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// When the store takes nothing for too long, or less was sent than was said before.
    pub async fn end(self) -> Result<(), UpstreamError> {
        match self.left {
            Some(0) => return Ok(()),
            Some(_) => return Err(UpstreamError::Short),
            None => {}
        }
        match timeout(self.patience, self.sender.send(Piece::End)).await {
            // Nobody to hear it: what the call came to is known elsewhere.
            Ok(Ok(()) | Err(_)) => Ok(()),
            Err(_) => Err(UpstreamError::Timeout("to take a piece of a body")),
        }
    }
}

impl Room<'_> {
    /// Puts a piece into the pipe.
    ///
    /// # Errors
    /// When more would be sent than was said before.
    pub fn fill(self, piece: Bytes) -> Result<(), UpstreamError> {
        if let Some(left) = self.left {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            *left = left.checked_sub(length).ok_or(UpstreamError::Short)?;
        }
        self.place.send(Piece::Bytes(piece));
        Ok(())
    }
}

impl Piped {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        if self.is_at_end() {
            return Poll::Ready(None);
        }
        match ready!(self.receiver.poll_recv(cx)) {
            Some(Piece::Bytes(piece)) => {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.left = self.left.map(|left| left.saturating_sub(length));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Piece::End) => {
                self.is_ended = true;
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(Err(Stopped))),
        }
    }

    fn is_at_end(&self) -> bool {
        self.is_ended || self.left == Some(0)
    }

    fn length(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The body of any request.
pub(super) enum Sent {
    Piped(Piped),
    Whole(Full<Bytes>),
}

impl Sent {
    /// A body that is at hand.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Default for Sent {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Stopped;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Stopped>>> {
        match self.get_mut() {
            Self::Piped(piped) => piped.poll_piece(cx),
            Self::Whole(full) => {
                let frame = ready!(Pin::new(full).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Piped(piped) => piped.is_at_end(),
            Self::Whole(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Piped(piped) => piped.length(),
            Self::Whole(full) => full.size_hint(),
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("left", &self.left).finish_non_exhaustive()
    }
}

impl fmt::Debug for Piped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piped").field("left", &self.left).finish_non_exhaustive()
    }
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Room(..)")
    }
}

//! The body of an answer on its way to the client.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf;
use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use tokio::sync::mpsc;

use crate::audit::Ending;

use super::budget::Share;
use super::connection::Activity;
use super::connection::Sending;
use super::connection::UnderWay;
use super::file_body::FileBody;
use super::file_body::FileHold;
use super::trail::Trail;

/// The longest frame. The transport asks for the next one when it has room, so that no more than
/// this of an answer waits behind a client's window.
pub(super) const FRAME: usize = 64 * 1024;

/// What a stream hands on. The end is said in so many words: a sender that is merely gone was
/// stopped by a fault, and what came before it must not look complete.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Released bytes.
    Bytes(Bytes),
    /// The last of them, with what is held until they are taken.
    Last(Bytes, Hold),
}

/// What a call holds until the last byte of its answer was taken: its place among its owner's
/// calls, its room in the buffers, and the entry of how it ended.
pub(crate) struct Hold {
    trail: Box<Trail>,
    _share: Option<Share>,
    sending: Sending,
    is_taken: AtomicBool,
}

impl Hold {
    /// Holds on from now.
    pub(crate) fn new(trail: Box<Trail>, share: Option<Share>, activity: &Arc<Activity>) -> Self {
        let sending = activity.sending();
        Self { trail, _share: share, sending, is_taken: AtomicBool::new(false) }
    }

    fn all_taken(&self) {
        self.is_taken.store(true, Ordering::Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if *self.is_taken.get_mut() {
            self.trail.end(Ending::Complete);
        } else if self.sending.is_stalled() {
            self.trail.slow();
        } else {
            self.trail.end(Ending::Gone);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold(..)")
    }
}

/// One frame of an answer until the transport has taken it.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    is_last: bool,
    hold: Option<Arc<Hold>>,
    /// As `hold`, of a piece of a file.
    file: Option<Arc<FileHold>>,
    /// Keeps the connection from counting as idle.
    _under_way: Option<UnderWay>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(file) = &self.file {
            file.took(count, self.bytes.is_empty());
        }
        let Some(hold) = self.hold.as_ref().filter(|_| self.bytes.is_empty()) else { return };
        hold.sending.moved();
        if self.is_last {
            hold.all_taken();
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    state: State,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
enum State {
    Nothing,
    File(Box<FileBody>),
    /// What was received of the stream and not handed on, and where more comes from.
    Stream(Bytes, mpsc::Receiver<Piece>),
    Whole(Bytes, Option<Arc<Hold>>),
}

/// The answer ends here, unfinished: HTTP/1.1 closes without the last chunk, HTTP/2 resets the
/// stream.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off")]
pub(crate) struct CutOff;

impl AnswerBody {
    /// No body, and nothing left to write down.
    pub(crate) fn nothing() -> Self {
        Self { state: State::Nothing, under_way: None }
    }

    /// All of it, of known length. The call ends as complete when the last byte is taken, and as
    /// gone when the client goes away before.
    pub(crate) fn whole(bytes: Bytes, hold: Hold) -> Self {
        Self { state: State::last(bytes, hold), under_way: None }
    }

    /// The words of a refusal, which was written down already.
    pub(crate) fn words(bytes: Bytes) -> Self {
        Self { state: State::Whole(bytes, None), under_way: None }
    }

    /// A file, as it comes.
    pub(crate) fn file(file: FileBody) -> Self {
        Self { state: State::File(Box::new(file)), under_way: None }
    }

    /// Piece by piece.
    pub(crate) fn stream(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { state: State::Stream(Bytes::new(), pieces), under_way: None }
    }

    /// Counts the call as under way until the body is gone.
    pub(crate) fn keeping(mut self, under_way: UnderWay) -> Self {
        self.under_way = Some(under_way);
        self
    }

    /// The next frame of what is at hand, when there is any.
    fn frame(&mut self) -> Option<Chunk> {
        let (bytes, hold) = match &mut self.state {
            State::Nothing | State::File(_) => return None,
            State::Stream(bytes, _) => (bytes, None),
            State::Whole(bytes, hold) => (bytes, hold.clone()),
        };
        if bytes.is_empty() {
            return None;
        }
        let frame = bytes.split_to(bytes.len().min(FRAME));
        let is_last = bytes.is_empty();
        if is_last && matches!(self.state, State::Whole(..)) {
            self.state = State::Nothing;
        }
        Some(Chunk { bytes: frame, is_last, hold, file: None, _under_way: self.under_way.clone() })
    }
}

impl State {
    fn last(bytes: Bytes, hold: Hold) -> Self {
        if bytes.is_empty() {
            hold.all_taken();
            return Self::Nothing;
        }
        Self::Whole(bytes, Some(Arc::new(hold)))
    }
}

impl Body for AnswerBody {
    type Data = Chunk;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, CutOff>>> {
        if let State::File(file) = &mut self.state {
            let Some(piece) = ready!(file.poll_piece(cx)) else {
                self.state = State::Nothing;
                return Poll::Ready(None);
            };
            let chunk = piece.map(|(bytes, hold)| Chunk {
                bytes,
                is_last: false,
                hold: None,
                file: Some(hold),
                _under_way: self.under_way.clone(),
            });
            return Poll::Ready(Some(chunk.map(Frame::data)));
        }
        loop {
            if let Some(chunk) = self.frame() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let State::Stream(bytes, pieces) = &mut self.state else {
                return Poll::Ready(None);
            };
            match ready!(pieces.poll_recv(cx)) {
                Some(Piece::Bytes(more)) => *bytes = more,
                Some(Piece::Last(last, hold)) => self.state = State::last(last, hold),
                None => {
                    self.state = State::Nothing;
                    return Poll::Ready(Some(Err(CutOff)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Nothing => true,
            State::File(file) => file.is_done(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Nothing => SizeHint::with_exact(0),
            State::File(file) => file.size_hint(),
            State::Stream(..) => SizeHint::new(),
            State::Whole(bytes, _) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// What answering a call comes to: always an answer.
pub(crate) type Answered = Result<http::Response<AnswerBody>, Infallible>;

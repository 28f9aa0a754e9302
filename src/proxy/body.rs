//! The body of an answer on its way to the client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use tokio::sync::mpsc;

use crate::audit::Ending;

use super::connection::UnderWay;
use super::trail::Trail;

/// What a stream hands on. The end is said in so many words: a sender that is merely gone was
/// stopped by a fault, and what came before it must not look complete.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Released bytes.
    Bytes(Bytes),
    /// All was sent.
    End,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    state: State,
    /// Keeps the connection from counting as idle.
    _under_way: Option<UnderWay>,
}

#[derive(Debug)]
enum State {
    Nothing,
    Stream(mpsc::Receiver<Piece>),
    Whole { bytes: Bytes, trail: Option<Box<Trail>> },
}

/// The answer ends here, unfinished: HTTP/1.1 closes without the last chunk, HTTP/2 resets the
/// stream.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off")]
pub(crate) struct CutOff;

impl AnswerBody {
    /// No body, and nothing left to write down.
    pub(crate) fn nothing() -> Self {
        Self { state: State::Nothing, _under_way: None }
    }

    /// All of it at once. `trail` ends as complete when the bytes are taken, and as gone when the
    /// client goes away before.
    pub(crate) fn whole(bytes: Bytes, mut trail: Box<Trail>) -> Self {
        if bytes.is_empty() {
            trail.end(Ending::Complete);
            return Self::nothing();
        }
        Self { state: State::Whole { bytes, trail: Some(trail) }, _under_way: None }
    }

    /// The words of a refusal, which was written down already.
    pub(crate) fn words(bytes: Bytes) -> Self {
        Self { state: State::Whole { bytes, trail: None }, _under_way: None }
    }

    /// Piece by piece.
    pub(crate) fn stream(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { state: State::Stream(pieces), _under_way: None }
    }

    /// Counts the call as under way until the body is gone.
    pub(crate) fn keeping(mut self, under_way: UnderWay) -> Self {
        self._under_way = Some(under_way);
        self
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut self.state {
            State::Nothing => Poll::Ready(None),
            State::Whole { bytes, trail } => {
                let bytes = std::mem::take(bytes);
                trail.iter_mut().for_each(|trail| trail.end(Ending::Complete));
                self.state = State::Nothing;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            State::Stream(pieces) => match ready!(pieces.poll_recv(cx)) {
                Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::End) => {
                    self.state = State::Nothing;
                    Poll::Ready(None)
                }
                None => {
                    self.state = State::Nothing;
                    Poll::Ready(Some(Err(CutOff)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Nothing => SizeHint::with_exact(0),
            State::Stream(_) => SizeHint::new(),
            State::Whole { bytes, .. } => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// What answering a call comes to: always an answer.
pub(crate) type Answered = Result<http::Response<AnswerBody>, Infallible>;

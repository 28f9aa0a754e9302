//! Lines of a body as it arrives, and an answer that is written as it comes about.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

/// The lines of a body. Holds at most a line and what arrived with its end.
pub(super) struct Lines {
    body: Body,
    held: Vec<u8>,
    /// Bytes of `held` in which there is no end of a line.
    looked: usize,
    /// In the middle of a line that is too long.
    skips: bool,
    is_over: bool,
}

/// What a body holds next.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// A line that is longer than any may be.
    TooLong,
    /// The body broke off: what came of the last line is not one.
    Cut,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, held: Vec::new(), looked: 0, skips: false, is_over: false }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Some(line);
            }
            if self.is_over {
                let rest = std::mem::take(&mut self.held);
                self.looked = 0;
                return (!rest.is_empty() && !self.skips).then_some(Line::Whole(rest));
            }
            match self.body.frame().await {
                None => self.is_over = true,
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.held.extend_from_slice(data);
                    }
                }
                Some(Err(_)) => {
                    self.is_over = true;
                    self.held.clear();
                    self.looked = 0;
                    return Some(Line::Cut);
                }
            }
        }
    }

    /// A line of what is held.
    fn cut(&mut self) -> Option<Line> {
        loop {
            let fresh = self.held.get(self.looked..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', fresh).map(|at| at + self.looked) else {
                self.looked = self.held.len();
                if self.looked <= LONGEST {
                    return None;
                }
                self.held.clear();
                self.looked = 0;
                return if std::mem::replace(&mut self.skips, true) {
                    None
                } else {
                    Some(Line::TooLong)
                };
            };
            let line: Vec<u8> = self.held.drain(..=end).take(end).collect();
            self.looked = 0;
            if std::mem::take(&mut self.skips) {
                continue;
            }
            return Some(if line.len() > LONGEST { Line::TooLong } else { Line::Whole(line) });
        }
    }
}

/// A body whose pieces are sent from elsewhere. It ends when the sender is gone.
pub(super) struct Pieces(mpsc::Receiver<Bytes>);

impl Pieces {
    /// A body, and who writes it. At most one piece waits to be taken.
    pub(super) fn new() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(receiver))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The longest line, in bytes: more than a record may have.
pub(super) const LONGEST: usize = 80 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn all(pieces: Vec<Vec<u8>>) -> Vec<Line> {
        let (sender, body) = Pieces::new();
        let sending = tokio::spawn(async move {
            for piece in pieces {
                sender.send(piece.into()).await.unwrap();
            }
        });
        let mut lines = Lines::new(Body::new(body));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        sending.await.unwrap();
        found
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_told_once_and_the_next_is_read() {
        let long = vec![b'x'; LONGEST + 1];
        let text = [b"a\n".as_slice(), &long, b"\nb\n\nc"].concat();
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        let wanted = vec![whole("a"), Line::TooLong, whole("b"), whole(""), whole("c")];
        for size in [1 << 20, 40_000, 7_000] {
            let pieces = text.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(all(pieces).await, wanted, "{size}");
        }
        // Three times as long, and the end of the body in the middle of it.
        let text = [b"a\n".as_slice(), &long, &long, &long].concat();
        let pieces = text.chunks(9_000).map(<[u8]>::to_vec).collect();
        assert_eq!(all(pieces).await, vec![whole("a"), Line::TooLong]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[ab\n]{0,60}",
            sizes in prop::collection::vec(1_usize..9, 1..8),
        ) {
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece.to_vec());
                rest = more;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(all(pieces));
            let wanted: Vec<Line> =
                text.lines().map(|line| Line::Whole(line.as_bytes().to_vec())).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}

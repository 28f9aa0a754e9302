//! The bytes of a file on their way to the client: pulled as fast as they are taken, never copied,
//! and looked at again and again whether they may still leave.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http_body::SizeHint;
use tokio::time::Instant;

use crate::audit::Ending;
use crate::upstream::StoreBody;

use super::body::CutOff;
use super::body::FRAME;
use super::budget::Share;
use super::connection::Activity;
use super::connection::Sending;
use super::error::CallError;
use super::file::File;
use super::file::OpenFile;
use super::trail::Trail;

/// No more bytes leave between two looks at whether they may.
pub(super) const UNCHECKED: u64 = 1024 * 1024;
/// No more time passes between two looks at bytes that leave.
pub(super) const CHECKED_FOR: Duration = Duration::from_secs(1);

/// A file, piece by piece.
pub(crate) struct FileBody {
    source: StoreBody,
    /// Taken while it is being checked.
    file: Option<Box<File>>,
    checking: Option<Checking>,
    /// What was read and not handed on.
    held: Bytes,
    left: Option<u64>,
    /// Bytes handed on since the last look, and when that was.
    unchecked: u64,
    checked: Instant,
    hold: Arc<FileHold>,
}

/// Bytes, and who wants to know when they were taken.
type Piece = (Bytes, Arc<FileHold>);

type Checking = Pin<Box<dyn Future<Output = (Box<File>, Result<(), CallError>)> + Send>>;

impl FileBody {
    /// The bytes of a file that may leave.
    pub(crate) fn new(open: OpenFile, hold: FileHold) -> Self {
        let (file, source) = open.into_parts();
        if source.is_ended() {
            hold.end_of_source();
        }
        Self {
            left: source.length(),
            source,
            file: Some(file),
            checking: None,
            held: Bytes::new(),
            unchecked: 0,
            checked: Instant::now(),
            hold: Arc::new(hold),
        }
    }

    /// The next piece.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, CutOff>>> {
        loop {
            if let Some(checking) = &mut self.checking {
                let (file, checked) = ready!(checking.as_mut().poll(cx));
                self.checking = None;
                self.file = Some(file);
                if let Err(error) = checked {
                    return self.cut(error);
                }
                self.was_checked();
            }
            if !self.held.is_empty() {
                return Poll::Ready(Some(Ok(self.hand_on())));
            }
            match self.source.poll_chunk(cx) {
                Poll::Pending => {
                    self.hold.waits_for_source();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return self.cut(CallError::Upstream(error)),
                Poll::Ready(Ok(None)) => {
                    self.hold.end_of_source();
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(Some(piece))) => self.held = piece,
            }
            let is_due = self.unchecked >= UNCHECKED || self.checked.elapsed() >= CHECKED_FOR;
            if is_due && let Err(error) = self.look() {
                return self.cut(error);
            }
        }
    }

    /// Looks whether the file may still leave; what takes longer is polled by whoever asks next.
    fn look(&mut self) -> Result<(), CallError> {
        let Some(file) = self.file.take() else { return Err(CallError::Withdrawn) };
        if file.is_unchanged()? {
            self.file = Some(file);
            self.was_checked();
        } else {
            self.checking = Some(Box::pin(file.check()));
        }
        Ok(())
    }

    fn was_checked(&mut self) {
        self.unchecked = 0;
        self.checked = Instant::now();
    }

    fn hand_on(&mut self) -> Piece {
        let piece = if self.held.len() > FRAME {
            self.held.split_to(FRAME)
        } else {
            std::mem::take(&mut self.held)
        };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.unchecked = self.unchecked.saturating_add(length);
        self.left = self.left.map(|left| left.saturating_sub(length));
        self.hold.handed();
        if self.is_done() {
            self.hold.end_of_source();
        }
        (piece, Arc::clone(&self.hold))
    }

    fn cut<T>(&mut self, error: CallError) -> Poll<Option<Result<T, CutOff>>> {
        self.hold.fail(error);
        self.held = Bytes::new();
        Poll::Ready(Some(Err(CutOff)))
    }

    /// Whether nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        self.held.is_empty() && self.source.is_ended()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBody").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What a call holds until the last byte of its file was taken: as
/// [`Hold`](super::body::Hold), for bytes that are still on their way to the gateway.
pub(crate) struct FileHold {
    trail: Box<Trail>,
    _share: Share,
    sending: Sending,
    /// Pieces that were handed to the transport and not taken.
    out: AtomicUsize,
    /// Bytes that were taken.
    taken: AtomicU64,
    /// Whether the store is waited for.
    waits: AtomicBool,
    /// Whether the store has said everything.
    ended: AtomicBool,
    fault: Mutex<Option<CallError>>,
}

impl FileHold {
    /// Holds on from now.
    pub(crate) fn new(trail: Box<Trail>, share: Share, activity: &Arc<Activity>) -> Self {
        Self {
            trail,
            _share: share,
            sending: activity.sending(),
            out: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            fault: Mutex::default(),
        }
    }

    /// A piece was handed to the transport.
    fn handed(&self) {
        self.waits.store(false, Relaxed);
        if self.out.fetch_add(1, Relaxed) == 0 {
            self.sending.moved();
        }
    }

    /// Some of a piece was taken; `is_all`: nothing of it is left.
    pub(crate) fn took(&self, bytes: usize, is_all: bool) {
        self.taken.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Relaxed);
        if !is_all {
            return;
        }
        let was_last = self.out.fetch_sub(1, Relaxed) == 1;
        if was_last && self.waits.load(Relaxed) {
            self.sending.pause();
        } else {
            self.sending.moved();
        }
    }

    /// A client with nothing to take is not slow.
    fn waits_for_source(&self) {
        self.waits.store(true, Relaxed);
        if self.out.load(Relaxed) == 0 {
            self.sending.pause();
        }
    }

    fn end_of_source(&self) {
        self.ended.store(true, Relaxed);
    }

    fn fail(&self, error: CallError) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl Drop for FileHold {
    fn drop(&mut self) {
        let trail = &mut self.trail;
        trail.tally.bytes = *self.taken.get_mut();
        let fault = self.fault.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        match fault {
            Some(error) => trail.abort(&error),
            None if *self.ended.get_mut() && *self.out.get_mut() == 0 => {
                trail.end(Ending::Complete);
            }
            None if self.sending.is_late(trail.shared.limits().client_write) => trail.slow(),
            None => trail.end(Ending::Gone),
        }
    }
}

impl fmt::Debug for FileHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileHold(..)")
    }
}

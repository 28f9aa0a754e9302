//! How far the committer has come, and waiting for it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::state::error::StateError;
use crate::state::store::Rev;

/// Shared by the committer, who moves it, and the readers, who wait for it.
#[derive(Debug)]
pub(super) struct Progress {
    durable: AtomicU64,
    last_removal: AtomicU64,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    durable: u64,
    failed: bool,
}

impl Progress {
    pub(super) fn at(rev: u64) -> Self {
        let (state, _) = watch::channel(State { durable: rev, failed: false });
        Self { durable: AtomicU64::new(rev), last_removal: AtomicU64::new(0), state }
    }

    pub(super) fn durable(&self) -> Rev {
        Rev(self.durable.load(Ordering::SeqCst))
    }

    pub(super) fn failed(&self) -> bool {
        self.state.borrow().failed
    }

    /// Called before a removal can be seen.
    pub(super) fn removing(&self, rev: u64) {
        self.last_removal.store(rev, Ordering::SeqCst);
    }

    /// Everything up to `rev` is on disk.
    pub(super) fn reached(&self, rev: u64) {
        self.durable.store(rev, Ordering::SeqCst);
        self.state.send_modify(|state| state.durable = rev);
    }

    /// Nothing more will reach the disk.
    pub(super) fn fail(&self) {
        self.state.send_modify(|state| state.failed = true);
    }

    /// Waits until what a read saw is durable: the version it found, or, when it found nothing,
    /// the last removal, which may be why.
    pub(super) async fn wait_for(&self, seen: Option<Rev>) -> Result<(), StateError> {
        let needed = seen.map_or_else(|| self.last_removal.load(Ordering::SeqCst), |rev| rev.0);
        if self.durable.load(Ordering::SeqCst) >= needed {
            return Ok(());
        }
        let mut state = self.state.subscribe();
        let done = state.wait_for(|state| state.failed || state.durable >= needed).await;
        match done {
            Ok(state) if state.durable >= needed => Ok(()),
            _ => Err(StateError::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use super::*;

    /// Polls once: the answer, or nothing while it waits.
    fn poll<T>(waiting: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_not_durable_is_not_shown() {
        let progress = Progress::at(3);
        assert!(matches!(poll(Box::pin(progress.wait_for(Some(Rev(3)))).as_mut()), Some(Ok(()))));
        let mut waiting = Box::pin(progress.wait_for(Some(Rev(4))));
        assert!(poll(waiting.as_mut()).is_none());
        progress.reached(4);
        assert!(matches!(poll(waiting.as_mut()), Some(Ok(()))));
    }

    #[test]
    fn a_missing_key_waits_for_the_last_removal() {
        let progress = Progress::at(3);
        assert!(matches!(poll(Box::pin(progress.wait_for(None)).as_mut()), Some(Ok(()))));
        progress.removing(4);
        let mut waiting = Box::pin(progress.wait_for(None));
        assert!(poll(waiting.as_mut()).is_none());
        progress.reached(4);
        assert!(matches!(poll(waiting.as_mut()), Some(Ok(()))));
    }

    #[test]
    fn a_failure_ends_the_waiting_with_an_error() {
        let progress = Progress::at(3);
        let mut waiting = Box::pin(progress.wait_for(Some(Rev(4))));
        assert!(poll(waiting.as_mut()).is_none());
        progress.fail();
        assert!(matches!(poll(waiting.as_mut()), Some(Err(StateError::Failed))));
        assert!(matches!(poll(Box::pin(progress.wait_for(Some(Rev(3)))).as_mut()), Some(Ok(()))));
    }
}

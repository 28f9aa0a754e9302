//! Those who wait for their entry. A group of them is woken by one call to each of their threads:
//! to wake a task of another thread costs a system call, and a group has many.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::thread::ThreadId;

use super::AuditError;
use super::shared::held;

/// What became of an entry: its index.
pub(super) type Told = Result<u64, AuditError>;

/// The committer's end: tells once. One that is dropped tells that the log is closed.
#[derive(Debug)]
pub(super) struct Waiter {
    slot: Arc<Slot>,
    thread: ThreadId,
}

/// The end of the one who waits.
#[derive(Debug)]
#[must_use]
pub(super) struct Wait(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Told>,
    waker: Option<Waker>,
    /// Others of the same thread, woken by the first of them that runs.
    others: Vec<Waker>,
    /// Whoever waited has heard, or listens no longer.
    is_over: bool,
}

/// Both ends for a task of this thread.
pub(super) fn pair() -> (Waiter, Wait) {
    let slot = Arc::new(Slot::default());
    let thread = std::thread::current().id();
    (Waiter { slot: Arc::clone(&slot), thread }, Wait(slot))
}

impl Waiter {
    /// Tells one.
    pub(super) fn tell(self, told: Told) {
        if let Some(waker) = self.slot.tell(told) {
            waker.wake();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(waker) = self.slot.tell(Err(AuditError::Closed)) {
            waker.wake();
        }
    }
}

/// Tells a group: each its index.
pub(super) fn tell_all(group: impl Iterator<Item = (u64, Waiter)>) {
    let mut threads: HashMap<ThreadId, Vec<(Arc<Slot>, Waker)>> = HashMap::new();
    for (index, waiter) in group {
        if let Some(waker) = waiter.slot.tell(Ok(index)) {
            let of_thread = threads.entry(waiter.thread).or_default();
            of_thread.push((Arc::clone(&waiter.slot), waker));
        }
    }
    for (_, mut waiting) in threads {
        // The last is woken with the wakers of all others. One that has run meanwhile, woken by
        // something else, wakes nobody: then it is the next one's turn.
        while let Some((slot, waker)) = waiting.pop() {
            let mut state = held(&slot.0);
            if !state.is_over {
                state.others = waiting.into_iter().map(|(_, waker)| waker).collect();
                drop(state);
                waker.wake();
                break;
            }
        }
    }
}

impl Slot {
    /// Keeps what is told first; gives back who is to be woken.
    fn tell(&self, told: Told) -> Option<Waker> {
        let mut state = held(&self.0);
        if state.told.is_some() || state.is_over {
            return None;
        }
        state.told = Some(told);
        state.waker.take()
    }

    /// Ends the wait and wakes those who depend on it.
    fn end(&self) -> Option<Told> {
        let mut state = held(&self.0);
        state.is_over = true;
        let (told, others) = (state.told.take(), std::mem::take(&mut state.others));
        drop(state);
        others.into_iter().for_each(Waker::wake);
        told
    }
}

impl Future for Wait {
    type Output = Told;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Told> {
        let mut state = held(&self.0.0);
        if state.told.is_none() {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                empty => *empty = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        drop(state);
        Poll::Ready(self.0.end().unwrap_or(Err(AuditError::Closed)))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn poll(self: &Arc<Self>, wait: &mut Wait) -> Poll<Told> {
            let waker = Waker::from(Arc::clone(self));
            Pin::new(wait).poll(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    type Group<const N: usize> = ([(u64, Waiter); N], [Wait; N], [Arc<Count>; N]);

    fn group<const N: usize>() -> Group<N> {
        let mut waits = Vec::new();
        let waiters = std::array::from_fn(|place| {
            let (waiter, wait) = pair();
            waits.push(wait);
            (place as u64, waiter)
        });
        let mut waits: [Wait; N] = waits.try_into().unwrap();
        let counts = std::array::from_fn(|_| Arc::new(Count::default()));
        for (wait, count) in waits.iter_mut().zip(&counts) {
            assert!(count.poll(wait).is_pending());
        }
        (waiters, waits, counts)
    }

    #[test]
    fn one_of_a_thread_is_woken_and_wakes_the_others() {
        let (waiters, mut waits, counts) = group::<4>();
        tell_all(waiters.into_iter());
        assert_eq!(counts.each_ref().map(|count| count.woken()), [0, 0, 0, 1]);
        assert!(matches!(counts[3].poll(&mut waits[3]), Poll::Ready(Ok(3))));
        assert_eq!(counts.each_ref().map(|count| count.woken()), [1; 4]);
        for (place, wait) in waits.iter_mut().enumerate().take(3) {
            let told = counts[place].poll(wait);
            assert!(matches!(told, Poll::Ready(Ok(index)) if index == place as u64));
        }
    }

    #[test]
    fn one_who_goes_away_leaves_nobody_asleep() {
        let (waiters, waits, counts) = group::<3>();
        tell_all(waiters.into_iter());
        let [first, second, third] = waits;
        drop(third);
        assert_eq!(counts.each_ref().map(|count| count.woken()), [1; 3]);
        drop((first, second));
    }

    #[test]
    fn one_who_has_gone_before_is_passed_over() {
        let (waiters, waits, counts) = group::<3>();
        let [_first, _second, third] = waits;
        drop(third);
        tell_all(waiters.into_iter());
        assert_eq!(counts.each_ref().map(|count| count.woken()), [0, 1, 0]);
    }

    #[test]
    fn a_waiter_that_is_dropped_tells_that_the_log_is_closed() {
        let ([(_, waiter)], [mut wait], [count]) = group::<1>();
        drop(waiter);
        assert_eq!(count.woken(), 1);
        assert!(matches!(count.poll(&mut wait), Poll::Ready(Err(AuditError::Closed))));
        let ([(_, waiter)], [mut wait], [count]) = group::<1>();
        waiter.tell(Ok(7));
        assert!(matches!(count.poll(&mut wait), Poll::Ready(Ok(7))));
    }
}

//! Stopping without cutting anybody off: one signal, and a count of what is still open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// The signal that no new work is taken, shared by everything that holds connections.
#[derive(Clone, Debug)]
pub struct Drain(Arc<State>);

#[derive(Debug)]
struct State {
    started: watch::Sender<bool>,
    open: watch::Sender<usize>,
}

/// One connection that a drain waits for, until dropped.
#[derive(Debug)]
pub struct Open(Arc<State>);

impl Drain {
    /// A drain that has not started.
    pub fn new() -> Self {
        let (started, _) = watch::channel(false);
        let (open, _) = watch::channel(0);
        Self(Arc::new(State { started, open }))
    }

    /// Tells everybody to finish what they have and take nothing new.
    pub fn start(&self) {
        self.0.started.send_replace(true);
    }

    /// Whether the drain has started.
    pub fn is_started(&self) -> bool {
        *self.0.started.borrow()
    }

    /// Waits until the drain starts.
    pub async fn started(&self) {
        let mut started = self.0.started.subscribe();
        if started.wait_for(|started| *started).await.is_err() {
            // INVARIANT: the sender lives in `self`, so it cannot be gone.
            std::future::pending().await
        }
    }

    /// Counts one more connection as open.
    pub fn enter(&self) -> Open {
        self.0.open.send_modify(|open| *open += 1);
        Open(Arc::clone(&self.0))
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        *self.0.open.borrow()
    }

    /// Waits until nothing is open, at most `limit`; gives how many connections were still open.
    pub async fn finished(&self, limit: Duration) -> usize {
        let mut open = self.0.open.subscribe();
        let waited = tokio::time::timeout(limit, open.wait_for(|open| *open == 0)).await;
        if waited.is_ok() { 0 } else { self.open() }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

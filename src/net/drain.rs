//! Stopping without cutting anybody off: one signal, and a count of what is still open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// The signal that no new work is taken, shared by everything that holds connections.
#[derive(Clone, Debug)]
pub struct Drain(Arc<State>);

#[derive(Debug)]
struct State {
    stage: watch::Sender<Stage>,
    open: watch::Sender<usize>,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    /// Not begun.
    Open,
    /// Calls are still taken; who sends them is told to go elsewhere.
    Leaving,
    /// Nothing new is taken.
    Started,
}

/// One connection that a drain waits for, until dropped.
#[derive(Debug)]
pub struct Open(Arc<State>);

impl Drain {
    /// A drain that has not started.
    pub fn new() -> Self {
        let (stage, _) = watch::channel(Stage::Open);
        let (open, _) = watch::channel(0);
        Self(Arc::new(State { stage, open }))
    }

    /// Tells everybody that the drain is near: connections end with their next answer.
    pub fn leave(&self) {
        self.0.stage.send_modify(|stage| *stage = (*stage).max(Stage::Leaving));
    }

    /// Whether the drain is near or has started.
    pub fn is_leaving(&self) -> bool {
        *self.0.stage.borrow() >= Stage::Leaving
    }

    /// Waits until the drain is near.
    pub async fn leaving(&self) {
        self.reached(Stage::Leaving).await;
    }

    /// Tells everybody to finish what they have and take nothing new.
    pub fn start(&self) {
        self.0.stage.send_replace(Stage::Started);
    }

    /// Whether the drain has started.
    pub fn is_started(&self) -> bool {
        *self.0.stage.borrow() == Stage::Started
    }

    /// Waits until the drain starts.
    pub async fn started(&self) {
        self.reached(Stage::Started).await;
    }

    async fn reached(&self, wanted: Stage) {
        let mut stage = self.0.stage.subscribe();
        if stage.wait_for(|stage| *stage >= wanted).await.is_err() {
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

//! The idle connections of one worker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;

/// Idle connections by address, the longest idle first.
#[derive(Debug)]
pub(super) struct Pool {
    shelves: Mutex<Shelves>,
    most: usize,
    keep: Duration,
}

#[derive(Debug)]
struct Shelves {
    idle: Vec<VecDeque<Idle>>,
    /// Whether somebody will clear out what stays too long.
    swept: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// A pool for `addresses` addresses that keeps `most` connections to each for `keep`.
    pub(super) fn new(addresses: usize, most: usize, keep: Duration) -> Arc<Self> {
        let idle = (0..addresses).map(|_| VecDeque::new()).collect();
        Arc::new(Self { shelves: Mutex::new(Shelves { idle, swept: false }), most, keep })
    }

    /// The connection to `address` used last: the likeliest to be alive.
    pub(super) fn take(&self, address: usize) -> Option<Connection> {
        let mut shelves = self.lock();
        let shelf = shelves.idle.get_mut(address)?;
        while let Some(idle) = shelf.pop_back() {
            if !idle.connection.is_closed() && idle.since.elapsed() < self.keep {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(self: &Arc<Self>, address: usize, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut shelves = self.lock();
        let Some(shelf) = shelves.idle.get_mut(address) else { return };
        if shelf.len() >= self.most {
            shelf.pop_front();
        }
        shelf.push_back(Idle { connection, since: Instant::now() });
        if !shelves.swept {
            shelves.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), self.keep));
        }
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().idle.iter().map(VecDeque::len).sum()
    }

    /// Drops what stayed too long; says whether anything is left.
    fn clear_out(&self) -> bool {
        let mut shelves = self.lock();
        for shelf in &mut shelves.idle {
            shelf.retain(|i| !i.connection.is_closed() && i.since.elapsed() < self.keep);
        }
        shelves.swept = shelves.idle.iter().any(|shelf| !shelf.is_empty());
        shelves.swept
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // A panic elsewhere leaves a list of connections, which is whole at every step.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears out until nothing is idle or the pool is gone.
async fn sweep(pool: Weak<Pool>, keep: Duration) {
    loop {
        tokio::time::sleep(keep / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.clear_out() {
            return;
        }
    }
}

//! The bytes all buffers together may take.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// Most calls never hold more than this.
const SMALL: usize = 32 * 1024;
/// A long page of records.
const MEDIUM: usize = 256 * 1024;
/// Two batches on their way in and two on their way out, without the longest record.
const LARGE: usize = 4 * 1024 * 1024;
/// How long a call that grew waits for room before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// There is no room for another call, or for this one to grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the buffers are full")]
pub(crate) struct NoRoom;

/// The room for buffers, in three sizes.
///
/// INVARIANT: a call takes at most one share of each size, and always in the order small, medium,
/// large. Who holds a large share waits for nothing here, so waiting cannot go round in a circle.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    small: Arc<Semaphore>,
    medium: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Budget {
    /// Shares out `bytes` when the longest record has `record_bytes`.
    pub(crate) fn new(bytes: usize, record_bytes: usize) -> Self {
        let shares = |part: usize, size: usize| {
            Arc::new(Semaphore::new((part / size).clamp(1, Semaphore::MAX_PERMITS)))
        };
        Self {
            small: shares(bytes / 4, SMALL),
            medium: shares(bytes / 4, MEDIUM),
            large: shares(bytes / 2, LARGE.saturating_add(record_bytes.saturating_mul(2))),
        }
    }

    /// Takes the share every call starts with.
    ///
    /// # Errors
    /// When all are taken; the call is better tried later than queued.
    pub(crate) fn begin(&self) -> Result<Share, NoRoom> {
        let small = Arc::clone(&self.small).try_acquire_owned().map_err(|_| NoRoom)?;
        Ok(Share { budget: self.clone(), _small: small, medium: None, large: None })
    }
}

/// What one call holds of the budget. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    _small: OwnedSemaphorePermit,
    medium: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes sure that an answer of which `bytes` were read so far may be held; waits, and thereby
    /// stops reading from the store, while there is no room.
    ///
    /// # Errors
    /// When no room was found in time.
    pub(crate) async fn cover(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes > SMALL && self.medium.is_none() {
            self.medium = Some(wait(&self.budget.medium).await?);
        }
        if bytes > MEDIUM && self.large.is_none() {
            self.large = Some(wait(&self.budget.large).await?);
        }
        Ok(())
    }
}

async fn wait(pool: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, NoRoom> {
    match tokio::time::timeout(PATIENCE, Arc::clone(pool).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(NoRoom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Context;
    use std::task::Waker;

    #[test]
    fn a_call_without_room_is_turned_away_and_room_comes_back() {
        let budget = Budget::new(8 * SMALL, 1024);
        let first = budget.begin().unwrap();
        let second = budget.begin().unwrap();
        assert_eq!(budget.begin().unwrap_err(), NoRoom);
        drop(first);
        assert!(budget.begin().is_ok());
        drop(second);
    }

    #[tokio::test]
    async fn a_call_that_grows_waits_until_there_is_room() {
        let budget = Budget::new(8 * SMALL, 1024);
        let mut first = budget.begin().unwrap();
        let mut second = budget.begin().unwrap();
        first.cover(MEDIUM + 1).await.unwrap();
        let mut grown = std::pin::pin!(second.cover(MEDIUM + 1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(grown.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(grown.await, Ok(()));
    }
}

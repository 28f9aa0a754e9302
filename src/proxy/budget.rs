//! The bytes all buffers together may take.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::transform::Batch;

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
    owners: Arc<Owners>,
}

/// The rooms of the credential owners whose calls grew.
#[derive(Debug)]
struct Owners {
    medium: usize,
    large: usize,
    rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
}

/// What one credential owner may take of the larger shares.
#[derive(Debug)]
struct Room {
    medium: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Owners {
    fn room(&self, owner: &Arc<str>) -> Arc<Room> {
        let new = || {
            let shares = |count| Arc::new(Semaphore::new(count));
            Arc::new(Room { medium: shares(self.medium), large: shares(self.large) })
        };
        Arc::clone(self.all().entry(Arc::clone(owner)).or_insert_with(new))
    }

    /// Forgets the room when nobody else is in it.
    fn leave(&self, owner: &Arc<str>, room: Arc<Room>) {
        let mut all = self.all();
        drop(room);
        if all.get(owner).is_some_and(|room| Arc::strong_count(room) == 1) {
            all.remove(owner);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budget {
    /// Shares out `bytes` when the longest record has `record_bytes`.
    pub(crate) fn new(bytes: usize, record_bytes: usize) -> Self {
        let shares = |part: usize, size: usize| {
            Arc::new(Semaphore::new((part / size).clamp(1, Semaphore::MAX_PERMITS)))
        };
        let small = shares(bytes / 4, SMALL);
        let medium = shares(bytes / 4, MEDIUM);
        let large = shares(bytes / 2, LARGE.saturating_add(record_bytes.saturating_mul(2)));
        let owners = Arc::new(Owners {
            medium: (medium.available_permits() / 2).max(1),
            large: (large.available_permits() / 4).max(1),
            rooms: Mutex::default(),
        });
        Self { small, medium, large, owners }
    }

    /// Takes the share every call of `owner` starts with.
    ///
    /// # Errors
    /// When all are taken; the call is better tried later than queued.
    pub(crate) fn begin(&self, owner: &Arc<str>) -> Result<Share, NoRoom> {
        let small = Arc::clone(&self.small).try_acquire_owned().map_err(|_| NoRoom)?;
        let (budget, owner) = (self.clone(), Arc::clone(owner));
        Ok(Share { budget, owner, room: None, _small: small, medium: None, large: None })
    }
}

/// What one call holds of the budget. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    owner: Arc<str>,
    room: Option<Arc<Room>>,
    _small: OwnedSemaphorePermit,
    medium: Option<Grown>,
    large: Option<Grown>,
}

/// A share of the owner's room, and one of the whole.
type Grown = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Share {
    /// Makes sure that an answer of which `bytes` were read so far may be held; waits, and thereby
    /// stops reading from the store, while there is no room.
    ///
    /// # Errors
    /// When no room was found in time.
    pub(crate) async fn cover(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes <= SMALL {
            return Ok(());
        }
        let room = self.room.get_or_insert_with(|| self.budget.owners.room(&self.owner));
        if self.medium.is_none() {
            self.medium = Some(wait(&room.medium, &self.budget.medium).await?);
        }
        if bytes > MEDIUM && self.large.is_none() {
            self.large = Some(wait(&room.large, &self.budget.large).await?);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            self.budget.owners.leave(&self.owner, room);
        }
    }
}

/// The owner's room first: who waits there keeps nobody else waiting.
async fn wait(own: &Arc<Semaphore>, pool: &Arc<Semaphore>) -> Result<Grown, NoRoom> {
    let both = async {
        let own = Arc::clone(own).acquire_owned().await.map_err(|_| NoRoom)?;
        let shared = Arc::clone(pool).acquire_owned().await.map_err(|_| NoRoom)?;
        Ok((own, shared))
    };
    tokio::time::timeout(PATIENCE, both).await.map_err(|_| NoRoom)?
}

/// An empty batch of an answer.
pub(super) fn new_batch() -> Batch {
    Batch::new(BATCH_RECORDS, BATCH_BYTES)
}

/// Records of one batch: no entry names more people than these records are about.
pub(super) const BATCH_RECORDS: usize = 256;
/// Bytes of one batch.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Context;
    use std::task::Waker;

    #[test]
    fn a_call_without_room_is_turned_away_and_room_comes_back() {
        let budget = Budget::new(8 * SMALL, 1024);
        let owner = "a".into();
        let first = budget.begin(&owner).unwrap();
        let second = budget.begin(&owner).unwrap();
        assert_eq!(budget.begin(&owner).unwrap_err(), NoRoom);
        drop(first);
        assert!(budget.begin(&owner).is_ok());
        drop(second);
    }

    #[tokio::test]
    async fn a_call_that_grows_waits_until_there_is_room() {
        let budget = Budget::new(8 * SMALL, 1024);
        let mut first = budget.begin(&"a".into()).unwrap();
        let mut second = budget.begin(&"b".into()).unwrap();
        first.cover(MEDIUM + 1).await.unwrap();
        let mut grown = std::pin::pin!(second.cover(MEDIUM + 1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(grown.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(grown.await, Ok(()));
    }

    #[tokio::test]
    async fn one_owner_takes_a_quarter_and_leaves_nothing_behind() {
        let budget = Budget::new(8 * LARGE, 0);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut first = budget.begin(&a).unwrap();
        let mut second = budget.begin(&a).unwrap();
        let mut other = budget.begin(&b).unwrap();
        first.cover(MEDIUM + 1).await.unwrap();
        {
            let mut grown = std::pin::pin!(second.cover(MEDIUM + 1));
            let mut context = Context::from_waker(Waker::noop());
            assert!(grown.as_mut().poll(&mut context).is_pending());
            other.cover(MEDIUM + 1).await.unwrap();
            drop(first);
            assert_eq!(grown.await, Ok(()));
        }
        drop((second, other));
        assert!(budget.owners.all().is_empty());
    }
}

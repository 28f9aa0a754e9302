//! Where notices are kept: in the state, and all of them in memory.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::canonical;
use super::error::ConsentError;
use super::notices::Notice;
use super::notices::Notices;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;
use crate::subjects::erase::spawned;

/// The notices, once they were read.
#[derive(Default)]
pub(in crate::subjects) struct Registry {
    kept: Mutex<Kept>,
    /// Held by whoever registers one.
    registering: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    notices: Option<Arc<Notices>>,
    /// Goes up with every notice: what was read before is not kept after.
    changes: u64,
}

impl Registry {
    /// All notices. Nothing is locked while they are read: whoever waits for a card may stop in
    /// the middle.
    pub(in crate::subjects) async fn get(
        &self,
        state: &Engine,
    ) -> Result<Arc<Notices>, SubjectsError> {
        let before = {
            let kept = self.kept();
            if let Some(notices) = &kept.notices {
                return Ok(Arc::clone(notices));
            }
            kept.changes
        };
        let read = Arc::new(load(state).await?);
        let mut kept = self.kept();
        if kept.changes == before {
            kept.notices = Some(Arc::clone(&read));
        }
        Ok(read)
    }

    /// Has them read anew.
    fn changed(&self) {
        let mut kept = self.kept();
        kept.notices = None;
        kept.changes += 1;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cards {
    /// Registers a version of a notice; false when it is registered already, word for word. Where
    /// it requires renewal, every look-up after this shows what that comes to.
    ///
    /// # Errors
    /// [`ConsentError::NoticeDiffers`] when it is registered with another text; also when there are
    /// too many, a member is wrong, or the state cannot be written.
    pub async fn register_notice(&self, notice: Notice) -> Result<bool, ConsentError> {
        notice.check()?;
        let cards = self.clone();
        spawned(async move { Ok(cards.register_now(notice).await) }).await?
    }

    async fn register_now(&self, notice: Notice) -> Result<bool, ConsentError> {
        let _alone = self.0.notices.registering.lock().await;
        // What is in memory may be older than a write that failed and was made all the same.
        let known = load(&self.0.state).await?;
        let same = |other: &&Notice| {
            (&other.id, &other.version, &other.language)
                == (&notice.id, &notice.version, &notice.language)
        };
        if let Some(other) = known.iter().find(same) {
            let (registered_at, registered_by) = (other.registered_at, other.registered_by.clone());
            let is_same = *other == Notice { registered_at, registered_by, ..notice.clone() };
            return if is_same { Ok(false) } else { Err(ConsentError::NoticeDiffers) };
        }
        if known.len() >= MAX_NOTICES {
            return Err(ConsentError::invalid(
                "notice",
                "is one more than the 4,096 that are kept",
            ));
        }
        let mut tx = Tx::new();
        let row = serde_json::to_vec(&notice).map_err(|_| SubjectsError::Damaged)?;
        tx.put(&key(&notice), row, Expect::Absent);
        let done = self.0.state.commit(tx).await;
        // After a failure too: it may be there all the same. Notices first, then the cards that
        // rest on them.
        self.0.notices.changed();
        self.0.cache.forget_all();
        match done {
            Ok(_) => Ok(true),
            Err(StateError::Conflict { .. }) => Err(SubjectsError::Contended.into()),
            Err(error) => Err(SubjectsError::State(error).into()),
        }
    }
}

async fn load(state: &Engine) -> Result<Notices, SubjectsError> {
    let (mut notices, mut after) = (Notices::default(), None::<Vec<u8>>);
    loop {
        let page = state.scan(NOTICES, after.as_deref(), PAGE).await;
        let page = page.map_err(SubjectsError::State)?;
        for item in &page.items {
            let notice = serde_json::from_slice::<Notice>(&item.value.value).ok();
            let notice = notice.filter(|notice| key(notice) == item.key);
            notices.add(notice.ok_or(SubjectsError::Damaged)?);
        }
        after = page.items.last().map(|item| item.key.clone());
        if !page.more {
            return Ok(notices);
        }
    }
}

fn key(notice: &Notice) -> Vec<u8> {
    let name = [notice.id.as_str(), &notice.version, &notice.language].join("\0");
    [NOTICES, &canonical::of_bytes(name.as_bytes()).0].concat()
}

const NOTICES: &[u8] = b"consent/notice/";
const MAX_NOTICES: usize = 4_096;
const PAGE: usize = 512;

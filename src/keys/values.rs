//! The keys of values that are nobody's own: of blind indexes, and of pseudonyms.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use super::epoch::check;
use super::error::KeysError;
use crate::crypto::Mac;
use crate::crypto::Secret;
use crate::crypto::same;

/// Both keys, or nothing while they are locked.
pub(super) struct ValueKeys {
    open: RwLock<Option<Arc<Open>>>,
    /// Derived from each, to tell it from others when it comes back.
    index_check: Secret,
    pseudonyms_check: Secret,
}

/// Wiped when the last holder lets go.
pub(super) struct Open {
    /// Of blind indexes.
    pub(super) index: Mac,
    /// What the keys of pseudonyms are derived from.
    pub(super) pseudonyms: Secret,
}

impl ValueKeys {
    pub(super) fn new(index: &Secret, pseudonyms: Secret) -> Self {
        let (index_check, pseudonyms_check) = (check(index), check(&pseudonyms));
        let open = Arc::new(Open { index: Mac::new(index), pseudonyms });
        Self { open: RwLock::new(Some(open)), index_check, pseudonyms_check }
    }

    pub(super) fn get(&self) -> Result<Arc<Open>, KeysError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(Arc::clone).ok_or(KeysError::Unavailable)
    }

    pub(super) fn wipe(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes the keys again after [`Self::wipe`]; false when they are others.
    pub(super) fn unlock(&self, index: &Secret, pseudonyms: Secret) -> bool {
        let is = |key: &Secret, known: &Secret| same(check(key).expose(), known.expose());
        if !is(index, &self.index_check) || !is(&pseudonyms, &self.pseudonyms_check) {
            return false;
        }
        let open = Arc::new(Open { index: Mac::new(index), pseudonyms });
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(open);
        true
    }

    pub(super) fn is_locked(&self) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

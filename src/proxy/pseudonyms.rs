//! The pseudonyms of one call, and of one of its records. Their key is derived when the first one
//! is made: most calls make none.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;

use crate::catalog::DataSet;
use crate::keys::KeyRing;
use crate::keys::PurposePseudonyms;
use crate::policy::Pseudonym;
use crate::policy::RecordSubject;
use crate::subjects::Card;
use crate::subjects::Cards;
use crate::subjects::NewToken;
use crate::subjects::Tokenized;
use crate::transform::Plain;
use crate::transform::Pseudonyms;
use crate::types::PurposeId;

/// The pseudonyms of the purpose of one call.
pub(crate) struct CallPseudonyms {
    keys: KeyRing,
    purpose: PurposeId,
    /// Nothing when the first one was wanted while the keys were locked.
    made: OnceLock<Option<PurposePseudonyms>>,
    /// What must be on disk before the reversible tokens made so far may leave.
    new: Mutex<Vec<NewToken>>,
}

impl CallPseudonyms {
    /// Derives nothing yet.
    pub(crate) fn new(keys: &KeyRing, purpose: &PurposeId) -> Self {
        Self {
            keys: keys.clone(),
            purpose: purpose.clone(),
            made: OnceLock::new(),
            new: Mutex::default(),
        }
    }

    /// Takes what must be on disk before the tokens made so far may leave.
    pub(super) fn take_new(&self) -> Vec<NewToken> {
        std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What makes them; nothing while the keys are locked.
    fn made(&self) -> Option<&PurposePseudonyms> {
        let made = self.made.get_or_init(|| self.keys.pseudonyms(&self.purpose).ok());
        made.as_ref().filter(|_| self.keys.is_usable())
    }
}

impl fmt::Debug for CallPseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallPseudonyms(..)")
    }
}

/// The pseudonyms of one record.
pub(super) struct RecordPseudonyms<'a> {
    pub(super) call: &'a CallPseudonyms,
    pub(super) set: &'a DataSet,
    /// Whom the record is about, in the order of the data set's subjects.
    pub(super) people: &'a [RecordSubject<'a>],
    /// Where reversible tokens are kept, and the cards of those people; nothing where what is made
    /// leaves to nobody.
    pub(super) vault: Option<(&'a Cards, &'a [Option<Arc<Card>>])>,
}

impl RecordPseudonyms<'_> {
    /// Puts what a reversible token stands for where it can be looked up; false when that cannot
    /// be done, and the token must not be shown.
    fn keep(&self, plain: &Plain<'_>) -> bool {
        let Some((vault, cards)) = self.vault else { return true };
        let Some(made) = self.call.made() else { return false };
        let place = self.set.owner(plain.field);
        let card = place.and_then(|place| cards.get(place)?.as_ref());
        let id = place.and_then(|place| self.people.get(place)?.id);
        let subject = place.and_then(|place| self.set.subjects.get(place));
        let (Some(card), Some(id), Some(subject), Some(field)) =
            (card, id, subject, self.set.get(plain.field))
        else {
            return false;
        };
        let row = vault.tokenize(
            card,
            &Tokenized {
                purpose: &self.call.purpose,
                token: made.token(plain.kind, plain.value),
                kind: plain.kind,
                set: self.set.id.as_str(),
                field: field.path.as_str(),
                domain: &subject.domain,
                id,
                value: plain.value,
            },
        );
        row.is_ok_and(|row| {
            self.call.new.lock().unwrap_or_else(PoisonError::into_inner).extend(row);
            true
        })
    }
}

impl Pseudonyms for RecordPseudonyms<'_> {
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let owner = || {
            let place = self.set.owner(plain.field)?;
            let domain = &self.set.subjects.get(place)?.domain;
            Some((domain, self.people.get(place)?.id?))
        };
        let is_kept = plain.form != Pseudonym::Token { reversible: true } || self.keep(plain);
        is_kept && self.call.made().is_some_and(|made| made.write(plain, owner(), out))
    }
}

impl fmt::Debug for RecordPseudonyms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordPseudonyms(..)")
    }
}

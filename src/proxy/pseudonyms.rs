//! The pseudonyms of one call, and of one of its records. Their key is derived when the first one
//! is made: most calls make none.

use std::fmt;
use std::sync::OnceLock;

use crate::catalog::DataSet;
use crate::keys::KeyRing;
use crate::keys::PurposePseudonyms;
use crate::policy::RecordSubject;
use crate::transform::Plain;
use crate::transform::Pseudonyms;
use crate::types::PurposeId;

/// The pseudonyms of the purpose of one call.
pub(crate) struct CallPseudonyms {
    keys: KeyRing,
    purpose: PurposeId,
    made: OnceLock<PurposePseudonyms>,
}

impl CallPseudonyms {
    /// Derives nothing yet.
    pub(crate) fn new(keys: &KeyRing, purpose: &PurposeId) -> Self {
        Self { keys: keys.clone(), purpose: purpose.clone(), made: OnceLock::new() }
    }

    fn made(&self) -> &PurposePseudonyms {
        self.made.get_or_init(|| self.keys.pseudonyms(&self.purpose))
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
}

impl Pseudonyms for RecordPseudonyms<'_> {
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let owner = || {
            let place = self.set.owner(plain.field)?;
            let domain = &self.set.subjects.get(place)?.domain;
            Some((domain, self.people.get(place)?.id?))
        };
        self.call.made().write(plain, owner(), out)
    }
}

impl fmt::Debug for RecordPseudonyms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordPseudonyms(..)")
    }
}

//! The pseudonyms of one call. Their key is derived when the first one is made: most calls make
//! none.

use std::fmt;
use std::sync::OnceLock;

use crate::keys::KeyRing;
use crate::keys::PurposePseudonyms;
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
}

impl Pseudonyms for CallPseudonyms {
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let made = self.made.get_or_init(|| self.keys.pseudonyms(&self.purpose));
        made.write(plain, out)
    }
}

impl fmt::Debug for CallPseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallPseudonyms(..)")
    }
}

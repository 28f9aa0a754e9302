//! Keyed hashes, sealing, signatures and trees. Bytes in, bytes out; no I/O.
//!
//! Randomness is always an argument: who calls owns the source, and tests own the caller.

pub mod cosignature;
#[doc(hidden)]
pub mod fuzz;
pub mod merkle;
pub mod note;

mod envelope;
mod ff1;
mod index;
mod mac;
mod root;
mod seal;
mod secret;
mod selftest;
mod sign;
mod subject;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod envelope_tests;
#[cfg(test)]
mod tests;

pub use self::envelope::{Envelope, EnvelopeFault, FieldKey, ValueKind, envelope_len, plain_len};
pub use self::ff1::{Ff1, NotPermutable};
pub use self::index::{NormalForm, blind_index};
pub use self::mac::{Mac, derive, hmac_sha256, length_prefixed, same, sha256};
pub use self::root::{KdfCost, RootFileError, open_root, seal_root};
pub use self::seal::{SEAL_OVERHEAD, SealKey, Unsealable};
pub use self::secret::Secret;
#[cfg(test)]
pub(crate) use self::selftest::broken;
pub use self::selftest::{SelfTestError, self_test};
pub use self::sign::{BadSignature, Signer, Verifier};
pub use self::subject::{
    KeyGeneration, KeyState, Kid, LogKey, PendingKey, RecordFault, SubjectKey, SubjectKeyRecord,
    WrapContext,
};

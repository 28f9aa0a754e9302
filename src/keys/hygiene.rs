//! What a key type must not be able to do. Nothing here runs: it does not compile where one can.

use crate::crypto::Ff1;
use crate::crypto::FieldKey;
use crate::crypto::Mac;
use crate::crypto::SealKey;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::crypto::SubjectKey;
use crate::crypto::note::NoteKey;
use crate::keys::Held;
use crate::keys::OperatorSecrets;
use crate::keys::PurposePseudonyms;
use crate::keys::RecordSeals;
use crate::keys::SubjectKeys;
use crate::keys::ring::Ring;
use crate::keys::slots::Slots;

/// Fails to compile when a type implements one of the traits: then two implementations fit, and
/// the compiler cannot choose.
macro_rules! never {
    ($type:ty: $($trait:path),+) => {
        const _: fn() = || {
            trait AmbiguousIfImplemented<Marker> {
                fn chosen() {}
            }
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            $({
                struct Marker;
                impl<T: ?Sized + $trait> AmbiguousIfImplemented<Marker> for T {}
            })+
            <$type as AmbiguousIfImplemented<_>>::chosen();
        };
    };
}

/// Cannot be printed, written down, compared in a time that depends on the bytes, or copied.
macro_rules! key_types {
    ($($type:ty),+ $(,)?) => {
        $(never!($type:
            std::fmt::Debug,
            std::fmt::Display,
            std::clone::Clone,
            std::cmp::PartialEq,
            serde::Serialize
        );)+
    };
}

key_types!(
    Ff1,
    FieldKey,
    Held,
    Mac,
    OperatorSecrets,
    PurposePseudonyms,
    RecordSeals<'static>,
    Ring,
    SealKey,
    Secret,
    Signer,
    Slots,
    SubjectKey,
    SubjectKeys,
);

// Clones of this one share the key.
never!(NoteKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);

// The ciphers and keys of others wipe themselves, which is a feature that could be switched off.
const _: fn() = || {
    fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>() {}
    wiped_when_dropped::<aes::Aes256>();
    wiped_when_dropped::<aes_gcm::AesGcm<aes::Aes256Enc, aes_gcm::aead::consts::U12>>();
    wiped_when_dropped::<ed25519_dalek::SigningKey>();
    wiped_when_dropped::<Secret>();
};

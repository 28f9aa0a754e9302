//! What may become of values when their data set moves into envelopes, or out of them.

use crate::catalog::FieldIx;
use crate::crypto::Kid;
use crate::transform::Unopened;

/// Which way a data set moves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Move {
    /// Plain values are sealed.
    Encrypt,
    /// Sealed values become plain again, and indexes `null`.
    Decrypt,
    /// Values sealed with an older key of their person are sealed with the newest.
    Reseal,
    /// Only the indexes are made anew.
    Reindex,
}

impl Move {
    /// Every direction.
    pub const ALL: [Self; 4] = [Self::Encrypt, Self::Decrypt, Self::Reseal, Self::Reindex];

    /// The word that jobs and the audit log use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Reseal => "reseal",
            Self::Reindex => "reindex",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What is known of a person whose values a record holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    /// Their key is destroyed.
    Erased,
    /// They have keys; the newest seals.
    Known(Kid),
    /// They have no key yet, so that nothing can have been sealed for them.
    New,
    /// The record does not say who it is.
    Nobody,
}

/// What becomes of one value.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fate {
    /// It is sealed, opened or sealed anew, as the direction says.
    Moves,
    /// It is as it should be already.
    Stays,
    /// It stays, sealed with an older key of its person.
    Older,
    /// It stays, because the key of its person is destroyed.
    Erased,
    /// It stays, because nobody knows whose it is.
    Nobody,
    /// It stays, because the field is not `migrating`.
    Strict,
    /// It stays, because its envelope is longer than what the store takes.
    TooLong,
    /// It stays, because it is no value that the field can have.
    WrongKind,
    /// It stays, because it looks sealed and does not open.
    Unopened(Unopened),
}

impl Fate {
    /// Every fate that somebody should look at.
    pub const TROUBLES: [Self; 10] = [
        Self::Erased,
        Self::Nobody,
        Self::Strict,
        Self::TooLong,
        Self::WrongKind,
        Self::Unopened(Unopened::Destroyed),
        Self::Unopened(Unopened::Foreign),
        Self::Unopened(Unopened::Forged),
        Self::Unopened(Unopened::Malformed),
        Self::Unopened(Unopened::Plaintext),
    ];

    /// The word that reports use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moves => "moves",
            Self::Stays => "stays",
            Self::Older => "older_key",
            Self::Erased => "erased",
            Self::Nobody => "about_nobody",
            Self::Strict => "field_is_strict",
            Self::TooLong => "too_long",
            Self::WrongKind => "wrong_kind",
            Self::Unopened(Unopened::Destroyed) => "looks_sealed_destroyed",
            Self::Unopened(Unopened::Foreign) => "looks_sealed_foreign",
            Self::Unopened(Unopened::Forged) => "looks_sealed_forged",
            Self::Unopened(Unopened::Malformed) => "looks_sealed_malformed",
            Self::Unopened(Unopened::Plaintext | Unopened::Unavailable) => "looks_sealed_unknown",
        }
    }
}

/// What becomes of one record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Converted {
    /// What becomes of each value of a sealed field.
    pub values: Vec<(FieldIx, Fate)>,
    /// A fingerprint of the index of each field that has one: equal indexes have equal ones.
    pub indexes: Vec<(FieldIx, u64)>,
    /// How many indexes are set anew or removed.
    pub indexed: u32,
    /// How many values are sealed with an older key of their person.
    pub older: u32,
    /// Whether the record changes.
    pub changes: bool,
}

/// A record cannot be moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// It is no object in strict JSON.
    #[error("a record is no object in strict JSON")]
    NoRecord,
    /// The keys cannot be used at the moment.
    #[error("the keys cannot be used at the moment")]
    Unavailable,
}

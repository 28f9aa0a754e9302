//! What opens and seals single values: declared here, done where the keys are.

use crate::catalog::FieldIx;
use crate::crypto::ValueKind;

/// Opens and seals the values of one record.
pub trait Seals {
    /// Appends the value that is sealed in `field`, and says what it is. `sealed` is the text that
    /// stands there, unescaped. Nothing is appended when it does not open.
    ///
    /// # Errors
    /// When it is not the value of this field of this person, or cannot be told.
    fn open(&self, field: FieldIx, sealed: &str, out: &mut Vec<u8>) -> Result<ValueKind, Unopened>;

    /// Appends the envelope of a value, as text without quotes. `plain` is what
    /// [`ValueKind`] says. Nothing is appended when it cannot be sealed.
    ///
    /// # Errors
    /// When there is no key for it.
    fn seal(
        &self,
        field: FieldIx,
        kind: ValueKind,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed>;

    /// Appends the blind index of a text, as text without quotes. Nothing is appended for a field
    /// that has none.
    ///
    /// # Errors
    /// When there is no key for it.
    fn index(&self, field: FieldIx, plain: &str, out: &mut Vec<u8>) -> Result<(), Unsealed>;
}

/// Why a sealed value is not opened. For the log and the counters; the caller is told nothing of
/// it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Unopened {
    /// The key of its person is destroyed.
    Destroyed,
    /// It was sealed with the key of somebody else, or nobody knows whose.
    Foreign,
    /// It is of this person and was made for another place, or changed.
    Forged,
    /// It is no envelope that this release reads.
    Malformed,
    /// It is not sealed, where everything should be.
    Plaintext,
    /// The keys cannot be used at the moment.
    Unavailable,
}

impl Unopened {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Destroyed,
        Self::Foreign,
        Self::Forged,
        Self::Malformed,
        Self::Plaintext,
        Self::Unavailable,
    ];

    /// The word that logs, metrics and the audit log use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Foreign => "foreign",
            Self::Forged => "forged",
            Self::Malformed => "malformed",
            Self::Plaintext => "plaintext",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Opens and seals nothing: where no field is sealed, or nobody's keys are at hand.
#[derive(Clone, Copy, Debug)]
pub struct NoSeals;

impl Seals for NoSeals {
    fn open(&self, _: FieldIx, _: &str, _: &mut Vec<u8>) -> Result<ValueKind, Unopened> {
        Err(Unopened::Destroyed)
    }

    fn seal(&self, _: FieldIx, _: ValueKind, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unsealed> {
        Err(Unsealed::NoKey)
    }

    fn index(&self, _: FieldIx, _: &str, _: &mut Vec<u8>) -> Result<(), Unsealed> {
        Err(Unsealed::NoKey)
    }
}

/// What of a record, or of several, did not open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Misses {
    /// There are few: fields times reasons.
    each: Vec<Miss>,
}

/// Values of one field that did not open for one reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Miss {
    /// Where they stand.
    pub field: FieldIx,
    /// Why they did not open. [`Unopened::Plaintext`] of a field that is being sealed is no fault:
    /// such values are shown.
    pub why: Unopened,
    /// How many they are.
    pub count: u32,
}

impl Misses {
    /// Every miss, each field and reason once.
    pub fn iter(&self) -> impl Iterator<Item = Miss> + '_ {
        self.each.iter().copied()
    }

    /// Whether everything opened.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Whether something did not open because the keys cannot be used at the moment: what was
    /// written then says less than it may.
    pub fn is_unavailable(&self) -> bool {
        self.each.iter().any(|miss| miss.why == Unopened::Unavailable)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.each.clear();
    }

    /// Counts one value.
    pub fn add(&mut self, field: FieldIx, why: Unopened) {
        match self.each.iter_mut().find(|miss| (miss.field, miss.why) == (field, why)) {
            Some(miss) => miss.count = miss.count.saturating_add(1),
            None => self.each.push(Miss { field, why, count: 1 }),
        }
    }
}

/// Why a value is not sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsealed {
    /// The key of its person is destroyed, or nobody knows whose it would be.
    NoKey,
    /// The keys cannot be used at the moment, or there is no randomness.
    Unavailable,
}

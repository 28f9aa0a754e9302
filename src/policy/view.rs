//! The forms a field is shown in, and their order.

use std::fmt;

use crate::catalog::Field;

/// The form a field is shown in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum View {
    /// As it is.
    Show,
    /// Coarser than it is.
    Generalize(Generalize),
    /// A few characters of it.
    Mask(Mask),
    /// A stand-in, the same within one purpose wherever the value is the same.
    Pseudonymize(Pseudonym),
    /// As it is sealed at rest. A field that is not sealed at rest is not shown.
    Ciphertext,
    /// Not at all.
    Drop,
}

/// Which characters of a value stay. The rest becomes exactly `***`, however long it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mask {
    /// How many characters stay at the start.
    pub keep_first: u8,
    /// How many characters stay at the end.
    pub keep_last: u8,
    /// Whether `@` and what follows it stay.
    pub keep_domain: bool,
}

/// How a value is made coarser.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Generalize {
    /// A date becomes its year or its month.
    Date(DatePart),
    /// A number becomes the largest multiple of `step` that is not above it.
    Number {
        /// The distance of two results.
        step: u64,
    },
    /// The field is the part of a container that stands for the whole (`address: city` keeps
    /// `city`): its value stays as it is, and the other parts are dropped.
    Part,
}

/// What stays of a date.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DatePart {
    /// `1991-04`.
    Month,
    /// `1991`.
    Year,
}

/// What stands in for a value. A value that does not have the shape is not shown.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Pseudonym {
    /// `ps1_…`: of any value.
    Token {
        /// Whether the value is kept for two operators to look up together.
        reversible: bool,
    },
    /// An address below `privet.invalid`, of an address.
    Email,
    /// Other digits in the same places.
    Digits(Digits),
    /// Another day, moved by the same number of days for all dates of one person.
    Date {
        /// How far it may be moved, either way, in days.
        days: u16,
    },
}

/// Which digits of a value become others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digits {
    /// The fewest digits of a value.
    pub min: u8,
    /// The most digits of a value.
    pub max: u8,
    /// How many stay at the start.
    pub keep_first: u8,
    /// How many stay at the end.
    pub keep_last: u8,
    /// Whether the last digit is the check digit of Luhn's formula, before and after.
    pub luhn: bool,
}

impl Digits {
    /// How many digits of the shortest value are free to become others.
    pub const fn free(&self) -> u8 {
        let kept = self.keep_first.saturating_add(self.keep_last);
        self.min.saturating_sub(kept).saturating_sub(self.luhn as u8)
    }
}

impl View {
    /// The view `{ pseudonymize: { scope: purpose } }`.
    pub const TOKEN: Self = Self::Pseudonymize(Pseudonym::Token { reversible: false });

    /// How many ranks there are.
    pub const RANKS: usize = 6;

    /// The position in the order `show < generalize < mask < pseudonymize < ciphertext < drop`.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Show => 0,
            Self::Generalize(_) => 1,
            Self::Mask(_) => 2,
            Self::Pseudonymize(_) => 3,
            Self::Ciphertext => 4,
            Self::Drop => 5,
        }
    }

    /// The word for the kind of view, as policies, `Privet-Fields` and the audit log use it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::Generalize(_) => "generalize",
            Self::Mask(_) => "mask",
            Self::Pseudonymize(_) => "pseudonymize",
            Self::Ciphertext => "ciphertext",
            Self::Drop => "drop",
        }
    }

    /// Whether the value itself reaches the caller, unchanged.
    pub const fn is_raw(self) -> bool {
        matches!(self, Self::Show | Self::Generalize(Generalize::Part))
    }

    /// Whether anything of the field reaches the caller. What is sealed counts, though nobody can
    /// read it without the key: that it is there and how long it is are facts too.
    pub const fn reveals(self) -> bool {
        !matches!(self, Self::Drop)
    }

    /// Whether the value has to be opened to be shown so, where it is sealed at rest.
    pub const fn needs_open(self) -> bool {
        !matches!(self, Self::Ciphertext | Self::Drop)
    }

    /// The view as it comes to be for `field`: one that is not sealed has no ciphertext to pass on.
    pub(super) fn of(self, field: &Field) -> Self {
        match self {
            Self::Ciphertext if field.at_rest.is_none() => Self::Drop,
            view => view,
        }
    }

    /// Whether it is one of many coarser forms, two of which may have nothing in common.
    pub(super) const fn is_coarse(self) -> bool {
        matches!(self, Self::Generalize(Generalize::Date(_) | Generalize::Number { .. }))
    }

    /// Whether one of the two says at least as much as the other, whatever the value is.
    ///
    /// A year, the last four characters and a pseudonym say different things; none contains
    /// another, so a policy must say which one counts.
    pub fn is_comparable(self, other: Self) -> bool {
        self == other || self.class() != other.class()
    }

    /// The view that says no more than either. Of two kinds the more protective one counts.
    #[must_use]
    pub fn narrower(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (a, b) if a.rank() != b.rank() => {
                if a.rank() > b.rank() {
                    a
                } else {
                    b
                }
            }
            (Self::Mask(a), Self::Mask(b)) => Self::Mask(Mask {
                keep_first: a.keep_first.min(b.keep_first),
                keep_last: a.keep_last.min(b.keep_last),
                keep_domain: a.keep_domain && b.keep_domain,
            }),
            (Self::Generalize(a), Self::Generalize(b)) => a.narrower(b),
            // A token tells which values are equal and nothing else: no part, no order, no length.
            (Self::Pseudonymize(_), Self::Pseudonymize(_)) => Self::TOKEN,
            // INVARIANT: every other pair of one rank is equal.
            _ => Self::Drop,
        }
    }

    /// How much it says, most first. Two different views of class 2 cannot be compared.
    pub(crate) const fn class(self) -> u8 {
        match self {
            Self::Show => 0,
            Self::Generalize(Generalize::Part) => 1,
            Self::Generalize(_) | Self::Mask(_) | Self::Pseudonymize(_) => 2,
            Self::Ciphertext => 3,
            Self::Drop => 4,
        }
    }
}

impl Generalize {
    fn narrower(self, other: Self) -> View {
        match (self, other) {
            (Self::Date(_), Self::Date(_)) => View::Generalize(Self::Date(DatePart::Year)),
            (Self::Number { step: a }, Self::Number { step: b }) if a > 0 && b > 0 => {
                // Steps of 10 lie within steps of 100; of 10 and 25 neither contains the other.
                let (large, small) = (a.max(b), a.min(b));
                if large % small == 0 {
                    View::Generalize(Self::Number { step: large })
                } else {
                    View::Drop
                }
            }
            (Self::Part, coarse) | (coarse, Self::Part) => View::Generalize(coarse),
            _ => View::Drop,
        }
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { reversible: false } => Ok(()),
            Self::Token { reversible: true } => f.write_str(", reversible"),
            Self::Email => f.write_str(" as email"),
            Self::Digits(Digits { min, max, keep_first, keep_last, luhn }) => {
                write!(f, " as {min}")?;
                if max != min {
                    write!(f, " to {max}")?;
                }
                write!(f, " digits {keep_first}…{keep_last}")?;
                if *luhn { f.write_str(", luhn") } else { Ok(()) }
            }
            Self::Date { days } => write!(f, " as date ±{days} days"),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generalize(Generalize::Date(DatePart::Month)) => {
                f.write_str("generalize to month")
            }
            Self::Generalize(Generalize::Date(DatePart::Year)) => f.write_str("generalize to year"),
            Self::Generalize(Generalize::Number { step }) => write!(f, "generalize to {step}s"),
            Self::Mask(mask) => {
                write!(f, "mask {}***{}", mask.keep_first, mask.keep_last)?;
                if mask.keep_domain { f.write_str("@") } else { Ok(()) }
            }
            Self::Pseudonymize(pseudonym) => write!(f, "pseudonymize{pseudonym}"),
            other => f.write_str(other.word()),
        }
    }
}

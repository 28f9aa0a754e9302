//! What a call does, and what stands against a person's data being used.

use std::fmt;

use super::Timestamp;

macro_rules! words {
    ($name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        impl $name {
            /// Every value.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The word used in policies, records and the log.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// What a call does to records.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Action {
    /// Looks at records.
    Read,
    /// Makes a record.
    Create,
    /// Changes a record.
    Update,
    /// Removes a record.
    Delete,
    /// Takes records away as a file.
    Export,
}

impl Action {
    /// Whether the action itself shows records to the caller.
    pub const fn shows(self) -> bool {
        matches!(self, Self::Read | Self::Export)
    }
}

words!(Action {
    Read = "read",
    Create = "create",
    Update = "update",
    Delete = "delete",
    Export = "export",
});

/// One thing that stands against the use of a person's data.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SubjectStatus {
    /// Nothing.
    #[default]
    Active,
    /// The person asked for restriction (GDPR article 18).
    Restricted,
    /// The person objected (GDPR article 21).
    Objected,
    /// A legal hold.
    Held,
    /// A child.
    Minor,
    /// The person has died.
    Deceased,
    /// The person's key was destroyed.
    Erased,
}

words!(SubjectStatus {
    Active = "active",
    Restricted = "restricted",
    Objected = "objected",
    Held = "held",
    Minor = "minor",
    Deceased = "deceased",
    Erased = "erased",
});

/// Everything that stands against the use of one person's data: a minor can be restricted and held
/// at once. Nothing at all is `active`; `erased` is final, and stands alone.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Statuses(u8);

impl Statuses {
    /// Nothing stands against the use.
    pub const ACTIVE: Self = Self(0);
    /// The person's key was destroyed.
    pub const ERASED: Self = Self(SubjectStatus::Erased.bit());

    /// Whether this one is among them; [`SubjectStatus::Active`] is when there is none.
    pub const fn contains(self, status: SubjectStatus) -> bool {
        match status {
            SubjectStatus::Active => self.0 == 0,
            other => self.0 & other.bit() != 0,
        }
    }

    /// Whether one of these is among them.
    pub fn meets(self, any: &[SubjectStatus]) -> bool {
        any.iter().any(|status| self.contains(*status))
    }

    /// With this one too. What is erased stays so, and whoever is erased is nothing else.
    #[must_use]
    pub const fn with(self, status: SubjectStatus) -> Self {
        if self.contains(SubjectStatus::Erased) || status.bit() == Self::ERASED.0 {
            return Self::ERASED;
        }
        Self(self.0 | status.bit())
    }

    /// Without this one.
    #[must_use]
    pub const fn without(self, status: SubjectStatus) -> Self {
        Self(self.0 & !status.bit())
    }

    /// Each of them, in the order of [`SubjectStatus::ALL`]; [`SubjectStatus::Active`] alone when
    /// there is none.
    pub fn each(self) -> impl Iterator<Item = SubjectStatus> {
        SubjectStatus::ALL.into_iter().filter(move |status| self.contains(*status))
    }

    /// Reads words with commas between them: `restricted,minor`. `active` and `erased` stand alone,
    /// and nothing is said twice.
    pub fn parse(text: &str) -> Option<Self> {
        let alone = SubjectStatus::parse(text).map(Self::from);
        alone.or_else(|| {
            text.split(',').try_fold(Self::ACTIVE, |found, word| {
                match SubjectStatus::parse(word.trim())? {
                    SubjectStatus::Active | SubjectStatus::Erased => None,
                    status => (!found.contains(status)).then(|| found.with(status)),
                }
            })
        })
    }
}

impl From<SubjectStatus> for Statuses {
    fn from(status: SubjectStatus) -> Self {
        Self::ACTIVE.with(status)
    }
}

impl FromIterator<SubjectStatus> for Statuses {
    fn from_iter<I: IntoIterator<Item = SubjectStatus>>(statuses: I) -> Self {
        statuses.into_iter().fold(Self::ACTIVE, Self::with)
    }
}

/// The words, with commas between them.
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, status) in self.each().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{status}")?;
        }
        Ok(())
    }
}

impl SubjectStatus {
    /// Its bit in [`Statuses`].
    const fn bit(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Restricted => 1,
            Self::Objected => 2,
            Self::Held => 4,
            Self::Minor => 8,
            Self::Deceased => 16,
            Self::Erased => 32,
        }
    }
}

/// How consent was asked for and given, as far as decisions rest on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConsentForm {
    /// Asked for alone, for one purpose (单独同意, PIPL articles 23, 25, 26, 29 and 39).
    pub separate: bool,
    /// A guardian spoke: without that the consent of a minor does not count.
    pub by_guardian: bool,
}

/// A person's answer to one consent question.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consent {
    /// Given, until the time shown (without one: until withdrawn).
    Given {
        /// When it lapses.
        until: Option<Timestamp>,
        /// How.
        form: ConsentForm,
    },
    /// Refused or taken back.
    Refused,
    /// Never asked for. Unknown closes.
    #[default]
    Unknown,
}

impl Consent {
    /// Given without a form of its own: neither asked for alone nor by a guardian.
    pub const fn given(until: Option<Timestamp>) -> Self {
        Self::Given { until, form: ConsentForm { separate: false, by_guardian: false } }
    }

    /// Whether it was given in a form that has all that is wanted.
    pub const fn has_form(self, wanted: ConsentForm) -> bool {
        match self {
            Self::Given { form, .. } => {
                (form.separate || !wanted.separate) && (form.by_guardian || !wanted.by_guardian)
            }
            Self::Refused | Self::Unknown => false,
        }
    }

    /// Whether data may be used on this ground at `now`.
    pub fn allows(self, now: Timestamp) -> bool {
        matches!(self, Self::Given { until, .. } if until.is_none_or(|until| now < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_can_be_several_things_at_once_and_erased_is_alone_and_final() {
        for (text, read) in [
            ("active", Some("active")),
            ("minor,restricted", Some("restricted,minor")),
            ("held, minor,restricted", Some("restricted,held,minor")),
            ("erased", Some("erased")),
            ("active,minor", None),
            ("minor,active", None),
            ("erased,minor", None),
            ("minor,erased", None),
            ("minor,minor", None),
            ("", None),
            ("minor,", None),
            ("asleep", None),
        ] {
            let found = Statuses::parse(text).map(|statuses| statuses.to_string());
            assert_eq!(found.as_deref(), read, "{text}");
        }
        let minor = Statuses::from(SubjectStatus::Minor);
        let held = minor.with(SubjectStatus::Held);
        assert!(held.contains(SubjectStatus::Minor) && !held.contains(SubjectStatus::Active));
        assert_eq!(held.without(SubjectStatus::Held), minor);
        assert_eq!(held.with(SubjectStatus::Erased), Statuses::ERASED);
        assert_eq!(Statuses::ERASED.with(SubjectStatus::Minor), Statuses::ERASED);
        assert!(Statuses::ACTIVE.contains(SubjectStatus::Active));
        assert!(held.meets(&[SubjectStatus::Deceased, SubjectStatus::Held]));
    }
}

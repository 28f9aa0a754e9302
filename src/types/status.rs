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

/// What stands against the use of a person's data.
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

/// A person's answer to one consent question.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consent {
    /// Given, until the time shown (without one: until withdrawn).
    Given {
        /// When it lapses.
        until: Option<Timestamp>,
    },
    /// Refused or taken back.
    Refused,
    /// Never asked for. Unknown closes.
    #[default]
    Unknown,
}

impl Consent {
    /// Whether data may be used on this ground at `now`.
    pub fn allows(self, now: Timestamp) -> bool {
        matches!(self, Self::Given { until } if until.is_none_or(|until| now < until))
    }
}

//! How protected a field is, and which laws speak about it.

use std::fmt;

/// How protected a field is, weakest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// 一般. Shown to people as "ordinary".
    General,
    /// 敏感. Shown to people as "personal".
    Sensitive,
    /// 严重敏感. Shown to people as "special".
    Critical,
}

impl Level {
    /// Every level, weakest first.
    pub const ALL: [Self; 3] = [Self::General, Self::Sensitive, Self::Critical];

    /// The word used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Sensitive => "sensitive",
            Self::Critical => "critical",
        }
    }

    /// Reads the word used in policies.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The legal flags of a category. They follow the category, whatever level a field is given.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(u8);

impl Flags {
    /// About an identified or identifiable person.
    pub const PERSONAL: Self = Self(1);
    /// A special category (GDPR article 9) or sensitive personal information (PIPL article 28).
    pub const SPECIAL: Self = Self(2);
    /// About a child.
    pub const CHILD: Self = Self(4);
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Every flag with its word.
    pub const NAMED: [(Self, &'static str); 3] =
        [(Self::PERSONAL, "personal"), (Self::SPECIAL, "special"), (Self::CHILD, "child")];

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any flag is in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Reads one flag's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(_, word)| *word == text).map(|(flag, _)| flag)
    }

    /// The words of the flags that are set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(flag, _)| self.meets(*flag)).map(|(_, word)| word)
    }
}

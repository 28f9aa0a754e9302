//! Identifiers. Each is a different type, so a subject can never be passed where a role is wanted.

use std::fmt;
use std::sync::Arc;

/// The text is not a valid identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdError {
    /// A character that the kind of identifier does not allow.
    #[error("{kind} `{text}` has the character {found:?}; use {allowed}")]
    Character {
        /// Which identifier was being read.
        kind: &'static str,
        /// The whole text.
        text: Box<str>,
        /// The first character that does not belong.
        found: char,
        /// The characters that do.
        allowed: &'static str,
    },
    /// Nothing was given.
    #[error("{kind} is empty")]
    Empty {
        /// Which identifier was being read.
        kind: &'static str,
    },
    /// The text is longer than the limit.
    #[error("{kind} is {len} bytes long, more than {limit}")]
    TooLong {
        /// Which identifier was being read.
        kind: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident = $kind:literal,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an identifier; this is the only way to make one.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check($kind, text).map(|()| Self(text.into()))
            }

            /// The identifier as it is written in policies and records.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

identifiers! {
    /// What a field is, as a fideslang key such as `user.contact.email`.
    CategoryId = "category",
    /// A data set behind the gateway, such as `shop.customers`.
    DataSetId = "data set",
    /// A space of subject ids, such as `person` or `employee`.
    DomainId = "domain",
    /// Why data is used, such as `order_support`.
    PurposeId = "purpose",
    /// Somebody whom data is passed to, such as `mailer-us`.
    RecipientId = "recipient",
    /// A role, such as `support`.
    RoleId = "role",
    /// A grant or a limit of a policy, such as `support-contact`.
    RuleId = "rule",
    /// An upstream system, such as `shop`.
    StoreId = "store",
    /// A named view, such as `email-hint`.
    ViewName = "view",
}

/// Where a field stands in its record: names joined by `.`, `[*]` after a name for the items of an
/// array, such as `address.city` or `cards[*].pan`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldPath(Arc<str>);

impl FieldPath {
    /// Reads a path; names may hold any character but `.`, `[`, `]` and control characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        bounded("field path", text)?;
        let wrong = |found| IdError::Character {
            kind: "field path",
            text: text.into(),
            found,
            allowed: "names joined by `.`, with `[*]` for the items of an array",
        };
        for segment in text.split('.') {
            let name = segment.trim_end_matches("[*]");
            if name.is_empty() {
                return Err(wrong('.'));
            }
            if let Some(found) = name.chars().find(|c| matches!(c, '[' | ']') || c.is_control()) {
                return Err(wrong(found));
            }
        }
        Ok(Self(text.into()))
    }

    /// The path as it is written in policies.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a child of this field.
    pub fn child(&self, name: &str) -> Result<Self, IdError> {
        Self::parse(&format!("{}.{name}", self.0))
    }

    /// Whether this path is `other` or stands below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&*other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id by which a store knows a person. Its `Debug` never shows the identifier, and it has no
/// `Display`: an id that reaches a log is personal data in the log.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubjectId(Arc<str>);

impl SubjectId {
    /// Reads a subject id: 1 to 256 bytes of text without control characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        bounded("subject id", text)?;
        match text.chars().find(|c| c.is_control()) {
            Some(found) => Err(IdError::Character {
                kind: "subject id",
                // Not the id itself: this text may reach a log.
                text: "…".into(),
                found,
                allowed: "any text without control characters",
            }),
            None => Ok(Self(text.into())),
        }
    }

    /// The identifier itself. Named so that a reviewer can search for every use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectId(..)")
    }
}

/// A person as the audit log names them: 16 bytes of an HMAC under the subject's own log key.
/// Without that key it cannot be linked to an id (DESIGN §11).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubjectToken(pub [u8; 16]);

impl fmt::Display for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn check(kind: &'static str, text: &str) -> Result<(), IdError> {
    bounded(kind, text)?;
    let allowed = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-');
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(IdError::Character {
            kind,
            text: text.into(),
            found,
            allowed: "letters, digits, `.`, `_` or `-`",
        }),
        None => Ok(()),
    }
}

fn bounded(kind: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > MAX_LEN {
        return Err(IdError::TooLong { kind, len: text.len(), limit: MAX_LEN });
    }
    Ok(())
}

const MAX_LEN: usize = 256;

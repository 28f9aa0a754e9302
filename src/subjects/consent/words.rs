//! The words of consent records: states, types, channels, who spoke.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $what:literal { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$of])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The word in records.
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

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom(concat!("not ", $what)))
            }
        }
    };
}

words! {
    /// What a consent has come to (the statuses of DPV 2.3, `dpv:ConsentStatus`). Only
    /// [`Given`](Self::Given) and [`RenewedGiven`](Self::RenewedGiven) allow.
    ConsentState as "a state of consent" {
        /// Asked for, not answered.
        Requested = "Requested",
        /// Asked for; the person wants to answer later.
        RequestDeferred = "RequestDeferred",
        /// The person said no.
        Refused = "Refused",
        /// The person said yes.
        Given = "Given",
        /// The person said yes again.
        RenewedGiven = "RenewedGiven",
        /// Its validity is over.
        Expired = "Expired",
        /// Taken back by the person.
        Withdrawn = "Withdrawn",
        /// Ended by somebody else than the person.
        Revoked = "Revoked",
        /// It was never valid, or is so no more.
        Invalidated = "Invalidated",
        /// Nobody knows.
        Unknown = "Unknown",
    }
}

impl ConsentState {
    /// Whether data may be used on this ground, within its validity.
    pub const fn allows(self) -> bool {
        matches!(self, Self::Given | Self::RenewedGiven)
    }
}

words! {
    /// How consent was indicated (DPV 2.3, types of consent).
    ConsentType as "a type of consent" {
        /// By a statement or a clear act.
        Expressed = "ExpressedConsent",
        /// By a statement that says just that.
        ExplicitlyExpressed = "ExplicitlyExpressedConsent",
        /// From what the person did; never valid where the law wants a yes.
        Implied = "ImpliedConsent",
    }
}

words! {
    /// Where it was said.
    Channel as "a channel" {
        /// On a page.
        Web = "web",
        /// In an app.
        App = "app",
        /// By a program.
        Api = "api",
        /// On paper.
        Paper = "paper",
        /// By telephone.
        Phone = "phone",
    }
}

words! {
    /// Whether the purpose can do without a category of data.
    Necessity as "`required` or `optional`" {
        /// It cannot.
        Required = "required",
        /// It can.
        Optional = "optional",
    }
}

/// Who caused an event. Never an id by which a store knows a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entity {
    /// The person, or an operator who wrote down what the person said.
    Subject,
    /// The person's guardian.
    Guardian,
    /// One of the record's parties, or a token of an operator.
    Other(Box<str>),
}

impl Entity {
    /// The word in records.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subject => "subject",
            Self::Guardian => "guardian",
            Self::Other(id) => id,
        }
    }

    /// Whether it is the person, or speaks for them.
    pub const fn is_subject(&self) -> bool {
        matches!(self, Self::Subject | Self::Guardian)
    }
}

impl Serialize for Entity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Ok(match &*text {
            "subject" => Self::Subject,
            "guardian" => Self::Guardian,
            _ => Self::Other(text),
        })
    }
}

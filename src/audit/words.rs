//! How identifiers and closed words are written in an entry: as the text policies use.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::types::Action;
use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::Level;
use crate::types::PurposeId;
use crate::types::Region;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::StoreId;

/// Something with one written form.
pub(super) trait Word: Sized {
    fn written(&self) -> &str;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! identifiers {
    ($($name:ident),+) => {$(
        impl Word for $name {
            fn written(&self) -> &str {
                self.as_str()
            }
            fn read(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }
        }
    )+};
}

macro_rules! closed {
    ($($name:ident),+) => {$(
        impl Word for $name {
            fn written(&self) -> &str {
                self.as_str()
            }
            fn read(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )+};
}

identifiers!(CategoryId, DataSetId, PurposeId, RoleId, RuleId, StoreId);
closed!(Action, Level, Region);

/// Declares a closed list of words with `as_str`, `parse` and their form in an entry.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The word as it is written in an entry.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == text)
            }
        }

        impl $crate::audit::words::Word for $name {
            fn written(&self) -> &str {
                self.as_str()
            }
            fn read(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    };
}
pub(super) use words;

/// `#[serde(with = "words::one")]` for a single word.
pub(super) mod one {
    use super::Deserialize;
    use super::Deserializer;
    use super::Held;
    use super::Serializer;
    use super::Word;

    pub(in crate::audit) fn serialize<T: Word, S: Serializer>(
        word: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(word.written())
    }

    pub(in crate::audit) fn deserialize<'de, T: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        Ok(Held::<T>::deserialize(from)?.0)
    }
}

/// `#[serde(with = "words::maybe")]` for a word that may be absent.
pub(super) mod maybe {
    use super::Deserialize;
    use super::Deserializer;
    use super::Held;
    use super::Serialize;
    use super::Serializer;
    use super::Word;
    use super::Written;

    #[expect(clippy::ref_option, reason = "serde hands in a reference to the field")]
    pub(in crate::audit) fn serialize<T: Word, S: Serializer>(
        word: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        word.as_ref().map(Written).serialize(to)
    }

    pub(in crate::audit) fn deserialize<'de, T: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Held<T>>::deserialize(from)?.map(|held| held.0))
    }
}

/// `#[serde(with = "words::list")]` for a list of words.
pub(super) mod list {
    use super::Deserialize;
    use super::Deserializer;
    use super::Held;
    use super::Serializer;
    use super::Word;
    use super::Written;

    pub(in crate::audit) fn serialize<T: Word, S: Serializer>(
        words: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(words.iter().map(Written))
    }

    pub(in crate::audit) fn deserialize<'de, T: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<Held<T>>::deserialize(from)?.into_iter().map(|held| held.0).collect())
    }
}

struct Written<'a, T>(&'a T);

impl<T: Word> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.written())
    }
}

struct Held<T>(T);

impl<'de, T: Word> Deserialize<'de> for Held<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        T::read(&text).map(Self).ok_or_else(|| D::Error::custom("a word outside its list"))
    }
}

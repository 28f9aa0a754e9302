//! JSON as tokens and key sets hold it. A member that stands twice is an error: two readers could
//! each believe another one.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// A JSON value without a member that stands twice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent, within 64 bits.
    Integer(i128),
    /// Any other number.
    Real(f64),
    /// Text.
    Text(Box<str>),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Map(Map),
}

/// The members of an object.
pub(super) type Map = BTreeMap<Box<str>, Json>;

impl Json {
    /// Reads one value and nothing after it. At most 128 deep.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Reads an object.
    pub(super) fn parse_map(bytes: &[u8]) -> Option<Map> {
        match Self::parse(bytes) {
            Some(Self::Map(map)) => Some(map),
            _ => None,
        }
    }

    /// The text, when it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text, or an integer or truth value written as text.
    pub(super) fn word(&self) -> Option<Box<str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Bool(truth) => Some(truth.to_string().into()),
            Self::Null | Self::Real(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Seconds after the epoch, whole or broken, before the year 10000.
    pub(super) fn seconds(&self) -> Option<u64> {
        let seconds = match self {
            Self::Integer(number) => u64::try_from(*number).ok()?,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the bounds just checked every value fits"
            )]
            Self::Real(number) if (0.0..=253_402_300_799.0).contains(number) => *number as u64,
            _ => return None,
        };
        (seconds <= 253_402_300_799).then_some(seconds)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Real(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Json>()? {
            if map.insert(name.into(), value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Json::Map(map))
    }
}

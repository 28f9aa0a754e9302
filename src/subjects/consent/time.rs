//! Times in records: RFC 3339 in UTC, to the millisecond.

use std::borrow::Cow;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error;

use crate::audit;
use crate::types::Timestamp;

pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = <Cow<'de, str>>::deserialize(from)?;
    audit::moment(&text).ok_or_else(|| D::Error::custom("not a time of RFC 3339"))
}

/// The same, where a time may be left out.
pub(super) mod optional {
    use super::Cow;
    use super::Deserialize;
    use super::Deserializer;
    use super::Error;
    use super::Serializer;
    use super::Timestamp;
    use super::audit;

    #[expect(clippy::ref_option, reason = "serde hands it over so")]
    pub(in crate::subjects) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub(in crate::subjects) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = <Option<Cow<'de, str>>>::deserialize(from)?;
        let read = |text: Cow<'de, str>| {
            audit::moment(&text).ok_or_else(|| D::Error::custom("not a time of RFC 3339"))
        };
        text.map(read).transpose()
    }
}

//! Whether what was sent is what was shown.

use super::number;
use super::tree::Kind;
use super::tree::Members;
use super::tree::Value;

/// What counts as the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nulls {
    /// `null` and no member at all: typed clients write one where they read the other.
    AsMissing,
    /// `null` is a value of its own.
    AsSent,
}

/// Whether `sent` is the JSON value `shown`, whatever the order of members, and however strings
/// and numbers are written.
pub(super) fn equal(shown: Value<'_>, sent: Value<'_>, nulls: Nulls) -> bool {
    match (shown.kind(), sent.kind()) {
        (Kind::Number, Kind::Number) => number::is_same(shown.raw(), sent.raw()),
        (Kind::Number, Kind::Null) => number::becomes_null(shown.raw()),
        (Kind::Text, Kind::Text) => shown.raw() == sent.raw() || shown.plain() == sent.plain(),
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool, Kind::Bool) => shown.raw() == sent.raw(),
        (Kind::Array, Kind::Array) => {
            let (mut shown, mut sent) = (shown.children(), sent.children());
            loop {
                match (shown.next(), sent.next()) {
                    (Some(shown), Some(sent)) if equal(shown, sent, nulls) => {}
                    (None, None) => return true,
                    _ => return false,
                }
            }
        }
        (Kind::Object, Kind::Object) => {
            let (shown, sent) = (Members::of(Some(shown)), Members::of(Some(sent)));
            let is_nothing = |value: Value<'_>| nulls == Nulls::AsMissing && value.is_null();
            shown.iter().all(|(name, shown)| match sent.get(name) {
                Some(sent) => equal(shown, sent, nulls),
                None => is_nothing(shown),
            }) && sent.iter().all(|(name, sent)| shown.get(name).is_some() || is_nothing(sent))
        }
        _ => false,
    }
}

//! Whether what was sent is what was shown.

use super::number;
use super::tree::Kind;
use super::tree::Members;
use super::tree::Value;
use std::cell::Cell;

/// What counts as the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nulls {
    /// `null` and no member at all: typed clients write one where they read the other.
    AsMissing,
    /// `null` is a value of its own.
    AsSent,
}

/// How much may still be compared to find out where things were moved to: a list in a list in a
/// list is compared with others at every level.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(Cell::new(MOST_VALUES))
    }

    /// As [`equal`]; false as well when there is no budget left for the comparison.
    pub(super) fn equal(&self, shown: Value<'_>, sent: Value<'_>, nulls: Nulls) -> bool {
        let left = self.0.get().checked_sub(shown.values().min(sent.values()));
        self.0.set(left.unwrap_or_default());
        left.is_some() && equal(shown, sent, nulls)
    }
}

/// About as many as the longest record can hold.
const MOST_VALUES: usize = 1 << 20;

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

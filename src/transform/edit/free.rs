//! Values that policy lists as one, whatever is in them: parts that did not change stay byte for
//! byte.

use super::Mode;
use super::array::partners;
use super::change::Change;
use super::equal::Nulls;
use super::equal::equal;
use super::merge::set;
use super::tree::Members;
use super::tree::Value;

/// What it means that a member is left out, or `null`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parts {
    /// It stays, and `null` says no more than what was shown: nothing.
    Added,
    /// It goes, and `null` is a value.
    Literal,
    /// It stays, and `null` removes it (RFC 7396).
    Merged,
}

impl Parts {
    /// Of a value that was shown as it is.
    pub(super) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Merge => Self::Merged,
            Mode::Replace => Self::Literal,
        }
    }

    const fn mode(self) -> Mode {
        match self {
            Self::Added | Self::Merged => Mode::Merge,
            Self::Literal => Mode::Replace,
        }
    }
}

/// What becomes of `stored`.
pub(super) fn free<'t>(stored: Value<'t>, sent: Value<'t>, parts: Parts) -> Change<'t> {
    if equal(stored, sent, Nulls::AsSent) {
        return Change::Keep;
    }
    if stored.is_object() && sent.is_object() {
        return members(stored, sent, parts);
    }
    if stored.is_array() && sent.is_array() {
        let (old, new): (Vec<_>, Vec<_>) = (stored.children().collect(), sent.children().collect());
        let pairs = partners(&old, &new, Nulls::AsSent).into_iter().zip(new);
        let change = |(stored, sent): (Option<Value<'t>>, _)| match stored {
            Some(old) => (stored, free(old, sent, Parts::Literal)),
            None => (None, Change::Set(sent)),
        };
        return Change::Array(pairs.map(change).collect());
    }
    set(sent, parts.mode())
}

/// What becomes of the members of `stored`, both being objects.
pub(super) fn members<'t>(stored: Value<'t>, sent: Value<'t>, parts: Parts) -> Change<'t> {
    let (old, new) = (Members::of(Some(stored)), Members::of(Some(sent)));
    let member = |member: Value<'t>| match (new.get(&member.name()), parts) {
        (None, Parts::Literal) => Change::Remove,
        (None, Parts::Added | Parts::Merged) => Change::Keep,
        // A number beyond doubles is `null` to the client that was shown it.
        (Some(sent), _) if equal(member, sent, Nulls::AsSent) => Change::Keep,
        (Some(sent), Parts::Added) if sent.is_null() => Change::Keep,
        (Some(sent), Parts::Merged) if sent.is_null() => Change::Remove,
        (Some(sent), _) => free(member, sent, parts),
    };
    let added = |member: Value<'t>| {
        let name = member.name();
        let is_new = old.get(&name).is_none() && (parts == Parts::Literal || !member.is_null());
        is_new.then(|| (name, set(member, parts.mode())))
    };
    Change::Object {
        members: stored.children().map(member).collect(),
        added: sent.children().filter_map(added).collect(),
    }
}

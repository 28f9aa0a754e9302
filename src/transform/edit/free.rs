//! Values that policy lists as one, whatever is in them: parts that did not change stay byte for
//! byte.

use super::Mode;
use super::array::partners;
use super::change::Change;
use super::equal::Budget;
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
pub(super) fn free<'t>(
    stored: Value<'t>,
    sent: Value<'t>,
    (parts, budget): (Parts, &Budget),
) -> Change<'t> {
    if stored.is_object() && sent.is_object() {
        return members(stored, sent, (parts, budget));
    }
    if stored.is_array() && sent.is_array() {
        let (old, new): (Vec<_>, Vec<_>) = (stored.children().collect(), sent.children().collect());
        let pairs = partners(&old, &new, (Nulls::AsSent, budget)).into_iter().zip(new);
        let change = |(stored, sent): (Option<Value<'t>>, _)| match stored {
            Some(old) => (stored, part(old, sent, (Parts::Literal, budget))),
            None => (None, Change::Set(sent)),
        };
        return Change::Array(pairs.map(change).collect());
    }
    if equal(stored, sent, Nulls::AsSent) { Change::Keep } else { set(sent, parts.mode()) }
}

/// As [`free`], of a part: one in which nothing changes stays as it is written. That shows once it
/// was gone through, so that it is not compared at every level above as well.
fn part<'t>(stored: Value<'t>, sent: Value<'t>, how: (Parts, &Budget)) -> Change<'t> {
    let change = free(stored, sent, how);
    let is_as_it_was = match &change {
        Change::Array(items) => {
            let is_kept = |((from, change), old): (&(Option<Value<'t>>, Change<'t>), Value<'t>)| {
                change.is_keep() && from.is_some_and(|from| from.is_at(&old))
            };
            items.len() == stored.children().count()
                && items.iter().zip(stored.children()).all(is_kept)
        }
        Change::Object { members, added } => {
            added.is_empty() && members.iter().all(Change::is_keep)
        }
        _ => false,
    };
    if is_as_it_was { Change::Keep } else { change }
}

/// What becomes of the members of `stored`, both being objects.
pub(super) fn members<'t>(
    stored: Value<'t>,
    sent: Value<'t>,
    (parts, budget): (Parts, &Budget),
) -> Change<'t> {
    let (old, new) = (Members::of(Some(stored)), Members::of(Some(sent)));
    let member = |member: Value<'t>| match (new.get(&member.name()), parts) {
        (None, Parts::Literal) => Change::Remove,
        (None, Parts::Added | Parts::Merged) => Change::Keep,
        // A number beyond doubles is `null` to the client that was shown it.
        (Some(sent), _) if sent.is_null() && equal(member, sent, Nulls::AsSent) => Change::Keep,
        (Some(sent), Parts::Added) if sent.is_null() => Change::Keep,
        (Some(sent), Parts::Merged) if sent.is_null() => Change::Remove,
        (Some(sent), _) => part(member, sent, (parts, budget)),
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

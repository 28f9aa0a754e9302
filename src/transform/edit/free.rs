//! Values that policy lists as one, whatever is in them, and that were shown as they are: parts
//! that did not change stay byte for byte.

use super::Mode;
use super::array::partners;
use super::change::Change;
use super::equal::Nulls;
use super::equal::equal;
use super::merge::Merge;
use super::merge::set;
use super::tree::Members;
use super::tree::Value;

impl Merge<'_> {
    /// What becomes of `stored`.
    pub(super) fn free<'t>(&self, stored: Value<'t>, sent: Value<'t>, mode: Mode) -> Change<'t> {
        if equal(stored, sent, Nulls::AsSent) {
            return Change::Keep;
        }
        if stored.is_object() && sent.is_object() {
            return self.free_members(stored, sent, mode);
        }
        if stored.is_array() && sent.is_array() {
            let (old, new): (Vec<_>, Vec<_>) =
                (stored.children().collect(), sent.children().collect());
            let partners = partners(&old, &new, Nulls::AsSent);
            let pairs = new.into_iter().zip(partners);
            let change = |(sent, stored): (_, Option<Value<'t>>)| match stored {
                Some(old) => (stored, self.free(old, sent, Mode::Replace)),
                None => (None, Change::Set(sent)),
            };
            return Change::Array(pairs.map(change).collect());
        }
        set(sent, mode)
    }

    /// What becomes of the members of `stored`, both being objects.
    pub(super) fn free_members<'t>(
        &self,
        stored: Value<'t>,
        sent: Value<'t>,
        mode: Mode,
    ) -> Change<'t> {
        let (old, new) = (Members::of(Some(stored)), Members::of(Some(sent)));
        let member = |member: Value<'t>| match new.get(&member.name()) {
            None if mode == Mode::Merge => Change::Keep,
            None => Change::Remove,
            // A number beyond doubles is `null` to the client that was shown it.
            Some(sent) if sent.is_null() && equal(member, sent, Nulls::AsSent) => Change::Keep,
            Some(sent) if mode == Mode::Merge && sent.is_null() => Change::Remove,
            Some(sent) => self.free(member, sent, mode),
        };
        let added = |member: Value<'t>| {
            let name = member.name();
            let is_new = old.get(&name).is_none() && !(mode == Mode::Merge && member.is_null());
            is_new.then(|| (name, set(member, mode)))
        };
        Change::Object {
            members: stored.children().map(member).collect(),
            added: sent.children().filter_map(added).collect(),
        }
    }
}

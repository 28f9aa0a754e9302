//! What becomes of a stored value, and how that is written.

use super::error::EditError;
use super::seal::Fresh;
use super::seal::Pen;
use super::tree::Kind;
use super::tree::Value;
use crate::catalog::FieldIx;
use crate::transform::escape;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// What becomes of one stored value, or of the place where none is.
pub(super) enum Change<'t> {
    /// An array of items, each with the stored one it comes from.
    Array(Vec<(Option<Value<'t>>, Self)>),
    /// The blind index of a field that is set to this text.
    Index(FieldIx, Zeroizing<Vec<u8>>),
    /// It stays, byte for byte.
    Keep,
    /// It becomes `null`.
    Null,
    /// An object: what becomes of each stored member in order, and new members.
    Object { members: Vec<Self>, added: Vec<(Cow<'t, [u8]>, Self)> },
    /// It goes.
    Remove,
    /// The value of a sealed field: what it becomes is written sealed, and no other way.
    Sealed(Box<Fresh<'t>>),
    /// It becomes what was sent.
    Set(Value<'t>),
    /// As [`Self::Set`], without the members that are `null`: they would remove what is not there
    /// (RFC 7396).
    SetWithoutNulls(Value<'t>),
}

impl<'t> Change<'t> {
    pub(super) fn empty_object() -> Self {
        Self::Object { members: Vec::new(), added: Vec::new() }
    }

    pub(super) fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Appends what becomes of `stored`.
    pub(super) fn write(
        &self,
        stored: Option<Value<'t>>,
        pen: Pen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        self.append(stored, (Removed::LeftOut, pen), out)
    }

    /// Appends what becomes of a value that is sealed with all that is in it.
    pub(super) fn write_inside(
        &self,
        stored: Option<Value<'t>>,
        pen: Pen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        self.append(stored, (Removed::Inside, pen), out)
    }

    /// Appends the members of the record that change, each complete. What is removed is `null`:
    /// a store that merges would keep what is left out. One that is known to merge is not sent the
    /// `null`s it has: it would remove them.
    pub(super) fn write_patch(
        &self,
        stored: Option<Value<'t>>,
        (store_merges, pen): (bool, Pen<'_>),
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        let removed = if store_merges { Removed::AsNullToMerge } else { Removed::AsNull };
        let mut object = Braces::open(out);
        if let Self::Object { members, added } = self {
            for (member, change) in children(stored).zip(members) {
                if !change.is_keep() {
                    object.raw_name(member.raw_name());
                    change.append(Some(member), (removed, pen), object.out)?;
                }
            }
            for (name, change) in added {
                object.name(name);
                change.append(None, (removed, pen), object.out)?;
            }
        }
        object.close();
        Ok(())
    }

    fn append(
        &self,
        stored: Option<Value<'t>>,
        (removed, pen): (Removed, Pen<'_>),
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        match self {
            Self::Keep => removed.keep(stored, out),
            Self::Null | Self::Remove => out.extend_from_slice(b"null"),
            Self::Index(field, plain) => pen.index(*field, plain, out)?,
            Self::Sealed(fresh) => fresh.write(stored, pen, out)?,
            Self::Set(value) => compact(*value, false, out),
            Self::SetWithoutNulls(value) => compact(*value, true, out),
            Self::Array(items) => {
                out.push(b'[');
                for (at, (stored, change)) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    // Arrays are replaced, not merged.
                    change.append(*stored, (removed.in_array(), pen), out)?;
                }
                out.push(b']');
            }
            Self::Object { members, added } => {
                let mut object = Braces::open(out);
                for (member, change) in children(stored).zip(members) {
                    if removed.shows(change, Some(member)) {
                        object.raw_name(member.raw_name());
                        change.append(Some(member), (removed, pen), object.out)?;
                    }
                }
                for (name, change) in added {
                    if removed.shows(change, None) {
                        object.name(name);
                        change.append(None, (removed, pen), object.out)?;
                    }
                }
                object.close();
            }
        }
        Ok(())
    }
}

/// How a member that goes is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Removed {
    AsNull,
    /// As `null`, and a `null` that stays is left out.
    AsNullToMerge,
    /// Left out, of a value that is about to be sealed: what stays of it is written open.
    Inside,
    LeftOut,
}

impl Removed {
    fn shows(self, change: &Change<'_>, stored: Option<Value<'_>>) -> bool {
        match self {
            Self::AsNull => true,
            Self::AsNullToMerge => !(change.is_keep() && stored.is_none_or(|it| it.is_null())),
            Self::Inside | Self::LeftOut => !matches!(change, Change::Remove),
        }
    }

    const fn in_array(self) -> Self {
        match self {
            Self::Inside => Self::Inside,
            Self::AsNull | Self::AsNullToMerge | Self::LeftOut => Self::LeftOut,
        }
    }

    /// Appends a value that stays.
    fn keep(self, stored: Option<Value<'_>>, out: &mut Vec<u8>) {
        match (self, stored) {
            (_, None) => out.extend_from_slice(b"null"),
            (Self::Inside, Some(stored)) => out.extend_from_slice(stored.raw().as_bytes()),
            (Self::AsNullToMerge, Some(stored)) => kept(stored, out),
            (Self::AsNull | Self::LeftOut, Some(stored)) => stored.append_stored(out),
        }
    }
}

/// An object that is being written.
struct Braces<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Braces<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    /// Appends a name that is escaped already.
    fn raw_name(&mut self, name: &str) {
        self.start();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn name(&mut self, name: &[u8]) {
        self.start();
        escape::escape(name, self.out);
        self.out.extend_from_slice(b"\":");
    }

    fn start(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out.push(b'"');
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

fn children(value: Option<Value<'_>>) -> impl Iterator<Item = Value<'_>> {
    value.filter(Value::is_object).into_iter().flat_map(|value| value.children())
}

/// Appends a stored value without the members that are `null`. Arrays are replaced, not merged,
/// and what is sealed is one value.
fn kept(stored: Value<'_>, out: &mut Vec<u8>) {
    if !stored.is_object() || stored.sealed().is_some() {
        return stored.append_stored(out);
    }
    let mut braces = Braces::open(out);
    for member in stored.children().filter(|member| !member.is_null()) {
        braces.raw_name(member.raw_name());
        kept(member, braces.out);
    }
    braces.close();
}

/// Appends a value that was sent, with structure and names written anew.
pub(super) fn compact(value: Value<'_>, without_nulls: bool, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Object => {
            let mut object = Braces::open(out);
            for member in value.children() {
                if !(without_nulls && member.is_null()) {
                    object.name(&member.name());
                    compact(member, without_nulls, object.out);
                }
            }
            object.close();
        }
        Kind::Array => {
            out.push(b'[');
            for (at, item) in value.children().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                compact(item, false, out);
            }
            out.push(b']');
        }
        Kind::Bool | Kind::Null | Kind::Number | Kind::Text => {
            out.extend_from_slice(value.raw().as_bytes());
        }
    }
}

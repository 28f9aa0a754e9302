//! What becomes of one stored record when its data set moves into sealed values, or out of them.
//!
//! What needs no change stays byte for byte. A value that says it is sealed and does not open is
//! never touched: it may be somebody else's, and sealing it again would hide that.

use super::change::compact;
use super::check::member_of;
use super::fate::ConvertError;
use super::fate::Converted;
use super::fate::Fate;
use super::fate::Holder;
use super::fate::Move;
use super::record;
use super::tree::Kind;
use super::tree::Value;
use super::trim;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::SealMode;
use crate::catalog::Sealing;
use crate::crypto::Envelope;
use crate::crypto::ValueKind;
use crate::crypto::envelope_len;
use crate::transform::Seals;
use crate::transform::Shape;
use crate::transform::Unopened;
use crate::transform::Unsealed;
use crate::transform::escape;
use crate::transform::shape::Node;
use crate::transform::shape::NodeIx;
use crate::transform::validate;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use zeroize::Zeroizing;

/// One record that moves.
#[derive(Clone, Copy)]
pub struct Conversion<'a> {
    /// Its data set.
    pub set: &'a DataSet,
    /// Where the listed fields stand.
    pub shape: &'a Shape,
    /// The record as the store has it, an object in strict JSON.
    pub stored: &'a str,
    /// What opens and seals its values.
    pub seals: &'a dyn Seals,
    /// Its people, in the order of the data set's subjects.
    pub people: &'a [Holder],
    /// Which way.
    pub way: Move,
    /// Whether it is only said what would become of it: then nothing is sealed.
    pub is_trial: bool,
}

/// Says what becomes of a record. `patch` becomes the members that change, each complete, and
/// `whole` the record as it will be; both are empty when nothing changes. In a trial they hold
/// nothing that is meant to be sent.
///
/// # Errors
/// When it is no record, or keys are missing for now. Nothing may be sent then.
pub fn convert(
    conversion: &Conversion<'_>,
    patch: &mut Vec<u8>,
    whole: &mut Vec<u8>,
) -> Result<Converted, ConvertError> {
    patch.clear();
    whole.clear();
    let tree = record(trim(conversion.stored)).map_err(|_| ConvertError::NoRecord)?;
    let root = tree.root().ok_or(ConvertError::NoRecord)?;
    let mut mover =
        Mover { it: conversion, done: Converted::default(), found: starts(conversion.set) };
    let mut members = mover.members(root)?;
    mover.index(&mut members)?;
    let done = mover.done;
    if done.changes {
        write(members.iter().filter(|member| member.is_new), patch);
        write(members.iter(), whole);
    }
    Ok(done)
}

/// A member of the record as it will be.
struct Member {
    /// The name as it is written, escapes and all.
    raw_name: Vec<u8>,
    /// The name.
    name: Vec<u8>,
    value: Zeroizing<Vec<u8>>,
    is_new: bool,
}

/// What an indexed field was found to hold.
enum Indexable {
    /// One value that can be read.
    Known(Zeroizing<String>),
    /// Nothing.
    Nothing,
    /// Something whose index is not known, or not to be touched.
    Unknown,
}

struct Mover<'a> {
    it: &'a Conversion<'a>,
    done: Converted,
    found: Vec<(FieldIx, Indexable)>,
}

impl Mover<'_> {
    /// The members of the record as they will be, but for indexes.
    fn members(&mut self, root: Value<'_>) -> Result<Vec<Member>, ConvertError> {
        let node = self.it.shape.node(NodeIx::RECORD).ok_or(ConvertError::NoRecord)?;
        let mut members = Vec::new();
        for member in root.children() {
            let name = member.name();
            let mut value = Zeroizing::new(Vec::with_capacity(member.raw().len()));
            let is_new = match member_of(node, &name) {
                Some(child) => self.value(child, member, &mut value)?,
                None => keep(member, &mut value),
            };
            let raw_name = member.raw_name().as_bytes().to_vec();
            members.push(Member { raw_name, name: name.into_owned(), value, is_new });
        }
        Ok(members)
    }

    /// Appends what becomes of `value`; whether that is another one.
    fn value(
        &mut self,
        at: NodeIx,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ConvertError> {
        let Some(node) = self.it.shape.node(at) else { return Ok(keep(value, out)) };
        let set = self.it.set;
        if !self.it.shape.leaves(node).iter().any(|leaf| set.sealing(*leaf).is_some()) {
            return Ok(keep(value, out));
        }
        let own = node.field.filter(|_| !node.has_members() && node.item.is_none());
        let own = own.and_then(|field| Some((field, set.sealing(field)?.as_ref())));
        match (value.kind(), own) {
            (Kind::Null, _) => Ok(keep(value, out)),
            (Kind::Object, None) if node.has_members() => self.object(node, value, out),
            (Kind::Array, None) if let Some(item) = node.item => {
                self.array(value, out, |mover, child, out| mover.value(item, child, out))
            }
            (Kind::Array | Kind::Object, Some(own)) if node.is_one_value() => {
                self.one(own, value, out)
            }
            (Kind::Array, Some(own)) => {
                self.unknown(own.0);
                self.array(value, out, |mover, child, out| match child.kind() {
                    Kind::Null => Ok(keep(child, out)),
                    Kind::Array | Kind::Object => Ok(mover.wrong(own.0, child, out)),
                    _ => mover.one(own, child, out),
                })
            }
            (Kind::Bool | Kind::Number | Kind::Text, Some(own)) => self.one(own, value, out),
            // Something stands where sealed fields would be, and is none of them.
            _ => {
                let leaves = self.it.shape.leaves(node).to_vec();
                for leaf in leaves.into_iter().filter(|leaf| set.sealing(*leaf).is_some()) {
                    self.wrong(leaf, value, &mut Vec::new());
                }
                Ok(keep(value, out))
            }
        }
    }

    fn object(
        &mut self,
        node: &Node,
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ConvertError> {
        let (start, mut is_new) = (out.len(), false);
        out.push(b'{');
        for (at, member) in value.children().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(member.raw_name().as_bytes());
            out.extend_from_slice(b"\":");
            is_new |= match member_of(node, &member.name()) {
                Some(child) => self.value(child, member, out)?,
                None => keep(member, out),
            };
        }
        out.push(b'}');
        Ok(settle(value, is_new, start, out))
    }

    fn array(
        &mut self,
        value: Value<'_>,
        out: &mut Vec<u8>,
        mut each: impl FnMut(&mut Self, Value<'_>, &mut Vec<u8>) -> Result<bool, ConvertError>,
    ) -> Result<bool, ConvertError> {
        let (start, mut is_new) = (out.len(), false);
        out.push(b'[');
        for (at, item) in value.children().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            is_new |= each(self, item, out)?;
        }
        out.push(b']');
        Ok(settle(value, is_new, start, out))
    }

    /// What becomes of one value of a sealed field.
    fn one(
        &mut self,
        (field, sealing): (FieldIx, &Sealing),
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ConvertError> {
        let mut plain = Zeroizing::new(Vec::new());
        let kind = match value.kind() {
            Kind::Array | Kind::Object => {
                compact(value, false, &mut plain);
                ValueKind::Json
            }
            kind => {
                plain.extend_from_slice(&value.plain());
                match kind {
                    Kind::Bool => ValueKind::Boolean,
                    Kind::Number => ValueKind::Number,
                    _ => ValueKind::Text,
                }
            }
        };
        let holder = self.it.set.owner(field).and_then(|place| self.it.people.get(place));
        let fate = match holder {
            None | Some(Holder::Nobody) => Err(Fate::Nobody),
            Some(Holder::Erased) => Err(Fate::Erased),
            Some(holder) => Ok(*holder),
        };
        let start = out.len();
        let text = std::str::from_utf8(&plain).ok().filter(|_| kind == ValueKind::Text);
        let fate = match (fate, text.filter(|text| Envelope::is_claimed(text))) {
            (Err(fate), _) => {
                self.unknown(field);
                fate
            }
            (Ok(holder), Some(sealed)) => self.sealed((field, sealing), holder, sealed, out)?,
            (Ok(_), None) => self.plain((field, sealing), (kind, &plain), out)?,
        };
        self.done.values.push((field, fate));
        let moves = fate == Fate::Moves;
        if !moves || self.it.is_trial {
            out.truncate(start);
            keep(value, out);
        }
        self.done.changes |= moves;
        Ok(moves)
    }

    /// What becomes of a value that says it is sealed.
    fn sealed(
        &mut self,
        (field, sealing): (FieldIx, &Sealing),
        holder: Holder,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<Fate, ConvertError> {
        let mut plain = Zeroizing::new(Vec::new());
        let opened = match holder {
            Holder::Known(_) => self.it.seals.open(field, text, &mut plain),
            _ => Err(match Envelope::parse(text) {
                Ok(_) => Unopened::Foreign,
                Err(_) => Unopened::Malformed,
            }),
        };
        let kind = match opened {
            Ok(kind) if kind == ValueKind::Text || validate(&plain).is_ok() => kind,
            Err(Unopened::Unavailable) => return Err(ConvertError::Unavailable),
            other => {
                self.unknown(field);
                return Ok(Fate::Unopened(other.err().unwrap_or(Unopened::Malformed)));
            }
        };
        self.known(field, (kind, &plain));
        let is_newest = matches!((holder, Envelope::parse(text)),
            (Holder::Known(newest), Ok(envelope)) if envelope.kid() == newest);
        self.done.older += u32::from(!is_newest);
        match self.it.way {
            Move::Decrypt if sealing.mode == SealMode::Strict => {
                self.unknown(field);
                Ok(Fate::Strict)
            }
            Move::Decrypt => {
                write_plain(kind, &plain, out);
                Ok(Fate::Moves)
            }
            Move::Reseal if !is_newest => self.seal(field, (kind, &plain), out),
            _ if is_newest => Ok(Fate::Stays),
            _ => Ok(Fate::Older),
        }
    }

    /// What becomes of a value that is not sealed.
    fn plain(
        &mut self,
        (field, sealing): (FieldIx, &Sealing),
        (kind, plain): (ValueKind, &[u8]),
        out: &mut Vec<u8>,
    ) -> Result<Fate, ConvertError> {
        if sealing.mode == SealMode::Strict {
            // It is not the field's value.
            self.unknown(field);
            return Ok(Fate::Strict);
        }
        self.known(field, (kind, plain));
        let is_too_long =
            || sealing.max_length.is_some_and(|most| envelope_len(plain.len()) > most);
        match self.it.way {
            Move::Encrypt if is_too_long() => Ok(Fate::TooLong),
            Move::Encrypt => self.seal(field, (kind, plain), out),
            Move::Decrypt | Move::Reseal | Move::Reindex => Ok(Fate::Stays),
        }
    }

    fn seal(
        &self,
        field: FieldIx,
        (kind, plain): (ValueKind, &[u8]),
        out: &mut Vec<u8>,
    ) -> Result<Fate, ConvertError> {
        if self.it.is_trial {
            return Ok(Fate::Moves);
        }
        out.push(b'"');
        let sealed = self.it.seals.seal(field, kind, plain, out);
        out.push(b'"');
        match sealed {
            Ok(()) => Ok(Fate::Moves),
            Err(Unsealed::NoKey) => Ok(Fate::Erased),
            Err(Unsealed::Unavailable) => Err(ConvertError::Unavailable),
        }
    }

    fn wrong(&mut self, field: FieldIx, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        self.unknown(field);
        self.done.values.push((field, Fate::WrongKind));
        keep(value, out)
    }

    fn known(&mut self, field: FieldIx, (kind, plain): (ValueKind, &[u8])) {
        let text = std::str::from_utf8(plain).ok().filter(|_| kind != ValueKind::Json);
        let value = text
            .map_or(Indexable::Unknown, |text| Indexable::Known(Zeroizing::new(text.to_owned())));
        self.note(field, value);
    }

    fn unknown(&mut self, field: FieldIx) {
        self.note(field, Indexable::Unknown);
    }

    fn note(&mut self, field: FieldIx, value: Indexable) {
        if let Some((_, found)) = self.found.iter_mut().find(|(known, _)| *known == field) {
            // Of several values no one is the field's.
            let is_free = matches!(found, Indexable::Nothing);
            *found = if is_free { value } else { Indexable::Unknown };
        }
    }

    /// Sets the indexes beside what was found.
    fn index(&mut self, members: &mut Vec<Member>) -> Result<(), ConvertError> {
        for (field, found) in std::mem::take(&mut self.found) {
            let sealing = self.it.set.sealing(field).map(AsRef::as_ref);
            let Some((sealing, index)) = sealing.and_then(|it| Some((it, it.index.as_ref()?)))
            else {
                continue;
            };
            let mut wanted = Vec::new();
            if let Indexable::Known(text) = &found {
                let made = self.it.seals.index(field, text, &mut wanted);
                made.map_err(|_| ConvertError::Unavailable)?;
                self.done.indexes.push((field, fingerprint(&wanted)));
                wanted = [b"\"", wanted.as_slice(), b"\""].concat();
            }
            let is_out = self.it.way == Move::Decrypt && sealing.mode == SealMode::Migrating;
            let wanted = match found {
                Indexable::Unknown => continue,
                Indexable::Known(_) if is_out => b"null".to_vec(),
                Indexable::Known(_) if self.it.way == Move::Decrypt => continue,
                Indexable::Known(_) => wanted,
                Indexable::Nothing => b"null".to_vec(),
            };
            self.set_index(&index.member, wanted, members);
        }
        Ok(())
    }

    fn set_index(&mut self, name: &str, wanted: Vec<u8>, members: &mut Vec<Member>) {
        let stands = members.iter_mut().find(|member| member.name == name.as_bytes());
        match stands {
            Some(member) if *member.value == wanted => return,
            Some(member) => {
                member.value = Zeroizing::new(wanted);
                member.is_new = true;
            }
            None if wanted == b"null" => return,
            None => {
                let mut raw_name = Vec::new();
                escape::escape(name.as_bytes(), &mut raw_name);
                let (name, value) = (name.as_bytes().to_vec(), Zeroizing::new(wanted));
                members.push(Member { raw_name, name, value, is_new: true });
            }
        }
        self.done.indexed += 1;
        self.done.changes = true;
    }
}

/// The first bytes of an index, which is an HMAC: equal ones are told from others by it.
fn fingerprint(index: &[u8]) -> u64 {
    let code = index.strip_prefix(b"bi1_").unwrap_or(index);
    let code = URL_SAFE_NO_PAD.decode(code).unwrap_or_default();
    let mut first = [0; 8];
    first.iter_mut().zip(code).for_each(|(to, from)| *to = from);
    u64::from_le_bytes(first)
}

/// The indexed fields, of none of which anything is known yet.
fn starts(set: &DataSet) -> Vec<(FieldIx, Indexable)> {
    let indexed = set
        .indexed()
        .filter(|(_, field)| field.at_rest.as_ref().is_some_and(|sealing| sealing.index.is_some()));
    indexed.map(|(ix, _)| (ix, Indexable::Nothing)).collect()
}

/// Appends a value as it is; it is no new one.
fn keep(value: Value<'_>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(value.raw().as_bytes());
    false
}

/// Takes back what was written of a container in which nothing is new.
fn settle(value: Value<'_>, is_new: bool, start: usize, out: &mut Vec<u8>) -> bool {
    if !is_new {
        out.truncate(start);
        keep(value, out);
    }
    is_new
}

/// Appends an opened value as JSON.
fn write_plain(kind: ValueKind, plain: &[u8], out: &mut Vec<u8>) {
    if kind == ValueKind::Text {
        out.push(b'"');
        escape::escape(plain, out);
        out.push(b'"');
    } else {
        out.extend_from_slice(plain);
    }
}

fn write<'m>(members: impl Iterator<Item = &'m Member>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, member) in members.enumerate() {
        out.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
        out.extend_from_slice(&member.raw_name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(&member.value);
    }
    out.push(b'}');
}

/// Shows no value.
impl fmt::Debug for Conversion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversion").field("way", &self.way).finish_non_exhaustive()
    }
}

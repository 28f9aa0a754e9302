//! A stored record with what is sealed in it opened, so that it is compared and merged as if
//! nothing were; and where each sealed value stands, so that what is kept stays as it is stored.

use super::error::EditError;
use super::tree::Kind;
use super::tree::Tree;
use super::tree::Value;
use crate::catalog::FieldIx;
use crate::catalog::SealMode;
use crate::crypto::ValueKind;
use crate::transform::Seals;
use crate::transform::Unopened;
use crate::transform::escape;
use crate::transform::names::fingerprint;
use crate::transform::shape::NodeIx;
use crate::transform::shape::Shape;
use crate::transform::validate;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// A record in both texts.
pub(super) struct Opened<'s> {
    stored: &'s str,
    /// The record with its sealed values opened; nothing where none is.
    text: Option<Zeroizing<String>>,
    places: Vec<Sealed>,
}

/// Where a sealed value stands, with its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed {
    /// In the opened text.
    opened: (u32, u32),
    /// In the stored text.
    stored: (u32, u32),
    /// Whether it does not open. Then it stands in both texts as it is stored, and nobody may
    /// compare anything with it.
    is_shut: bool,
}

impl<'s> Opened<'s> {
    /// A record that holds nothing sealed.
    pub(super) const fn plain(stored: &'s str) -> Self {
        Self { stored, text: None, places: Vec::new() }
    }

    /// Opens what is sealed in `stored`, a record without white space around it.
    ///
    /// # Errors
    ///
    /// The keys cannot be used at the moment, or it is no record.
    pub(super) fn of(shape: &Shape, stored: &'s str, seals: &dyn Seals) -> Result<Self, EditError> {
        if !shape.has_sealed() {
            return Ok(Self::plain(stored));
        }
        let tree = Tree::read(stored).map_err(|_| EditError::NoRecord)?;
        let text = Zeroizing::new(Vec::with_capacity(stored.len()));
        let mut work = Work { shape, seals, stored, text, copied: 0, places: Vec::new() };
        if let Some(record) = tree.root() {
            work.value(NodeIx::RECORD, record)?;
        }
        let (text, places) = work.finish();
        // Two texts of UTF-8 were put together.
        let text = String::from_utf8(std::mem::take(&mut *Zeroizing::new(text)));
        let text = text.map_err(|_| EditError::NoRecord)?;
        Ok(Self { stored, text: Some(Zeroizing::new(text)), places })
    }

    /// The record with its sealed values opened.
    pub(super) fn text(&self) -> &str {
        self.text.as_ref().map_or(self.stored, |text| text.as_str())
    }

    /// The sealed value that begins there in the opened text.
    pub(super) fn at(&self, start: u32) -> Option<Sealed> {
        let at = self.places.binary_search_by_key(&start, |place| place.opened.0).ok()?;
        self.places.get(at).copied()
    }

    /// Appends a part of the opened text as it is stored.
    pub(super) fn append_stored(&self, (start, end): (u32, u32), out: &mut Vec<u8>) {
        let opened = self.text();
        let first = self.places.partition_point(|place| place.opened.0 < start);
        let inside = self.places.iter().skip(first).take_while(|place| place.opened.1 <= end);
        let mut at = start;
        for place in inside {
            out.extend_from_slice(part(opened, (at, place.opened.0)).as_bytes());
            out.extend_from_slice(part(self.stored, place.stored).as_bytes());
            at = place.opened.1;
        }
        out.extend_from_slice(part(opened, (at, end)).as_bytes());
    }
}

impl Sealed {
    /// Whether it does not open.
    pub(super) const fn is_shut(self) -> bool {
        self.is_shut
    }
}

/// Puts the opened text together.
struct Work<'a> {
    shape: &'a Shape,
    seals: &'a dyn Seals,
    stored: &'a str,
    text: Zeroizing<Vec<u8>>,
    /// How much of the stored text is in it.
    copied: u32,
    places: Vec<Sealed>,
}

impl Work<'_> {
    fn value(&mut self, ix: NodeIx, value: Value<'_>) -> Result<(), EditError> {
        let Some(node) = self.shape.node(ix) else { return Ok(()) };
        match (value.kind(), node.field.filter(|field| self.shape.sealing(*field).is_some())) {
            (Kind::Null, _) => Ok(()),
            (Kind::Object, _) if ix.is_record() || node.has_members() => {
                value.children().try_for_each(|member| {
                    let name = member.name();
                    match node.member(fingerprint(&name), &name, 0) {
                        Some((_, child)) => self.value(child, member),
                        None => Ok(()),
                    }
                })
            }
            (Kind::Array, _) if let Some(item) = node.item => {
                value.children().try_for_each(|child| self.value(item, child))
            }
            (_, None) => Ok(()),
            (Kind::Array, Some(field)) if !node.is_one_value() => {
                let mut items = value.children().filter(|item| !item.is_null());
                items.try_for_each(|item| self.leaf((field, false), item))
            }
            (_, Some(field)) => self.leaf((field, node.is_one_value()), value),
        }
    }

    fn leaf(
        &mut self,
        (field, is_one_value): (FieldIx, bool),
        value: Value<'_>,
    ) -> Result<(), EditError> {
        let mode = self.shape.sealing(field).map(|sealing| sealing.mode).unwrap_or_default();
        let plain = match value.kind() {
            Kind::Text => value.plain(),
            _ => Cow::Borrowed(&[][..]),
        };
        let text = std::str::from_utf8(&plain).unwrap_or_default();
        let mut found = Zeroizing::new(Vec::new());
        let opened = match value.kind() {
            Kind::Text => self.seals.open(field, text, &mut found),
            _ => Err(Unopened::Plaintext),
        };
        match opened {
            Err(Unopened::Unavailable) => Err(EditError::Locked),
            Err(Unopened::Plaintext) if mode == SealMode::Migrating => Ok(()),
            Ok(kind) if is_sound(kind, &found, is_one_value) => {
                self.replace(value, Some((kind, &found)));
                Ok(())
            }
            _ => {
                self.replace(value, None);
                Ok(())
            }
        }
    }

    /// Puts what was opened in the place of `value`; nothing: it stays, and is shut.
    fn replace(&mut self, value: Value<'_>, opened: Option<(ValueKind, &[u8])>) {
        let stored = value.span();
        let before = part(self.stored, (self.copied, stored.0));
        self.text.extend_from_slice(before.as_bytes());
        let start = narrow(self.text.len());
        match opened {
            Some((ValueKind::Text, text)) => {
                self.text.push(b'"');
                escape::escape(text, &mut self.text);
                self.text.push(b'"');
            }
            Some((_, json)) => self.text.extend_from_slice(json),
            None => self.text.extend_from_slice(part(self.stored, stored).as_bytes()),
        }
        let end = narrow(self.text.len());
        self.copied = stored.1;
        self.places.push(Sealed { opened: (start, end), stored, is_shut: opened.is_none() });
    }

    fn finish(mut self) -> (Vec<u8>, Vec<Sealed>) {
        let rest = part(self.stored, (self.copied, narrow(self.stored.len())));
        self.text.extend_from_slice(rest.as_bytes());
        (std::mem::take(&mut self.text), self.places)
    }
}

/// Whether what was opened is a value of its kind that may stand there.
fn is_sound(kind: ValueKind, value: &[u8], is_one_value: bool) -> bool {
    match kind {
        ValueKind::Text => std::str::from_utf8(value).is_ok(),
        ValueKind::Boolean => value == b"true" || value == b"false",
        ValueKind::Number => {
            value.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit())
                && validate(value).is_ok()
        }
        ValueKind::Json => is_one_value && validate(value).is_ok(),
    }
}

fn part(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

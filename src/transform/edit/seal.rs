//! What is written sealed: the only way in which the value of a sealed field reaches a store.

use super::change::Change;
use super::error::EditError;
use super::tree::Value;
use crate::catalog::FieldIx;
use crate::crypto::ValueKind;
use crate::crypto::envelope_len;
use crate::transform::Seals;
use crate::transform::Shape;
use crate::transform::Unsealed;
use crate::transform::escape;
use crate::types::FieldPath;
use std::cell::OnceCell;
use zeroize::Zeroizing;

/// What changes are written with.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    pub(super) shape: &'a Shape,
    pub(super) seals: &'a dyn Seals,
}

/// What becomes of the value of a sealed field.
pub(super) struct Fresh<'t> {
    field: FieldIx,
    /// Whether an array is one value, and not several that are sealed each by itself.
    is_one_value: bool,
    change: Change<'t>,
    /// How it was written first: the record that is judged and the one that is sent are the same.
    written: OnceCell<Vec<u8>>,
}

impl<'t> Fresh<'t> {
    pub(super) const fn new(field: FieldIx, is_one_value: bool, change: Change<'t>) -> Self {
        Self { field, is_one_value, change, written: OnceCell::new() }
    }

    pub(super) fn write(
        &self,
        stored: Option<Value<'t>>,
        pen: Pen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        if let Some(written) = self.written.get() {
            out.extend_from_slice(written);
            return Ok(());
        }
        let mut written = Vec::new();
        self.seal(stored, pen, &mut written)?;
        out.extend_from_slice(self.written.get_or_init(|| written));
        Ok(())
    }

    fn seal(
        &self,
        stored: Option<Value<'t>>,
        pen: Pen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        match &self.change {
            Change::Array(items) if !self.is_one_value => {
                let items = items.iter().map(|(stored, change)| (*stored, change));
                array(items, out, |(stored, change), out| match (stored, change) {
                    (Some(stored), Change::Keep) if stored.sealed().is_some() => {
                        stored.append_stored(out);
                        Ok(())
                    }
                    (stored, change) => self.one((stored, change), pen, out),
                })
            }
            Change::Set(sent) | Change::SetWithoutNulls(sent)
                if sent.is_array() && !self.is_one_value =>
            {
                array(sent.children(), out, |item, out| {
                    self.one((None, &Change::Set(item)), pen, out)
                })
            }
            change => self.one((stored, change), pen, out),
        }
    }

    /// Seals one value.
    fn one(
        &self,
        (stored, change): (Option<Value<'t>>, &Change<'t>),
        pen: Pen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        let mut json = Zeroizing::new(Vec::new());
        change.write_inside(stored, pen, &mut json)?;
        pen.seal_json(self.field, &json, out)
    }
}

fn array<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut item: impl FnMut(T, &mut Vec<u8>) -> Result<(), EditError>,
) -> Result<(), EditError> {
    out.push(b'[');
    for (at, value) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        item(value, out)?;
    }
    out.push(b']');
    Ok(())
}

impl Pen<'_> {
    /// Appends a JSON value sealed, as JSON. `null` says that there is none, and stays.
    fn seal_json(self, field: FieldIx, json: &[u8], out: &mut Vec<u8>) -> Result<(), EditError> {
        match json {
            b"null" => {
                out.extend_from_slice(json);
                Ok(())
            }
            [b'"', inside @ .., b'"'] => {
                let mut plain = Zeroizing::new(Vec::with_capacity(inside.len()));
                escape::unescape(inside, &mut plain);
                self.seal(field, ValueKind::Text, &plain, out)
            }
            [b'{' | b'[', ..] => self.seal(field, ValueKind::Json, json, out),
            b"true" | b"false" => self.seal(field, ValueKind::Boolean, json, out),
            number => self.seal(field, ValueKind::Number, number, out),
        }
    }

    fn seal(
        self,
        field: FieldIx,
        kind: ValueKind,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        let limit = self.shape.sealing(field).and_then(|sealing| sealing.max_length);
        if let Some(limit) = limit.filter(|limit| envelope_len(plain.len()) > *limit) {
            return Err(EditError::TooLong { field: self.path(field)?, limit });
        }
        self.quoted(field, out, |out| self.seals.seal(field, kind, plain, out))
    }

    /// Appends the blind index of a text, as JSON.
    pub(super) fn index(
        self,
        field: FieldIx,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        // What was sent was validated.
        let plain = std::str::from_utf8(plain).map_err(|_| EditError::NoRecord)?;
        self.quoted(field, out, |out| self.seals.index(field, plain, out))
    }

    /// Appends a text that needs no escapes.
    fn quoted(
        self,
        field: FieldIx,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Unsealed>,
    ) -> Result<(), EditError> {
        out.push(b'"');
        write(out).map_err(|why| match (why, self.path(field)) {
            (Unsealed::Unavailable, _) => EditError::Locked,
            (Unsealed::NoKey, Ok(field)) => EditError::NoKey { field },
            (Unsealed::NoKey, Err(error)) => error,
        })?;
        out.push(b'"');
        Ok(())
    }

    fn path(self, field: FieldIx) -> Result<FieldPath, EditError> {
        self.shape.path(field).cloned().ok_or(EditError::Unlisted)
    }
}

//! Bodies that are flat, CSV and forms: said as JSON while they are judged, and flat again for the
//! store.

use super::batch::Batch;
use super::batch::Raw;
use super::csv;
use super::error::TransformError;
use super::escape;
use super::reader::Reader;
use super::rewrite::validate;
use super::shape::Shape;
use super::state::Format;
use super::state::Limits;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::protocol::http::write_form;
use bytes::Bytes;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// What a flat body says. All its values are text; a value that is not there is not an empty one.
pub struct Flat {
    is_form: bool,
    columns: Vec<Column>,
    /// Values by record and column.
    rows: Vec<Vec<Option<Box<str>>>>,
    /// The members beside the fields that the gateway writes.
    indexes: Vec<Box<str>>,
    /// Whether it says something that the data set does not list as one plain value.
    has_unlisted: bool,
}

struct Column {
    /// The field's path.
    name: Box<str>,
    field: FieldIx,
}

/// The scalars of one record under their paths; nothing for `null`.
type Pairs = Vec<(String, Option<String>)>;

impl fmt::Debug for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flat").field("records", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Flat {
    /// Reads CSV, one record a row, as strictly as a store's. Stops after `most` records and one.
    ///
    /// # Errors
    ///
    /// It is not what [`Format::Csv`] asks for.
    pub fn csv(
        body: Bytes,
        shape: &Arc<Shape>,
        limits: Limits,
        most: usize,
    ) -> Result<Self, TransformError> {
        let selector = Selector { steps: Vec::new(), records: Records::Each, around: Vec::new() };
        let mut reader = Reader::new(Format::Csv, &selector, Arc::clone(shape), limits);
        let mut batch = Batch::new(most.saturating_add(1), usize::MAX);
        reader.push(body);
        reader.end_of_input();
        reader.read(&mut batch)?;
        let columns = reader.columns().map_or(&[][..], |columns| columns.listed());
        let rows = (0..batch.len()).map(|record| {
            let value = |field| match batch.raw(record, field) {
                Raw::Text(text) => Some(text.into()),
                _ => None,
            };
            columns.iter().map(|column| value(column.field)).collect()
        });
        Ok(Self {
            is_form: false,
            rows: rows.collect(),
            columns: columns
                .iter()
                .map(|column| Column { name: column.name.clone(), field: column.field })
                .collect(),
            indexes: shape.indexes().map(Into::into).collect(),
            has_unlisted: reader.columns().is_some_and(|columns| columns.has_unlisted()),
        })
    }

    /// The one record of a form, whose members are called by the paths of fields.
    pub fn form(members: Vec<(String, String)>, shape: &Shape) -> Self {
        let (mut columns, mut row) = (Vec::new(), Vec::new());
        let mut has_unlisted = false;
        for (name, value) in members {
            match shape.column(&name) {
                Some((_, field)) => {
                    columns.push(Column { name: name.into(), field });
                    row.push(Some(value.into()));
                }
                None => has_unlisted = true,
            }
        }
        Self { is_form: true, columns, rows: vec![row], indexes: Vec::new(), has_unlisted }
    }

    /// Whether it is a form, and not CSV.
    pub fn is_form(&self) -> bool {
        self.is_form
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The records as lines of JSON.
    ///
    /// All values are text, but for those that say in text what record 0 of `stored` has there as
    /// a number, a word or nothing: who sends back what was shown changes no type.
    pub fn to_json(&self, stored: Option<&Batch>) -> Vec<u8> {
        let mut out = Vec::new();
        for row in &self.rows {
            let mut members = Vec::new();
            for (column, value) in self.columns.iter().zip(row) {
                let Some(value) = value else { continue };
                let raw = stored.map_or(Raw::Missing, |stored| stored.raw(0, column.field));
                Member::add(&mut members, &column.name, json(value, &raw));
            }
            if self.has_unlisted {
                // No field has an empty name: what is not listed is refused in the words for it.
                Member::add(&mut members, "", b"true".to_vec());
            }
            Member::write_all(&members, &mut out);
            out.push(b'\n');
        }
        out
    }

    /// Records of JSON, each put together for the store, in the format that came. `None`: there is
    /// something in them that it cannot say.
    pub fn write<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let mut rows = Vec::new();
        for record in records {
            let mut pairs = Vec::new();
            flatten(record, "", &mut pairs)?;
            rows.push(pairs);
        }
        if self.is_form { form_text(&rows) } else { self.csv_text(&rows) }
    }

    fn csv_text(&self, rows: &[Pairs]) -> Option<Vec<u8>> {
        let has = |name: &str| rows.iter().flatten().any(|(known, _)| known == name);
        let sent = self.columns.iter().map(|column| &*column.name);
        let added = self.indexes.iter().map(AsRef::as_ref).filter(|name| has(name));
        let columns: Vec<&str> = sent.chain(added).collect();
        let mut out = Vec::new();
        csv_row(columns.iter().copied().map(Some), &mut out);
        for pairs in rows {
            if !pairs.iter().all(|(name, _)| columns.contains(&&**name)) {
                return None;
            }
            let cell = |name: &&str| pairs.iter().find(|(known, _)| known == name)?.1.as_deref();
            csv_row(columns.iter().map(cell), &mut out);
        }
        Some(out)
    }
}

fn form_text(rows: &[Pairs]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for pairs in rows {
        let pairs: Option<Vec<_>> =
            pairs.iter().map(|(name, value)| Some((&**name, value.as_deref()?))).collect();
        out.extend_from_slice(write_form(pairs?).as_bytes());
    }
    Some(out)
}

/// A value as JSON, of the kind that the stored one is where it says the same kind of thing.
fn json(value: &str, stored: &Raw<'_>) -> Vec<u8> {
    let is_same_kind = match stored {
        Raw::Bool(_) => matches!(value, "true" | "false"),
        Raw::Number(_) => {
            value.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && validate(value.as_bytes()).is_ok()
        }
        Raw::Null if value.is_empty() => return b"null".to_vec(),
        Raw::Missing | Raw::Null | Raw::Other | Raw::Text(_) => false,
    };
    let mut out = Vec::with_capacity(value.len() + 2);
    if is_same_kind {
        out.extend_from_slice(value.trim_end().as_bytes());
    } else {
        escape::string(value, &mut out);
    }
    out
}

/// A member of a JSON object that is put together from paths.
struct Member<'a> {
    name: &'a str,
    value: Vec<u8>,
    inside: Vec<Self>,
}

impl<'a> Member<'a> {
    fn add(members: &mut Vec<Self>, path: &'a str, value: Vec<u8>) {
        let (name, rest) =
            path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let known = members.iter().position(|member| member.name == name);
        let at = known.unwrap_or_else(|| {
            members.push(Self { name, value: Vec::new(), inside: Vec::new() });
            members.len() - 1
        });
        let Some(member) = members.get_mut(at) else { return };
        match rest {
            Some(rest) => Self::add(&mut member.inside, rest, value),
            None => member.value = value,
        }
    }

    fn write_all(members: &[Self], out: &mut Vec<u8>) {
        let mut before = b'{';
        if members.is_empty() {
            out.push(before);
        }
        for member in members {
            out.push(before);
            escape::string(member.name, out);
            out.push(b':');
            if member.inside.is_empty() {
                out.extend_from_slice(&member.value);
            } else {
                Self::write_all(&member.inside, out);
            }
            before = b',';
        }
        out.push(b'}');
    }
}

/// Puts the scalars of an object under their paths; `None` for `null`. Fails where there are
/// arrays, or names that are no part of a path.
fn flatten(object: &[u8], above: &str, out: &mut Pairs) -> Option<()> {
    let Members(members) = serde_json::from_slice(object).ok()?;
    for (name, value) in members {
        if name.is_empty() || name.contains(['.', '[', ']']) {
            return None;
        }
        let path = if above.is_empty() { name } else { format!("{above}.{name}") };
        let value = value.get();
        match value.as_bytes().first()? {
            b'{' => flatten(value.as_bytes(), &path, out)?,
            b'[' => return None,
            b'n' => out.push((path, None)),
            b'"' => out.push((path, Some(serde_json::from_str(value).ok()?))),
            _ => out.push((path, Some(value.to_owned()))),
        }
    }
    Some(())
}

/// Members of an object in their order, values unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Appends a row whose cells are exactly these: a store is no spreadsheet.
fn csv_row<'a>(cells: impl Iterator<Item = Option<&'a str>>, out: &mut Vec<u8>) {
    let start = out.len();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(cell) = cell {
            csv::cell(cell, out);
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.extend_from_slice(b"\r\n");
}

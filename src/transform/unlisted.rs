//! Members of records that no policy lists: where they stand, and how often.
//!
//! A member that is known costs one look-up in a set and no allocation. What one is called is text
//! of the store, so nothing that looks like data becomes part of a path.

use super::names::fingerprint;
use super::shape::NodeIx;
use std::collections::HashMap;
use std::sync::Arc;

/// The kind of a JSON value, by its first byte.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum JsonKind {
    /// An array.
    Array,
    /// `true` or `false`.
    Boolean,
    /// `null`.
    Null,
    /// A number.
    Number,
    /// An object.
    Object,
    /// A string, or a cell of CSV.
    Text,
}

impl JsonKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Array, Self::Boolean, Self::Null, Self::Number, Self::Object, Self::Text];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Null => "null",
            Self::Number => "number",
            Self::Object => "object",
            Self::Text => "text",
        }
    }

    const fn of(first: u8) -> Self {
        match first {
            b'[' => Self::Array,
            b't' | b'f' => Self::Boolean,
            b'n' => Self::Null,
            b'{' => Self::Object,
            b'"' => Self::Text,
            _ => Self::Number,
        }
    }
}

/// Where a member stands, what it is called by fingerprint, and what it holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MemberKey(u32, u64, JsonKind);

/// The members of one data set that are known not to be listed, each with a number that whoever
/// knows them gave it. It means something only beside the [`Shape`](super::Shape) it was made for.
#[derive(Clone, Debug, Default)]
pub struct KnownMembers(HashMap<MemberKey, u32>);

impl KnownMembers {
    /// The same and one more.
    pub fn insert(&mut self, key: MemberKey, number: u32) {
        self.0.insert(key, number);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A member that was not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMember {
    /// How it is known from now on.
    pub key: MemberKey,
    /// Where it stands: names joined by `.`, `[*]` for the items of an array, and `*` for a name
    /// that looks like data.
    pub path: Box<str>,
    /// What it holds.
    pub kind: JsonKind,
    /// How often.
    pub count: u32,
}

/// What was seen in the records of one answer.
#[derive(Debug)]
pub struct Unlisted {
    known: Arc<KnownMembers>,
    /// By number.
    counts: Vec<u32>,
    new: Vec<NewMember>,
    /// The members of the record at hand: their number, or behind all numbers their place in `new`.
    hits: Vec<Hit>,
}

#[derive(Clone, Copy, Debug)]
enum Hit {
    Known(u32),
    New(usize),
}

/// Members of one record that are counted; the memory for them is in no budget.
const MOST_HITS: usize = 1_024;
/// New members of one batch; more are found by the next.
const MOST_NEW: usize = 32;

impl Unlisted {
    /// Looks for others than these.
    pub const fn new(known: Arc<KnownMembers>) -> Self {
        Self { known, counts: Vec::new(), new: Vec::new(), hits: Vec::new() }
    }

    /// A member `name` at a node, whose value begins with `first`. `path` says where the node is.
    #[inline]
    pub(super) fn see(
        &mut self,
        (node, print): (NodeIx, u64),
        name: &[u8],
        first: u8,
        path: impl Fn() -> String,
    ) {
        let kind = JsonKind::of(first);
        let key = MemberKey(node.number(), print, kind);
        match self.known.0.get(&key) {
            _ if self.hits.len() >= MOST_HITS => {}
            Some(number) => self.hits.push(Hit::Known(*number)),
            None => self.see_new(key, name, path),
        }
    }

    /// A column of CSV, which counts once an answer.
    pub(super) fn see_column(&mut self, name: &str) {
        let place = (NodeIx::RECORD, fingerprint(name.as_bytes()));
        self.see(place, name.as_bytes(), b'"', String::new);
        self.commit();
    }

    #[cold]
    fn see_new(&mut self, key: MemberKey, name: &[u8], path: impl Fn() -> String) {
        let name = std::str::from_utf8(name).ok().filter(|name| is_name(name));
        // All names that look like data are one.
        let key = MemberKey(key.0, name.map_or(0, |_| key.1), key.2);
        if let Some(number) = self.known.0.get(&key) {
            self.hits.push(Hit::Known(*number));
        } else if let Some(place) = self.new.iter().position(|new| new.key == key) {
            self.hits.push(Hit::New(place));
        } else if self.new.len() < MOST_NEW {
            let above = path();
            let name = name.unwrap_or("*");
            let path =
                if above.is_empty() { name.into() } else { format!("{above}.{name}").into() };
            self.hits.push(Hit::New(self.new.len()));
            self.new.push(NewMember { key, path, kind: key.2, count: 0 });
        }
    }

    /// The record at hand is complete.
    #[inline]
    pub(super) fn commit(&mut self) {
        if !self.hits.is_empty() {
            self.count();
        }
    }

    fn count(&mut self) {
        for hit in self.hits.drain(..) {
            let count = match hit {
                Hit::Known(number) => {
                    let number = number as usize;
                    if self.counts.len() <= number {
                        self.counts.resize(self.known.len().max(number + 1), 0);
                    }
                    self.counts.get_mut(number)
                }
                Hit::New(place) => self.new.get_mut(place).map(|new| &mut new.count),
            };
            if let Some(count) = count {
                *count = count.saturating_add(1);
            }
        }
    }

    /// The record at hand is read again, or not at all.
    #[inline]
    pub(super) fn retract(&mut self) {
        self.hits.clear();
    }

    /// Whether anything was seen since this was last emptied.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.new.is_empty()
    }

    /// What was seen of the known ones: number and count.
    pub fn known(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..)
            .zip(&self.counts)
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| (number, *count))
    }

    /// What was not known.
    pub fn fresh(&self) -> impl Iterator<Item = &NewMember> {
        self.new.iter().filter(|new| new.count > 0)
    }

    /// Goes on with what is known now.
    pub fn go_on(&mut self, known: Arc<KnownMembers>) {
        self.known = known;
        self.counts.clear();
        self.new.clear();
    }
}

/// Whether a name is one that people give to fields, rather than data that stands where a name
/// does: an id, a date, an address, words.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '$' | '@'));
    let is_word = first && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':'));
    let bytes = name.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let long_number = bytes.windows(3).any(|run| run.iter().all(u8::is_ascii_digit));
    let is_hex = name.len() >= 8 && digits > 0 && bytes.iter().all(u8::is_ascii_hexdigit);
    is_word && name.len() <= MAX_NAME && digits <= 4 && !long_number && !is_hex
}

/// A longer name is no name.
const MAX_NAME: usize = 64;
/// A longer path is no path.
pub const MAX_UNLISTED_PATH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_told_from_data_that_stands_where_names_do() {
        for name in ["email", "address2", "createdAt", "电话", "x-ref", "_id", "@type", "shipTo_1"]
        {
            assert!(is_name(name), "{name}");
        }
        for data in [
            "",
            "c-1002",
            "4000000000000002",
            "ana@mail.example",
            "2026-11-21",
            "Ana Ruiz",
            "deadbeef1",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "+44 7700 900199",
            "a.b",
            "a[0]",
            "1st",
            "TEST0000T",
            "a\u{7}b",
        ] {
            assert!(!is_name(data), "{data}");
        }
        assert!(!is_name(&"x".repeat(65)));
    }
}

//! The places of all values of one JSON text.

use super::opened::Opened;
use super::opened::Sealed;
use crate::transform::Limits;
use crate::transform::Malformed;
use crate::transform::escape;
use crate::transform::validate;
use std::borrow::Cow;

/// The places of the values of one text, in its order. Holds nothing of the text itself.
pub(super) struct Tree<'t> {
    text: &'t str,
    spots: Vec<Spot>,
    /// Of a stored record that was opened: how it is stored.
    opened: Option<&'t Opened<'t>>,
}

/// Where one value stands.
#[derive(Clone, Copy, Debug)]
struct Spot {
    kind: Kind,
    /// Of a string, with its quotes.
    start: u32,
    end: u32,
    /// The inside of the name, when it is a member.
    name: (u32, u32),
    /// The place of the first spot that is not in this one.
    next: u32,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Array,
    Bool,
    Null,
    Number,
    Object,
    Text,
}

/// One value in its tree.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    tree: &'t Tree<'t>,
    spot: Spot,
    at: u32,
}

impl<'t> Tree<'t> {
    /// Reads a text, by the rules records are held to.
    pub(super) fn read(text: &'t str) -> Result<Self, Malformed> {
        validate(text.as_bytes())?;
        debug_assert!(text.len() <= Limits::MAX_RECORD, "places fit in 32 bits");
        let mut scan = Scan { text: text.as_bytes(), pos: 0, spots: Vec::new() };
        scan.value((0, 0));
        Ok(Self { text, spots: scan.spots, opened: None })
    }

    /// Reads a stored record that was opened.
    pub(super) fn of(opened: &'t Opened<'t>) -> Result<Self, Malformed> {
        Ok(Self { opened: Some(opened), ..Self::read(opened.text())? })
    }

    /// The value that the text is.
    pub(super) fn root(&self) -> Option<Value<'_>> {
        self.value(0)
    }

    fn value(&self, at: u32) -> Option<Value<'_>> {
        let spot = *self.spots.get(at as usize)?;
        Some(Value { tree: self, spot, at })
    }

    fn span(&self, (start, end): (u32, u32)) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The text that the inside of a string stands for.
    fn plain(&self, inside: (u32, u32)) -> Cow<'_, [u8]> {
        let raw = self.span(inside).as_bytes();
        if memchr::memchr(b'\\', raw).is_none() {
            return Cow::Borrowed(raw);
        }
        let mut plain = Vec::with_capacity(raw.len());
        escape::unescape(raw, &mut plain);
        Cow::Owned(plain)
    }
}

impl<'t> Value<'t> {
    pub(super) fn kind(&self) -> Kind {
        self.spot.kind
    }

    pub(super) fn is_null(&self) -> bool {
        self.spot.kind == Kind::Null
    }

    pub(super) fn is_object(&self) -> bool {
        self.spot.kind == Kind::Object
    }

    pub(super) fn is_array(&self) -> bool {
        self.spot.kind == Kind::Array
    }

    /// The value as it is written, of a string with its quotes.
    pub(super) fn raw(&self) -> &'t str {
        self.tree.span((self.spot.start, self.spot.end))
    }

    /// Where it stands in its text, of a string with its quotes.
    pub(super) fn span(&self) -> (u32, u32) {
        (self.spot.start, self.spot.end)
    }

    /// Appends the value as it is stored.
    pub(super) fn append_stored(&self, out: &mut Vec<u8>) {
        match self.tree.opened {
            Some(opened) => opened.append_stored(self.span(), out),
            None => out.extend_from_slice(self.raw().as_bytes()),
        }
    }

    /// How it is sealed where it is stored, when it is.
    pub(super) fn sealed(&self) -> Option<Sealed> {
        self.tree.opened?.at(self.spot.start)
    }

    /// Whether it is sealed and does not open: it is nobody's to compare with.
    pub(super) fn is_shut(&self) -> bool {
        self.sealed().is_some_and(Sealed::is_shut)
    }

    /// What a string says; of another value how it is written.
    pub(super) fn plain(&self) -> Cow<'t, [u8]> {
        let quote = u32::from(self.spot.kind == Kind::Text);
        self.tree.plain((self.spot.start + quote, self.spot.end.saturating_sub(quote)))
    }

    /// The name as it is written, without quotes, when the value is a member.
    pub(super) fn raw_name(&self) -> &'t str {
        self.tree.span(self.spot.name)
    }

    /// The name, when the value is a member.
    pub(super) fn name(&self) -> Cow<'t, [u8]> {
        self.tree.plain(self.spot.name)
    }

    /// How many values it is, with all in it.
    pub(super) fn values(&self) -> usize {
        self.spot.next.saturating_sub(self.at) as usize
    }

    /// Whether it is the same place of the same text.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.at == other.at
    }

    /// The members of an object or the items of an array, in their order.
    pub(super) fn children(&self) -> impl Iterator<Item = Value<'t>> + use<'t> {
        let (tree, end) = (self.tree, self.spot.next);
        let is_container = matches!(self.spot.kind, Kind::Array | Kind::Object);
        let at = move |at: u32| (is_container && at < end).then(|| tree.value(at)).flatten();
        std::iter::successors(at(self.at + 1), move |value| at(value.spot.next))
    }
}

/// The members of one object by name.
#[derive(Default)]
pub(super) struct Members<'t>(Vec<(Cow<'t, [u8]>, Value<'t>)>);

impl<'t> Members<'t> {
    /// Those of `value`; none when it is no object.
    pub(super) fn of(value: Option<Value<'t>>) -> Self {
        let Some(value) = value.filter(Value::is_object) else { return Self::default() };
        let mut members: Vec<_> = value.children().map(|child| (child.name(), child)).collect();
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self(members)
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<Value<'t>> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| *value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Value<'t>)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

/// Goes over a text that was validated.
struct Scan<'t> {
    text: &'t [u8],
    pos: usize,
    spots: Vec<Spot>,
}

impl Scan<'_> {
    /// Reads the value at or after the current place.
    fn value(&mut self, name: (u32, u32)) {
        let first = self.token();
        let (at, start) = (self.spots.len(), narrow(self.pos));
        let kind = match first {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        };
        self.spots.push(Spot { kind, start, end: start, name, next: 0 });
        match kind {
            Kind::Array | Kind::Object => self.inside(kind),
            Kind::Text => {
                self.string();
            }
            Kind::Bool | Kind::Null | Kind::Number => self.word(),
        }
        let (end, next) = (narrow(self.pos), narrow(self.spots.len()));
        if let Some(spot) = self.spots.get_mut(at) {
            (spot.end, spot.next) = (end, next);
        }
    }

    /// Reads the members or items of a container, and its closing bracket.
    fn inside(&mut self, kind: Kind) {
        self.pos += 1;
        while let Some(byte) = self.token() {
            match byte {
                b'}' | b']' => {
                    self.pos += 1;
                    return;
                }
                b',' => self.pos += 1,
                _ if kind == Kind::Object => {
                    let name = self.string();
                    self.token();
                    self.pos += 1;
                    self.value(name);
                }
                _ => self.value((0, 0)),
            }
        }
    }

    /// Goes past a string and returns the place of its inside.
    fn string(&mut self) -> (u32, u32) {
        let start = self.pos + 1;
        self.pos = start;
        loop {
            let rest = self.text.get(self.pos..).unwrap_or_default();
            let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
                self.pos = self.text.len();
                return (narrow(start), narrow(self.pos));
            };
            self.pos += at;
            if self.text.get(self.pos) == Some(&b'"') {
                let end = self.pos;
                self.pos += 1;
                return (narrow(start), narrow(end));
            }
            self.pos += 2;
        }
    }

    /// Goes past a number or a word.
    fn word(&mut self) {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let end = rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len());
        // A text that was not validated must not hold this up for ever.
        self.pos += end.max(1);
    }

    /// Goes past white space; the byte it stands at then.
    fn token(&mut self) -> Option<u8> {
        let rest = self.text.get(self.pos..)?;
        self.pos += rest.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
        self.text.get(self.pos).copied()
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

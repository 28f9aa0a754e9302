//! Reads one JSON value strictly and notes where its listed parts are.

use super::batch::Entry;
use super::batch::What;
use super::error::Malformed;
use super::escape::hex4;
use super::names::Names;
use super::scan::special;
use super::shape::Node;
use super::shape::NodeIx;
use super::shape::Shape;
use super::unlisted::Unlisted;

/// Why the parser did not reach the end of the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The text is no JSON.
    Bad(Malformed),
    /// The text ended first; more of it may come.
    More,
}

impl From<Malformed> for Stop {
    fn from(what: Malformed) -> Self {
        Self::Bad(what)
    }
}

/// Where the entries of a record go.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) shape: &'a Shape,
    pub(super) tape: &'a mut Vec<Entry>,
}

/// A reader of one value in `text`. It keeps the rules of RFC 8259 and Privet's stricter ones,
/// except that the caller checks that the bytes are UTF-8.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    /// The byte it stands at. After an error: near the offending byte.
    pub(super) pos: usize,
    /// Whether nothing follows `text`, so that a number at its very end is complete.
    pub(super) is_whole: bool,
    /// Most brackets inside each other.
    pub(super) max_depth: usize,
    pub(super) names: &'a mut Names,
    /// Nothing is noted without one.
    pub(super) index: Option<Index<'a>>,
    /// Whether the record has anything that is not noted, and so never leaves.
    pub(super) has_skipped: bool,
    /// Where members that are not listed are told.
    pub(super) unlisted: Option<&'a mut Unlisted>,
}

/// Where on the tape a value belongs.
#[derive(Clone, Copy)]
struct Target {
    ix: NodeIx,
    /// Whether it is an item of an array, not a member.
    is_item: bool,
    /// Whether it is an item where the array itself is the listed field: scalars count,
    /// containers do not.
    is_leaf_item: bool,
}

impl Target {
    /// Not listed, or part of a value that is listed as one.
    const NOWHERE: Self = Self { ix: NodeIx::NOWHERE, is_item: false, is_leaf_item: false };
}

/// The names of one object so far.
#[derive(Default)]
struct Seen {
    /// A bit for each listed member that was there.
    listed: u64,
    /// A bit for the fingerprint of each other name, to know most new names at a glance.
    others: u64,
    /// Where the next listed name is looked for first: records mostly keep one order.
    guess: usize,
}

/// The span of a string's inside and whether it has escapes.
#[derive(Clone, Copy)]
struct Text {
    start: usize,
    end: usize,
    is_escaped: bool,
}

impl<'a> Parser<'a> {
    /// Reads the record at the current place, which must be an object.
    pub(super) fn record(&mut self) -> Result<(), Stop> {
        self.object(Target { ix: NodeIx::RECORD, is_item: true, is_leaf_item: false }, 0)
    }

    /// Reads any value at the current place and keeps nothing of it.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        self.value(Target::NOWHERE, 0)
    }

    fn value(&mut self, target: Target, depth: usize) -> Result<(), Stop> {
        let start = self.pos;
        match self.next_byte()? {
            b'"' => {
                let text = self.string()?;
                let what = if text.is_escaped { What::EscapedText } else { What::Text };
                self.note(target, what, (text.start, text.end));
                Ok(())
            }
            b'{' => self.object(target, depth),
            b'[' => self.array(target, depth),
            first => {
                let what = self.scalar(first)?;
                self.note(target, what, (start, self.pos));
                Ok(())
            }
        }
    }

    fn scalar(&mut self, first: u8) -> Result<What, Stop> {
        match first {
            b'-' | b'0'..=b'9' => self.number().map(|()| What::Number),
            b't' => self.word(b"true").map(|()| What::Bool),
            b'f' => self.word(b"false").map(|()| What::Bool),
            b'n' => self.word(b"null").map(|()| What::Null),
            b'}' | b']' | b',' | b':' => Err(Malformed::Structure.into()),
            _ => Err(Malformed::Literal.into()),
        }
    }

    fn object(&mut self, target: Target, depth: usize) -> Result<(), Stop> {
        let start = self.pos;
        self.open(depth)?;
        let mark = self.names.mark();
        let inside = self.members(target);
        let opened = inside.and_then(|_| self.note_open(target, What::OpenObject));
        let mut seen = Seen::default();
        if self.after_space()? != b'}' {
            loop {
                let member = self.name(inside.map(|node| (target.ix, node)), mark, &mut seen)?;
                self.value(member, depth + 1)?;
                match self.after_space()? {
                    b',' => self.pos += 1,
                    b'}' => break,
                    _ => return Err(Malformed::Structure.into()),
                }
                self.after_space()?;
            }
        }
        self.pos += 1;
        self.names.close(self.text, mark)?;
        match opened {
            Some(at) => self.note_close(at, What::CloseObject),
            None => self.note_container(target, start),
        }
        Ok(())
    }

    /// Reads a name, its colon and the space after it; says where its value belongs.
    #[inline]
    fn name(
        &mut self,
        inside: Option<(NodeIx, &'a Node)>,
        mark: usize,
        seen: &mut Seen,
    ) -> Result<Target, Stop> {
        if self.next_byte()? != b'"' {
            return Err(Malformed::Structure.into());
        }
        let text = self.string()?;
        let name = self.names.resolve(self.text, (text.start, text.end), text.is_escaped);
        let bytes = self.names.bytes(self.text, name);
        let found = inside.and_then(|(_, node)| node.member(name.fingerprint, bytes, seen.guess));
        match found {
            // Listed names are told apart by their place, which is quicker than by their text.
            Some((place, _)) if place < u64::BITS as usize => {
                let bit = 1 << place;
                if seen.listed & bit != 0 {
                    return Err(Malformed::DuplicateName.into());
                }
                seen.listed |= bit;
                seen.guess = place + 1;
            }
            _ => {
                let bit = 1 << (name.fingerprint >> 58);
                self.names.add(self.text, mark, name, seen.others & bit == 0)?;
                seen.others |= bit;
            }
        }
        self.has_skipped |= found.is_none() && inside.is_some();
        if self.after_space()? != b':' {
            return Err(Malformed::Structure.into());
        }
        self.pos += 1;
        let first = self.after_space()?;
        if let (None, Some((ix, _)), Some(unlisted)) = (found, inside, &mut self.unlisted) {
            let bytes = self.names.bytes(self.text, name);
            let shape = self.index.as_ref().map(|index| index.shape);
            let place = || shape.map(|shape| shape.place_of(ix)).unwrap_or_default();
            unlisted.see((ix, name.fingerprint), bytes, first, place);
        }
        Ok(found.map_or(Target::NOWHERE, |(_, ix)| Target { ix, ..Target::NOWHERE }))
    }

    fn array(&mut self, target: Target, depth: usize) -> Result<(), Stop> {
        let start = self.pos;
        self.open(depth)?;
        let item = self.items(target);
        let opened = item.and_then(|_| self.note_open(target, What::OpenArray));
        if self.after_space()? != b']' {
            let item = item.unwrap_or(Target::NOWHERE);
            loop {
                self.value(item, depth + 1)?;
                match self.after_space()? {
                    b',' => self.pos += 1,
                    b']' => break,
                    _ => return Err(Malformed::Structure.into()),
                }
                self.after_space()?;
            }
        }
        self.pos += 1;
        match opened {
            Some(at) => self.note_close(at, What::CloseArray),
            None => self.note_container(target, start),
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth >= self.max_depth {
            return Err(Malformed::TooDeep);
        }
        self.pos += 1;
        Ok(())
    }

    /// Reads a string, starting at its quote.
    #[inline]
    fn string(&mut self) -> Result<Text, Stop> {
        let start = self.pos + 1;
        let (at, byte) = special(self.text.get(start..).unwrap_or_default()).ok_or(Stop::More)?;
        let end = start + at;
        if byte == b'"' {
            self.pos = end + 1;
            return Ok(Text { start, end, is_escaped: false });
        }
        self.pos = end;
        self.string_with_escapes(start)
    }

    /// Reads the rest of a string from a byte that is not plain.
    #[cold]
    fn string_with_escapes(&mut self, start: usize) -> Result<Text, Stop> {
        loop {
            let rest = self.text.get(self.pos..).unwrap_or_default();
            let (at, byte) = special(rest).ok_or(Stop::More)?;
            self.pos += at;
            match byte {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return Err(Malformed::Control.into()),
            }
        }
        let end = self.pos;
        self.pos += 1;
        Ok(Text { start, end, is_escaped: true })
    }

    /// Reads an escape, starting at its backslash.
    fn escape(&mut self) -> Result<(), Stop> {
        match self.text.get(self.pos + 1).ok_or(Stop::More)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.pos += 2,
            b'u' => {
                let first = self.unicode()?;
                if (0xDC00..=0xDFFF).contains(&first) {
                    return Err(Malformed::LoneSurrogate.into());
                }
                if (0xD800..=0xDBFF).contains(&first) {
                    self.low_surrogate()?;
                }
            }
            _ => return Err(Malformed::Escape.into()),
        }
        Ok(())
    }

    fn low_surrogate(&mut self) -> Result<(), Stop> {
        for (ahead, wanted) in [(0, b'\\'), (1, b'u')] {
            if *self.text.get(self.pos + ahead).ok_or(Stop::More)? != wanted {
                return Err(Malformed::LoneSurrogate.into());
            }
        }
        match self.unicode()? {
            0xDC00..=0xDFFF => Ok(()),
            _ => Err(Malformed::LoneSurrogate.into()),
        }
    }

    /// Reads `\uXXXX`.
    fn unicode(&mut self) -> Result<u16, Stop> {
        let digits = self.text.get(self.pos + 2..).unwrap_or_default();
        if digits.len() < 4 && digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Stop::More);
        }
        let code = hex4(digits).ok_or(Malformed::Escape)?;
        self.pos += 6;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.text.get(self.pos) == Some(&b'-') {
            self.pos += 1;
        }
        match self.next_byte()? {
            b'0' => self.pos += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(Malformed::Number.into()),
        }
        if self.text.get(self.pos) == Some(&b'.') {
            self.pos += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.pos) {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.text.get(self.pos) {
                self.pos += 1;
            }
            self.some_digits()?;
        }
        match self.text.get(self.pos) {
            None if !self.is_whole => Err(Stop::More),
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E') => Err(Malformed::Number.into()),
            _ => Ok(()),
        }
    }

    fn some_digits(&mut self) -> Result<(), Stop> {
        if !self.next_byte()?.is_ascii_digit() {
            return Err(Malformed::Number.into());
        }
        self.digits();
        Ok(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.text.get(self.pos).is_some_and(u8::is_ascii_digit) {
            self.pos += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        match rest.get(..word.len()) {
            Some(found) if found == word => {
                self.pos += word.len();
                Ok(())
            }
            None if word.starts_with(rest) => Err(Stop::More),
            _ => Err(Malformed::Literal.into()),
        }
    }

    #[inline]
    fn next_byte(&self) -> Result<u8, Stop> {
        self.text.get(self.pos).copied().ok_or(Stop::More)
    }

    /// Goes past white space and returns the byte it stands at then.
    #[inline]
    pub(super) fn after_space(&mut self) -> Result<u8, Stop> {
        loop {
            match self.next_byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.pos += 1,
                other => return Ok(other),
            }
        }
    }
}

/// What is written on the tape.
impl<'a> Parser<'a> {
    #[inline]
    fn node(&self, target: Target) -> Option<&'a Node> {
        let shape = self.index.as_ref()?.shape;
        shape.node(target.ix)
    }

    /// The node whose members an object here has, when any of them can be listed.
    #[inline]
    fn members(&self, target: Target) -> Option<&'a Node> {
        let node = self.node(target)?;
        let may_be_listed = node.has_members() || target.ix.is_record();
        (may_be_listed && !target.is_leaf_item).then_some(node)
    }

    /// What the items of an array here are, when any of them can be listed.
    fn items(&self, target: Target) -> Option<Target> {
        let node = self.node(target)?;
        if target.is_leaf_item || node.is_one_value() {
            return None;
        }
        match node.item {
            Some(ix) => Some(Target { ix, is_item: true, is_leaf_item: false }),
            None if node.field.is_some() => Some(Target { is_leaf_item: true, ..target }),
            None => None,
        }
    }

    /// Writes a scalar on the tape when it is listed.
    #[inline]
    fn note(&mut self, target: Target, what: What, (start, end): (usize, usize)) {
        let Some(node) = self.node(target) else { return };
        // Where only parts are listed, nothing but `null` can stand for the container.
        let is_noted = node.field.is_some() || what == What::Null;
        self.has_skipped |= !is_noted;
        if is_noted {
            let is_item = target.is_item || target.is_leaf_item;
            self.push(Entry {
                what,
                is_item,
                node: target.ix,
                start: narrow(start),
                end: narrow(end),
            });
        }
    }

    /// Writes a container that is one value, and ends here, on the tape.
    fn note_container(&mut self, target: Target, start: usize) {
        let Some(node) = self.node(target) else { return };
        // Where one scalar is listed a container is never written.
        self.has_skipped |= target.is_leaf_item || !node.is_one_value();
        if node.field.is_some() && !target.is_leaf_item {
            self.note(target, What::Container, (start, self.pos));
        }
    }

    /// Writes an opening bracket on the tape and returns its place there.
    fn note_open(&mut self, target: Target, what: What) -> Option<usize> {
        let at = self.index.as_ref()?.tape.len();
        let is_item = target.is_item;
        self.push(Entry { what, is_item, node: target.ix, start: 0, end: 0 });
        Some(at)
    }

    /// Writes the closing bracket of the one at `at`, and links them.
    fn note_close(&mut self, at: usize, what: What) {
        let Some(index) = &mut self.index else { return };
        let past = narrow(index.tape.len() - at);
        if let Some(opening) = index.tape.get_mut(at) {
            opening.end = past;
            let node = opening.node;
            index.tape.push(Entry { what, is_item: false, node, start: 0, end: 0 });
        }
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        if let Some(index) = &mut self.index {
            index.tape.push(entry);
        }
    }
}

/// Places fit in 32 bits: the reader never parses more than [`super::Limits::MAX_RECORD`].
#[inline]
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

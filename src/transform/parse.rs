//! Reads one JSON value strictly and notes where its listed parts are.

use super::batch::Entry;
use super::batch::What;
use super::error::Malformed;
use super::escape::hex4;
use super::names::Names;
use super::shape::Node;
use super::shape::NodeIx;
use super::shape::Shape;

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
}

/// Where on the tape a value belongs.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// Nowhere: it is unlisted, or part of a value that is one.
    Nowhere,
    /// A member, or with `is_item` an item with members or a field of its own.
    Node { ix: NodeIx, node: &'a Node, is_item: bool },
    /// An item of an array that stands where a field is listed: scalars count, containers do not.
    LeafItem { ix: NodeIx },
}

/// The span of a string's inside and whether it has escapes.
struct Text {
    start: u32,
    end: u32,
    is_escaped: bool,
}

impl<'a> Parser<'a> {
    /// Reads the record at the current place, which must be an object.
    pub(super) fn record(&mut self, index: &mut Index<'a>) -> Result<(), Stop> {
        let node = index.shape.node(NodeIx::RECORD).ok_or(Malformed::Structure)?;
        self.object(Target::Node { ix: NodeIx::RECORD, node, is_item: true }, Some(index), 0)
    }

    /// Reads any value at the current place and keeps nothing of it.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        self.value(Target::Nowhere, None, 0)
    }

    fn value(
        &mut self,
        target: Target<'a>,
        index: Option<&mut Index<'a>>,
        depth: usize,
    ) -> Result<(), Stop> {
        let start = self.pos;
        match self.next_byte()? {
            b'"' => {
                let text = self.string()?;
                let what = if text.is_escaped { What::EscapedText } else { What::Text };
                note(target, index, what, (text.start, text.end));
                return Ok(());
            }
            b'{' => return self.object(target, index, depth),
            b'[' => return self.array(target, index, depth),
            _ => {}
        }
        let what = self.scalar()?;
        note(target, index, what, (narrow(start), narrow(self.pos)));
        Ok(())
    }

    fn scalar(&mut self) -> Result<What, Stop> {
        match self.next_byte()? {
            b'-' | b'0'..=b'9' => self.number().map(|()| What::Number),
            b't' => self.word(b"true").map(|()| What::Bool),
            b'f' => self.word(b"false").map(|()| What::Bool),
            b'n' => self.word(b"null").map(|()| What::Null),
            b'}' | b']' | b',' | b':' => Err(Malformed::Structure.into()),
            _ => Err(Malformed::Literal.into()),
        }
    }

    fn object(
        &mut self,
        target: Target<'a>,
        mut index: Option<&mut Index<'a>>,
        depth: usize,
    ) -> Result<(), Stop> {
        let start = self.pos;
        self.open(depth)?;
        let mark = self.names.mark();
        let inside = target.members();
        let opened =
            inside.and_then(|(ix, _)| open(index.as_deref_mut(), ix, target, What::OpenObject));
        if self.after_space()? != b'}' {
            loop {
                let key = self.key(mark)?;
                let member = match (inside, &index) {
                    (Some((_, node)), Some(index)) => self.member(node, index.shape, key),
                    _ => Target::Nowhere,
                };
                self.value(member, index.as_deref_mut(), depth + 1)?;
                match self.after_space()? {
                    b',' => self.pos += 1,
                    b'}' => break,
                    _ => return Err(Malformed::Structure.into()),
                }
                if self.after_space()? != b'"' {
                    return Err(Malformed::Structure.into());
                }
            }
        }
        self.pos += 1;
        self.names.close(self.text, mark)?;
        match opened {
            Some(at) => close(index, at, What::CloseObject),
            None => note_container(target, index, (narrow(start), narrow(self.pos))),
        }
        Ok(())
    }

    /// Reads a name and its colon; returns the fingerprint and the span, `None` when it has
    /// escapes.
    fn key(&mut self, mark: usize) -> Result<(u64, Option<(u32, u32)>), Stop> {
        if self.next_byte()? != b'"' {
            return Err(Malformed::Structure.into());
        }
        let text = self.string()?;
        let span = (text.start, text.end);
        let key = if text.is_escaped {
            (self.names.add_escaped(self.text, mark, span)?, None)
        } else {
            (self.names.add(self.text, mark, span)?, Some(span))
        };
        if self.after_space()? != b':' {
            return Err(Malformed::Structure.into());
        }
        self.pos += 1;
        self.after_space()?;
        Ok(key)
    }

    #[inline]
    fn member(
        &self,
        node: &Node,
        shape: &'a Shape,
        (print, span): (u64, Option<(u32, u32)>),
    ) -> Target<'a> {
        let name = match span {
            Some((start, end)) => self.text.get(start as usize..end as usize).unwrap_or_default(),
            None => self.names.last(self.text),
        };
        let found = shape.member(node, print, name);
        let with_node = found.and_then(|ix| Some((ix, shape.node(ix)?)));
        with_node.map_or(Target::Nowhere, |(ix, node)| Target::Node { ix, node, is_item: false })
    }

    fn array(
        &mut self,
        target: Target<'a>,
        mut index: Option<&mut Index<'a>>,
        depth: usize,
    ) -> Result<(), Stop> {
        let start = self.pos;
        self.open(depth)?;
        let item = match &index {
            Some(index) => target.items(index.shape),
            None => None,
        };
        let opened =
            item.and_then(|(ix, _)| open(index.as_deref_mut(), ix, target, What::OpenArray));
        if self.after_space()? != b']' {
            let item = item.map_or(Target::Nowhere, |(_, item)| item);
            loop {
                self.value(item, index.as_deref_mut(), depth + 1)?;
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
            Some(at) => close(index, at, What::CloseArray),
            None => note_container(target, index, (narrow(start), narrow(self.pos))),
        }
        Ok(())
    }

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
        let mut is_escaped = false;
        self.pos = start;
        loop {
            let rest = self.text.get(self.pos..).unwrap_or_default();
            let (at, byte) = special(rest).ok_or(Stop::More)?;
            self.pos += at;
            match byte {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    self.escape()?;
                }
                _ => return Err(Malformed::Control.into()),
            }
        }
        let end = self.pos;
        self.pos += 1;
        Ok(Text { start: narrow(start), end: narrow(end), is_escaped })
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
        let digits = digits.get(..4).ok_or(Stop::More)?;
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

impl<'a> Target<'a> {
    /// The node whose members an object here has, when any of them can be listed.
    fn members(self) -> Option<(NodeIx, &'a Node)> {
        match self {
            Self::Node { ix, node, .. } if node.has_members() || ix == NodeIx::RECORD => {
                Some((ix, node))
            }
            _ => None,
        }
    }

    /// What the items of an array here are, when any of them can be listed.
    fn items(self, shape: &'a Shape) -> Option<(NodeIx, Self)> {
        let Self::Node { ix, node, .. } = self else { return None };
        if node.is_one_value() {
            return None;
        }
        match node.item {
            Some(item) => {
                let node = shape.node(item)?;
                Some((ix, Self::Node { ix: item, node, is_item: true }))
            }
            None => node.field.map(|_| (ix, Self::LeafItem { ix })),
        }
    }
}

/// Writes a scalar on the tape when it is listed.
#[inline]
fn note(target: Target<'_>, index: Option<&mut Index<'_>>, what: What, (start, end): (u32, u32)) {
    let Some(index) = index else { return };
    let (node, is_item) = match target {
        // Where only parts are listed, nothing but `null` can stand for the container.
        Target::Node { ix, node, is_item } if node.field.is_some() || what == What::Null => {
            (ix, is_item)
        }
        Target::LeafItem { ix } => (ix, true),
        _ => return,
    };
    index.tape.push(Entry { what, is_item, node, start, end });
}

/// Writes a container that is one value on the tape.
fn note_container(target: Target<'_>, index: Option<&mut Index<'_>>, (start, end): (u32, u32)) {
    let (Target::Node { ix, node, is_item }, Some(index)) = (target, index) else { return };
    if node.field.is_some() {
        index.tape.push(Entry { what: What::Container, is_item, node: ix, start, end });
    }
}

/// Writes an opening bracket on the tape and returns its place there.
fn open(
    index: Option<&mut Index<'_>>,
    node: NodeIx,
    target: Target<'_>,
    what: What,
) -> Option<usize> {
    let index = index?;
    let is_item = matches!(target, Target::Node { is_item: true, .. });
    index.tape.push(Entry { what, is_item, node, start: 0, end: 0 });
    Some(index.tape.len() - 1)
}

/// Writes the closing bracket of the one at `at`, and links them.
fn close(index: Option<&mut Index<'_>>, at: usize, what: What) {
    let Some(index) = index else { return };
    let past = narrow(index.tape.len() - at);
    if let Some(opening) = index.tape.get_mut(at) {
        opening.end = past;
        let node = opening.node;
        index.tape.push(Entry { what, is_item: false, node, start: 0, end: 0 });
    }
}

/// The first byte of a string's inside that is not plain: a quote, a backslash or a control
/// character.
#[inline]
fn special(text: &[u8]) -> Option<(usize, u8)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let (words, tail) = text.as_chunks::<8>();
    let mut at = 0;
    for word in words.iter().take(WORDS) {
        let word = u64::from_le_bytes(*word);
        // A byte that is zero in `x` borrows in `x - ONES`; bytes above the first such one may
        // be marked wrongly, so only the lowest mark counts.
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let marks = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGH;
        if marks != 0 {
            at += marks.trailing_zeros() as usize / 8;
            return Some((at, *text.get(at)?));
        }
        at += 8;
    }
    let rest = if words.len() <= WORDS { tail } else { text.get(at..)? };
    let found = if rest.len() < 8 {
        rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?
    } else {
        let until = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let plain = rest.get(..until)?;
        // Over the whole span without a way out early, so that it becomes vector code.
        if plain.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
            plain.iter().position(|byte| *byte < 0x20)?
        } else {
            until
        }
    };
    at += found;
    Some((at, *text.get(at)?))
}

/// Places fit in 32 bits: the reader never parses more than [`super::Limits::MAX_RECORD`].
#[inline]
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Strings up to this many words of eight bytes are scanned by word, longer ones by `memchr`.
const WORDS: usize = 4;

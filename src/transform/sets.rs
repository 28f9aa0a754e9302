//! Finds the records of several data sets in one answer that arrives in pieces.
//!
//! The objects around the records are walked here and written anew; each place's records are read
//! by a reader of their own. What is written does not depend on how the answer was cut, and
//! every place is written whether the store has it or not.

use super::around;
use super::batch::Batch;
use super::error::Malformed;
use super::error::TransformError;
use super::escape;
use super::names::Names;
use super::parse::Parser;
use super::parse::Stop;
use super::places;
use super::places::Member;
use super::places::Object;
use super::places::Place;
use super::seek::Seek;
use super::shape::Shape;
use super::state::Limits;
use super::state::Progress;
use crate::catalog::Records;
use crate::catalog::Selector;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Reads an answer with the records of several data sets side by side.
pub struct SetReader {
    /// The route's own records first.
    places: Vec<Place>,
    around: Vec<Vec<Box<str>>>,
    limits: Limits,
    /// What was pushed and not yet read, from `pos`.
    buffer: Vec<u8>,
    pos: usize,
    /// Bytes of the answer before `buffer`.
    before: u64,
    has_ended: bool,
    at: At,
    /// The objects around the records that are open, from the root.
    open: Vec<Object>,
    /// The member that is read.
    name: Box<str>,
    member: Member,
    seek: Option<Seek>,
    names: Names,
    /// Bytes of names remembered.
    name_bytes: usize,
    /// Takes the records of places that are not shown.
    spare: Batch,
    text: Text,
    current: usize,
    failure: Option<TransformError>,
}

/// What is written around the records of a batch.
#[derive(Debug, Default)]
pub struct Text {
    /// Before its first record.
    pub before: Vec<u8>,
    /// After its last.
    pub after: Vec<u8>,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    AfterMember,
    Colon,
    FirstName,
    Name,
    Records(usize),
    Root,
    Trailing,
    Value,
}

/// What stopped the reader for now.
enum Halt {
    Failed(TransformError),
    Full,
    Needs,
}

impl From<TransformError> for Halt {
    fn from(error: TransformError) -> Self {
        Self::Failed(error)
    }
}

/// Where a link leads on the gateway.
type Route<'a> = &'a dyn Fn(&str) -> Option<String>;

impl SetReader {
    /// A reader of records in `places`, the route's own first, each with the shape of its records
    /// and whether any of them may be shown.
    pub fn new<'a>(
        places: impl Iterator<Item = (&'a Selector, Arc<Shape>, bool)>,
        limits: Limits,
    ) -> Self {
        let mut around = Vec::new();
        let place = |(selector, shape, is_shown): (&Selector, Arc<Shape>, bool)| {
            for path in &selector.around {
                around.push(path.split('.').map(Into::into).collect());
            }
            Place::new(selector, shape, (limits, is_shown))
        };
        Self {
            places: places.map(place).collect(),
            around,
            limits: limits.bounded(),
            buffer: Vec::new(),
            pos: 0,
            before: 0,
            has_ended: false,
            at: At::Root,
            open: Vec::new(),
            name: "".into(),
            member: Member::Other,
            seek: None,
            names: Names::default(),
            name_bytes: 0,
            spare: Batch::new(SPARE_RECORDS, SPARE_BYTES),
            text: Text::default(),
            current: 0,
            failure: None,
        }
    }

    /// Adds the next piece of the answer, when [`Self::read`] asks with [`Progress::NeedMore`].
    pub fn push(&mut self, piece: &[u8]) {
        self.before += u64::try_from(self.pos).unwrap_or(u64::MAX);
        self.buffer.drain(..self.pos);
        self.pos = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// Says that no piece follows.
    pub fn end_of_input(&mut self) {
        self.has_ended = true;
    }

    /// The place whose records the batch holds.
    pub fn place(&self) -> usize {
        self.current
    }

    /// Takes what is to be written around the records of the batch.
    pub fn take_text(&mut self) -> Text {
        std::mem::take(&mut self.text)
    }

    /// Moves complete records of one place into `batch`, which is full when another place begins.
    ///
    /// # Errors
    ///
    /// The answer is not strict JSON, or not what the selectors say. Nothing of the batch may then
    /// be released, and every later call returns the same error.
    pub fn read(
        &mut self,
        batch: &mut Batch,
        route: Route<'_>,
    ) -> Result<Progress, TransformError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        loop {
            match self.step(batch, route) {
                Ok(true) => {}
                Ok(false) => return Ok(Progress::End),
                Err(Halt::Full) => return Ok(Progress::BatchFull),
                Err(Halt::Needs) => return Ok(Progress::NeedMore),
                Err(Halt::Failed(failure)) => {
                    self.failure = Some(failure);
                    return Err(failure);
                }
            }
        }
    }

    /// Reads one token or value; false at the end.
    fn step(&mut self, batch: &mut Batch, route: Route<'_>) -> Result<bool, Halt> {
        let is_after = !batch.is_empty();
        let at = self.at;
        self.at = match at {
            At::Root => {
                self.expect_object()?;
                self.enter("".into(), is_after)
            }
            At::FirstName | At::AfterMember if self.token()? == b'}' => self.close(is_after)?,
            At::AfterMember => {
                self.take(b',')?;
                At::Name
            }
            At::FirstName | At::Name => self.name()?,
            At::Colon => {
                self.take(b':')?;
                At::Value
            }
            At::Value => self.value(batch, route)?,
            At::Records(place) => self.records(place, batch)?,
            At::Trailing => {
                return match self.peek() {
                    Some(_) => Err(self.malformed(Malformed::Trailing).into()),
                    None if self.has_ended => Ok(false),
                    None => Err(Halt::Needs),
                };
            }
        };
        Ok(true)
    }

    /// Opens an object around records.
    fn enter(&mut self, name: Box<str>, is_after: bool) -> At {
        self.pos += 1;
        self.write(is_after, b"{");
        self.open.push(Object::new(name));
        At::FirstName
    }

    /// Ends an object, and writes what the store does not have of it.
    fn close(&mut self, is_after: bool) -> Result<At, Halt> {
        let path: Vec<Box<str>> = self.path().cloned().collect();
        if self.places.first().is_some_and(|own| !own.is_seen && own.steps.starts_with(&path)) {
            return Err(TransformError::NoRecords.into());
        }
        let missing = places::take_missing(&mut self.places, &path);
        let mut text = Vec::new();
        let is_first = self.open.last().is_some_and(|object| !object.is_written_to);
        places::write_missing(&missing, 0, is_first, &mut text);
        text.push(b'}');
        self.write(is_after, &text);
        self.open.pop();
        self.pos += 1;
        Ok(if self.open.is_empty() { At::Trailing } else { At::AfterMember })
    }

    /// The names of the open objects below the root.
    fn path(&self) -> impl Iterator<Item = &Box<str>> {
        self.open.iter().skip(1).map(|object| &object.name)
    }

    fn name(&mut self) -> Result<At, Halt> {
        if self.token()? != b'"' {
            return Err(self.malformed(Malformed::Structure).into());
        }
        let end = self.whole_value()?;
        let raw = self.buffer.get(self.pos + 1..end.saturating_sub(1)).unwrap_or_default();
        let mut plain = Vec::with_capacity(raw.len());
        escape::unescape(raw, &mut plain);
        self.name_bytes += plain.len() + PER_NAME;
        if self.name_bytes > self.limits.record_bytes {
            return Err(self.too_long().into());
        }
        let is_new =
            self.open.last_mut().is_some_and(|object| object.names.insert(plain.as_slice().into()));
        if !is_new {
            return Err(self.malformed(Malformed::DuplicateName).into());
        }
        let name = String::from_utf8(plain).map_err(|_| self.malformed(Malformed::NotUtf8))?;
        self.name = name.into();
        let mut path: Vec<Box<str>> = self.path().cloned().collect();
        path.push(self.name.clone());
        self.member = Member::at(&path, &self.places, &self.around);
        self.pos = end;
        Ok(At::Colon)
    }

    fn value(&mut self, batch: &Batch, route: Route<'_>) -> Result<At, Halt> {
        let is_after = !batch.is_empty();
        match (self.member, self.token()?) {
            (Member::Inside { .. }, b'{') => {
                self.write_name(is_after);
                return Ok(self.enter(self.name.clone(), is_after));
            }
            (Member::Inside { must: true }, first) if first != b'n' => self.expect_object()?,
            (Member::Place(place), first) => return self.begin(place, first, batch),
            _ => {}
        }
        let end = self.whole_value()?;
        let value = self.buffer.get(self.pos..end).unwrap_or_default();
        let is_scalar = !matches!(value.first(), None | Some(b'{' | b'['));
        if self.member == Member::Kept && is_scalar {
            let mut text = Vec::with_capacity(value.len());
            around::write_scalar(value, route, &mut text);
            self.write_name(is_after);
            self.write(is_after, &text);
        }
        self.pos = end;
        Ok(At::AfterMember)
    }

    /// Begins with the records of a place.
    fn begin(&mut self, at: usize, first: u8, batch: &Batch) -> Result<At, Halt> {
        if !batch.is_empty() {
            return Err(Halt::Full);
        }
        let Some(place) = self.places.get(at) else { return Err(Halt::Needs) };
        let (records, is_shown) = (place.records, place.is_shown);
        let next = match (records, first) {
            (Records::One, b'n') => {
                self.pos = self.whole_value()?;
                At::AfterMember
            }
            (Records::One, b'{') | (Records::Each, b'[') => At::Records(at),
            (Records::One, _) => return Err(self.shape("a record, which is an object").into()),
            (Records::Each, _) => return Err(self.shape("an array of records").into()),
        };
        if !is_shown {
            // Written at the end of its object, as if the store had nothing there: where it stands
            // would tell that it has.
            return Ok(next);
        }
        if let Some(place) = self.places.get_mut(at) {
            place.is_seen = true;
        }
        self.current = at;
        self.write_name(false);
        match (records, next) {
            (Records::Each, _) => self.write(false, b"["),
            (Records::One, At::Records(_)) => {}
            (Records::One, _) => self.write(false, b"null"),
        }
        Ok(next)
    }

    /// Reads on in the records of a place.
    fn records(&mut self, at: usize, batch: &mut Batch) -> Result<At, Halt> {
        loop {
            let Some(place) = self.places.get_mut(at) else { return Err(Halt::Needs) };
            let progress = if place.is_shown {
                place.reader.read(batch)?
            } else {
                self.spare.clear();
                place.reader.read(&mut self.spare)?
            };
            match progress {
                Progress::BatchFull if place.is_shown => return Err(Halt::Full),
                Progress::BatchFull => continue,
                Progress::End => {
                    if place.records == Records::Each && place.is_shown {
                        self.write(!batch.is_empty(), b"]");
                    }
                    return Ok(At::AfterMember);
                }
                Progress::NeedMore => {}
            }
            let rest = self.buffer.get(self.pos..).unwrap_or_default();
            if rest.is_empty() {
                return Err(self.needs());
            }
            let seek = self.seek.get_or_insert_default();
            let is_complete = seek.is_complete(rest);
            let length = std::mem::take(&mut seek.looked_at);
            place.reader.push(Bytes::copy_from_slice(rest.get(..length).unwrap_or_default()));
            self.pos += length;
            if is_complete {
                self.seek = None;
                place.reader.end_of_input();
            }
        }
    }

    /// Where the value at the current place ends, once it is there and checked.
    fn whole_value(&mut self) -> Result<usize, Halt> {
        let limit = self.limits.record_bytes;
        let rest = self.buffer.get(self.pos..).unwrap_or_default();
        let is_scalar = !matches!(rest.first(), Some(b'"' | b'{' | b'['));
        let seek = self.seek.get_or_insert_default();
        let is_complete = seek.is_complete(rest);
        // Of a scalar the end is seen by what follows.
        let length = seek.looked_at - usize::from(is_scalar && is_complete);
        if length > limit {
            return Err(self.too_long().into());
        }
        if !is_complete {
            return Err(self.needs());
        }
        self.seek = None;
        let text = rest.get(..length).unwrap_or_default();
        self.names.clear();
        let mut parser = Parser {
            text,
            pos: 0,
            is_whole: true,
            max_depth: self.limits.depth.saturating_sub(self.open.len()),
            names: &mut self.names,
            index: None,
            has_skipped: false,
            unlisted: None,
        };
        let skipped = parser.skip();
        let is_all = parser.pos == length;
        let what = match skipped {
            Ok(()) if !is_all => Some(Malformed::Structure),
            Ok(()) if std::str::from_utf8(text).is_err() => Some(Malformed::NotUtf8),
            Ok(()) => None,
            Err(Stop::Bad(what)) => Some(what),
            Err(Stop::More) => Some(Malformed::Structure),
        };
        match what {
            Some(what) => Err(self.malformed(what).into()),
            None => Ok(self.pos + length),
        }
    }

    /// Writes the name of the member that is read, with the comma before it.
    fn write_name(&mut self, is_after: bool) {
        let Some(object) = self.open.last_mut() else { return };
        let is_first = !std::mem::replace(&mut object.is_written_to, true);
        let mut text = Vec::with_capacity(self.name.len() + 4);
        places::push_name(&self.name, is_first, &mut text);
        self.write(is_after, &text);
    }

    fn write(&mut self, is_after: bool, text: &[u8]) {
        let out = if is_after { &mut self.text.after } else { &mut self.text.before };
        out.extend_from_slice(text);
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.buffer.get(self.pos) {
            self.pos += 1;
        }
        self.buffer.get(self.pos).copied()
    }

    /// As [`Self::peek`], where the answer cannot end.
    fn token(&mut self) -> Result<u8, Halt> {
        match self.peek() {
            Some(0xEF) => Err(self.malformed(Malformed::Bom).into()),
            Some(byte) => Ok(byte),
            None => Err(self.needs()),
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Halt> {
        if self.token()? != wanted {
            return Err(self.malformed(Malformed::Structure).into());
        }
        self.pos += 1;
        Ok(())
    }

    fn expect_object(&mut self) -> Result<(), Halt> {
        match self.token()? {
            b'{' => Ok(()),
            b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                Err(self.shape("an object").into())
            }
            _ => Err(self.malformed(Malformed::Structure).into()),
        }
    }

    fn needs(&self) -> Halt {
        if self.has_ended {
            TransformError::Truncated { record: self.count() }.into()
        } else {
            Halt::Needs
        }
    }

    fn shape(&self, expected: &'static str) -> TransformError {
        TransformError::Shape { record: self.count(), byte: self.byte(), expected }
    }

    fn malformed(&self, what: Malformed) -> TransformError {
        TransformError::Malformed { record: self.count(), byte: self.byte(), what }
    }

    fn too_long(&self) -> TransformError {
        TransformError::TooLong { record: self.count(), limit: self.limits.record_bytes }
    }

    fn byte(&self) -> u64 {
        self.before + u64::try_from(self.pos).unwrap_or(u64::MAX)
    }

    fn count(&self) -> u64 {
        self.places.iter().map(|place| place.reader.records()).sum()
    }
}

impl fmt::Debug for SetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetReader").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

/// What a remembered name costs beside its bytes.
const PER_NAME: usize = 32;
/// Records that are read and not shown, at a time.
const SPARE_RECORDS: usize = 64;
/// Bytes of them.
const SPARE_BYTES: usize = 64 * 1024;

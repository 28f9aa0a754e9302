//! Finds the records of an answer that arrives in pieces.

mod lines;
mod rows;

use self::rows::Rows;
use super::around::Around;
use super::batch::Batch;
use super::columns::Columns;
use super::error::Malformed;
use super::error::TransformError;
use super::names::Names;
use super::parse::Index;
use super::parse::Parser;
use super::parse::Stop;
use super::seek::Seek;
use super::shape::Shape;
use super::state::Format;
use super::state::Halt;
use super::state::Limits;
use super::state::Member;
use super::state::Progress;
use super::state::State;
use super::unlisted::Unlisted;
use crate::catalog::Records;
use crate::catalog::Selector;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Reads the records of one answer, in memory bounded by the largest one.
///
/// What it finds does not depend on how the answer was cut into pieces.
pub struct Reader {
    format: Format,
    steps: Vec<Box<str>>,
    records: Records,
    shape: Arc<Shape>,
    limits: Limits,
    /// What was pushed and not yet read, from `pos`.
    buffer: Vec<u8>,
    pos: usize,
    /// Bytes of the answer before `buffer`.
    before: u64,
    /// Records read.
    count: u64,
    has_ended: bool,
    state: State,
    /// The search for the end of a value that is not complete yet.
    seek: Option<Seek>,
    names: Names,
    rows: Rows,
    around: Around,
    /// Whether anything stood around the records that is not passed on.
    has_skipped: bool,
    /// Where members that are not listed are told.
    unlisted: Option<Unlisted>,
    failure: Option<TransformError>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("format", &self.format)
            .field("state", &self.state)
            .field("records", &self.count)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of an answer in `format`, with its records where `selector` says.
    pub fn new(format: Format, selector: &Selector, shape: Arc<Shape>, limits: Limits) -> Self {
        let state = match format {
            Format::Csv => State::Row,
            Format::Json => State::Target { level: 0 },
            Format::Ndjson => State::Line,
        };
        let is_bare = selector.steps.is_empty()
            && (format != Format::Csv || selector.records == Records::Each);
        Self {
            format,
            steps: selector.steps.clone(),
            records: selector.records,
            shape,
            limits: limits.bounded(),
            buffer: Vec::new(),
            pos: 0,
            before: 0,
            count: 0,
            has_ended: false,
            state,
            seek: None,
            names: Names::default(),
            rows: Rows::default(),
            around: Around::new(selector),
            has_skipped: false,
            unlisted: None,
            failure: (format != Format::Json && !is_bare).then_some(TransformError::Unselectable),
        }
    }

    /// Tells members that are not listed to `unlisted`, which comes back with
    /// [`Self::unlisted`].
    pub fn watch(&mut self, unlisted: Unlisted) {
        self.unlisted = Some(unlisted);
    }

    /// What was told since it was last emptied; nothing when nobody asked or there is nothing.
    pub fn unlisted(&mut self) -> Option<&mut Unlisted> {
        self.unlisted.as_mut().filter(|unlisted| !unlisted.is_empty())
    }

    /// Adds the next piece of the answer. To keep memory bounded, push only when
    /// [`Self::read`] asks with [`Progress::NeedMore`].
    #[expect(clippy::needless_pass_by_value, reason = "pieces are handed over, not lent")]
    pub fn push(&mut self, piece: Bytes) {
        if self.pos > 0 {
            self.before += u64::try_from(self.pos).unwrap_or(u64::MAX);
            self.buffer.drain(..self.pos);
            self.pos = 0;
        }
        self.buffer.extend_from_slice(&piece);
    }

    /// Says that no piece follows. An answer that is cut off is an error from then on.
    pub fn end_of_input(&mut self) {
        self.has_ended = true;
    }

    /// Bytes pushed and not yet moved into a batch.
    pub fn held(&self) -> usize {
        self.buffer.len() - self.pos
    }

    /// How many bytes of the answer were read: those of all records in batches, and of what stands
    /// before them.
    pub fn consumed(&self) -> u64 {
        self.byte(self.pos)
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.count
    }

    /// The columns of CSV, once the header row is read.
    pub fn columns(&self) -> Option<&Arc<Columns>> {
        self.rows.columns()
    }

    /// The members beside the records that are passed on; complete after [`Progress::End`].
    pub fn around(&self) -> &Around {
        &self.around
    }

    /// Says where the links among them lead: see [`Around::reroute`].
    pub fn reroute(&mut self, route: impl Fn(&str) -> Option<String>) {
        self.around.reroute(route);
    }

    /// Whether members stood around the records that are not passed on; known at the end.
    pub fn has_skipped(&self) -> bool {
        self.has_skipped
    }

    /// Moves complete records into `batch`.
    ///
    /// # Errors
    ///
    /// The answer is not strict JSON, or not what the selector says. Nothing of the batch may
    /// then be released, and every later call returns the same error.
    pub fn read(&mut self, batch: &mut Batch) -> Result<Progress, TransformError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        loop {
            if self.state == State::Trailing && self.at_end()? {
                return Ok(Progress::End);
            }
            if batch.is_full() {
                return Ok(Progress::BatchFull);
            }
            match self.step(batch) {
                Ok(Some(next)) => self.state = next,
                Ok(None) => return Ok(Progress::End),
                Err(Halt::Needs) => return Ok(Progress::NeedMore),
                Err(Halt::Failed(failure)) => {
                    self.failure = Some(failure);
                    return Err(failure);
                }
            }
        }
    }

    /// Whether only white space is left, and the answer has ended.
    fn at_end(&mut self) -> Result<bool, TransformError> {
        if self.peek().is_err() {
            return Ok(self.has_ended);
        }
        let failure = self.malformed(self.pos, Malformed::Trailing);
        self.failure = Some(failure);
        Err(failure)
    }

    /// Reads one token or value and says what is expected after it; `None` at the end.
    fn step(&mut self, batch: &mut Batch) -> Result<Option<State>, Halt> {
        let state = self.state;
        let next = match state {
            State::Line => return self.line(batch),
            State::Row => return self.row(batch),
            State::Trailing => return Err(Halt::Needs),
            State::Target { level } if level < self.steps.len() => {
                self.expect(b'{', "an object")?;
                State::FirstName { level }
            }
            State::Target { .. } if self.records == Records::Each => {
                self.expect(b'[', "an array of records")?;
                State::FirstItem
            }
            State::Target { .. } => {
                self.record(batch)?;
                self.after_target()
            }
            State::FirstName { level } if self.token()? == b'}' => self.close(level)?,
            State::FirstName { level } | State::Name { level } => self.name(level)?,
            State::Colon { level, member } => {
                self.take(b':')?;
                match member {
                    Member::Step => State::Target { level: level + 1 },
                    Member::Beside { kept } => State::OtherValue { level, kept },
                }
            }
            State::OtherValue { level, kept } => {
                self.beside(level, kept)?;
                State::AfterMember { level }
            }
            State::AfterMember { level } if self.token()? == b'}' => self.close(level)?,
            State::AfterMember { level } => {
                self.take(b',')?;
                State::Name { level }
            }
            State::FirstItem | State::AfterItem if self.token()? == b']' => {
                self.pos += 1;
                self.after_target()
            }
            State::AfterItem => {
                self.take(b',')?;
                State::NextItem
            }
            State::FirstItem | State::NextItem => {
                self.record(batch)?;
                State::AfterItem
            }
        };
        Ok(Some(next))
    }

    fn after_target(&self) -> State {
        match self.steps.len().checked_sub(1) {
            Some(level) => State::AfterMember { level },
            None => State::Trailing,
        }
    }

    /// Ends the object around the records at `level`.
    fn close(&mut self, level: usize) -> Result<State, Halt> {
        if !self.around.close(level) {
            return Err(TransformError::NoRecords.into());
        }
        self.pos += 1;
        Ok(match level.checked_sub(1) {
            Some(level) => State::AfterMember { level },
            None => State::Trailing,
        })
    }

    fn name(&mut self, level: usize) -> Result<State, Halt> {
        if self.token()? != b'"' {
            return Err(self.malformed(self.pos, Malformed::Structure).into());
        }
        let end = self.skip(level + 1)?;
        let start = self.pos;
        let raw = self.buffer.get(start + 1..end - 1).unwrap_or_default();
        let step = self.steps.get(level).map_or("", |step| step);
        let limit = self.limits.record_bytes;
        match self.around.name(level, raw, limit) {
            Ok(name) => {
                let is_step = name.text == step.as_bytes();
                let beside = Member::Beside { kept: name.kept };
                self.pos = end;
                let member = if is_step { Member::Step } else { beside };
                if is_step {
                    self.around.found(level);
                }
                Ok(State::Colon { level, member })
            }
            Err(Some(what)) => Err(self.malformed(start, what).into()),
            Err(None) => Err(TransformError::TooLong { record: self.count, limit }.into()),
        }
    }

    /// Reads a member beside the way to the records.
    fn beside(&mut self, level: usize, kept: Option<usize>) -> Result<(), Halt> {
        self.token()?;
        let end = self.skip(level + 1)?;
        let is_kept = match (kept, self.buffer.get(self.pos..end)) {
            (Some(kept), Some(value)) => self.around.keep((level, kept), value),
            _ => false,
        };
        self.has_skipped |= !is_kept;
        self.pos = end;
        Ok(())
    }

    /// Reads a record into the batch.
    fn record(&mut self, batch: &mut Batch) -> Result<(), Halt> {
        self.is_next(b'{', A_RECORD)?;
        self.wait_for_value()?;
        let until = self.buffer.len().min(self.pos.saturating_add(self.limits.record_bytes));
        let text = self.buffer.get(self.pos..until).unwrap_or_default();
        let used = self.parse_record(text.len(), false, batch);
        let used = used.or_else(|(at, stop)| self.stopped(at, stop, until))?;
        self.pos += used;
        Ok(())
    }

    /// Parses the record in the `len` bytes at the current place; returns its length.
    fn parse_record(
        &mut self,
        len: usize,
        is_whole: bool,
        batch: &mut Batch,
    ) -> Result<usize, (usize, Stop)> {
        let text = self.buffer.get(self.pos..self.pos + len).unwrap_or_default();
        let depth = self.steps.len() + usize::from(self.records == Records::Each);
        self.names.clear();
        let mut parser = Parser {
            text,
            pos: 0,
            is_whole,
            max_depth: self.limits.depth.saturating_sub(depth),
            names: &mut self.names,
            index: Some(Index { shape: &self.shape, tape: batch.tape() }),
            has_skipped: false,
            unlisted: self.unlisted.as_mut(),
        };
        let parsed = parser.record();
        let (end, has_skipped) = (parser.pos, parser.has_skipped);
        let start = self.before + u64::try_from(self.pos).unwrap_or(u64::MAX);
        let place = (start, start + u64::try_from(end).unwrap_or_default());
        let valid = parsed.and_then(|()| utf8(text.get(..end).unwrap_or_default()));
        match valid {
            Ok(text) => {
                self.unlisted.iter_mut().for_each(Unlisted::commit);
                batch.add(text, &self.shape, (place, has_skipped));
                self.count += 1;
                Ok(end)
            }
            Err(stop) => {
                self.unlisted.iter_mut().for_each(Unlisted::retract);
                batch.retract();
                Err((end, stop))
            }
        }
    }

    /// Checks the value at the current place, keeps nothing of it, and returns where it ends.
    fn skip(&mut self, depth: usize) -> Result<usize, Halt> {
        self.wait_for_value()?;
        let until = self.buffer.len().min(self.pos.saturating_add(self.limits.record_bytes));
        let text = self.buffer.get(self.pos..until).unwrap_or_default();
        self.names.clear();
        let mut parser = Parser {
            text,
            pos: 0,
            is_whole: false,
            max_depth: self.limits.depth.saturating_sub(depth),
            names: &mut self.names,
            index: None,
            has_skipped: false,
            unlisted: None,
        };
        let skipped = parser.skip();
        let end = parser.pos;
        match skipped.and_then(|()| utf8(text.get(..end).unwrap_or_default())) {
            Ok(_) => Ok(self.pos + end),
            Err(stop) => self.stopped(end, stop, until).map(|end| self.pos + end),
        }
    }

    /// When an earlier attempt found the value incomplete, goes on looking for its end.
    fn wait_for_value(&mut self) -> Result<(), Halt> {
        let Some(seek) = &mut self.seek else { return Ok(()) };
        let rest = self.buffer.get(self.pos..).unwrap_or_default();
        let is_too_long = rest.len() >= self.limits.record_bytes;
        if !seek.is_complete(rest) && !is_too_long && !self.has_ended {
            return Err(Halt::Needs);
        }
        self.seek = None;
        Ok(())
    }

    /// What follows from a parser that stopped `at` bytes into the value.
    fn stopped(&mut self, at: usize, stop: Stop, until: usize) -> Result<usize, Halt> {
        match stop {
            Stop::Bad(what) => Err(self.malformed(self.pos + at, what).into()),
            Stop::More if until - self.pos >= self.limits.record_bytes => {
                let limit = self.limits.record_bytes;
                Err(TransformError::TooLong { record: self.count, limit }.into())
            }
            Stop::More if self.has_ended => {
                Err(TransformError::Truncated { record: self.count }.into())
            }
            Stop::More => {
                let mut seek = Seek::default();
                // What looks complete but is not for the parser never will be.
                if seek.is_complete(self.buffer.get(self.pos..until).unwrap_or_default()) {
                    return Err(self.malformed(self.pos + at, Malformed::Structure).into());
                }
                self.seek = Some(seek);
                Err(Halt::Needs)
            }
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Result<u8, Halt> {
        loop {
            match self.buffer.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Halt::Needs),
            }
        }
    }

    /// As [`Self::peek`], where the answer cannot end.
    fn token(&mut self) -> Result<u8, Halt> {
        match self.peek() {
            Err(Halt::Needs) if self.has_ended => {
                Err(TransformError::Truncated { record: self.count }.into())
            }
            Ok(0xEF) => Err(self.malformed(self.pos, Malformed::Bom).into()),
            other => other,
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Halt> {
        if self.token()? != wanted {
            return Err(self.malformed(self.pos, Malformed::Structure).into());
        }
        self.pos += 1;
        Ok(())
    }

    fn expect(&mut self, wanted: u8, what: &'static str) -> Result<(), Halt> {
        self.is_next(wanted, what)?;
        self.pos += 1;
        Ok(())
    }

    /// Checks that the next value starts with `wanted`.
    fn is_next(&mut self, wanted: u8, expected: &'static str) -> Result<(), Halt> {
        match self.token()? {
            found if found == wanted => Ok(()),
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let (record, byte) = (self.count, self.byte(self.pos));
                Err(TransformError::Shape { record, byte, expected }.into())
            }
            _ => Err(self.malformed(self.pos, Malformed::Structure).into()),
        }
    }

    fn byte(&self, at: usize) -> u64 {
        self.before + u64::try_from(at).unwrap_or(u64::MAX)
    }

    fn malformed(&self, at: usize, what: Malformed) -> TransformError {
        TransformError::Malformed { record: self.count, byte: self.byte(at), what }
    }
}

fn utf8(text: &[u8]) -> Result<&str, Stop> {
    std::str::from_utf8(text).map_err(|_| Stop::Bad(Malformed::NotUtf8))
}

/// What an answer consists of.
const A_RECORD: &str = "a record, which is an object";

//! Records that are lines of NDJSON.

use super::A_RECORD;
use super::Reader;
use crate::transform::batch::Batch;
use crate::transform::error::Malformed;
use crate::transform::error::TransformError;
use crate::transform::parse::Stop;
use crate::transform::seek::Seek;
use crate::transform::state::Halt;
use crate::transform::state::State;

impl Reader {
    /// Reads one line of NDJSON.
    pub(super) fn line(&mut self, batch: &mut Batch) -> Result<Option<State>, Halt> {
        let rest = self.buffer.get(self.pos..).unwrap_or_default();
        let looked_at = self.seek.map_or(0, |seek| seek.looked_at);
        let found = memchr::memchr(b'\n', rest.get(looked_at..).unwrap_or_default());
        let (line, is_last) = match found {
            Some(at) => (looked_at + at, false),
            None => (rest.len(), true),
        };
        if line > self.limits.record_bytes {
            let limit = self.limits.record_bytes;
            return Err(TransformError::TooLong { record: self.count, limit }.into());
        }
        if is_last && !self.has_ended {
            self.seek = Some(Seek::after(line));
            return Err(Halt::Needs);
        }
        self.seek = None;
        if is_last && line == 0 {
            return Ok(None);
        }
        let blank = rest.iter().take(line).take_while(|b| b" \t\r".contains(b)).count();
        if blank < line {
            self.pos += blank;
            self.line_record(line - blank, is_last, batch)?;
            self.pos += line - blank;
        } else {
            self.pos += line;
        }
        self.pos += usize::from(!is_last);
        Ok(Some(State::Line))
    }

    /// Reads the record in the `len` bytes at the current place, which are a line.
    fn line_record(&mut self, len: usize, is_last: bool, batch: &mut Batch) -> Result<(), Halt> {
        self.is_next(b'{', A_RECORD)?;
        match self.parse_record(len, true, batch) {
            Ok(end) => {
                let after = self.buffer.get(self.pos + end..self.pos + len).unwrap_or_default();
                match after.iter().position(|byte| !b" \t\r".contains(byte)) {
                    Some(at) => {
                        Err(self.malformed(self.pos + end + at, Malformed::Trailing).into())
                    }
                    None => Ok(()),
                }
            }
            Err((_, Stop::More)) if is_last => {
                Err(TransformError::Truncated { record: self.count }.into())
            }
            Err((at, Stop::More)) => {
                Err(self.malformed(self.pos + at, Malformed::Structure).into())
            }
            Err((at, Stop::Bad(what))) => Err(self.malformed(self.pos + at, what).into()),
        }
    }
}

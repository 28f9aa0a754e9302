//! The members around the records of an answer: which were seen, and which are passed on.

use super::error::Malformed;
use super::escape;
use crate::catalog::Selector;
use std::collections::BTreeSet;
use std::fmt;

/// The members beside the records that a route lists under `around:`.
///
/// Only scalars pass, and only members of the root object; a total is an oracle, so each is the
/// policy author's decision. Complete once the reader has reached the end.
pub struct Around {
    kept: Vec<Kept>,
    levels: Vec<Level>,
    scratch: Vec<u8>,
    /// Bytes of names remembered.
    bytes: usize,
}

struct Kept {
    name: Box<str>,
    value: Option<Box<[u8]>>,
}

/// One object around the records.
#[derive(Default)]
struct Level {
    names: BTreeSet<Box<[u8]>>,
    has_step: bool,
}

/// A member's name, unescaped.
pub(super) struct Name<'a> {
    pub(super) text: &'a [u8],
    /// Its place among the members that are passed on.
    pub(super) kept: Option<usize>,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl Around {
    pub(super) fn new(selector: &Selector) -> Self {
        // Without steps the root is the record or the array itself: nothing stands around it.
        let listed = selector.around.iter().filter(|_| !selector.steps.is_empty());
        Self {
            kept: listed.map(|name| Kept { name: name.clone(), value: None }).collect(),
            levels: Vec::new(),
            scratch: Vec::new(),
            bytes: 0,
        }
    }

    /// Remembers a name as written at `level`. The error is the broken rule, or nothing when all
    /// names together are over `limit` bytes.
    pub(super) fn name(
        &mut self,
        level: usize,
        raw: &[u8],
        limit: usize,
    ) -> Result<Name<'_>, Option<Malformed>> {
        self.scratch.clear();
        escape::unescape(raw, &mut self.scratch);
        self.bytes += self.scratch.len() + PER_NAME;
        if self.bytes > limit {
            return Err(None);
        }
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        let name: &[u8] = &self.scratch;
        let is_new =
            self.levels.get_mut(level).is_some_and(|level| level.names.insert(name.into()));
        if !is_new {
            return Err(Some(Malformed::DuplicateName));
        }
        let position = |kept: &Kept| kept.name.as_bytes() == name;
        let kept = if level == 0 { self.kept.iter().position(position) } else { None };
        Ok(Name { text: name, kept })
    }

    /// Notes that the object at `level` has the member that leads to the records.
    pub(super) fn found(&mut self, level: usize) {
        if let Some(level) = self.levels.get_mut(level) {
            level.has_step = true;
        }
    }

    /// Ends the object at `level`; false when it lacked the member that leads to the records.
    pub(super) fn close(&self, level: usize) -> bool {
        self.levels.get(level).is_some_and(|level| level.has_step)
    }

    /// Keeps a checked value when it is a scalar; false when it is not.
    pub(super) fn keep(&mut self, place: usize, value: &[u8]) -> bool {
        let is_scalar = !matches!(value.first(), None | Some(b'{' | b'['));
        let kept = self.kept.get_mut(place).filter(|_| is_scalar);
        let is_kept = kept.is_some();
        if let Some(kept) = kept {
            kept.value = Some(value.into());
        }
        is_kept
    }

    /// Appends every kept member with a comma before it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for kept in &self.kept {
            let Some(value) = &kept.value else { continue };
            out.extend_from_slice(b",\"");
            escape::escape(kept.name.as_bytes(), out);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
    }
}

/// What a remembered name costs beside its bytes, so that many short ones are bounded too.
const PER_NAME: usize = 32;

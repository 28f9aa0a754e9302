//! The places of several data sets in one answer, and the objects around them.

use super::escape;
use super::reader::Reader;
use super::shape::Shape;
use super::state::Format;
use super::state::Limits;
use crate::catalog::Records;
use crate::catalog::Selector;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where records stand.
pub(super) struct Place {
    pub(super) steps: Vec<Box<str>>,
    pub(super) records: Records,
    pub(super) reader: Reader,
    pub(super) is_shown: bool,
    pub(super) is_seen: bool,
}

impl Place {
    pub(super) fn new(
        selector: &Selector,
        shape: Arc<Shape>,
        (limits, is_shown): (Limits, bool),
    ) -> Self {
        let depth = limits.depth.saturating_sub(selector.steps.len());
        let below = Limits { depth, ..limits };
        let alone = Selector { steps: Vec::new(), records: selector.records, around: Vec::new() };
        Self {
            steps: selector.steps.clone(),
            records: selector.records,
            reader: Reader::new(Format::Json, &alone, shape, below),
            is_shown,
            is_seen: false,
        }
    }
}

/// An object around the records that is open.
pub(super) struct Object {
    pub(super) name: Box<str>,
    pub(super) names: BTreeSet<Box<[u8]>>,
    pub(super) is_written_to: bool,
}

impl Object {
    pub(super) fn new(name: Box<str>) -> Self {
        Self { name, names: BTreeSet::new(), is_written_to: false }
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Member {
    /// An object on the way to records (`must`) or to listed values.
    Inside { must: bool },
    /// A value that is passed on.
    Kept,
    /// Nothing that is listed.
    Other,
    /// Records.
    Place(usize),
}

impl Member {
    /// What stands at `path`.
    pub(super) fn at(path: &[Box<str>], places: &[Place], around: &[Vec<Box<str>>]) -> Self {
        if let Some(place) = places.iter().position(|place| *place.steps == *path) {
            return Self::Place(place);
        }
        if around.iter().any(|kept| **kept == *path) {
            return Self::Kept;
        }
        let must = places.iter().any(|place| place.steps.starts_with(path));
        if must || around.iter().any(|kept| kept.starts_with(path)) {
            return Self::Inside { must };
        }
        Self::Other
    }
}

/// The places below the object at `path` that were not seen, by their steps from there. They
/// count as seen from now.
pub(super) fn take_missing(
    places: &mut [Place],
    path: &[Box<str>],
) -> Vec<(Vec<Box<str>>, Records)> {
    let below = |place: &&mut Place| !place.is_seen && place.steps.starts_with(path);
    let missing = places.iter_mut().filter(below).map(|place| {
        place.is_seen = true;
        (place.steps.iter().skip(path.len()).cloned().collect(), place.records)
    });
    missing.collect()
}

/// Writes places that the store's answer does not have, with the objects around them, as if they
/// held nothing. As deep as the longest selector, which is short.
pub(super) fn write_missing(
    missing: &[(Vec<Box<str>>, Records)],
    level: usize,
    mut is_first: bool,
    out: &mut Vec<u8>,
) {
    let mut written: Vec<&str> = Vec::new();
    for (steps, records) in missing {
        let Some(name) = steps.get(level) else { continue };
        if written.contains(&&**name) {
            continue;
        }
        written.push(name);
        push_name(name, is_first, out);
        is_first = false;
        if steps.len() == level + 1 {
            out.extend_from_slice(if *records == Records::Each { b"[]" } else { b"null" });
            continue;
        }
        let inside: Vec<_> =
            missing.iter().filter(|(steps, _)| steps.get(level) == Some(name)).cloned().collect();
        out.push(b'{');
        write_missing(&inside, level + 1, true, out);
        out.push(b'}');
    }
}

/// Appends a member's name, with the comma before it.
pub(super) fn push_name(name: &str, is_first: bool, out: &mut Vec<u8>) {
    if !is_first {
        out.push(b',');
    }
    out.push(b'"');
    escape::escape(name.as_bytes(), out);
    out.extend_from_slice(b"\":");
}

//! Whole texts at once, for tests of policies and for tools.

use super::batch::Batch;
use super::error::Malformed;
use super::error::TransformError;
use super::names::Names;
use super::parse::Index;
use super::parse::Parser;
use super::parse::Stop;
use super::reader::Reader;
use super::record::Job;
use super::record::Scratch;
use super::seals::Misses;
use super::shape::Shape;
use super::state::Format;
use super::state::Limits;
use super::writer::Showing;
use super::writer::Writer;
use crate::catalog::Records;
use crate::catalog::Selector;
use bytes::Bytes;
use std::sync::Arc;

/// Writes one record, an object in strict JSON, as `showing` says. What does not open is left out.
///
/// # Errors
///
/// `json` is not exactly one record.
pub fn rewrite_one(
    shape: &Arc<Shape>,
    json: &[u8],
    showing: Showing<'_>,
) -> Result<Vec<u8>, TransformError> {
    let selector = Selector { steps: Vec::new(), records: Records::One, around: Vec::new() };
    let limits = Limits { record_bytes: Limits::MAX_RECORD, ..Limits::default() };
    let mut reader = Reader::new(Format::Json, &selector, Arc::clone(shape), limits);
    let mut writer = Writer::new(Format::Json, &selector, Arc::clone(shape));
    let mut batch = Batch::new(1, usize::MAX);
    reader.push(Bytes::copy_from_slice(json));
    reader.end_of_input();
    reader.read(&mut batch)?;
    let mut out = Vec::with_capacity(json.len());
    writer.record(&batch, 0, showing, &mut out);
    Ok(out)
}

/// Appends `record`, an object in strict JSON without white space around it, as `showing` says;
/// nothing when it is no such text. What does not open is left out and returned.
pub(super) fn show(shape: &Shape, record: &str, showing: Showing<'_>, out: &mut Vec<u8>) -> Misses {
    let mut scratch = Scratch::default();
    let (mut names, mut tape) = (Names::default(), Vec::new());
    let mut parser = Parser {
        text: record.as_bytes(),
        pos: 0,
        is_whole: true,
        max_depth: Limits::MAX_DEPTH,
        names: &mut names,
        index: Some(Index { shape, tape: &mut tape }),
        has_skipped: false,
        unlisted: None,
    };
    if parser.record().is_ok() {
        let job = Job { shape, text: record, tape: &tape, showing };
        job.write(&mut scratch, out);
    }
    std::mem::take(&mut scratch.misses)
}

/// Checks that `text` is one JSON value and nothing more, by the rules records are held to.
///
/// # Errors
///
/// The broken rule. A text that ends early is [`Malformed::Structure`].
pub fn validate(text: &[u8]) -> Result<(), Malformed> {
    if text.first_chunk::<3>() == Some(b"\xEF\xBB\xBF") {
        return Err(Malformed::Bom);
    }
    if text.len() > Limits::MAX_RECORD {
        return Err(Malformed::Structure);
    }
    let broken = |stop| match stop {
        Stop::Bad(what) => what,
        Stop::More => Malformed::Structure,
    };
    let mut names = Names::default();
    let mut parser = Parser {
        text,
        pos: 0,
        is_whole: true,
        max_depth: Limits::MAX_DEPTH,
        names: &mut names,
        index: None,
        has_skipped: false,
        unlisted: None,
    };
    parser.after_space().map_err(broken)?;
    parser.skip().map_err(broken)?;
    if parser.after_space().is_ok() {
        return Err(Malformed::Trailing);
    }
    std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8)?;
    Ok(())
}

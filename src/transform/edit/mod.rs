//! Puts together the record a caller wants, out of what the store holds and what the caller sent.
//!
//! A caller sees a record through views, changes something and sends it back. What it sends is
//! compared with what it was shown, never with what it was not: what is equal means "keep", and
//! whether a guess at a hidden value was right shows nowhere. All that is kept stays byte for byte
//! as the store wrote it.
//!
//! What is sealed is opened first and merged like everything else. A sealed value that is kept
//! stays the envelope that is stored; what is set is written by [`seal::Pen`] and no other way.

mod array;
mod change;
mod check;
mod convert;
mod equal;
mod error;
mod fate;
mod free;
mod merge;
mod number;
mod opened;
mod seal;
mod tree;

pub use self::convert::{Conversion, convert};
pub use self::error::EditError;
pub use self::fate::{ConvertError, Converted, Fate, Holder, Move};

use self::change::Change;
use self::merge::Merge;
use self::merge::Three;
use self::opened::Opened;
use self::seal::Pen;
use self::tree::Tree;
use crate::catalog::FieldIx;
use crate::policy::View;
use crate::transform::Plain;
use crate::transform::Pseudonyms;
use crate::transform::Seals;
use crate::transform::Shape;
use crate::transform::Showing;
use crate::transform::rewrite::show;
use std::fmt;

/// A change of one record that the store has.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    /// Where the listed fields stand.
    pub shape: &'a Shape,
    /// The record as the store has it, an object in strict JSON.
    pub stored: &'a str,
    /// What the caller sent, an object in strict JSON.
    pub sent: &'a str,
    /// How the caller is shown each field, by [`FieldIx`]; a field without a view is dropped.
    pub views: &'a [View],
    /// The tokens of the call's purpose.
    pub pseudonyms: &'a dyn Pseudonyms,
    /// Opens what is stored and seals what is set, with the keys of the record's people.
    pub seals: &'a dyn Seals,
    /// Which fields the caller may set, by [`FieldIx`].
    pub writable: &'a [bool],
    /// Fields that never change, whoever asks: which record it is, and whom it is about.
    pub fixed: &'a [FieldIx],
    /// What it means that the caller left something out.
    pub mode: Mode,
    /// Whether the store is known to merge what it is sent in [`Mode::Merge`] (RFC 7396).
    pub store_merges: bool,
}

/// A record that the store does not have yet.
#[derive(Clone, Copy)]
pub struct NewRecord<'a> {
    /// Where the listed fields stand.
    pub shape: &'a Shape,
    /// What the caller sent, an object in strict JSON.
    pub sent: &'a str,
    /// How the caller is shown each field, by [`FieldIx`]: a copy of a masked value is no value.
    pub views: &'a [View],
    /// Seals what is set, with the keys of the record's people.
    pub seals: &'a dyn Seals,
    /// Which fields the caller may set, by [`FieldIx`].
    pub writable: &'a [bool],
}

/// What it means that the caller left something out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// It stays; `null` removes what was shown (PATCH, RFC 7396 of the record as it is shown).
    Merge,
    /// It goes, when the caller was shown it as it is and may set it (PUT). What the caller was
    /// not shown stays.
    Replace,
}

/// What became of a change.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edited {
    /// The fields that the caller sets or removes, in order, each once.
    fields: Vec<FieldIx>,
}

impl Edited {
    /// The fields that the caller sets or removes, in order, each once.
    pub fn fields(&self) -> &[FieldIx] {
        &self.fields
    }

    /// Whether the caller asks for nothing but what it was shown.
    pub fn is_unchanged(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Merges what was sent into what is stored.
///
/// `whole` becomes the record as it will be. `body` becomes what the store is sent: in
/// [`Mode::Replace`] the same, in [`Mode::Merge`] the members of the record that change, each
/// complete, with `null` for what is removed, so that a store that merges and one that assigns
/// members come to the same, but for a stored `null` below such a member: one that merges would
/// remove it, one that assigns would lose it where it is left out. So it is left out exactly where
/// the store is known to merge. When nothing changes `whole` is the stored record and `body` is empty.
///
/// # Errors
///
/// The caller asks for what it may not, or sends what could destroy something it was not shown; or
/// something can be neither opened nor sealed. Then nothing is appended.
pub fn edit(edit: &Edit<'_>, body: &mut Vec<u8>, whole: &mut Vec<u8>) -> Result<Edited, EditError> {
    body.clear();
    whole.clear();
    let edited = merge(edit, body, whole);
    if edited.is_err() {
        body.clear();
        whole.clear();
    }
    edited
}

fn merge(edit: &Edit<'_>, body: &mut Vec<u8>, whole: &mut Vec<u8>) -> Result<Edited, EditError> {
    let sent = record(trim(edit.sent))?;
    let opened = Opened::of(edit.shape, trim(edit.stored), edit.seals)?;
    let mut shown = Vec::new();
    let Edit { views, pseudonyms, seals, .. } = *edit;
    // As a read of the stored record, by the code that reads.
    let showing = Showing { views, pseudonyms, seals };
    if show(edit.shape, trim(edit.stored), showing, &mut shown).is_unavailable() {
        return Err(EditError::Locked);
    }
    let shown = std::str::from_utf8(&shown).map_err(|_| EditError::NoRecord)?;
    let stored = Tree::of(&opened).map_err(|_| EditError::NoRecord).and_then(object)?;
    let shown = record(shown)?;
    let three = Three { stored: stored.root(), shown: shown.root(), sent: sent.root() };
    let mut merge = Merge::new(edit);
    let change = merge.record(three)?;
    let edited = Edited { fields: merge.fields() };
    if edited.is_unchanged() {
        whole.extend_from_slice(edit.stored.as_bytes());
        return Ok(edited);
    }
    let pen = Pen { shape: edit.shape, seals: edit.seals };
    change.write(three.stored, pen, whole)?;
    match edit.mode {
        Mode::Merge => change.write_patch(three.stored, (edit.store_merges, pen), body)?,
        Mode::Replace => body.extend_from_slice(whole),
    }
    Ok(edited)
}

/// Puts together a new record: only listed members that the caller may set. A `null` for another
/// listed member is left out, because clients with typed records send one for all they do not know.
///
/// # Errors
///
/// The caller sends what it may not set, or something cannot be sealed. Then nothing is appended.
pub fn create(new: &NewRecord<'_>, body: &mut Vec<u8>) -> Result<Edited, EditError> {
    let edit = Edit {
        shape: new.shape,
        stored: "{}",
        sent: new.sent,
        views: new.views,
        pseudonyms: &Nobody,
        seals: new.seals,
        writable: new.writable,
        fixed: &[],
        mode: Mode::Replace,
        store_merges: false,
    };
    body.clear();
    let (stored, sent) = (record(edit.stored)?, record(trim(edit.sent))?);
    let three = Three { stored: stored.root(), shown: stored.root(), sent: sent.root() };
    let mut merge = Merge::new(&edit);
    let change = merge.record(three)?;
    let edited = Edited { fields: merge.fields() };
    let change = if matches!(change, Change::Keep) { Change::empty_object() } else { change };
    let pen = Pen { shape: edit.shape, seals: edit.seals };
    change.write(three.stored, pen, body).inspect_err(|_| body.clear())?;
    Ok(edited)
}

/// The record with what is sealed in it opened. What does not open stays as it is stored.
///
/// # Errors
///
/// The keys cannot be used at the moment, or the text is no record.
pub fn opened(shape: &Shape, stored: &str, seals: &dyn Seals) -> Result<String, EditError> {
    let opened = Opened::of(shape, trim(stored), seals)?;
    Ok(opened.text().to_owned())
}

/// The tree of one record.
fn record(text: &str) -> Result<Tree<'_>, EditError> {
    Tree::read(text).map_err(|_| EditError::NoRecord).and_then(object)
}

fn object(tree: Tree<'_>) -> Result<Tree<'_>, EditError> {
    tree.root().filter(tree::Value::is_object).ok_or(EditError::NoRecord)?;
    Ok(tree)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Of a new record nothing was shown, so no token is ever asked for.
#[derive(Debug)]
struct Nobody;

impl Pseudonyms for Nobody {
    fn write(&self, _plain: &Plain<'_>, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// Shows no value.
impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// Shows no value.
impl fmt::Debug for NewRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord").finish_non_exhaustive()
    }
}

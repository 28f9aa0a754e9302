//! Writes one record in the views its verdict obliges.

use super::batch::Entry;
use super::batch::What;
use super::escape;
use super::pseudonyms;
use super::rewrite::validate;
use super::seals::Misses;
use super::seals::Unopened;
use super::shape::Node;
use super::shape::Shape;
use super::views;
use super::writer::Plain;
use super::writer::Showing;
use crate::catalog::FieldIx;
use crate::catalog::SealMode;
use crate::crypto::Envelope;
use crate::crypto::ValueKind;
use crate::policy::Generalize;
use crate::policy::Pseudonym;
use crate::policy::View;
use zeroize::Zeroizing;

/// One record that is written.
pub(super) struct Job<'a> {
    pub(super) shape: &'a Shape,
    pub(super) text: &'a str,
    pub(super) tape: &'a [Entry],
    pub(super) showing: Showing<'a>,
}

/// Memory that is used again from value to value, and what did not open on the way. It held values
/// in clear, so it is wiped when it is dropped.
#[derive(Default)]
pub(super) struct Scratch {
    /// The unescaped text of the value at hand.
    pub(super) plain: Zeroizing<Vec<u8>>,
    /// What was sealed in it.
    pub(super) opened: Zeroizing<Vec<u8>>,
    pub(super) misses: Misses,
}

/// A value that was opened.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    pub(super) kind: ValueKind,
    /// Of a text its characters, unescaped; else JSON.
    pub(super) text: &'a str,
}

impl Job<'_> {
    /// Appends the record. `scratch` is used again from record to record.
    pub(super) fn write(&self, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let mut at = 0;
        while let Some(entry) = self.tape.get(at) {
            at += 1;
            match entry.what {
                What::CloseArray => out.push(b']'),
                What::CloseObject => out.push(b'}'),
                What::OpenArray | What::OpenObject => {
                    let Some(node) = self.shape.node(entry.node) else { return };
                    if entry.node.is_record() || self.is_alive(node) {
                        name(entry, node, out);
                        out.push(if entry.what == What::OpenArray { b'[' } else { b'{' });
                    } else {
                        // Past its closing bracket: nothing of it is shown to this caller.
                        at += entry.end as usize;
                    }
                }
                _ => self.value(entry, scratch, out),
            }
        }
    }

    /// The view of a field.
    #[inline]
    pub(super) fn view(&self, field: FieldIx) -> View {
        self.shape.view(self.showing.views, field)
    }

    /// Whether anything at or below the entry may be shown. It depends on the views alone, so
    /// that brackets say nothing about values that are not shown.
    fn is_alive(&self, node: &Node) -> bool {
        self.shape.leaves(node).iter().any(|field| self.view(*field).reveals())
    }

    #[inline]
    fn value(&self, entry: &Entry, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let Some(node) = self.shape.node(entry.node) else { return };
        let Some(field) = node.field else {
            // `null` where an object or array is expected.
            if entry.what == What::Null && self.is_alive(node) {
                name(entry, node, out);
                out.extend_from_slice(b"null");
            }
            return;
        };
        let view = self.view(field);
        if !view.reveals() {
            return;
        }
        if entry.what != What::Null && self.shape.seal(field).is_some() {
            self.sealed(entry, (node, field, view), scratch, out);
        } else {
            self.unsealed(entry, (node, field, view), &mut scratch.plain, out);
        }
    }

    /// Appends a value that stands there as it is.
    #[inline]
    fn unsealed(
        &self,
        entry: &Entry,
        (node, field, view): (&Node, FieldIx, View),
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        if view == View::Show && entry.what != What::Container {
            name(entry, node, out);
            copy(entry, self.text, out);
            return;
        }
        self.other_form(entry, (node, field, view), plain, out);
    }

    /// Appends a value in a view other than [`View::Show`], or a container that is one value.
    fn other_form(
        &self,
        entry: &Entry,
        (node, field, view): (&Node, FieldIx, View),
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let is_one_value = node.is_one_value();
        let start = out.len();
        name(entry, node, out);
        let is_written = match (entry.what, view) {
            (What::Null, _) => {
                out.extend_from_slice(b"null");
                true
            }
            (What::Container, View::Mask(_)) if is_one_value => {
                views::mask_all(out);
                true
            }
            (What::Container, view) if !(is_one_value && view.is_raw()) => false,
            (_, view) if view.is_raw() => {
                copy(entry, self.text, out);
                true
            }
            (_, view) => match self.plain(entry, plain) {
                Some(plain) => self.changed((entry.what, plain), (view, field), out),
                None => false,
            },
        };
        if !is_written {
            out.truncate(start);
        }
    }

    /// Appends what is sealed in a value, or nothing when it does not open.
    fn sealed(
        &self,
        entry: &Entry,
        (node, field, view): (&Node, FieldIx, View),
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        if view == View::Ciphertext {
            if self.is_envelope(entry, field, scratch) {
                name(entry, node, out);
                copy(entry, self.text, out);
            }
            return;
        }
        match self.open(entry, field, scratch) {
            Ok(kind) => {
                let Ok(text) = std::str::from_utf8(&scratch.opened) else { return };
                name(entry, node, out);
                let opened = Opened { kind, text };
                if !self.opened(opened, (node, field, view), out) {
                    out.truncate(start);
                }
            }
            Err(true) => self.unsealed(entry, (node, field, view), &mut scratch.plain, out),
            Err(false) => {}
        }
    }

    /// Whether the value stands there sealed, as far as its form tells.
    pub(super) fn is_envelope(&self, entry: &Entry, field: FieldIx, scratch: &mut Scratch) -> bool {
        let why = match self.plain(entry, &mut scratch.plain).filter(|_| is_text(entry.what)) {
            Some(text) if Envelope::parse(text).is_ok() => return true,
            Some(text) if Envelope::is_claimed(text) => Unopened::Malformed,
            _ => Unopened::Plaintext,
        };
        scratch.misses.add(field, why);
        false
    }

    /// Opens a value into `scratch.opened`. Else says whether it may be shown as it stands there:
    /// it is not sealed, in a field that is being sealed.
    pub(super) fn open(
        &self,
        entry: &Entry,
        field: FieldIx,
        scratch: &mut Scratch,
    ) -> Result<ValueKind, bool> {
        let Scratch { plain, opened, misses } = scratch;
        opened.clear();
        let result = match self.plain(entry, plain).filter(|_| is_text(entry.what)) {
            Some(sealed) => self.showing.seals.open(field, sealed, opened),
            None => Err(Unopened::Plaintext),
        };
        let result = result.and_then(|kind| {
            // Only what was JSON can be JSON again.
            if is_of_kind(kind, opened) { Ok(kind) } else { Err(Unopened::Forged) }
        });
        result.map_err(|why| {
            misses.add(field, why);
            let is_migrating = self.shape.seal(field) == Some(SealMode::Migrating);
            why == Unopened::Plaintext && is_migrating
        })
    }

    /// Appends an opened value; false when it has no such form.
    fn opened(
        &self,
        Opened { kind, text }: Opened<'_>,
        (node, field, view): (&Node, FieldIx, View),
        out: &mut Vec<u8>,
    ) -> bool {
        match (kind, view) {
            (ValueKind::Json, View::Mask(_)) if node.is_one_value() => views::mask_all(out),
            (ValueKind::Json, view) if !(node.is_one_value() && view.is_raw()) => return false,
            (ValueKind::Text, view) if view.is_raw() => escape::string(text, out),
            (_, view) if view.is_raw() => out.extend_from_slice(text.as_bytes()),
            (kind, view) => return self.changed((what(kind), text), (view, field), out),
        }
        true
    }

    /// The text of a scalar, unescaped.
    fn plain<'s>(&'s self, entry: &Entry, plain: &'s mut Vec<u8>) -> Option<&'s str> {
        let span = entry.span(self.text);
        if entry.what != What::EscapedText {
            return Some(span);
        }
        plain.clear();
        escape::unescape(span.as_bytes(), plain);
        // The validator let only whole characters through.
        std::str::from_utf8(plain).ok()
    }

    /// Appends another form of a scalar, as JSON; false when it has none.
    pub(super) fn changed(
        &self,
        (what, plain): (What, &str),
        (view, field): (View, FieldIx),
        out: &mut Vec<u8>,
    ) -> bool {
        match view {
            View::Pseudonymize(form) => self.pseudonym(plain, (form, field), out),
            view => changed(what, plain, view, out),
        }
    }

    fn pseudonym(
        &self,
        plain: &str,
        (form, field): (Pseudonym, FieldIx),
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(kind) = self.shape.pseudonym_kind(field) else { return false };
        out.push(b'"');
        let start = out.len();
        let is_made =
            self.showing.pseudonyms.write(&Plain { form, field, kind, value: plain }, out);
        let made = out.get(start..).unwrap_or_default();
        let is_pseudonym = is_made && !made.is_empty() && made.iter().all(|it| is_plain(form, *it));
        out.push(b'"');
        is_pseudonym
    }
}

const fn is_text(what: What) -> bool {
    matches!(what, What::Text | What::EscapedText)
}

/// What an opened scalar is on a tape.
pub(super) const fn what(kind: ValueKind) -> What {
    match kind {
        ValueKind::Text => What::Text,
        ValueKind::Number => What::Number,
        ValueKind::Boolean => What::Bool,
        ValueKind::Json => What::Container,
    }
}

/// Whether an opened value is what it is said to be, so that it can stand in JSON.
fn is_of_kind(kind: ValueKind, text: &[u8]) -> bool {
    let is_valid =
        |first: fn(&u8) -> bool| text.first().is_some_and(first) && validate(text).is_ok();
    match kind {
        ValueKind::Text => std::str::from_utf8(text).is_ok(),
        ValueKind::Boolean => matches!(text, b"true" | b"false"),
        ValueKind::Number => is_valid(|first| *first == b'-' || first.is_ascii_digit()),
        ValueKind::Json => is_valid(|first| matches!(first, b'{' | b'[')),
    }
}

/// Whether a byte may stand in a pseudonym: none of them needs escaping in JSON.
fn is_plain(form: Pseudonym, byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || match form {
            Pseudonym::Token { .. } => matches!(byte, b'_' | b'-'),
            Pseudonym::Email => matches!(byte, b'@' | b'.' | b'-'),
            Pseudonym::Digits(_) => pseudonyms::SEPARATORS.contains(&byte),
            Pseudonym::Date { .. } => b"-:.+ ".contains(&byte),
        }
}

/// Appends a masked or coarser scalar; false when it has no such form.
fn changed(what: What, plain: &str, view: View, out: &mut Vec<u8>) -> bool {
    match (view, what) {
        // Of two possible values any character would tell which.
        (View::Mask(_), What::Bool) => {
            views::mask_all(out);
            true
        }
        (View::Mask(mask), _) => {
            views::mask(mask, plain, out);
            true
        }
        (View::Generalize(Generalize::Part), _) => false,
        (View::Generalize(how), What::Number) => views::generalize_number(how, plain, out),
        (View::Generalize(how), What::Text | What::EscapedText) => {
            views::generalize_text(how, plain, out)
        }
        _ => false,
    }
}

/// Appends the comma before a value and, of a member, its name.
#[inline]
fn name(entry: &Entry, node: &Node, out: &mut Vec<u8>) {
    if entry.node.is_record() {
        return;
    }
    // INVARIANT: a value never ends in an opening bracket, so one before it means it is first.
    let is_first = matches!(out.last(), Some(b'{' | b'['));
    if !entry.is_item {
        let key = node.key.get(usize::from(is_first)..).unwrap_or_default();
        out.extend_from_slice(key);
    } else if !is_first {
        out.push(b',');
    }
}

/// Appends a value as it was written.
#[inline]
fn copy(entry: &Entry, text: &str, out: &mut Vec<u8>) {
    // Of a string, its quotes too.
    let quote = usize::from(matches!(entry.what, What::Text | What::EscapedText));
    let span = entry.start as usize - quote..entry.end as usize + quote;
    out.extend_from_slice(text.as_bytes().get(span).unwrap_or_default());
}

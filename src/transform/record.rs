//! Writes one record in the views its verdict obliges.

use super::batch::Entry;
use super::batch::What;
use super::escape;
use super::shape::Node;
use super::shape::Shape;
use super::views;
use super::writer::Plain;
use super::writer::Pseudonyms;
use crate::catalog::FieldIx;
use crate::policy::Generalize;
use crate::policy::View;

/// What one record is written with.
pub(super) struct Job<'a> {
    pub(super) shape: &'a Shape,
    pub(super) text: &'a str,
    pub(super) tape: &'a [Entry],
    pub(super) views: &'a [View],
    pub(super) pseudonyms: &'a dyn Pseudonyms,
}

impl Job<'_> {
    /// Appends the record. `scratch` is used again from record to record.
    pub(super) fn write(&self, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
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

    /// Whether anything at or below the entry may be shown. It depends on the views alone, so
    /// that brackets say nothing about values that are not shown.
    fn is_alive(&self, node: &Node) -> bool {
        let is_shown = |field: &FieldIx| self.views.get(field.index()).is_some_and(|v| v.reveals());
        self.shape.leaves(node).iter().any(is_shown)
    }

    #[inline]
    fn value(&self, entry: &Entry, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        let Some(node) = self.shape.node(entry.node) else { return };
        let Some(field) = node.field else {
            // `null` where an object or array is expected.
            if entry.what == What::Null && self.is_alive(node) {
                name(entry, node, out);
                out.extend_from_slice(b"null");
            }
            return;
        };
        let view = self.views.get(field.index()).copied().unwrap_or(View::Drop);
        if !view.reveals() {
            return;
        }
        if view == View::Show && entry.what != What::Container {
            name(entry, node, out);
            copy(entry, self.text, out);
            return;
        }
        self.other_form(entry, (node, field, view), scratch, out);
    }

    /// Appends a value in a view other than [`View::Show`], or a container that is one value.
    fn other_form(
        &self,
        entry: &Entry,
        (node, field, view): (&Node, FieldIx, View),
        scratch: &mut Vec<u8>,
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
            (_, view) => self.changed(entry, (view, field), scratch, out),
        };
        if !is_written {
            out.truncate(start);
        }
    }

    /// Appends another form of a scalar, as JSON; false when it has none.
    pub(super) fn changed(
        &self,
        entry: &Entry,
        (view, field): (View, FieldIx),
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        scratch.clear();
        let span = entry.span(self.text);
        let plain = if entry.what == What::EscapedText {
            escape::unescape(span.as_bytes(), scratch);
            // The validator let only whole characters through.
            std::str::from_utf8(scratch).ok()
        } else {
            Some(span)
        };
        match (plain, view) {
            (Some(plain), View::Pseudonymize) => self.pseudonym(plain, field, out),
            (Some(plain), view) => changed(entry.what, plain, view, out),
            (None, _) => false,
        }
    }

    fn pseudonym(&self, plain: &str, field: FieldIx, out: &mut Vec<u8>) -> bool {
        let Some(kind) = self.shape.pseudonym_kind(field) else { return false };
        out.push(b'"');
        let start = out.len();
        let is_made = self.pseudonyms.write(&Plain { field, kind, value: plain }, out);
        let token = out.get(start..).unwrap_or_default();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_token = is_made && !token.is_empty() && token.iter().all(is_plain);
        out.push(b'"');
        is_token
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

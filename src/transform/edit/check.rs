//! What may be sent, and what of a stored value was not shown.

use super::error::EditError;
use super::merge::Merge;
use super::number;
use super::tree::Kind;
use super::tree::Value;
use crate::catalog::FieldIx;
use crate::policy::Generalize;
use crate::policy::Pseudonym;
use crate::policy::View;
use crate::transform::names::fingerprint;
use crate::transform::pseudonyms;
use crate::transform::shape::Node;
use crate::transform::shape::NodeIx;
use crate::transform::views;
use crate::types::FieldPath;

/// What a stored value holds beyond what the caller was shown as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beyond {
    /// A listed value in another form than its own, or none.
    pub(super) is_hidden: bool,
    /// Something that policy does not list.
    pub(super) is_unlisted: bool,
}

impl Beyond {
    pub(super) fn is_nothing(self) -> bool {
        !self.is_hidden && !self.is_unlisted
    }
}

impl Merge<'_> {
    /// Checks that `value` holds nothing but what is listed at and below `ix`.
    pub(super) fn check_listed(&self, ix: NodeIx, value: Value<'_>) -> Result<(), EditError> {
        let node = self.node(ix)?;
        match value.kind() {
            Kind::Null => Ok(()),
            Kind::Object if ix.is_record() || node.has_members() => {
                value.children().try_for_each(|member| {
                    let child = member_of(node, &member.name()).ok_or(EditError::Unlisted)?;
                    self.check_listed(child, member)
                })
            }
            Kind::Array if let Some(item) = node.item => {
                value.children().try_for_each(|child| self.check_listed(item, child))
            }
            Kind::Array | Kind::Object if node.is_one_value() => Ok(()),
            Kind::Array if node.field.is_some() => {
                let is_scalar = |item: Value<'_>| !item.is_array() && !item.is_object();
                if value.children().all(is_scalar) { Ok(()) } else { Err(self.kind(ix)) }
            }
            Kind::Bool | Kind::Number | Kind::Text if node.field.is_some() => Ok(()),
            _ => Err(self.kind(ix)),
        }
    }

    /// What the stored `value` at `ix` holds beyond what was shown. A `null` holds nothing.
    pub(super) fn beyond(&self, ix: NodeIx, value: Value<'_>) -> Beyond {
        let mut beyond = Beyond::default();
        self.look(ix, value, &mut beyond);
        beyond
    }

    fn look(&self, ix: NodeIx, value: Value<'_>, beyond: &mut Beyond) {
        let Ok(node) = self.node(ix) else { return };
        if value.is_shut() {
            beyond.is_hidden = true;
            return;
        }
        let is_raw = node.field.is_some_and(|field| self.view(field).is_raw());
        match value.kind() {
            Kind::Null => {}
            Kind::Object if node.has_members() => {
                for member in value.children() {
                    match member_of(node, &member.name()) {
                        Some(child) => self.look(child, member, beyond),
                        None => beyond.is_unlisted = true,
                    }
                }
            }
            Kind::Array if let Some(item) = node.item => {
                value.children().for_each(|child| self.look(item, child, beyond));
            }
            Kind::Array if node.field.is_some() && !node.is_one_value() => {
                for item in value.children() {
                    beyond.is_unlisted |= item.is_array() || item.is_object();
                    beyond.is_hidden |= item.is_shut() || !is_raw && !item.is_null();
                }
            }
            Kind::Array | Kind::Object if !node.is_one_value() => beyond.is_unlisted = true,
            _ if node.field.is_none() => beyond.is_unlisted = true,
            _ => beyond.is_hidden |= !is_raw,
        }
    }

    /// Checks that the caller may set `field`.
    pub(super) fn may_set(&self, field: FieldIx) -> Result<(), EditError> {
        let path = || self.edit.shape.path(field).cloned().ok_or(EditError::Unlisted);
        if self.edit.fixed.contains(&field) {
            return Err(EditError::Fixed { field: path()? });
        }
        if !self.edit.writable.get(field.index()).copied().unwrap_or_default() {
            return Err(EditError::NotWritable { field: path()? });
        }
        Ok(())
    }

    /// Checks that the caller may set every field at and below `node`.
    pub(super) fn may_set_all(&self, node: &Node) -> Result<(), EditError> {
        self.edit.shape.leaves(node).iter().try_for_each(|field| self.may_set(*field))
    }

    /// Checks that nothing in `sent` claims to be sealed already, where values are: only what was
    /// shown as an envelope may come back as one, and then it is kept.
    pub(super) fn is_no_envelope(&self, field: FieldIx, sent: Value<'_>) -> Result<(), EditError> {
        let shape = self.edit.shape;
        let is_claimed =
            |value: Value<'_>| value.kind() == Kind::Text && value.plain().starts_with(ENVELOPE);
        let is_forged = is_claimed(sent) || sent.is_array() && sent.children().any(is_claimed);
        match (shape.sealing(field), shape.path(field)) {
            (Some(_), Some(path)) if is_forged => Err(EditError::Forged { field: path.clone() }),
            _ => Ok(()),
        }
    }

    /// Checks that no value in `sent` has the form in which `field` is shown, or was shown when
    /// less of it was.
    pub(super) fn is_fresh(
        &self,
        field: FieldIx,
        (stored, sent): (Option<Value<'_>>, Value<'_>),
    ) -> Result<(), EditError> {
        let view = self.view(field);
        let is_stale = match (sent.kind(), stored) {
            (Kind::Array, _) => sent.children().any(|item| has_form(view, item)),
            (Kind::Text, Some(stored)) if view.is_raw() => {
                !stored.is_shut() && is_less_of(stored, sent)
            }
            _ => has_form(view, sent),
        };
        match self.edit.shape.path(field) {
            Some(path) if is_stale => Err(EditError::Stale { field: path.clone() }),
            _ => Ok(()),
        }
    }

    /// Whether anything at or below the node is shown.
    pub(super) fn is_alive(&self, node: &Node) -> bool {
        self.edit.shape.leaves(node).iter().any(|field| self.view(*field).reveals())
    }

    pub(super) fn view(&self, field: FieldIx) -> View {
        self.edit.shape.view(self.edit.views, field)
    }

    pub(super) fn node(&self, ix: NodeIx) -> Result<&Node, EditError> {
        self.edit.shape.node(ix).ok_or(EditError::Unlisted)
    }

    pub(super) fn kind(&self, ix: NodeIx) -> EditError {
        self.about(ix, |field| EditError::Kind { field })
    }

    pub(super) fn unseen(&self, ix: NodeIx) -> EditError {
        self.about(ix, |field| EditError::Unseen { field })
    }

    /// An error about the first field at or below a node.
    fn about(&self, ix: NodeIx, error: impl Fn(FieldPath) -> EditError) -> EditError {
        let shape = self.edit.shape;
        let first = shape.node(ix).and_then(|node| shape.leaves(node).first());
        first.and_then(|field| shape.path(*field)).map_or(EditError::Unlisted, |p| error(p.clone()))
    }
}

/// The member of `node` with this unescaped name.
pub(super) fn member_of(node: &Node, name: &[u8]) -> Option<NodeIx> {
    node.member(fingerprint(name), name, 0).map(|(_, ix)| ix)
}

/// Whether a value has the form that `view` gives to values, so that it may be an old answer.
///
/// Nothing is asked of the stored value: what it is must not show in what is refused.
fn has_form(view: View, sent: Value<'_>) -> bool {
    if view.is_raw() || sent.is_null() {
        return false;
    }
    let plain = sent.plain();
    if sent.kind() == Kind::Text && is_token(&plain) {
        return true;
    }
    let text = std::str::from_utf8(&plain).unwrap_or_default();
    match view {
        View::Mask(_) => {
            sent.kind() == Kind::Text && memchr::memmem::find(&plain, views::STARS).is_some()
        }
        View::Generalize(Generalize::Date(_)) => is_part_of_date(&plain),
        View::Generalize(Generalize::Number { step }) => {
            // A client that has only text sends a number in quotes.
            matches!(sent.kind(), Kind::Number | Kind::Text) && number::is_multiple(text, step)
        }
        // Another number or day is told from an old answer by nothing.
        View::Pseudonymize(Pseudonym::Digits(form)) => pseudonyms::has_digits(form, text),
        View::Pseudonymize(Pseudonym::Date { .. }) => pseudonyms::is_date(text),
        _ => false,
    }
}

/// Whether a text is a token, a sealed value or an address that stands for another.
fn is_token(text: &[u8]) -> bool {
    text.starts_with(PSEUDONYM) || text.ends_with(RESERVED)
}

/// Whether a text is what a mask or a token makes of `stored`, which the caller is shown as it is
/// now: its answer may be older than that.
fn is_less_of(stored: Value<'_>, sent: Value<'_>) -> bool {
    let (stored, sent) = (stored.plain(), sent.plain());
    let is_word = sent.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    if is_word && sent.starts_with(PSEUDONYM) && !stored.starts_with(PSEUDONYM)
        || sent.ends_with(RESERVED) && !stored.ends_with(RESERVED)
    {
        return true;
    }
    let Some(at) = memchr::memmem::find(&sent, views::STARS) else { return false };
    let (head, tail) = sent.split_at_checked(at).unwrap_or((&sent, &[]));
    let tail = tail.strip_prefix(views::STARS).unwrap_or(tail);
    let rest = stored.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
    rest.is_some_and(|hidden| !hidden.is_empty() && hidden != views::STARS)
}

/// Whether it is a bare year or month, whichever of the two is shown now.
fn is_part_of_date(text: &[u8]) -> bool {
    let are_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    match text {
        [year @ .., b'-', m1, m2] if year.len() == 4 => are_digits(year) && are_digits(&[*m1, *m2]),
        year => year.len() == 4 && are_digits(year),
    }
}

/// How sealed values begin.
const ENVELOPE: &[u8] = b"pvt1_";
/// How pseudonyms begin.
const PSEUDONYM: &[u8] = b"ps1_";
/// How addresses that stand for others end.
const RESERVED: &[u8] = pseudonyms::DOMAIN.as_bytes();

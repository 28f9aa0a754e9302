//! Goes over what is stored, what was shown and what was sent, side by side.

use super::Edit;
use super::Mode;
use super::change::Change;
use super::check::member_of;
use super::equal::Budget;
use super::equal::Nulls;
use super::equal::equal;
use super::error::EditError;
use super::free;
use super::free::Parts;
use super::free::free;
use super::seal::Fresh;
use super::tree::Kind;
use super::tree::Members;
use super::tree::Value;
use crate::catalog::FieldIx;
use crate::transform::shape::Node;
use crate::transform::shape::NodeIx;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// One place of the record in its three texts.
#[derive(Clone, Copy)]
pub(super) struct Three<'t> {
    pub(super) stored: Option<Value<'t>>,
    pub(super) shown: Option<Value<'t>>,
    pub(super) sent: Option<Value<'t>>,
}

/// A merge of one record.
pub(super) struct Merge<'a> {
    pub(super) edit: &'a Edit<'a>,
    pub(super) budget: Budget,
    /// The fields that the caller sets or removes.
    fields: Vec<FieldIx>,
    /// What becomes of their blind indexes.
    indexes: Vec<(FieldIx, Indexed)>,
}

/// What becomes of a blind index.
enum Indexed {
    Gone,
    Null,
    /// It is that of a text.
    Of(Zeroizing<Vec<u8>>),
}

impl<'t> Three<'t> {
    /// A place where nothing is stored.
    pub(super) fn only(sent: Value<'t>) -> Self {
        Self { stored: None, shown: None, sent: Some(sent) }
    }

    /// Whether nothing is stored here, which `null` comes to.
    pub(super) fn holds_nothing(&self) -> bool {
        self.stored.is_none_or(|stored| stored.is_null())
    }

    /// Whether a `null` was sent where nothing was shown, which says no more than that. Typed
    /// clients send it for all they were not shown, and must remove nothing by it.
    pub(super) fn is_nothing_new(&self) -> bool {
        self.shown.is_none() && self.sent.is_some_and(|sent| sent.is_null())
    }

    /// Whether what was sent says what was shown.
    pub(super) fn is_as_shown(&self, nulls: Nulls) -> bool {
        matches!((self.shown, self.sent), (Some(shown), Some(sent)) if equal(shown, sent, nulls))
    }
}

impl<'a> Merge<'a> {
    pub(super) fn new(edit: &'a Edit<'a>) -> Self {
        Self { edit, budget: Budget::new(), fields: Vec::new(), indexes: Vec::new() }
    }

    /// The fields that the caller sets or removes, in order, each once.
    pub(super) fn fields(&mut self) -> Vec<FieldIx> {
        let mut fields = std::mem::take(&mut self.fields);
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// What becomes of the record.
    pub(super) fn record<'t>(&mut self, three: Three<'t>) -> Result<Change<'t>, EditError> {
        if let Some(sent) = three.sent {
            self.check_listed(NodeIx::RECORD, sent)?;
        }
        let change = self.members(NodeIx::RECORD, three, self.edit.mode)?;
        Ok(self.with_indexes(three.stored, change))
    }

    /// The same change, with the blind indexes of what it changes.
    fn with_indexes<'t>(&mut self, stored: Option<Value<'t>>, change: Change<'t>) -> Change<'t> {
        let indexes = std::mem::take(&mut self.indexes);
        if indexes.is_empty() {
            return change;
        }
        let names: Vec<_> = stored.into_iter().flat_map(|it| it.children()).collect();
        let (mut members, mut added) = match change {
            Change::Object { members, added } => (members, added),
            _ => (names.iter().map(|_| Change::Keep).collect(), Vec::new()),
        };
        for (field, index) in indexes {
            let sealing = self.edit.shape.sealing(field);
            let Some(index_of) = sealing.and_then(|it| it.index.as_ref()) else { continue };
            let name = index_of.member.as_bytes();
            let change = match index {
                Indexed::Gone => Change::Remove,
                Indexed::Null => Change::Null,
                Indexed::Of(plain) => Change::Index(field, plain),
            };
            let at = names.iter().position(|member| *member.name() == *name);
            match at.and_then(|at| members.get_mut(at)) {
                Some(member) => *member = change,
                None if matches!(change, Change::Index(..)) => {
                    added.push((Cow::Owned(name.to_vec()), change));
                }
                None => {}
            }
        }
        Change::Object { members, added }
    }

    /// What becomes of the value at `ix`.
    pub(super) fn value<'t>(
        &mut self,
        ix: NodeIx,
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        match node.field {
            _ if node.item.is_some() => self.array(ix, three, mode),
            _ if node.has_members() => self.object(ix, three, mode),
            Some(field) => self.leaf((ix, node, field), three, mode),
            None => Err(EditError::Unlisted),
        }
    }

    /// What becomes of an object of which members are listed.
    fn object<'t>(
        &mut self,
        ix: NodeIx,
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let Some(sent) = three.sent else {
            return match mode {
                Mode::Merge => Ok(Change::Keep),
                Mode::Replace => self.omitted(ix, three),
            };
        };
        match sent.kind() {
            Kind::Null => self.no_object(ix, three, mode),
            Kind::Object if three.stored.is_none_or(|s| s.is_null() || s.is_object()) => {
                let change = self.members(ix, three, mode)?;
                let is_new_and_empty =
                    change.is_keep() && three.holds_nothing() && sent.children().next().is_none();
                if is_new_and_empty { Ok(self.empty(ix)?) } else { Ok(change) }
            }
            // Something stands there that is no object, so that nobody is shown it.
            Kind::Object => match self.members(ix, Three::only(sent), mode)? {
                Change::Keep => Ok(Change::Keep),
                _ => Err(self.unseen(ix)),
            },
            _ => Err(self.kind(ix)),
        }
    }

    /// `{}` where nothing stands: written only where its absence was shown, and where all of it is
    /// the caller's to write.
    fn empty<'t>(&mut self, ix: NodeIx) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        if !self.is_alive(node) || self.may_set_all(node).is_err() {
            return Ok(Change::Keep);
        }
        self.touch_all(node);
        Ok(Change::empty_object())
    }

    /// `null` where an object is listed.
    fn no_object<'t>(
        &mut self,
        ix: NodeIx,
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        if three.is_as_shown(Nulls::AsSent) || three.is_nothing_new() {
            return Ok(Change::Keep);
        }
        self.may_set_all(node)?;
        if let Some(stored) = three.stored {
            // What was shown in another form, or not at all, would go with the object.
            if !self.beyond(ix, stored).is_nothing() {
                return Err(self.unseen(ix));
            }
        }
        self.touch_all(node);
        Ok(gone(three.sent, mode))
    }

    /// An object that a PUT leaves out: what was shown of it as it is goes, as far as the caller
    /// may write it; the rest stays.
    fn omitted<'t>(&mut self, ix: NodeIx, three: Three<'t>) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        let Some(stored) = three.stored.filter(Value::is_object) else { return Ok(Change::Keep) };
        if three.shown.is_none() {
            return Ok(Change::Keep);
        }
        let change = self.members(ix, three, Mode::Replace)?;
        let is_empty = stored.children().next().is_none();
        Ok(match change {
            Change::Keep if is_empty && self.may_set_all(node).is_ok() => {
                self.touch_all(node);
                Change::Remove
            }
            Change::Object { members, .. }
                if members.iter().all(|member| matches!(member, Change::Remove)) =>
            {
                Change::Remove
            }
            other => other,
        })
    }

    /// What becomes of the members of an object, or of new ones where none stands.
    fn members<'t>(
        &mut self,
        ix: NodeIx,
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        let stored = Members::of(three.stored);
        let (shown, sent) = (Members::of(three.shown), Members::of(three.sent));
        let mut members = Vec::new();
        let inside = three.stored.filter(Value::is_object);
        for member in inside.into_iter().flat_map(|object| object.children()) {
            let name = member.name();
            members.push(match member_of(node, &name) {
                Some(child) => {
                    let (shown, sent) = (shown.get(&name), sent.get(&name));
                    self.value(child, Three { stored: Some(member), shown, sent }, mode)?
                }
                None => Change::Keep,
            });
        }
        let mut added = Vec::new();
        let sent = three.sent.filter(Value::is_object);
        for member in sent.into_iter().flat_map(|object| object.children()) {
            let name = member.name();
            if stored.get(&name).is_none() {
                let child = member_of(node, &name).ok_or(EditError::Unlisted)?;
                let change = self.value(child, Three::only(member), mode)?;
                if !change.is_keep() {
                    added.push((name, change));
                }
            }
        }
        let is_keep = added.is_empty() && members.iter().all(Change::is_keep);
        Ok(if is_keep { Change::Keep } else { Change::Object { members, added } })
    }

    /// What becomes of a listed value.
    fn leaf<'t>(
        &mut self,
        (ix, node, field): (NodeIx, &Node, FieldIx),
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let Some(sent) = three.sent else {
            return Ok(self.omitted_leaf((ix, node, field), three, mode));
        };
        if three.is_as_shown(Nulls::AsSent) || three.is_nothing_new() {
            return Ok(Change::Keep);
        }
        self.is_no_envelope(field, sent)?;
        self.is_fresh(field, (three.stored, sent))?;
        self.may_set(field)?;
        if let Some(stored) = three.stored
            && !node.is_one_value()
        {
            let beyond = self.beyond(ix, stored);
            let is_array_in_part = stored.is_array() && self.view(field).reveals();
            if beyond.is_unlisted || beyond.is_hidden && is_array_in_part {
                return Err(self.unseen(ix));
            }
        }
        self.fields.push(field);
        let is_raw = self.view(field).is_raw();
        let parts = (Parts::of(mode), &self.budget);
        let change = match three.stored {
            _ if sent.is_null() => gone(three.sent, mode),
            // Nothing is known of what stands there, so that a part of it cannot be set.
            Some(stored) if stored.is_shut() => match (mode, sent.kind()) {
                (Mode::Merge, Kind::Object) => return Err(self.unseen(ix)),
                _ => set(sent, mode),
            },
            Some(stored) if is_raw => free(stored, sent, parts),
            // A part of what was not shown: the rest stays, and whether the part is new shows
            // nowhere.
            Some(stored) if mode == Mode::Merge && stored.is_object() && sent.is_object() => {
                free::members(stored, sent, (Parts::Added, &self.budget))
            }
            _ => set(sent, mode),
        };
        self.sealed((ix, node, field), sent, change)
    }

    /// The same change of a value, to be written sealed where the field is.
    fn sealed<'t>(
        &mut self,
        (ix, node, field): (NodeIx, &Node, FieldIx),
        sent: Value<'t>,
        change: Change<'t>,
    ) -> Result<Change<'t>, EditError> {
        let Some(sealing) = self.edit.shape.sealing(field) else { return Ok(change) };
        if sealing.index.is_some() {
            self.indexes.push((
                field,
                match (sent.kind(), &change) {
                    (Kind::Array | Kind::Object, _) => return Err(self.kind(ix)),
                    (Kind::Null, Change::Remove) => Indexed::Gone,
                    (Kind::Null, _) => Indexed::Null,
                    _ => Indexed::Of(Zeroizing::new(sent.plain().into_owned())),
                },
            ));
        }
        let is_written = !sent.is_null() && !matches!(change, Change::Keep | Change::Remove);
        if !is_written {
            return Ok(change);
        }
        Ok(Change::Sealed(Box::new(Fresh::new(field, node.is_one_value(), change))))
    }

    fn omitted_leaf<'t>(
        &mut self,
        (ix, node, field): (NodeIx, &Node, FieldIx),
        three: Three<'t>,
        mode: Mode,
    ) -> Change<'t> {
        let is_shown = three.shown.is_some_and(|shown| !shown.is_null());
        match three.stored {
            Some(stored)
                if mode == Mode::Replace
                    && is_shown
                    && self.view(field).is_raw()
                    && (node.is_one_value() || self.beyond(ix, stored).is_nothing())
                    && self.may_set(field).is_ok() =>
            {
                self.touch(field);
                Change::Remove
            }
            _ => Change::Keep,
        }
    }

    /// How many times a field was set or removed.
    pub(super) fn count(&self) -> usize {
        self.fields.len()
    }

    /// Notes that the caller sets or removes every field at and below `node`.
    pub(super) fn touch_all(&mut self, node: &Node) {
        let edit = self.edit;
        edit.shape.leaves(node).iter().for_each(|field| self.touch(*field));
    }

    /// Notes that the caller removes a field. What it sets instead is noted after that.
    fn touch(&mut self, field: FieldIx) {
        self.fields.push(field);
        if self.edit.shape.sealing(field).is_some_and(|sealing| sealing.index.is_some()) {
            self.indexes.push((field, Indexed::Gone));
        }
    }
}

/// What was sent, in place of what stands there.
pub(super) fn set(sent: Value<'_>, mode: Mode) -> Change<'_> {
    match mode {
        Mode::Merge => Change::SetWithoutNulls(sent),
        Mode::Replace => Change::Set(sent),
    }
}

/// What a `null` makes of a value.
pub(super) fn gone(sent: Option<Value<'_>>, mode: Mode) -> Change<'_> {
    match (sent, mode) {
        (Some(sent), Mode::Replace) => Change::Set(sent),
        _ => Change::Remove,
    }
}

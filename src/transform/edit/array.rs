//! Arrays: one value when they hold anything the caller was not shown.

use super::Mode;
use super::change::Change;
use super::check::Beyond;
use super::equal::Budget;
use super::equal::Nulls;
use super::error::EditError;
use super::merge::Merge;
use super::merge::Three;
use super::merge::gone;
use super::tree::Value;
use crate::transform::shape::Node;
use crate::transform::shape::NodeIx;

impl Merge<'_> {
    /// What becomes of an array of which items are listed at `ix`.
    pub(super) fn array<'t>(
        &mut self,
        ix: NodeIx,
        three: Three<'t>,
        mode: Mode,
    ) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        let beyond = match three.stored {
            Some(stored) => self.beyond(ix, stored),
            None => Beyond::default(),
        };
        let Some(sent) = three.sent else {
            return Ok(self.omitted_array(node, three, beyond, mode));
        };
        if three.is_as_shown(Nulls::AsMissing) || three.is_nothing_new() {
            return Ok(Change::Keep);
        }
        let is_alive = self.is_alive(node);
        if let Some(stored) = three.stored.filter(Value::is_array)
            && is_alive
            && beyond.is_nothing()
            && sent.is_array()
        {
            return self.seen_items(ix, (stored, sent));
        }
        // Where nothing is shown, what is refused must not depend on what is stored.
        if !is_alive || !three.holds_nothing() || sent.children().next().is_none() {
            self.may_set_all(node)?;
            self.touch_all(node);
        }
        if beyond.is_unlisted || beyond.is_hidden && is_alive {
            return Err(self.unseen(ix));
        }
        match node.item {
            _ if sent.is_null() => Ok(gone(three.sent, mode)),
            Some(item) if sent.is_array() => {
                let before = self.count();
                let new = |n| Ok((None, self.new_item(item, n)?));
                let items = sent.children().map(new).collect::<Result<_, _>>()?;
                if self.count() == before {
                    // Items without a value in them: none of the fields has said yes.
                    self.may_set_all(node)?;
                    self.touch_all(node);
                }
                Ok(Change::Array(items))
            }
            _ => Err(self.kind(ix)),
        }
    }

    /// An array that a PUT leaves out: it goes when all of it was shown and may be written.
    fn omitted_array<'t>(
        &mut self,
        node: &Node,
        three: Three<'t>,
        beyond: Beyond,
        mode: Mode,
    ) -> Change<'t> {
        let is_shown = three.shown.is_some_and(|shown| shown.is_array());
        let goes = mode == Mode::Replace && is_shown && beyond.is_nothing();
        if !goes || self.may_set_all(node).is_err() {
            return Change::Keep;
        }
        self.touch_all(node);
        Change::Remove
    }

    /// What becomes of the items of an array that was shown as it is. When the caller may not
    /// write all of an item, items stay where they are: a field it may not write must not move to
    /// another item.
    fn seen_items<'t>(
        &mut self,
        ix: NodeIx,
        (stored, sent): (Value<'t>, Value<'t>),
    ) -> Result<Change<'t>, EditError> {
        let edit = self.edit;
        let node = edit.shape.node(ix).ok_or(EditError::Unlisted)?;
        let item = node.item.ok_or(EditError::Unlisted)?;
        let refusal = self.may_set_all(node).err();
        let (old, new): (Vec<_>, Vec<_>) = (stored.children().collect(), sent.children().collect());
        let partners = match refusal {
            Some(refusal) if old.len() != new.len() => return Err(refusal),
            Some(_) => old.iter().copied().map(Some).collect(),
            None => {
                self.touch_all(node);
                partners(&old, &new, (Nulls::AsMissing, &self.budget))
            }
        };
        let mut items = Vec::with_capacity(new.len());
        for (sent, stored) in new.into_iter().zip(partners) {
            items.push((stored, self.item(item, stored, sent)?));
        }
        Ok(Change::Array(items))
    }

    /// What becomes of one item. Items are literal: what is left out of one goes.
    fn item<'t>(
        &mut self,
        ix: NodeIx,
        stored: Option<Value<'t>>,
        sent: Value<'t>,
    ) -> Result<Change<'t>, EditError> {
        match stored {
            Some(_) => {
                let three = Three { stored, shown: stored, sent: Some(sent) };
                self.value(ix, three, Mode::Replace)
            }
            None => self.new_item(ix, sent),
        }
    }

    fn new_item<'t>(&mut self, ix: NodeIx, sent: Value<'t>) -> Result<Change<'t>, EditError> {
        Ok(match self.value(ix, Three::only(sent), Mode::Replace)? {
            // Nothing in it but `null`, which says nothing; the item itself is there.
            Change::Keep if sent.is_object() => Change::empty_object(),
            Change::Keep => Change::Set(sent),
            change => change,
        })
    }
}

/// For each new item the old one that it comes from: equal ones first, so that what a client
/// could not hold exactly stays as it was wherever it is moved to, then the one at its place.
pub(super) fn partners<'t>(
    old: &[Value<'t>],
    new: &[Value<'t>],
    (nulls, budget): (Nulls, &Budget),
) -> Vec<Option<Value<'t>>> {
    let same = |pair: &(&Value<'t>, &Value<'t>)| budget.equal(*pair.0, *pair.1, nulls);
    let first = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) =
        (old.get(first..).unwrap_or_default(), new.get(first..).unwrap_or_default());
    let last = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let middle = old_rest.get(..old_rest.len() - last).unwrap_or_default();
    let mut free: Vec<Option<Value<'t>>> = middle.iter().copied().map(Some).collect();
    let changed = new_rest.get(..new_rest.len() - last).unwrap_or_default();
    // Larger ones were not moved by hand, and comparing all with all would take too long.
    let is_small = middle.len().saturating_mul(changed.len()) <= MOST_PAIRS;
    let mut found: Vec<Option<Value<'t>>> = changed
        .iter()
        .map(|new| {
            let is_same =
                |old: &&mut Option<Value<'t>>| old.is_some_and(|o| budget.equal(o, *new, nulls));
            is_small.then(|| free.iter_mut().find(is_same)?.take()).flatten()
        })
        .collect();
    for (found, free) in found.iter_mut().zip(free) {
        *found = found.or(free);
    }
    let start = old.iter().take(first).copied().map(Some);
    let end = old_rest.iter().skip(old_rest.len() - last).copied().map(Some);
    start.chain(found).chain(end).collect()
}

/// Up to this many pairs of items are compared.
const MOST_PAIRS: usize = 4_096;

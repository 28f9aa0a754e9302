//! Reading the tree. A panic of sled becomes an error.

use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use sled::Tree;

use super::layout;
use crate::state::error::StateError;
use crate::state::frame;
use crate::state::store::CHANGES_KEPT;
use crate::state::store::Change;
use crate::state::store::Item;
use crate::state::store::MAX_PAGE;
use crate::state::store::Page;
use crate::state::store::Rev;
use crate::state::store::Versioned;

/// Runs `work`, and turns a panic into an error.
pub(super) fn guarded<T>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, StateError>,
) -> Result<T, StateError> {
    // What sled leaves behind after a panic is used only for further guarded calls.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StateError::Panicked { what }))
}

pub(super) fn get(tree: &Tree, key: &[u8]) -> Result<Option<Versioned>, StateError> {
    guarded(READING, || {
        let tree_key = layout::value_key(key);
        match tree.get(&tree_key).map_err(failed)? {
            Some(frame) => frame::decode(&tree_key, &frame).map(Some),
            None => Ok(None),
        }
    })
}

pub(super) fn scan(
    tree: &Tree,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Page, StateError> {
    let limit = limit.min(MAX_PAGE);
    let prefix = layout::value_key(prefix);
    let from = match after.map(layout::value_key) {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix.clone()),
    };
    guarded(READING, || {
        let mut page = Page::default();
        for entry in tree.range::<Vec<u8>, _>((from, Bound::Unbounded)) {
            let (tree_key, frame) = entry.map_err(failed)?;
            if !tree_key.starts_with(&prefix) {
                break;
            }
            if page.items.len() == limit {
                page.more = true;
                break;
            }
            let value = frame::decode(&tree_key, &frame)?;
            let key = tree_key.strip_prefix(layout::VALUES).unwrap_or(&tree_key).to_vec();
            page.items.push(Item { key, value });
        }
        Ok(page)
    })
}

pub(super) fn changes(
    tree: &Tree,
    from: Rev,
    durable: Rev,
    limit: usize,
) -> Result<Vec<Change>, StateError> {
    if from.0 + CHANGES_KEPT < durable.0 {
        return Err(StateError::ChangesGone);
    }
    let next = Rev(from.0 + 1);
    guarded(READING, || {
        let mut changes: Vec<Change> = Vec::new();
        for entry in tree.range(layout::change_prefix(next)..) {
            let (tree_key, frame) = entry.map_err(failed)?;
            let Some(rev) = layout::change_rev(&tree_key).filter(|rev| *rev <= durable) else {
                break;
            };
            let keys = layout::decode_change(&frame::decode(&tree_key, &frame)?.value)?;
            let full = changes.len() == limit.min(MAX_PAGE);
            match changes.last_mut() {
                Some(change) if change.rev == rev => change.keys.extend(keys),
                _ if full => break,
                _ => changes.push(Change { rev, keys }),
            }
        }
        // The committer removes old changes while this reads.
        match changes.first() {
            Some(change) if change.rev != next => Err(StateError::ChangesGone),
            _ => Ok(changes),
        }
    })
}

fn failed(source: sled::Error) -> StateError {
    StateError::Engine { what: READING, source }
}

const READING: &str = "reading";

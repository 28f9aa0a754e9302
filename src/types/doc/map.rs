//! Typed reading of one map.

use crate::types::Faults;
use crate::types::Place;

use super::Entry;
use super::Node;
use super::Value;
use super::near;

/// Reads one map key by key, and remembers which keys were asked for, so that
/// [`finish`](Self::finish) can report those nobody knows.
#[derive(Debug)]
pub struct MapReader<'a> {
    what: &'static str,
    place: &'a Place,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> MapReader<'a> {
    /// A reader of `node`; a fault when it is no map. `what` names it in messages: "a grant".
    pub fn new(node: &'a Node, what: &'static str, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                Some(Self { what, place: &node.place, entries, known: Vec::new() })
            }
            _ => {
                let found = node.kind();
                faults.error(&node.place, format!("{what} is a map, not {found}"), "");
                None
            }
        }
    }

    /// Where the map stands.
    pub fn place(&self) -> &'a Place {
        self.place
    }

    /// The value of `key`; a fault when it is missing.
    pub fn required(&mut self, key: &'static str, faults: &mut Faults) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            faults.error(&self.head(), format!("{} needs `{key}`", self.what), "");
        }
        found
    }

    /// The value of `key`, when it is there.
    pub fn optional(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The key and value of `key`, when it is there; for faults that speak of the key.
    pub fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        #[cfg(test)]
        asked::note(self.what, key);
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    /// A word of the format whose facts a later release brings: an error when it is there.
    pub fn later(&mut self, key: &'static str, faults: &mut Faults) {
        if let Some(entry) = self.entry(key) {
            not_in_this_version(&entry.key_place, key, faults);
        }
    }

    /// Every entry nobody asked for yet, for maps with free keys. They count as known.
    pub fn rest(&mut self) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let known = std::mem::take(&mut self.known);
        let entries = std::mem::take(&mut self.entries);
        entries.iter().filter(move |entry| !known.contains(&&*entry.key))
    }

    /// Reports every key nobody asked for, with the known key it may have been meant to be.
    pub fn finish(self, faults: &mut Faults) {
        for entry in self.entries {
            let word = &*entry.key;
            if !self.known.contains(&word) {
                // Keys that are there already are not what was meant: they would be doubled.
                let free = self.known.iter().copied();
                let free = free.filter(|k| !self.entries.iter().any(|e| &*e.key == *k));
                let near = near::closest(word, free);
                let help = near.map_or_else(
                    || near::help(word, self.known.iter().copied()),
                    |near| format!("did you mean `{near}`?"),
                );
                faults.error(&entry.key_place, format!("{} has no `{word}`", self.what), help);
            }
        }
    }

    /// The map's first line: a whole map under a caret helps nobody.
    fn head(&self) -> Place {
        self.place.first_line()
    }
}

/// The fault of a word whose facts a later release brings.
pub fn not_in_this_version(place: &Place, word: &str, faults: &mut Faults) {
    let what = format!("`{word}` is not in this version");
    faults.error(place, what, "leave it out; nothing here acts on it yet");
}

/// Which keys readers ask for, for tests of what is written about them elsewhere.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static ASKED: RefCell<BTreeSet<(&'static str, &'static str)>> = RefCell::default();
    }

    pub(super) fn note(what: &'static str, key: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.insert((what, key)));
    }

    /// The kinds of maps and their keys that were asked for on this thread.
    pub(crate) fn all() -> BTreeSet<(&'static str, &'static str)> {
        ASKED.with_borrow(Clone::clone)
    }
}

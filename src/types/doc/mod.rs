//! Documents as trees of values that know where they stand in their file.
//!
//! YAML and TOML are read into the same [`Node`]; a typed reader on top collects every fault.

mod leaf;
mod localized;
mod map;
mod near;
mod screen;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::sync::Arc;

use crate::types::Faults;
use crate::types::Place;
use crate::types::SourceFile;

pub use self::localized::Localized;
pub use self::map::MapReader;
#[cfg(test)]
pub(crate) use self::map::asked;
pub use self::map::not_in_this_version;
pub use self::near::closest;
pub use self::toml::toml;
pub use self::yaml::yaml;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub enum Value {
    /// `true` or `false`, and nothing else: `yes`, `no`, `on`, `off` are text.
    Bool(bool),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written; keys are unique.
    Map(Vec<Entry>),
    /// A number, as written.
    Number(Box<str>),
    /// Nothing, or `null`.
    Null,
    /// Anything else, dates included.
    Text(Box<str>),
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key stands.
    pub key_place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// What it is, in words for a message: "a list", "text".
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "true or false",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Null => "nothing",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
        }
    }
}

impl Node {
    /// The value that `path` leads to, by keys and, in lists, by numbers; where it ends early, the
    /// last value on the way.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> &Self {
        let Some((step, rest)) = path.split_first() else { return self };
        let next = match &self.value {
            Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Map(entries) => {
                entries.iter().find(|entry| *entry.key == **step).map(|entry| &entry.node)
            }
            _ => None,
        };
        next.map_or(self, |next| next.at(rest))
    }
}

/// The longest file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// How deep values may nest.
pub const MAX_DEPTH: usize = 32;

/// Reads `text` as YAML and as TOML; whether every place that comes out lies inside the text. Never
/// `false`: this is the property that fuzzing asserts.
pub fn places_hold(text: &str) -> bool {
    [yaml, toml].into_iter().all(|read| {
        let file = Arc::new(SourceFile { name: "file".into(), text: text.into() });
        let mut faults = Faults::new();
        let tree = read(Arc::clone(&file), &mut faults);
        let inside = |place: &Place| file.text.get(place.span.clone()).is_some();
        let mut open: Vec<&Node> = tree.iter().collect();
        let mut holds = faults.iter().all(|fault| fault.place.as_ref().is_none_or(inside));
        while let Some(node) = open.pop() {
            holds &= inside(&node.place);
            match &node.value {
                Value::List(items) => open.extend(items),
                Value::Map(entries) => {
                    holds &= entries.iter().all(|entry| inside(&entry.key_place));
                    open.extend(entries.iter().map(|entry| &entry.node));
                }
                _ => {}
            }
        }
        holds && (tree.is_some() || faults.has_errors())
    })
}

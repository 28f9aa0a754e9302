//! Documents as trees of values that know where they stand in their file.
//!
//! YAML and TOML are read into the same [`Node`]; a typed reader on top collects every fault.

use crate::types::Place;

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

//! The listed fields of a data set as a tree of names, made once per policy.

use super::escape;
use super::names::fingerprint;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;

/// Where the listed fields of a data set stand in its records.
///
/// Names are compared byte for byte after unescaping: `EMAIL` and `еmail` with a Cyrillic letter
/// are other names than `email`, hence unlisted, hence dropped.
#[derive(Debug)]
pub struct Shape {
    nodes: Vec<Node>,
    /// The fields at and below each node, one range after the other.
    leaves: Vec<FieldIx>,
    /// What pseudonyms of each field are made under, by [`FieldIx`].
    kinds: Vec<Box<str>>,
}

/// A place in a record: below the record itself, a member of an object or the items of an array.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The member's name, unescaped.
    name: Box<[u8]>,
    /// The name with quotes, escapes and colon, ready to write.
    pub(super) key: Box<[u8]>,
    /// The field whose value stands here.
    pub(super) field: Option<FieldIx>,
    /// Whether a container here is shown or dropped with all it holds.
    pub(super) whole: bool,
    /// Whether an array stands above, so that a record may have several values.
    pub(super) repeats: bool,
    /// The items of an array here.
    pub(super) item: Option<NodeIx>,
    /// Fingerprints of the members' names, sorted, and the members in the same order.
    prints: Vec<u64>,
    members: Vec<NodeIx>,
    /// Range of [`Shape::leaves`].
    leaves: (usize, usize),
}

/// A position in [`Shape`]'s nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NodeIx(u32);

impl NodeIx {
    /// The record itself.
    pub(super) const RECORD: Self = Self(0);

    /// Whether it is the record itself.
    pub(super) fn is_record(self) -> bool {
        self == Self::RECORD
    }
}

impl Node {
    /// Whether listed fields stand below, in members of an object here.
    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether a container here is one value.
    pub(super) fn is_one_value(&self) -> bool {
        // When parts of it are listed by themselves, each part has its own view, which showing
        // the whole would undo.
        self.whole && self.field.is_some() && self.members.is_empty() && self.item.is_none()
    }
}

impl Shape {
    /// The tree of `set`'s fields.
    pub fn new(set: &DataSet) -> Self {
        let mut shape =
            Self { nodes: vec![Node::default()], leaves: Vec::new(), kinds: Vec::new() };
        for (ix, field) in set.indexed() {
            let mut at = NodeIx::RECORD;
            for segment in field.path.as_str().split('.') {
                let name = segment.trim_end_matches("[*]");
                at = shape.member_or_new(at, name.as_bytes());
                for _ in 0..(segment.len() - name.len()) / "[*]".len() {
                    at = shape.item_or_new(at);
                }
            }
            if let Some(node) = shape.nodes.get_mut(at.index()) {
                // A path listed twice keeps its first field; `check` refuses it before.
                if node.field.is_none() {
                    node.field = Some(ix);
                    node.whole = field.whole;
                }
            }
            let subject = set.subjects.iter().find(|subject| subject.field == ix);
            // One person has one pseudonym in every data set that names them.
            shape.kinds.push(match subject {
                Some(subject) => ["subject:", subject.domain.as_str()].concat().into(),
                None => field.category.as_str().into(),
            });
        }
        shape.index(NodeIx::RECORD);
        shape
    }

    /// The node at `ix`.
    #[inline]
    pub(super) fn node(&self, ix: NodeIx) -> Option<&Node> {
        self.nodes.get(ix.index())
    }

    /// The fields at and below a node.
    pub(super) fn leaves(&self, node: &Node) -> &[FieldIx] {
        self.leaves.get(node.leaves.0..node.leaves.1).unwrap_or_default()
    }

    /// What pseudonyms of `field` are made under: `subject:` and the domain for a subject's id,
    /// else the category.
    pub fn pseudonym_kind(&self, field: FieldIx) -> Option<&str> {
        self.kinds.get(field.index()).map(|kind| &**kind)
    }

    /// The member of `node` called `name`, whose fingerprint is `print`.
    #[inline]
    pub(super) fn member(&self, node: &Node, print: u64, name: &[u8]) -> Option<NodeIx> {
        let first = if node.prints.len() <= FEW {
            node.prints.iter().position(|known| *known == print)?
        } else {
            node.prints.partition_point(|known| *known < print)
        };
        let same = node.prints.get(first..)?.iter().take_while(|known| **known == print);
        let candidates = same.zip(node.members.get(first..)?);
        candidates
            .map(|(_, member)| *member)
            .find(|member| self.node(*member).is_some_and(|node| *node.name == *name))
    }

    fn member_or_new(&mut self, parent: NodeIx, name: &[u8]) -> NodeIx {
        let print = fingerprint(name);
        let known = self.node(parent).and_then(|node| self.linear(node, name));
        if let Some(member) = known {
            return member;
        }
        let mut key = vec![b'"'];
        escape::escape(name, &mut key);
        key.extend_from_slice(b"\":");
        let repeats = self.node(parent).is_some_and(|node| node.repeats);
        let member =
            self.push(Node { name: name.into(), key: key.into(), repeats, ..Node::default() });
        if let Some(node) = self.nodes.get_mut(parent.index()) {
            let at = node.prints.partition_point(|known| *known <= print);
            node.prints.insert(at, print);
            node.members.insert(at, member);
        }
        member
    }

    fn linear(&self, node: &Node, name: &[u8]) -> Option<NodeIx> {
        let is_named = |member: &&NodeIx| self.node(**member).is_some_and(|n| *n.name == *name);
        node.members.iter().find(is_named).copied()
    }

    fn item_or_new(&mut self, parent: NodeIx) -> NodeIx {
        if let Some(item) = self.node(parent).and_then(|node| node.item) {
            return item;
        }
        let item = self.push(Node { repeats: true, ..Node::default() });
        if let Some(node) = self.nodes.get_mut(parent.index()) {
            node.item = Some(item);
        }
        item
    }

    fn push(&mut self, node: Node) -> NodeIx {
        let ix = NodeIx(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        ix
    }

    /// Lists the fields of a node and of all below it.
    fn index(&mut self, at: NodeIx) {
        let Some(node) = self.node(at) else { return };
        let field = node.field;
        let below: Vec<NodeIx> = node.members.iter().copied().chain(node.item).collect();
        let first = self.leaves.len();
        self.leaves.extend(field);
        for child in below {
            self.index(child);
        }
        let last = self.leaves.len();
        if let Some(node) = self.nodes.get_mut(at.index()) {
            node.leaves = (first, last);
        }
    }
}

impl NodeIx {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Up to this many names a scan of the fingerprints beats a search.
const FEW: usize = 24;

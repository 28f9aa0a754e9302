//! The listed fields of a data set as a tree of names, made once per policy.

use super::escape;
use super::names::fingerprint;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::SealMode;
use crate::catalog::Sealing;
use crate::policy::View;
use crate::types::FieldPath;
use std::sync::Arc;

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
    /// Where each field stands, by [`FieldIx`].
    paths: Vec<FieldPath>,
    /// How each field is sealed where it is stored, by [`FieldIx`].
    sealings: Vec<Option<Arc<Sealing>>>,
}

/// A place in a record: below the record itself, a member of an object or the items of an array.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The name with comma, quotes, escapes and colon, ready to write.
    pub(super) key: Box<[u8]>,
    /// The field whose value stands here.
    pub(super) field: Option<FieldIx>,
    /// Whether a container here is shown or dropped with all it holds.
    pub(super) whole: bool,
    /// Whether an array stands above, so that a record may have several values.
    pub(super) repeats: bool,
    /// The items of an array here.
    pub(super) item: Option<NodeIx>,
    /// Fingerprints of the members' names, and the members in the same order.
    prints: Vec<u64>,
    members: Vec<Member>,
    /// The places of the members by fingerprint, when there are many.
    sorted: Vec<(u64, usize)>,
    /// Range of [`Shape::leaves`].
    leaves: (usize, usize),
}

/// A named member of an object.
#[derive(Debug)]
struct Member {
    /// Unescaped.
    name: Box<[u8]>,
    ix: NodeIx,
}

/// A position in [`Shape`]'s nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NodeIx(u32);

impl NodeIx {
    /// The record itself.
    pub(super) const RECORD: Self = Self(0);

    /// No node at all.
    pub(super) const NOWHERE: Self = Self(u32::MAX);

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

    /// The member called `name`, whose fingerprint is `print`, and its place among the members.
    /// The place `guess` is tried first.
    #[inline]
    pub(super) fn member(&self, print: u64, name: &[u8], guess: usize) -> Option<(usize, NodeIx)> {
        if self.prints.get(guess) == Some(&print)
            && let Some(member) = self.members.get(guess)
            && *member.name == *name
        {
            return Some((guess, member.ix));
        }
        if self.sorted.is_empty() {
            self.linear(print, name)
        } else {
            let first = self.sorted.partition_point(|(known, _)| *known < print);
            let same = self.sorted.get(first..)?.iter().take_while(|(known, _)| *known == print);
            same.filter_map(|(_, place)| Some((*place, self.members.get(*place)?)))
                .find(|(_, member)| *member.name == *name)
                .map(|(place, member)| (place, member.ix))
        }
    }

    fn linear(&self, print: u64, name: &[u8]) -> Option<(usize, NodeIx)> {
        let first = self.prints.iter().position(|known| *known == print)?;
        let rest = self.members.iter().enumerate().skip(first);
        rest.filter(|(_, member)| *member.name == *name)
            .map(|(place, member)| (place, member.ix))
            .next()
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
        let mut shape = Self {
            nodes: vec![Node::default()],
            leaves: Vec::new(),
            kinds: Vec::new(),
            paths: Vec::new(),
            sealings: Vec::new(),
        };
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
            shape.paths.push(field.path.clone());
            shape.sealings.push(field.at_rest.clone());
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

    /// The field whose one plain value the cells of a column hold. A column is called by the
    /// field's path; values of an array or of a whole container are not one plain value.
    pub(super) fn column(&self, name: &str) -> Option<(NodeIx, FieldIx)> {
        let mut at = NodeIx::RECORD;
        for name in name.split('.') {
            let name = name.as_bytes();
            at = self.node(at)?.member(fingerprint(name), name, 0)?.1;
        }
        let node = self.node(at).filter(|node| !node.repeats && !node.whole)?;
        Some((at, node.field?))
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

    /// The same tree of fields none of which is sealed: of records that hold every value as it is.
    #[must_use]
    pub fn unsealed(mut self) -> Self {
        self.sealings.clear();
        self
    }

    /// How `field` is sealed where it is stored, when it is.
    pub(super) fn sealing(&self, field: FieldIx) -> Option<&Sealing> {
        self.sealings.get(field.index())?.as_deref()
    }

    /// What a value that is not sealed means in `field`; nothing when the field is not sealed.
    #[inline]
    pub(super) fn seal(&self, field: FieldIx) -> Option<SealMode> {
        self.sealing(field).map(|sealing| sealing.mode)
    }

    /// The members of a record that hold blind indexes.
    pub(super) fn indexes(&self) -> impl Iterator<Item = &str> {
        let sealings = self.sealings.iter().flatten();
        sealings.filter_map(|sealing| sealing.index.as_ref()).map(|index| &*index.member)
    }

    /// Whether any field is sealed.
    pub fn has_sealed(&self) -> bool {
        self.sealings.iter().any(Option::is_some)
    }

    /// The view of `field` among `views`. What is not sealed has no ciphertext to pass on.
    #[inline]
    pub(super) fn view(&self, views: &[View], field: FieldIx) -> View {
        match views.get(field.index()) {
            Some(View::Ciphertext) if self.seal(field).is_none() => View::Drop,
            view => view.copied().unwrap_or(View::Drop),
        }
    }

    /// Where `field` stands, as policy writes it.
    pub(super) fn path(&self, field: FieldIx) -> Option<&FieldPath> {
        self.paths.get(field.index())
    }

    fn member_or_new(&mut self, parent: NodeIx, name: &[u8]) -> NodeIx {
        let print = fingerprint(name);
        if let Some((_, known)) = self.node(parent).and_then(|node| node.linear(print, name)) {
            return known;
        }
        let mut key = b",\"".to_vec();
        escape::escape(name, &mut key);
        key.extend_from_slice(b"\":");
        let repeats = self.node(parent).is_some_and(|node| node.repeats);
        let ix = self.push(Node { key: key.into(), repeats, ..Node::default() });
        if let Some(node) = self.nodes.get_mut(parent.index()) {
            node.prints.push(print);
            node.members.push(Member { name: name.into(), ix });
        }
        ix
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
        let below: Vec<NodeIx> =
            node.members.iter().map(|member| member.ix).chain(node.item).collect();
        let first = self.leaves.len();
        self.leaves.extend(field);
        for child in below {
            self.index(child);
        }
        let last = self.leaves.len();
        if let Some(node) = self.nodes.get_mut(at.index()) {
            node.leaves = (first, last);
            if node.prints.len() > FEW {
                node.sorted = node.prints.iter().copied().zip(0..).collect();
                node.sorted.sort_unstable();
            }
        }
    }
}

impl Shape {
    /// Where a node stands, as policy writes it: names joined by `.`, `[*]` for the items of an
    /// array. Slow: for what is seen for the first time.
    pub(super) fn place_of(&self, wanted: NodeIx) -> String {
        let mut above: Vec<(NodeIx, String)> = vec![(NodeIx::RECORD, String::new())];
        while let Some((at, path)) = above.pop() {
            if at == wanted {
                return path;
            }
            let Some(node) = self.node(at) else { continue };
            above.extend(node.item.map(|item| (item, format!("{path}[*]"))));
            above.extend(node.members.iter().map(|member| {
                let name = String::from_utf8_lossy(&member.name);
                let dot = if path.is_empty() { "" } else { "." };
                (member.ix, format!("{path}{dot}{name}"))
            }));
        }
        String::new()
    }
}

impl NodeIx {
    /// Its number.
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Up to this many names a scan of the fingerprints beats a search.
const FEW: usize = 24;

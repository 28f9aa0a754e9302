//! Data sets as the rest of the gateway sees them.

use std::fmt;
use std::sync::Arc;

use crate::crypto::NormalForm;
use crate::types::Action;
use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::DomainId;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::Level;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::StoreId;
use crate::types::Timestamp;
use crate::types::doc::Localized;

/// A field's position in [`DataSet::fields`]. It means something only beside its data set.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldIx(pub u16);

impl FieldIx {
    /// The position as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One leaf of a record: a value that is shown, changed or dropped as a whole.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where it stands in the record.
    pub path: FieldPath,
    /// What it is.
    pub category: CategoryId,
    /// How protected it is.
    pub level: Level,
    /// What law says of its category, whatever its level.
    pub flags: Flags,
    /// Whether a container here is one value with all it holds.
    pub whole: bool,
    /// Whether it is free text, in which anything may be written.
    pub text: bool,
    /// How it is sealed where the store keeps it; `None`: it stands there as it is.
    pub at_rest: Option<Arc<Sealing>>,
    /// Where it is written.
    pub place: Place,
}

impl Field {
    /// Whether misuse harms most: of a special category (GDPR article 9), sensitive personal
    /// information (PIPL article 28), about a child, or critical.
    pub fn is_sensitive(&self) -> bool {
        self.level == Level::Critical || self.flags.meets(Flags::SPECIAL.with(Flags::CHILD))
    }
}

/// How a field is sealed where the store keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealing {
    /// The name it is sealed as, `store.set.field` unless the policy says otherwise. A value sealed
    /// under one name does not open under another.
    pub name: Box<str>,
    /// What stands beside it so that it can be found by equality.
    pub index: Option<BlindIndex>,
    /// What a value that is not sealed means.
    pub mode: SealMode,
    /// The longest text that the store keeps in this field, in bytes, as far as it is known.
    pub max_length: Option<usize>,
}

/// What stands beside a sealed field so that it can be found by equality.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlindIndex {
    /// The member of the record it is kept in. Nobody is shown it and nobody may set it.
    pub member: Box<str>,
    /// The form in which values are compared.
    pub form: NormalForm,
    /// How many bytes are kept.
    pub bytes: u8,
}

/// What a value that is not sealed means in a field that should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SealMode {
    /// It is not the field's value: nobody is shown it.
    #[default]
    Strict,
    /// The store still holds values from before; they are shown as the views say, and counted.
    Migrating,
}

/// One table or collection behind the gateway.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Its name, such as `shop.customers`.
    pub id: DataSetId,
    /// The store that holds it: the first part of its name.
    pub store: StoreId,
    /// Its name for people.
    pub title: Option<Localized>,
    /// Whom a record is about. Empty when it is about nobody.
    pub subjects: Vec<SubjectField>,
    /// The field that says which country's law holds for a record.
    pub region: Option<FieldIx>,
    /// How it is reached over HTTP.
    pub routes: Vec<Arc<Route>>,
    /// Its leaves; [`FieldIx`] counts them.
    pub fields: Vec<Field>,
    /// The time in which the policy is only observed here; `None`: it is in force.
    pub observe: Option<Observe>,
    /// Where it is written.
    pub place: Place,
}

/// A time in which the policy decides about a data set and records what it decided, and changes
/// nothing of what callers get.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observe {
    /// The policy is in force from then on.
    pub until: Timestamp,
    /// Where it is written.
    pub place: Place,
}

impl Observe {
    /// The longest time ahead, in milliseconds: a leap year.
    pub const LONGEST_MS: u64 = 366 * 86_400_000;

    /// Whether the policy is only observed at `now`. A clock by which the end is further ahead
    /// than it can have been written is wrong, and then the policy is in force.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.until.ms_since(now) <= Self::LONGEST_MS
    }
}

/// One person a record is about.
#[derive(Clone, Debug)]
pub struct SubjectField {
    /// The field that holds the person's id.
    pub field: FieldIx,
    /// The space of that id.
    pub domain: DomainId,
    /// The fields about this person, when the record is about several; `None`: all of them.
    /// A field that no subject lists is about all of them.
    pub owns: Option<Vec<FieldIx>>,
}

/// What an HTTP call does. HEAD is matched as GET by the caller.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Method {
    /// Removes.
    Delete,
    /// Reads.
    Get,
    /// Changes a part.
    Patch,
    /// Makes.
    Post,
    /// Replaces.
    Put,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] = [Self::Delete, Self::Get, Self::Patch, Self::Post, Self::Put];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// What a call with this method does to records.
    pub const fn action(self) -> Action {
        match self {
            Self::Delete => Action::Delete,
            Self::Get => Action::Read,
            Self::Patch | Self::Put => Action::Update,
            Self::Post => Action::Create,
        }
    }

    /// Reads the word on the wire; methods are case-sensitive (RFC 9110 §9.1).
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One way to reach a data set over HTTP.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the call does.
    pub method: Method,
    /// The path as written, such as `/customers/{id}`: what logs and metrics may name.
    pub template: String,
    /// The path in parts.
    pub segments: Vec<Segment>,
    /// Where the records stand in a body; `None` when the answer has none.
    pub records: Option<Selector>,
    /// Records of the same or other data sets that stand beside these in one answer.
    pub beside: Vec<Beside>,
    /// The file that the route leads to, instead of records.
    pub opaque: Option<Opaque>,
    /// Query parameters that are passed on and select nothing, such as `limit`.
    pub query: Vec<Box<str>>,
    /// Query parameters that select records by a field.
    pub find_by: Vec<(Box<str>, FieldIx)>,
    /// Of a route that creates: the field whose value the store gives and tells in its answer.
    pub created_id: Option<FieldIx>,
    /// Of a route that changes or removes: whether it may do so where the store cannot tell that
    /// somebody else changed the record meanwhile.
    pub unsafe_writes: bool,
    /// The purpose of a call that names none.
    pub purpose: Option<PurposeId>,
    /// Where it is written.
    pub place: Place,
}

impl Route {
    /// The field that query parameter `name` selects by, when it does.
    pub fn finds_by(&self, name: &str) -> Option<FieldIx> {
        self.find_by.iter().find(|(known, _)| &**known == name).map(|(_, field)| *field)
    }

    /// Whether query parameter `name` may be passed on, selecting or not.
    pub fn knows_parameter(&self, name: &str) -> bool {
        self.finds_by(name).is_some() || self.query.iter().any(|known| &**known == name)
    }

    /// The fields that the path's variables select by, in path order.
    pub fn variables(&self) -> impl Iterator<Item = FieldIx> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(field) => Some(*field),
            Segment::Literal(_) => None,
        })
    }
}

/// One part of a route's path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    /// Exactly this text, percent-decoded.
    Literal(Box<str>),
    /// A value of this field.
    Variable(FieldIx),
}

/// Records that stand beside the route's own in one answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Beside {
    /// Their data set, of the same store.
    pub set: DataSetId,
    /// Where they stand: neither above nor below others.
    pub selector: Selector,
    /// Where this is written.
    pub place: Place,
}

/// A file: one field of a record, passed whole and never looked into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opaque {
    /// The field that says what the file is.
    pub field: FieldIx,
    /// The record it belongs to; `None`: nothing is known but the path's variables.
    pub of: Option<Owner>,
}

/// The record that a file belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The path it is read at, as written.
    pub template: String,
    /// That path in parts; its variables are among the file's.
    pub segments: Vec<Segment>,
    /// Where it stands in the answer: one record.
    pub records: Selector,
}

/// Where the records stand in a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    /// Member names from the root to the record, or to the array of records.
    pub steps: Vec<Box<str>>,
    /// Whether one record stands there or an array of them.
    pub records: Records,
    /// Members beside the way to the records that are passed on, as names joined by `.` from the
    /// root. Only values that are neither object nor array may pass.
    pub around: Vec<Box<str>>,
}

/// Whether one record stands at the end of a [`Selector`] or an array of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Records {
    /// An array: `$[*]`, `$.items[*]`.
    Each,
    /// One object: `$`, `$.data`.
    One,
}

impl DataSet {
    /// Until when the policy is only observed, when it is at `now`.
    pub fn observed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.observe.as_ref().filter(|observe| observe.holds(now)).map(|observe| observe.until)
    }

    /// The field at `ix`; `None` when `ix` belongs to another data set.
    pub fn get(&self, ix: FieldIx) -> Option<&Field> {
        self.fields.get(ix.index())
    }

    /// Every field with its position.
    pub fn indexed(&self) -> impl Iterator<Item = (FieldIx, &Field)> {
        (0..=u16::MAX).map(FieldIx).zip(&self.fields)
    }

    /// The leaf at `path`.
    pub fn find(&self, path: &FieldPath) -> Option<FieldIx> {
        self.indexed().find(|(_, field)| field.path == *path).map(|(ix, _)| ix)
    }

    /// The leaf at `path`, or every leaf below the container at `path`.
    pub fn within(&self, path: &FieldPath) -> impl Iterator<Item = FieldIx> {
        self.indexed().filter(move |(_, field)| field.path.is_within(path)).map(|(ix, _)| ix)
    }

    /// How the field is sealed, when it is.
    pub fn sealing(&self, ix: FieldIx) -> Option<&Arc<Sealing>> {
        self.get(ix)?.at_rest.as_ref()
    }

    /// The place among [`subjects`](Self::subjects) of the person whom the field is about, when it
    /// is about exactly one.
    pub fn owner(&self, ix: FieldIx) -> Option<usize> {
        // Of a single person everything is theirs, listed or not.
        if self.subjects.len() == 1 {
            return Some(0);
        }
        let lists = |subject: &SubjectField| {
            subject.owns.as_ref().is_some_and(|fields| fields.contains(&ix))
        };
        let mut found = (0..).zip(&self.subjects).filter(|(_, subject)| lists(subject));
        found.next().filter(|_| found.next().is_none()).map(|(at, _)| at)
    }

    /// Whether the field holds the id of one of the record's subjects.
    pub fn is_subject(&self, ix: FieldIx) -> bool {
        self.subjects.iter().any(|subject| subject.field == ix)
    }
}

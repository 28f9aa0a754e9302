//! The `fields:` of a data set: from containers with children to a flat list of leaves.

use std::collections::BTreeMap;

use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::Level;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::Categories;
use super::DataSet;
use super::Field;
use super::sealing::Above;
use super::sealing::Words;

/// Reads the map of fields. A field that could not be classified counts as critical.
pub(super) fn read(
    node: &Node,
    within: (&DataSetId, &Categories),
    faults: &mut Faults,
) -> Vec<Field> {
    let mut found = Vec::new();
    let Some(entries) = node.map(faults) else { return found };
    for entry in entries {
        if let Some(path) = path(entry, None, faults) {
            field((within, entry), path, None, &mut found, faults);
        }
    }
    if entries.is_empty() {
        faults.error(&node.place, "no field is listed, so no data could ever be shown", "");
    }
    if found.len() > MAX_FIELDS {
        let what = format!("{} fields are listed, more than {MAX_FIELDS}", found.len());
        faults.error(&node.place.first_line(), what, "split the data set");
        found.truncate(MAX_FIELDS);
    }
    overlaps(&found, faults);
    shapes(&found, faults);
    found
}

/// A help line with the field of `set` nearest to `path`.
pub(super) fn near(path: &FieldPath, set: &DataSet) -> String {
    let known = set.fields.iter().map(|field| field.path.as_str());
    closest(path.as_str(), known).map_or_else(String::new, |near| format!("did you mean `{near}`?"))
}

/// What a field is, handed down to its children.
#[derive(Clone)]
struct Class {
    category: CategoryId,
    level: Level,
    flags: Flags,
    text: bool,
    /// Whether and how it is sealed at rest.
    sealed: Above,
}

fn path(entry: &Entry, parent: Option<&FieldPath>, faults: &mut Faults) -> Option<FieldPath> {
    let parsed = match parent {
        Some(parent) => parent.child(&entry.key),
        None => FieldPath::parse(&entry.key),
    };
    parsed.map_err(|error| faults.error(&entry.key_place, error.to_string(), "")).ok()
}

/// Reads one field and its children; recursion ends with the nesting of the file.
fn field(
    (within, entry): ((&DataSetId, &Categories), &Entry),
    path: FieldPath,
    parent: Option<&Class>,
    found: &mut Vec<Field>,
    faults: &mut Faults,
) {
    let Some(mut map) = MapReader::new(&entry.node, "a field", faults) else { return };
    let (set, categories) = within;
    let class = class((&mut map, categories), &path, parent, faults);
    let Some(class) = class else { return };
    let whole = map.optional("whole").and_then(|node| node.bool(faults)).unwrap_or_default();
    let children = map.optional("children");
    let words = Words::take(&mut map, faults);
    map.later("on_erase", faults);
    map.finish(faults);
    let Some(children) = children else {
        let at_rest = words.read((set, &path, &class.category), class.sealed, faults);
        let Class { category, level, flags, text, .. } = class;
        let place = entry.key_place.clone();
        found.push(Field { path, category, level, flags, whole, text, at_rest, place });
        return;
    };
    let class = Class { sealed: words.below(class.sealed, faults), ..class };
    if whole {
        let what = format!("`{path}` has children and is whole");
        faults.error(&entry.key_place, what, "leave out one of them");
    }
    let Some(entries) = children.map(faults) else { return };
    if entries.is_empty() {
        let help = "list them, or write `whole: true`";
        faults.error(&children.place, format!("`{path}` has no children"), help);
    }
    for entry in entries {
        if let Some(path) = self::path(entry, Some(&path), faults) {
            field((within, entry), path, Some(&class), found, faults);
        }
    }
}

/// What the field is: its own words, else its parent's.
fn class(
    (map, categories): (&mut MapReader<'_>, &Categories),
    path: &FieldPath,
    parent: Option<&Class>,
    faults: &mut Faults,
) -> Option<Class> {
    let own = match (map.optional("category"), parent) {
        // A child of a container that was raised stays raised, whatever it is called.
        (Some(node), _) => known_category(node, categories, faults).map(|own| Class {
            level: parent.map_or(own.level, |parent| own.level.max(parent.level)),
            sealed: parent.map_or_else(Above::default, |parent| parent.sealed),
            ..own
        }),
        (None, Some(parent)) => Some(parent.clone()),
        (None, None) => map.required("category", faults).and(None),
    };
    // INVARIANT: `user` is a valid id; a field without a category is an error in any case.
    let unknown = || {
        let category = CategoryId::parse("user").ok()?;
        Some(Class {
            category,
            level: Level::Critical,
            flags: Flags::PERSONAL,
            text: false,
            sealed: Above::default(),
        })
    };
    let mut class = own.or_else(unknown)?;
    if let Some(node) = map.optional("level") {
        let words = Level::ALL.map(Level::as_str);
        if let Some(level) = node.word("level", Level::parse, &words, faults) {
            if level < class.level {
                let flags: Vec<&str> = class.flags.words().collect();
                let flags = if flags.is_empty() {
                    String::new()
                } else {
                    format!("; its legal flags stay: {}", flags.join(", "))
                };
                let what = format!("`{path}` is lowered from {} to {level}{flags}", class.level);
                faults.remark(&node.place, what);
            }
            class.level = level;
        }
    }
    if let Some(text) = map.optional("text").and_then(|node| node.bool(faults)) {
        class.text = text;
    }
    Some(class)
}

fn known_category(node: &Node, categories: &Categories, faults: &mut Faults) -> Option<Class> {
    let known: Vec<&str> = categories.keys().collect();
    let parse = |text: &str| {
        let id = CategoryId::parse(text).ok()?;
        let (level, flags) = categories.find(&id)?;
        Some(Class { category: id, level, flags, text: false, sealed: Above::default() })
    };
    node.word("category", parse, &known, faults)
}

/// Reports leaves that stand in other leaves, and leaves listed twice.
fn overlaps(fields: &[Field], faults: &mut Faults) {
    let mut sorted: Vec<&Field> = fields.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut above: Vec<&Field> = Vec::new();
    for field in sorted {
        while above.last().is_some_and(|open| !field.path.is_within(&open.path)) {
            above.pop();
        }
        if let Some(outer) = above.last() {
            let (line, _) = outer.place.line_column();
            let (path, outer) = (&field.path, &outer.path);
            let (what, help) = if path == outer {
                (format!("`{path}` is listed twice, first in line {line}"), "remove one of them")
            } else {
                let what = format!("`{path}` stands in `{outer}`, which line {line} lists");
                (what, "list the container with `children`, or only its parts")
            };
            faults.error(&field.place, what, help);
        }
        above.push(field);
    }
}

/// Reports names that are written both as one object and as an array: what a record holds there
/// would decide which of the two fields is shown.
fn shapes(fields: &[Field], faults: &mut Faults) {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for field in fields {
        let mut bare = String::new();
        for segment in field.path.as_str().split('.') {
            let name = segment.trim_end_matches("[*]");
            let stars = segment.strip_prefix(name).unwrap_or_default();
            bare.push('.');
            bare.push_str(name);
            let first = *known.entry(bare.clone()).or_insert(stars);
            if first != stars {
                let what =
                    format!("`{name}` is written both as `{name}{first}` and as `{segment}`");
                faults.error(&field.place, what, "write it one way in the whole data set");
            }
        }
    }
}

/// More fields than this in one data set are a mistake.
const MAX_FIELDS: usize = 4_096;

//! Routes with `records: opaque`: files, each one field of a record.

use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;
use crate::types::doc::closest;

use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Opaque;
use super::Owner;
use super::Records;
use super::Route;
use super::Segment;
use super::read::leaf;

/// The word under `records`.
const WORD: &str = "opaque";

/// Whether a route says `records: opaque`.
pub(super) fn is_opaque(route: &Node) -> bool {
    let Value::Map(entries) = &route.value else { return false };
    let says = |entry: &Entry| {
        let is_word = matches!(&entry.node.value, Value::Text(text) if &**text == WORD);
        &*entry.key == "records" && is_word
    };
    entries.iter().any(says)
}

/// What is written of a file's route, besides what every route has.
pub(super) struct Written<'a> {
    field: Option<&'a Node>,
    of: Option<&'a Node>,
    /// What a file cannot have.
    odd: Vec<(&'static str, &'a Node)>,
}

/// Takes the words of a file's route out of `map`.
pub(super) fn take<'a>(map: &mut MapReader<'a>) -> Written<'a> {
    let odd = ["around", "created_id", "find_by"].into_iter();
    Written {
        field: map.optional("field"),
        of: map.optional("of"),
        odd: odd.filter_map(|word| Some((word, map.optional(word)?))).collect(),
    }
}

/// Reads `field` and `of` of a route of files with these variables. `known`: the data set's other
/// routes.
pub(super) fn read(
    (route, written): (&Node, &Written<'_>),
    segments: Option<&[Segment]>,
    (set, known): (&DataSet, &[Route]),
    faults: &mut Faults,
) -> Option<Opaque> {
    for (word, node) in &written.odd {
        let what = format!("`{word}` says nothing about a file");
        faults.error(&node.place.first_line(), what, "leave it out");
    }
    let Some(node) = written.field else {
        let help = "write `field: photo`, a field of the data set: it says what the file is";
        faults.error(&route.place.first_line(), "a route of files needs `field`", help);
        return None;
    };
    let field = leaf(node, set, faults)?;
    if set.get(field).is_some_and(|field| field.path.as_str().contains("[*]")) {
        let help = "name a field that a record has once";
        faults.error(&node.place, "a file is one value, and this field may be several", help);
    }
    let variables: Vec<FieldIx> =
        segments.unwrap_or_default().iter().filter_map(variable).collect();
    let of = match written.of {
        Some(node) => Some(owner(node, &variables, known, faults)?),
        None => {
            if segments.is_some() {
                warn_of_nobody(route, &variables, set, faults);
            }
            None
        }
    };
    Some(Opaque { field, of })
}

/// The record that a file belongs to: a GET route of the same data set to one record, which the
/// file's own path can fill in.
fn owner(
    node: &Node,
    variables: &[FieldIx],
    known: &[Route],
    faults: &mut Faults,
) -> Option<Owner> {
    let text = node.text(faults)?;
    let call = |route: &Route| format!("{} {}", route.method, route.template);
    let Some(route) = known.iter().find(|route| call(route) == text) else {
        let calls: Vec<String> =
            known.iter().filter(|route| route.method == Method::Get).map(call).collect();
        let near = closest(text, calls.iter().map(String::as_str));
        let help = near.map_or_else(
            || "name a GET route of this data set to one record".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        faults.error(&node.place, format!("the data set has no route `{text}`"), help);
        return None;
    };
    let one = route.records.as_ref().filter(|selector| selector.records == Records::One);
    let Some(records) = one.filter(|_| route.method == Method::Get) else {
        let what = format!("`{text}` does not read one record");
        faults.error(
            &node.place,
            what,
            "name a GET route with one record, such as `records: \"$\"`",
        );
        return None;
    };
    if !route.variables().all(|field| variables.contains(&field)) {
        let what = format!("the path of the file does not say every variable of `{text}`");
        faults.error(&node.place, what, "use the same variables in both paths");
        return None;
    }
    let (template, segments) = (route.template.clone(), route.segments.clone());
    Some(Owner { template, segments, records: records.clone() })
}

/// Warns when a file could never leave: nobody would know whom it is about.
fn warn_of_nobody(route: &Node, variables: &[FieldIx], set: &DataSet, faults: &mut Faults) {
    let unknown = set.subjects.iter().find(|subject| !variables.contains(&subject.field));
    let Some(path) = unknown.and_then(|subject| set.get(subject.field)) else { return };
    let what = format!(
        "the path does not say `{}`, so nobody knows whom the file is about and it never leaves",
        path.path
    );
    let help = "name the record it belongs to: `of: \"GET /customers/{id}\"`";
    faults.warning(&route.place.first_line(), what, help);
}

fn variable(segment: &Segment) -> Option<FieldIx> {
    match segment {
        Segment::Variable(field) => Some(*field),
        Segment::Literal(_) => None,
    }
}

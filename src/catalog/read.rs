//! The `data:` part of a policy file.

use std::sync::Arc;

use crate::types::DataSetId;
use crate::types::DomainId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Place;
use crate::types::StoreId;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::Categories;
use super::DataSet;
use super::FieldIx;
use super::Observe;
use super::SubjectField;
use super::fields;
use super::routes;
use super::sealing;

/// Reads the `data:` map. Reports every fault; a data set with faults comes back with what could
/// be read, so that what names it is not reported as well. `categories`: those that fields may have.
pub fn read_data(node: &Node, categories: &Categories, faults: &mut Faults) -> Vec<Arc<DataSet>> {
    let Some(entries) = node.map(faults) else { return Vec::new() };
    let sets = entries.iter().filter_map(|entry| data_set(entry, categories, faults));
    sets.map(Arc::new).collect()
}

fn data_set(entry: &Entry, categories: &Categories, faults: &mut Faults) -> Option<DataSet> {
    let (id, store) = name(&entry.key, &entry.key_place, faults)?;
    let mut map = MapReader::new(&entry.node, "a data set", faults)?;
    let title = map.optional("title").and_then(|node| node.localized(faults));
    let fields =
        map.required("fields", faults).map(|node| fields::read(node, (&id, categories), faults));
    let place = entry.key_place.clone();
    let mut set = DataSet {
        id,
        store,
        title,
        subjects: Vec::new(),
        region: None,
        routes: Vec::new(),
        fields: fields.unwrap_or_default(),
        observe: None,
        place,
    };
    if let Some(node) = map.required("subject", faults) {
        set.subjects = subjects(node, &set, faults);
    }
    set.region = map.optional("region").and_then(|node| single(node, &set, faults));
    if let Some(node) = map.optional("routes") {
        set.routes = routes::read(node, &set, faults);
    }
    set.observe = map.optional("mode").and_then(|node| mode(node, faults));
    for word in ["rights", "on_erase", "retention"] {
        map.later(word, faults);
    }
    map.finish(faults);
    sealing::check(&set, faults);
    Some(set)
}

/// The name of a data set, and the store that its first part names.
fn name(text: &str, place: &Place, faults: &mut Faults) -> Option<(DataSetId, StoreId)> {
    let id = DataSetId::parse(text).map_err(|error| error.to_string());
    let store = text
        .split_once('.')
        .filter(|(_, rest)| rest.split('.').all(|part| !part.is_empty()))
        .and_then(|(store, _)| StoreId::parse(store).ok())
        .ok_or_else(|| format!("`{text}` does not name a store and a data set in it"));
    match id.and_then(|id| Ok((id, store?))) {
        Ok(found) => Some(found),
        Err(what) => {
            faults.error(place, what, "write it as `store.set`, such as `shop.customers`");
            None
        }
    }
}

fn subjects(node: &Node, set: &DataSet, faults: &mut Faults) -> Vec<SubjectField> {
    match &node.value {
        Value::Text(text) if &**text == "none" => Vec::new(),
        Value::Map(_) => subject(node, set, false, faults).into_iter().collect(),
        Value::List(items) if !items.is_empty() => {
            let mut found: Vec<SubjectField> = Vec::new();
            for item in items {
                let Some(subject) = subject(item, set, items.len() > 1, faults) else { continue };
                if found.iter().any(|earlier| earlier.field == subject.field) {
                    faults.error(&item.place.first_line(), "this subject stands here twice", "");
                } else {
                    found.push(subject);
                }
            }
            found
        }
        _ => {
            let help = "write `{ field: id, domain: person }`, `none`, or a list of such maps";
            node.unexpected::<()>("whom a record is about", help, faults);
            Vec::new()
        }
    }
}

fn subject(node: &Node, set: &DataSet, several: bool, faults: &mut Faults) -> Option<SubjectField> {
    let mut map = MapReader::new(node, "a subject", faults)?;
    if map.entry("via").is_some() {
        map.later("via", faults);
        return None;
    }
    let field = map.required("field", faults).and_then(|node| single(node, set, faults));
    let domain = map.required("domain", faults).and_then(|node| node.id(DomainId::parse, faults));
    let listed = if several { map.required("fields", faults) } else { map.optional("fields") };
    let mut owns = listed.map(|node| {
        let paths = node.ids(FieldPath::parse, faults);
        paths.iter().flat_map(|(node, path)| below(node, path, set, faults)).collect::<Vec<_>>()
    });
    map.finish(faults);
    let field = field?;
    if let Some(owns) = &mut owns {
        owns.push(field);
        owns.sort_unstable();
        owns.dedup();
    }
    Some(SubjectField { field, domain: domain?, owns })
}

/// Reads `enforce`, or until when the policy is only observed.
fn mode(node: &Node, faults: &mut Faults) -> Option<Observe> {
    let Value::Map(_) = node.value else {
        let parse = |word: &str| (word == "enforce").then_some(());
        node.word("mode", parse, &["enforce"], faults);
        return None;
    };
    let mut map = MapReader::new(node, "a mode", faults)?;
    let until = map.required("observe_until", faults);
    map.finish(faults);
    let until = until?;
    Some(Observe { until: until.moment(faults)?, place: until.place.clone() })
}

/// The leaf that `node` names.
pub(super) fn leaf(node: &Node, set: &DataSet, faults: &mut Faults) -> Option<FieldIx> {
    let path = node.id(FieldPath::parse, faults)?;
    leaf_at(&path, &node.place, set, faults)
}

/// The leaf at `path`, which is written at `place`.
pub(super) fn leaf_at(
    path: &FieldPath,
    place: &Place,
    set: &DataSet,
    faults: &mut Faults,
) -> Option<FieldIx> {
    let found = set.find(path);
    if found.is_none() {
        let (what, help) = if set.within(path).next().is_some() {
            let what = format!("`{path}` of `{}` is a container", set.id);
            (what, "name one of its children".to_owned())
        } else {
            (format!("`{}` has no field `{path}`", set.id), fields::near(path, set))
        };
        faults.error(&place.first_line(), what, help);
    }
    found
}

/// The leaf that `node` names, which has one value a record: it is no whole container and stands
/// in no array.
pub(super) fn single(node: &Node, set: &DataSet, faults: &mut Faults) -> Option<FieldIx> {
    let found = leaf(node, set, faults)?;
    single_at(found, &node.place, set, faults)
}

/// Reports a leaf that may have more than one value a record.
pub(super) fn single_at(
    ix: FieldIx,
    place: &Place,
    set: &DataSet,
    faults: &mut Faults,
) -> Option<FieldIx> {
    let field = set.get(ix)?;
    if field.whole || field.path.as_str().contains("[*]") {
        let what = format!("`{}` may have several values in one record", field.path);
        faults.error(&place.first_line(), what, "name a field with one plain value");
        return None;
    }
    Some(ix)
}

/// The leaf at `path`, or every leaf below it; a fault when there is none.
fn below(node: &Node, path: &FieldPath, set: &DataSet, faults: &mut Faults) -> Vec<FieldIx> {
    let found: Vec<FieldIx> = set.within(path).collect();
    if found.is_empty() {
        let what = format!("`{}` has no field `{path}`", set.id);
        faults.error(&node.place, what, fields::near(path, set));
    }
    found
}

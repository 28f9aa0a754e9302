//! The `routes:` of a data set.

use std::sync::Arc;

use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Records;
use super::Route;
use super::Segment;
use super::Selector;
use super::opaque;
use super::read::leaf;
use super::read::leaf_at;
use super::read::single_at;
use super::sets;
use super::writing;

/// Reads the list of routes; those with faults are left out.
pub(super) fn read(node: &Node, set: &DataSet, faults: &mut Faults) -> Vec<Arc<Route>> {
    let items = node.list(faults).unwrap_or_default();
    // Files last: they name the routes of the records they belong to.
    let (files, records): (Vec<&Node>, Vec<&Node>) =
        items.iter().partition(|item| opaque::is_opaque(item));
    let mut found: Vec<Route> = Vec::with_capacity(items.len());
    for item in records.into_iter().chain(files) {
        let read = route(item, (set, &found), faults);
        found.extend(read);
    }
    let routes: Vec<Arc<Route>> = found.into_iter().map(Arc::new).collect();
    writing::check(&routes, faults);
    routes
}

fn route(node: &Node, (set, known): (&DataSet, &[Route]), faults: &mut Faults) -> Option<Route> {
    let mut map = MapReader::new(node, "a route", faults)?;
    let on = map.required("on", faults);
    let called = on.and_then(|node| call(node, set, faults));
    let records = map.optional("records");
    let file = opaque::is_opaque(node).then(|| opaque::take(&mut map));
    let places = records.filter(|_| file.is_none()).and_then(|node| match node.value {
        Value::Map(_) => sets::read(node, set, faults),
        _ => Some((selector(node, faults)?, Vec::new())),
    });
    let (mut selector, others) = places.map_or((None, Vec::new()), |(own, it)| (Some(own), it));
    let around = map.optional("around");
    if let (Some(node), Some(selector)) = (around, &mut selector) {
        let others: Vec<&Selector> = others.iter().map(|other| &other.selector).collect();
        selector.around = beside(node, selector, &others, faults);
    }
    let query = map.optional("query").map(|node| node.texts(faults)).unwrap_or_default();
    let find_by = map.optional("find_by").map(|node| find_by(node, set, faults));
    let find_by = find_by.unwrap_or_default();
    for (node, name) in &query {
        if find_by.iter().any(|(known, _)| &**known == *name) {
            let what = format!("`{name}` stands under `query` and under `find_by`");
            faults.error(&node.place, what, "leave it under `find_by`, since it selects records");
        }
    }
    let purpose = map.optional("purpose").and_then(|node| node.id(PurposeId::parse, faults));
    let created_id = map.optional("created_id");
    let unsafe_writes = map.optional("unsafe_writes");
    let unsafe_writes = unsafe_writes.is_some_and(|node| writing::accepted(node, faults));
    map.finish(faults);
    let opaque = file.and_then(|written| {
        let segments = called.as_ref().map(|(_, _, segments)| &**segments);
        opaque::read((node, &written), segments, (set, known), faults)
    });
    let (method, template, segments) = called?;
    if opaque.is_some() && method == Method::Patch {
        let what = "a file is one value, so no part of it can be changed";
        faults.error(&node.place.first_line(), what, "write a PUT route, which replaces the file");
    }
    if method == Method::Get && records.is_none() {
        let help = "write `records: \"$\"` for one record, `records: \"$[*]\"` for an array";
        faults.error(&node.place.first_line(), "a GET route needs `records`", help);
    }
    let query = query.into_iter().map(|(_, name)| name.into()).collect();
    let place = on.map_or(&node.place, |on| &on.place).clone();
    let mut route = Route {
        method,
        template,
        segments,
        records: selector,
        beside: others,
        opaque,
        query,
        find_by,
        created_id: None,
        unsafe_writes,
        purpose,
        place,
    };
    if let Some(node) = created_id {
        route.created_id = writing::created_id(node, &route, set, faults);
    }
    writing::fits(&route, records, faults);
    Some(route)
}

/// Reads `GET /customers/{id}`.
fn call(node: &Node, set: &DataSet, faults: &mut Faults) -> Option<(Method, String, Vec<Segment>)> {
    let text = node.text(faults)?;
    let help = "write it as \"GET /customers/{id}\"";
    let Some((word, template)) = text.split_once(' ') else {
        faults.error(&node.place, format!("`{text}` is no method and path"), help);
        return None;
    };
    let Some(method) = Method::parse(word) else {
        let known = Method::ALL.map(Method::as_str).join(", ");
        let what = format!("`{word}` is no method that is routed");
        faults.error(&node.place, what, format!("known here: {known}"));
        return None;
    };
    let segments = match segments(template) {
        Ok(parts) => parts,
        Err(what) => {
            let help = format!("write it as \"{method} /customers/{{id}}\"");
            faults.error(&node.place, what, help);
            return None;
        }
    };
    let mut found = Vec::with_capacity(segments.len());
    for part in segments {
        found.push(match part {
            Part::Literal(text) => Segment::Literal(text.into()),
            Part::Variable(name) => Segment::Variable(variable(name, node, set, faults)?),
        });
    }
    Some((method, template.into(), found))
}

enum Part<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

/// Cuts a template into parts. What a normalised path can never match is a fault: such a route
/// would look like a rule and be none.
fn segments(template: &str) -> Result<Vec<Part<'_>>, String> {
    let wrong = |what: &str| Err(format!("path `{template}` {what}"));
    let Some(rest) = template.strip_prefix('/') else {
        return wrong("does not start with `/`");
    };
    if let Some(c) = template
        .chars()
        .find(|c| matches!(c, '?' | '#' | '%' | '\\' | ';') || c.is_whitespace() || c.is_control())
    {
        return wrong(&format!("has the character {c:?}"));
    }
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    for segment in rest.split('/') {
        let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        parts.push(match (segment, inner) {
            ("", _) => return wrong("has an empty segment or ends in `/`"),
            ("." | "..", _) => return wrong("has a dot segment"),
            (_, Some(name)) if !name.contains(['{', '}']) => Part::Variable(name),
            _ if segment.contains(['{', '}']) => {
                return wrong("has a variable that is not a whole segment");
            }
            _ => Part::Literal(segment),
        });
    }
    if parts.len() > MAX_SEGMENTS {
        return wrong(&format!("has more than {MAX_SEGMENTS} segments"));
    }
    Ok(parts)
}

fn variable(name: &str, node: &Node, set: &DataSet, faults: &mut Faults) -> Option<FieldIx> {
    match FieldPath::parse(name) {
        Ok(path) => {
            let field = leaf_at(&path, &node.place, set, faults)?;
            single_at(field, &node.place, set, faults)
        }
        Err(error) => {
            faults.error(&node.place, error.to_string(), "a variable is named after a field");
            None
        }
    }
}

/// Reads `$`, `$[*]`, `$.a.b` or `$.a.b[*]`.
fn selector(node: &Node, faults: &mut Faults) -> Option<Selector> {
    let text = node.text(faults)?;
    let parsed = parse_selector(text);
    if parsed.is_none() {
        wrong_selector(text, &node.place, faults);
    }
    parsed
}

pub(super) fn wrong_selector(text: &str, place: &Place, faults: &mut Faults) {
    let what = format!("`{text}` does not say where the records stand");
    faults.error(place, what, "write it as `$`, `$[*]`, `$.data` or `$.data.items[*]`");
}

pub(super) fn parse_selector(text: &str) -> Option<Selector> {
    let rest = text.strip_prefix('$')?;
    let (rest, records) = match rest.strip_suffix("[*]") {
        Some(rest) => (rest, Records::Each),
        None => (rest, Records::One),
    };
    let mut steps = Vec::new();
    if !rest.is_empty() {
        for step in rest.strip_prefix('.')?.split('.') {
            let odd = |c: char| c.is_whitespace() || c.is_control() || "[]*'\"?@$".contains(c);
            if step.is_empty() || step.contains(odd) {
                return None;
            }
            steps.push(step.into());
        }
    }
    (steps.len() <= MAX_SEGMENTS).then_some(Selector { steps, records, around: Vec::new() })
}

/// Reads `around`: plain values beside the way to the records, as paths from the root.
fn beside(
    node: &Node,
    selector: &Selector,
    others: &[&Selector],
    faults: &mut Faults,
) -> Vec<Box<str>> {
    let mut found: Vec<Box<str>> = Vec::new();
    for (item, path) in node.texts(faults) {
        let mut places = std::iter::once(&selector).chain(others);
        match places.find_map(|selector| misplaced(path, selector, &found)) {
            Some((what, help)) => faults.error(&item.place, what, help),
            None => found.push(path.into()),
        }
    }
    found
}

/// Why nothing can stand at `path` around the records, and what would help.
fn misplaced(
    path: &str,
    selector: &Selector,
    known: &[Box<str>],
) -> Option<(String, &'static str)> {
    let names: Vec<&str> = path.split('.').collect();
    let steps: Vec<&str> = selector.steps.iter().map(|step| &**step).collect();
    let odd = |c: char| c.is_control() || matches!(c, '[' | ']');
    if steps.is_empty() {
        return Some(("nothing stands around these records".to_owned(), "leave `around` out"));
    }
    if names.first() == Some(&"$") {
        let help = "leave out `$.`: paths here begin at the root by themselves";
        return Some((format!("`{path}` does not say where a plain value stands"), help));
    }
    if names.len() > MAX_SEGMENTS || names.iter().any(|name| name.is_empty() || name.contains(odd))
    {
        let help = "write member names joined by `.`, such as `meta.total`";
        return Some((format!("`{path}` does not say where a plain value stands"), help));
    }
    if steps.starts_with(&names) {
        return Some((
            format!("`{path}` holds the records themselves"),
            "leave it out of `around`",
        ));
    }
    if names.starts_with(&steps) {
        let help = "list it under `fields`, and leave it out of `around`";
        return Some((format!("`{path}` stands inside the records"), help));
    }
    let below = |path: &str, above: &str| {
        path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
    };
    let other = known.iter().find(|other| below(other, path) || below(path, other))?;
    let what = format!("`{path}` and `{other}` cannot both be plain values");
    Some((what, "name the plain values alone, not what holds them"))
}

fn find_by(node: &Node, set: &DataSet, faults: &mut Faults) -> Vec<(Box<str>, FieldIx)> {
    let entries = node.map(faults).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), leaf(&entry.node, set, faults)?)))
        .collect()
}

/// Longer paths and selectors are a mistake.
const MAX_SEGMENTS: usize = 32;

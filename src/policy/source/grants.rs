//! Grants as written.

use crate::types::Action;
use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::IdError;
use crate::types::Level;
use crate::types::Place;
use crate::types::RuleId;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::Gives;
use super::Grant;
use super::Model;
use super::RowMatch;
use super::Shown;
use super::Valid;
use super::ids;
use super::needs;
use super::read::Broken;
use super::views;
use super::words;
use super::words::listed;
use super::words::positions;

/// Reads the `grants:` list.
pub(super) fn grants(node: &Node, model: &mut Model, broken: &Broken, faults: &mut Faults) {
    for item in node.list(faults).unwrap_or_default() {
        if let Some(grant) = grant(item, model, broken, faults) {
            model.grants.push(grant);
        }
    }
}

fn grant(node: &Node, model: &Model, broken: &Broken, faults: &mut Faults) -> Option<Grant> {
    let mut map = MapReader::new(node, "a grant", faults)?;
    let id = map.required("id", faults).and_then(|node| node.id(RuleId::parse, faults));
    if let Some(node) = map.optional("why") {
        node.localized(faults);
    }
    let roles = map
        .required("roles", faults)
        .map(|node| positions(node, "role", &ids(&model.roles, |role| role.id.as_str()), faults));
    let purposes = map
        .required("purposes", faults)
        .map(|node| positions(node, "purpose", &ids(&model.purposes, |p| p.id.as_str()), faults));
    let sets = map.required("data", faults).map(|node| sets(node, model, broken, faults));
    let actions = map.required("can", faults).map(|node| actions(node, faults));
    let shows = actions.as_ref().is_none_or(|actions| actions.iter().any(|it| it.shows()));
    let gives = gives(&mut map, shows, model, faults);
    let rows = map.optional("rows").map(|node| rows(node, faults));
    let find_by = map.optional("find_by").map(|node| paths(node, faults));
    let writes = map.optional("writes");
    if let Some(actions) = &actions {
        writes_fit(actions, writes, map.place(), faults);
    }
    let writes = writes.map(|node| paths(node, faults));
    let needs = map.optional("needs").and_then(|node| needs::needs(node, model, faults));
    let valid = map.optional("valid").and_then(|node| valid(node, faults));
    let overrides = map.optional("overrides").map(|node| {
        let ids = node.ids(RuleId::parse, faults).into_iter();
        ids.map(|(item, id)| (id, item.place.clone())).collect()
    });
    let place = map.place().first_line();
    map.finish(faults);
    Some(Grant {
        id: id?,
        roles: roles?,
        purposes: purposes?,
        sets: sets?,
        actions: actions?,
        gives: gives?,
        rows: rows.unwrap_or_default(),
        find_by: find_by.unwrap_or_default(),
        writes: writes.unwrap_or_default(),
        needs: needs.unwrap_or_default(),
        valid: valid.unwrap_or_default(),
        overrides: overrides.unwrap_or_default(),
        place,
    })
}

/// The data sets of a grant. One that was given but has faults of its own is no second fault.
fn sets(node: &Node, model: &Model, broken: &Broken, faults: &mut Faults) -> Vec<usize> {
    let whole = ids(&model.sets, |set| set.id.as_str());
    let known: Vec<&str> = whole.iter().copied().chain(broken.sets()).collect();
    let mut found = positions(node, "data set", &known, faults);
    found.retain(|position| *position < whole.len());
    found
}

fn actions(node: &Node, faults: &mut Faults) -> Vec<Action> {
    let known = Action::ALL.map(Action::as_str);
    let mut actions = Vec::new();
    for (item, word) in listed(node, faults) {
        let Some(action) = item.word("action", Action::parse, &known, faults) else { continue };
        if action == Action::Export {
            let what = format!("`{word}` is granted, but not served in this version");
            faults.warning(&item.place, what, "such calls are answered 501; leave it out");
        }
        actions.push(action);
    }
    actions
}

fn paths(node: &Node, faults: &mut Faults) -> Vec<(FieldPath, Place)> {
    let paths = node.ids(FieldPath::parse, faults).into_iter();
    paths.map(|(item, path)| (path, item.place.clone())).collect()
}

/// Reports a grant that lists what it may not write, or may write and lists nothing.
fn writes_fit(actions: &[Action], writes: Option<&Node>, place: &Place, faults: &mut Faults) {
    let sets = |action: &Action| matches!(action, Action::Create | Action::Update);
    match writes {
        Some(node) if !actions.iter().any(sets) => {
            let what =
                "`writes` lists what may be set, but `can` has neither `create` nor `update`";
            faults.error(
                &node.place.first_line(),
                what,
                "add one of them to `can`, or leave `writes` out",
            );
        }
        Some(node) if node.one_or_list().is_empty() => {
            faults.error(&node.place, "this list is empty", "name something, or leave it out");
        }
        None if actions.iter().any(sets) => {
            let what = "this grant may create or update, but sets no field";
            faults.warning(&place.first_line(), what, "list what it may set under `writes`");
        }
        _ => {}
    }
}

/// Reads the one of `fields`, `categories` and `levels` that is there. A grant that shows nothing
/// needs none.
fn gives(
    map: &mut MapReader<'_>,
    shows: bool,
    model: &Model,
    faults: &mut Faults,
) -> Option<Gives> {
    let (fields, categories, levels) =
        (map.optional("fields"), map.optional("categories"), map.optional("levels"));
    match (fields, categories, levels) {
        (Some(node), None, None) => shown(node, model, FieldPath::parse, faults).map(Gives::Fields),
        (None, Some(node), None) => {
            let lines = shown(node, model, CategoryId::parse, faults)?;
            for line in &lines {
                known_category(line, model, faults);
            }
            Some(Gives::Categories(lines))
        }
        (None, None, Some(node)) => by_level(node, model, faults).map(Gives::Levels),
        (None, None, None) if !shows => Some(Gives::Fields(Vec::new())),
        _ => {
            let what = "a grant has one of `fields`, `categories` and `levels`";
            faults.error(&map.place().first_line(), what, "split it into several grants");
            None
        }
    }
}

fn known_category(line: &Shown<CategoryId>, model: &Model, faults: &mut Faults) {
    if model.categories.find(&line.what).is_none() {
        let near = closest(line.what.as_str(), model.categories.keys());
        let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        faults.error(&line.place, format!("unknown category `{}`", line.what), help);
    }
}

fn shown<T>(
    node: &Node,
    model: &Model,
    parse: impl Fn(&str) -> Result<T, IdError>,
    faults: &mut Faults,
) -> Option<Vec<Shown<T>>> {
    let mut lines = Vec::new();
    for entry in node.map(faults)? {
        let what = words::key(entry, &parse, faults);
        let spec = views::used(&entry.node, &model.views, faults);
        if let (Some(what), Some(spec)) = (what, spec) {
            lines.push(Shown { what, spec, place: entry.key_place.clone() });
        }
    }
    Some(lines)
}

fn by_level(node: &Node, model: &Model, faults: &mut Faults) -> Option<Vec<Shown<Level>>> {
    let mut map = MapReader::new(node, "`levels`", faults)?;
    let mut lines = Vec::new();
    for level in Level::ALL {
        let Some(entry) = map.entry(level.as_str()) else { continue };
        let spec = views::used(&entry.node, &model.views, faults);
        let place = entry.key_place.clone();
        lines.extend(spec.map(|spec| Shown { what: level, spec, place }));
    }
    map.finish(faults);
    Some(lines)
}

/// Reads `rows: { team: caller.team }`.
fn rows(node: &Node, faults: &mut Faults) -> Vec<RowMatch> {
    let mut rows = Vec::new();
    for entry in node.map(faults).unwrap_or_default() {
        let field = words::key(entry, FieldPath::parse, faults);
        let Some(text) = entry.node.text(faults) else { continue };
        match text.strip_prefix("caller.") {
            Some(claim) if !claim.is_empty() => {
                let place = entry.key_place.clone();
                rows.extend(field.map(|field| RowMatch { field, claim: claim.into(), place }));
            }
            _ => {
                let what = format!("`{text}` names no claim of the caller");
                faults.error(&entry.node.place, what, "write it as `caller.CLAIM`");
            }
        }
    }
    rows
}

fn valid(node: &Node, faults: &mut Faults) -> Option<Valid> {
    let mut map = MapReader::new(node, "`valid`", faults)?;
    let from = map.optional("from").and_then(|node| node.moment(faults));
    let until = map.optional("until").and_then(|node| node.moment(faults));
    let place = map.place().first_line();
    map.finish(faults);
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        faults.error(&place, "`valid` ends before it starts", "");
    }
    Some(Valid { from, until })
}

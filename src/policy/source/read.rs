//! From files to the model.

use std::sync::Arc;

use crate::catalog::Categories;
use crate::catalog::Router;
use crate::catalog::check_sets;
use crate::catalog::read_data;
use crate::policy::PolicyFile;
use crate::types::Faults;
use crate::types::SourceFile;
use crate::types::Timestamp;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;
use crate::types::doc::closest;
use crate::types::doc::yaml;

use super::Head;
use super::Model;
use super::grants;
use super::limits;
use super::recipients;
use super::views;
use super::words;

/// Reads every file into one model. Reports every fault; the model is usable when there is no
/// error among them.
pub(in crate::policy) fn read(
    files: &[PolicyFile],
    today: Timestamp,
    faults: &mut Faults,
) -> Model {
    let mut model = Model::default();
    let mut broken = Broken::default();
    let mut named = Vec::new();
    let mut roots = Vec::new();
    for file in files {
        let source = Arc::new(SourceFile { name: file.name.clone(), text: file.text.clone() });
        roots.extend(yaml(source, faults));
    }
    let mut parts: Vec<Parts<'_>> = Vec::new();
    for root in &roots {
        let Some((head, part)) = Parts::read(root, today, faults) else { continue };
        model.heads.push(head);
        parts.push(part);
    }
    for node in parts.iter().filter_map(|part| part.groups) {
        model.groups.read(node, faults);
    }
    for part in &parts {
        if let Some(node) = part.recipients {
            let Model { groups, recipients, .. } = &mut model;
            recipients::recipients(node, groups, today, recipients, faults);
        }
        if let Some(node) = part.purposes {
            words::purposes(node, &model.groups, &mut model.purposes, faults);
        }
        if let Some(node) = part.roles {
            words::roles(node, &mut model.roles, faults);
        }
        if let Some(node) = part.views {
            views::views(node, &mut model.views, &mut named, faults);
        }
    }
    let added: Vec<&Node> = parts.iter().filter_map(|part| part.categories).collect();
    model.categories = Categories::read(&added, faults);
    for node in parts.iter().filter_map(|part| part.data) {
        data(node, &mut model, &mut broken, faults);
    }
    recipients::parents(&model.recipients, faults);
    for part in &parts {
        if let Some(node) = part.grants {
            grants::grants(node, &mut model, &broken, faults);
        }
        if let Some(node) = part.limits {
            limits::limits(node, &mut model, faults);
        }
    }
    unused_views(&named, &parts, faults);
    rules_once(&model, faults);
    routes(&mut model, faults);
    model
}

/// The sections of one file.
struct Parts<'a> {
    groups: Option<&'a Node>,
    recipients: Option<&'a Node>,
    purposes: Option<&'a Node>,
    roles: Option<&'a Node>,
    views: Option<&'a Node>,
    categories: Option<&'a Node>,
    data: Option<&'a Node>,
    grants: Option<&'a Node>,
    limits: Option<&'a Node>,
}

impl<'a> Parts<'a> {
    fn read(root: &'a Node, today: Timestamp, faults: &mut Faults) -> Option<(Head, Self)> {
        let mut map = MapReader::new(root, "a policy", faults)?;
        let head = head(&mut map, today, faults);
        let mut part = |key| map.optional(key);
        let parts = Self {
            groups: part("region_groups"),
            recipients: part("recipients"),
            purposes: part("purposes"),
            roles: part("roles"),
            views: part("views"),
            categories: part("categories"),
            data: part("data"),
            grants: part("grants"),
            limits: part("limits"),
        };
        map.finish(faults);
        Some((head, parts))
    }
}

/// The names of data sets that were given but have faults of their own.
#[derive(Debug, Default)]
pub(super) struct Broken(Vec<Box<str>>);

impl Broken {
    pub(super) fn sets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

/// Reads what a file says of itself.
fn head(map: &mut MapReader<'_>, today: Timestamp, faults: &mut Faults) -> Head {
    if let Some(node) = map.required("privet", faults)
        && node.as_text() != Some("policy/v1")
    {
        faults.error(&node.place, "this is no policy of a known version", "write `policy/v1`");
    }
    let mut text = |key| map.optional(key).and_then(|node| node.text(faults)).map(Box::from);
    let mut head = Head { name: text("name"), owner: text("owner"), ..Head::default() };
    head.title = map.optional("title").and_then(|node| node.localized(faults));
    if let Some(node) = map.optional("review_by")
        && let Some(due) = node.moment(faults)
    {
        head.review_by = Some(due);
        if due <= today {
            faults.warning(&node.place, "the review of this policy is overdue", "review it");
        } else if due.ms_since(today) <= REVIEW_SOON_MS {
            faults.warning(&node.place, "this policy is to be reviewed within 30 days", "");
        }
    }
    head
}

fn data(node: &Node, model: &mut Model, broken: &mut Broken, faults: &mut Faults) {
    let sets = read_data(node, &model.categories, faults);
    let Value::Map(entries) = &node.value else { return };
    for Entry { key, .. } in entries {
        if !sets.iter().any(|set| set.id.as_str() == &**key) {
            broken.0.push(key.clone());
        }
    }
    for set in sets {
        match model.sets.iter().find(|earlier| earlier.id == set.id) {
            Some(earlier) => {
                let what = format!("data set `{}` stands here for the second time", set.id);
                faults.error(&set.place, what, format!("the first is at {}", earlier.place));
            }
            None => model.sets.push(set),
        }
    }
}

/// Named views that no rule names.
fn unused_views(named: &[Entry], parts: &[Parts<'_>], faults: &mut Faults) {
    let nodes = || parts.iter().flat_map(|part| part.grants.into_iter().chain(part.limits));
    for view in named.iter().filter(|view| !nodes().any(|node| names(node, &view.key))) {
        let what = format!("no rule uses view `{}`", view.key);
        faults.warning(&view.key_place, what, "remove it");
    }
}

/// Whether a word stands anywhere in the values of a node.
fn names(node: &Node, word: &str) -> bool {
    match &node.value {
        Value::List(items) => items.iter().any(|item| names(item, word)),
        Value::Map(entries) => entries.iter().any(|entry| names(&entry.node, word)),
        _ => node.as_text() == Some(word),
    }
}

/// Reports rules that share an id: grants and limits are named by id in answers and the log.
fn rules_once(model: &Model, faults: &mut Faults) {
    let grants = model.grants.iter().map(|grant| (&grant.id, &grant.place));
    let limits = model.limits.iter().map(|limit| (&limit.id, &limit.place));
    let mut seen = std::collections::BTreeMap::new();
    for (id, place) in grants.chain(limits) {
        if RESERVED.contains(&id.as_str()) {
            let what = format!("`{id}` is a reason of its own and cannot be a rule's id");
            faults.error(place, what, "choose another id");
        }
        if let Some(earlier) = seen.insert(id, place) {
            let what = format!("rule `{id}` stands here for the second time");
            faults.error(place, what, format!("the first is at {earlier}"));
        }
    }
}

/// Builds each store's router, and checks the purposes that routes name.
fn routes(model: &mut Model, faults: &mut Faults) {
    check_sets(&model.sets, faults);
    for set in &model.sets {
        for route in &set.routes {
            let Some(purpose) = &route.purpose else { continue };
            if !model.purposes.iter().any(|known| known.id == *purpose) {
                let known = model.purposes.iter().map(|known| known.id.as_str());
                let near = closest(purpose.as_str(), known);
                let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
                faults.error(&route.place, format!("unknown purpose `{purpose}`"), help);
            }
        }
        if !model.routers.iter().any(|(store, _)| *store == set.store) {
            let mut same = model.sets.clone();
            same.retain(|other| other.store == set.store);
            model.routers.push((set.store.clone(), Router::build(&same, faults)));
        }
    }
}

/// Words that stand where a rule's id could stand.
const RESERVED: [&str; 6] = ["consent", "erased", "gpc", "held", "no_grant", "unknown_subject"];

/// How long before its review a policy is pointed out.
const REVIEW_SOON_MS: u64 = 30 * 86_400_000;

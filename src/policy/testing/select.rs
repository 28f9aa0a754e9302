//! Which combinations an invariant speaks of.

use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::catalog::category::is_within;
use crate::policy::PolicySet;
use crate::policy::View;
use crate::policy::source::ids;
use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::Level;
use crate::types::Region;
use crate::types::SubjectStatus;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::world::World;

/// Which combinations an invariant speaks of: every key that is there must hold.
#[derive(Debug, Default)]
pub(super) struct Select {
    pub(super) roles: Option<Vec<usize>>,
    pub(super) not_roles: Vec<usize>,
    pub(super) purposes: Option<Vec<usize>>,
    purposes_except: Vec<usize>,
    data: Option<Vec<usize>>,
    fields: Option<Vec<FieldPath>>,
    fields_except: Vec<FieldPath>,
    categories: Option<Vec<CategoryId>>,
    levels: Option<Vec<Level>>,
    flags: Option<Flags>,
    views: Option<Vec<&'static str>>,
    status: Option<Vec<SubjectStatus>>,
    opted_out: Option<bool>,
    record_region: Option<Vec<Region>>,
    caller_region: Option<Vec<Region>>,
    caller_region_not: Vec<Region>,
}

impl Select {
    /// Reads the keys of a selection; the map may hold others.
    pub(super) fn read(map: &mut MapReader<'_>, policy: &PolicySet, faults: &mut Faults) -> Self {
        let model = policy.model();
        let roles = ids(&model.roles, |role| role.id.as_str());
        let purposes = ids(&model.purposes, |purpose| purpose.id.as_str());
        let data = ids(&model.sets, |set| set.id.as_str());
        let mut known = |key, what, words: &[&str]| {
            let find = |text: &str| words.iter().position(|word| *word == text);
            words_of(map.optional(key)?, what, find, words, faults)
        };
        let mut select = Self {
            roles: known("roles", "role", &roles),
            not_roles: known("not_roles", "role", &roles).unwrap_or_default(),
            purposes: known("purposes", "purpose", &purposes),
            purposes_except: known("purposes_except", "purpose", &purposes).unwrap_or_default(),
            data: known("data", "data set", &data),
            ..Self::default()
        };
        select.read_fields(map, policy, faults);
        select.read_conditions(map, policy, faults);
        select
    }

    fn read_fields(&mut self, map: &mut MapReader<'_>, policy: &PolicySet, faults: &mut Faults) {
        let mut named = |key| map.optional(key).map(|node| paths(node, policy, faults));
        self.fields = named("fields");
        self.fields_except = named("fields_except").unwrap_or_default();
        self.categories = map.optional("categories").map(|node| {
            let ids = node.ids(CategoryId::parse, faults);
            ids.into_iter().map(|(_, id)| id).collect()
        });
        let levels = Level::ALL.map(Level::as_str);
        self.levels = map
            .optional("levels")
            .and_then(|node| words_of(node, "level", Level::parse, &levels, faults));
        let flags = Flags::NAMED.map(|(_, word)| word);
        self.flags = map
            .optional("flags")
            .and_then(|node| words_of(node, "flag", Flags::parse, &flags, faults))
            .map(|flags| flags.into_iter().fold(Flags::NONE, Flags::with));
        let find = |text: &str| VIEWS.into_iter().find(|word| *word == text);
        self.views =
            map.optional("view").and_then(|node| words_of(node, "view", find, &VIEWS, faults));
    }

    fn read_conditions(
        &mut self,
        map: &mut MapReader<'_>,
        policy: &PolicySet,
        faults: &mut Faults,
    ) {
        let words = SubjectStatus::ALL.map(SubjectStatus::as_str);
        self.status = map
            .optional("subject_status")
            .and_then(|node| words_of(node, "status", SubjectStatus::parse, &words, faults));
        self.opted_out = map.optional("opted_out").and_then(|node| node.bool(faults));
        let groups = &policy.model().groups;
        let mut regions = |key| Some(groups.list(map.optional(key)?, faults));
        self.record_region = regions("record_region");
        self.caller_region = regions("caller_region");
        self.caller_region_not = regions("caller_region_not").unwrap_or_default();
    }

    /// The lists of countries that it tells apart.
    pub(super) fn regions(&self) -> Vec<Vec<Region>> {
        let of = [&self.record_region, &self.caller_region].into_iter().flatten();
        of.chain([&self.caller_region_not]).cloned().collect()
    }

    /// Whether it speaks of this data set and purpose.
    pub(super) fn meets_cell(&self, set: usize, purpose: usize) -> bool {
        self.data.as_ref().is_none_or(|sets| sets.contains(&set))
            && self.purposes.as_ref().is_none_or(|purposes| purposes.contains(&purpose))
            && !self.purposes_except.contains(&purpose)
    }

    /// Whether it speaks of callers and records like these.
    pub(super) fn meets_world(&self, world: &World) -> bool {
        let within = |wanted: &Option<Vec<Region>>, region: Option<Region>| {
            wanted.as_ref().is_none_or(|wanted| region.is_some_and(|r| wanted.contains(&r)))
        };
        self.status.as_ref().is_none_or(|wanted| world.record.status.meets(wanted))
            && self.opted_out.is_none_or(|wanted| wanted == world.record.opted_out)
            && within(&self.record_region, world.record.region)
            && within(&self.caller_region, world.caller.region)
            && !world.caller.region.is_some_and(|r| self.caller_region_not.contains(&r))
    }

    /// Whether it speaks of this field in this view.
    pub(super) fn meets_field(&self, field: &Field, view: View) -> bool {
        let named = |paths: &[FieldPath]| paths.iter().any(|path| field.path.is_within(path));
        let viewed = match &self.views {
            Some(words) => words.contains(&view.word()),
            None => view.reveals(),
        };
        let category = |wanted: &Vec<CategoryId>| {
            wanted.iter().any(|wanted| is_within(&field.category, wanted))
        };
        viewed
            && self.fields.as_ref().is_none_or(|paths| named(paths))
            && !named(&self.fields_except)
            && self.categories.as_ref().is_none_or(category)
            && self.levels.as_ref().is_none_or(|levels| levels.contains(&field.level))
            && self.flags.is_none_or(|flags| field.flags.meets(flags))
    }
}

fn words_of<T>(
    node: &Node,
    what: &str,
    find: impl Fn(&str) -> Option<T>,
    known: &[&str],
    faults: &mut Faults,
) -> Option<Vec<T>> {
    let texts = node.texts(faults);
    if texts.is_empty() {
        faults.error(&node.place, "this list is empty", "name something, or leave it out");
    }
    Some(texts.iter().filter_map(|(item, _)| item.word(what, &find, known, faults)).collect())
}

fn paths(node: &Node, policy: &PolicySet, faults: &mut Faults) -> Vec<FieldPath> {
    let mut paths = Vec::new();
    for (item, path) in node.ids(FieldPath::parse, faults) {
        let has = |set: &DataSet| set.within(&path).next().is_some();
        if !policy.sets().iter().any(|set| has(set)) {
            faults.error(&item.place, format!("no data set has a field `{path}`"), "");
        }
        paths.push(path);
    }
    paths
}

const VIEWS: [&str; 6] = ["show", "generalize", "mask", "pseudonymize", "ciphertext", "drop"];

//! Names in expectations: one that nothing has would be expected in vain, or always be met.

use std::collections::BTreeSet;

use crate::catalog::DataSet;
use crate::policy::Because;
use crate::policy::PolicySet;
use crate::policy::RefusalReason;
use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::Node;
use crate::types::doc::Value as Written;
use crate::types::doc::closest;

use super::json::any_at;
use super::read::TestRecord;

/// What the names of an expectation can be.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Fields and the containers they stand in, as paths are written.
    paths: BTreeSet<&'a str>,
    /// The same without `[*]`: records hold lists where paths have it.
    plain: BTreeSet<String>,
    /// Fields alone, without `[*]`: what is below one is part of its value.
    leaves: BTreeSet<String>,
    /// What the call reads: unlisted fields stand there too.
    records: Vec<&'a TestRecord>,
    rules: Vec<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        set: &'a DataSet,
        records: Vec<&'a TestRecord>,
        policy: &'a PolicySet,
    ) -> Self {
        let leaves = || set.fields.iter().map(|field| field.path.as_str());
        let mut paths: BTreeSet<&str> = leaves().collect();
        for path in leaves() {
            let ends = path.match_indices(['.', '[']).filter_map(|(at, _)| path.get(..at));
            paths.extend(ends);
        }
        let model = policy.model();
        let grants = model.grants.iter().map(|grant| grant.id.as_str());
        Self {
            plain: paths.iter().map(|path| plain(path)).collect(),
            paths,
            leaves: leaves().map(plain).collect(),
            records,
            rules: grants.chain(model.limits.iter().map(|limit| limit.id.as_str())).collect(),
        }
    }

    /// Checks the names in `expect:`.
    pub(super) fn check(&self, expect: &Node, faults: &mut Faults) {
        self.check_shared(expect, faults);
        if let Some(record) = member(expect, "record") {
            self.members(record, "", faults);
        }
    }

    /// Checks the names in an item of `each:`, whose `record` is the name of one.
    pub(super) fn check_shared(&self, expect: &Node, faults: &mut Faults) {
        for key in ["gone", "same"] {
            for item in filled(expect, key, faults) {
                self.path(item, faults);
            }
        }
        filled(expect, "never_contains", faults);
        for item in member(expect, "writes").map(Node::one_or_list).unwrap_or_default() {
            self.path(item, faults);
        }
        if let Some(part) = member(expect, "record_includes") {
            self.members(part, "", faults);
        }
        let words = |key, what, words: &[&str], faults: &mut Faults| {
            let find = |text: &str| words.contains(&text).then_some(());
            for item in member(expect, key).map(Node::one_or_list).unwrap_or_default() {
                // What is no text was told when the expectation was read.
                if item.as_text().is_some() {
                    item.word(what, find, words, faults);
                }
            }
        };
        words("by", "rule", &self.rules, faults);
        words("missing", "need", &NEEDS, faults);
        let mut because = self.rules.clone();
        because.extend(REASONS.map(RefusalReason::as_str));
        because.extend(
            [
                Because::Consent,
                Because::Erased,
                Because::Held,
                Because::Objected,
                Because::UnknownSubject,
            ]
            .map(Because::as_str),
        );
        words("because", "rule or reason", &because, faults);
    }

    fn path(&self, item: &Node, faults: &mut Faults) {
        let Some(path) = item.as_text() else { return };
        let stands = |record: &&TestRecord| any_at(&record.value, path);
        if !self.paths.contains(path) && !self.records.iter().any(stands) {
            let listed = self.paths.iter().copied().find(|known| plain(known) == plain(path));
            let help = near(listed.unwrap_or(path), self.paths.iter().copied());
            faults.error(&item.place, format!("the data set has no field `{path}`"), help);
        }
    }

    /// Every name in a record; the depth is that of the file.
    fn members(&self, node: &Node, above: &str, faults: &mut Faults) {
        let entries: &[Entry] = match &node.value {
            Written::Map(entries) => entries,
            Written::List(items) => {
                items.iter().for_each(|item| self.members(item, above, faults));
                return;
            }
            _ => return,
        };
        for entry in entries {
            let path = match above {
                "" => String::from(&*entry.key),
                above => format!("{above}.{}", entry.key),
            };
            if !self.plain.contains(&path) {
                let help = near(&path, self.plain.iter().map(String::as_str));
                let what = format!("the data set has no field `{path}`");
                faults.error(&entry.key_place, what, help);
            } else if !self.leaves.contains(&path) {
                self.members(&entry.node, &path, faults);
            }
        }
    }
}

fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Written::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.node)
}

/// The items of a list that would be met by anything when it is empty.
fn filled<'a>(expect: &'a Node, key: &str, faults: &mut Faults) -> &'a [Node] {
    let Some(node) = member(expect, key) else { return &[] };
    let items = node.one_or_list();
    if items.is_empty() {
        faults.error(&node.place, "this list is empty", "name something, or leave it out");
    }
    items
}

fn near<'a>(path: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = closest(path, known);
    near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default()
}

fn plain(path: &str) -> String {
    path.replace("[*]", "")
}

/// Why a call can be refused.
const REASONS: [RefusalReason; 11] = [
    RefusalReason::Gpc,
    RefusalReason::Expired,
    RefusalReason::FindBy,
    RefusalReason::Limit,
    RefusalReason::NeedsUnmet,
    RefusalReason::NoGrant,
    RefusalReason::NoPurpose,
    RefusalReason::PurposeNotInToken,
    RefusalReason::RowsUnmet,
    RefusalReason::UnknownPurpose,
    RefusalReason::UnknownSet,
];

/// What a refusal may name as missing.
const NEEDS: [&str; 6] = ["approval", "break_glass", "find_by", "mfa_within", "purpose", "ticket"];

//! What becomes wider or narrower between two policies.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::catalog::DataSet;
use crate::policy::PolicySet;
use crate::policy::View;
use crate::policy::source::Holds;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::RepresentativeKind;
use crate::types::RoleId;

use super::Axes;
use super::Form;
use super::Language;
use super::Row;
use super::RowKey;
use super::World;
use super::matrix::Cell;
use super::rows;
use super::table::aligned;
use super::world::standings;

/// Which way something changed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// More is shown, or may be done, for somebody.
    Wider,
    /// Less is, for somebody, and more for nobody.
    Narrower,
    /// Something else is: neither contains the other. It counts as wider.
    Changed,
}

impl Change {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Changed => "changed",
        }
    }

    /// The same change seen from the other side.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            Self::Changed => Self::Changed,
        }
    }

    /// Both together.
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Changed }
    }
}

/// One cell, or one word, that changed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DiffLine {
    /// The roles of the callers concerned; empty where a word changed.
    pub roles: Vec<RoleId>,
    /// The purpose.
    pub purpose: Option<PurposeId>,
    /// The data set.
    pub data: Option<DataSetId>,
    /// What is done.
    pub action: Option<Action>,
    /// The field, `*` for records as a whole, or the word that changed.
    pub field: String,
    /// Which way.
    pub change: Change,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// What becomes wider or narrower between two policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diff {
    /// The cells, and the words on which all cells rest.
    pub lines: Vec<DiffLine>,
}

impl Diff {
    /// Whether somebody gets more, or something else.
    pub fn is_wider(&self) -> bool {
        self.lines.iter().any(|line| line.change != Change::Narrower)
    }

    /// How many lines there are of each change: `2 wider, 1 narrower`.
    pub fn summary(&self) -> String {
        let counts = [Change::Wider, Change::Narrower, Change::Changed].map(|change| {
            let count = self.lines.iter().filter(|line| line.change == change).count();
            (count, change.as_str())
        });
        let words = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = words.map(|(count, word)| format!("{count} {word}")).collect();
        if words.is_empty() { "no cell changed".into() } else { words.join(", ") }
    }

    /// The lines for people; `notes` gives what else is to be said of each.
    pub fn table(&self, notes: impl Fn(&DiffLine) -> String) -> String {
        let lines = self.lines.iter().map(|line| {
            [
                line.change.as_str().to_owned(),
                line.subject(),
                format!("{} → {}", line.before, line.after),
                notes(line),
            ]
        });
        let lines: Vec<[String; 4]> = lines.collect();
        aligned(&lines).lines().map(|line| format!("{}\n", line.trim_start())).collect()
    }

    /// The lines for programs.
    pub fn json(&self, notes: impl Fn(&DiffLine) -> Value) -> Value {
        let lines = self.lines.iter().map(|line| {
            let mut value = json!({
                "change": line.change.as_str(),
                "roles": line.roles.iter().map(RoleId::as_str).collect::<Vec<_>>(),
                "purpose": line.purpose.as_ref().map(PurposeId::as_str),
                "data": line.data.as_ref().map(DataSetId::as_str),
                "action": line.action.map(Action::as_str),
                "field": line.field,
                "before": line.before,
                "after": line.after,
            });
            if let (Some(map), Value::Object(more)) = (value.as_object_mut(), notes(line)) {
                map.extend(more);
            }
            value
        });
        let lines: Vec<Value> = lines.collect();
        json!({ "wider": self.is_wider(), "summary": self.summary(), "changes": lines })
    }
}

impl DiffLine {
    /// What the line is about.
    fn subject(&self) -> String {
        let roles: Vec<&str> = self.roles.iter().map(RoleId::as_str).collect();
        let (Some(purpose), Some(data), Some(action)) = (&self.purpose, &self.data, self.action)
        else {
            return self.field.clone();
        };
        format!("{} · {purpose} · {action} {data}.{}", roles.join(" + "), self.field)
    }
}

/// Compares two policies cell by cell: the same question is put to both, for every combination of
/// what they ask for.
pub fn diff(before: &PolicySet, after: &PolicySet) -> Diff {
    let mut pairs: BTreeMap<RowKey, [Option<Row>; 2]> = BTreeMap::new();
    for (side, policy) in [before, after].into_iter().enumerate() {
        for row in rows(policy) {
            if let Some(place) = pairs.entry(row.key.clone()).or_default().get_mut(side) {
                *place = Some(row);
            }
        }
    }
    let mut subjects: BTreeMap<RoleId, Capacities> = BTreeMap::new();
    for role in [before, after].into_iter().flat_map(|policy| &policy.model().roles) {
        if !role.holds.gives().is_none() {
            let gives = subjects.entry(role.id.clone()).or_default();
            *gives = gives.or(role.holds.gives());
        }
    }
    let mut budget = MOST_TRIES;
    let mut lines = words(before, after);
    for (key, [old, new]) in &pairs {
        let same = matches!((old, new), (Some(a), Some(b)) if a.says_the_same(b));
        if !same {
            let pair = Pair { key, old: old.as_ref(), new: new.as_ref(), subjects: &subjects };
            pair.compare(&mut lines, &mut budget);
        }
    }
    lines.sort();
    Diff { lines }
}

/// One row in two policies.
struct Pair<'a> {
    key: &'a RowKey,
    old: Option<&'a Row>,
    new: Option<&'a Row>,
    /// The roles that standing to the subject gives, and in which ways.
    subjects: &'a BTreeMap<RoleId, Capacities>,
}

impl Pair<'_> {
    fn compare(&self, lines: &mut Vec<DiffLine>, budget: &mut usize) {
        let mut axes = Axes::default();
        self.rows().for_each(|row| axes.add(row));
        let roles: Vec<RoleId> = axes.roles.iter().cloned().collect();
        let mut found: Vec<(Vec<RoleId>, Change)> = Vec::new();
        let subjects = self.widest(axes.subject);
        let standings = standings(axes.subject).len();
        let sets = roles.len() + subjects.len();
        let sets = 1_usize.checked_shl(u32::try_from(sets).unwrap_or(64)).unwrap_or(usize::MAX);
        let count = axes.count().saturating_mul(standings);
        let each = count.saturating_mul(roles.len() + self.subjects.len());
        let all = count.saturating_mul(sets);
        let most = MOST_WORLDS.min(*budget);
        let (is_small, are_few) = (each <= most, all <= most);
        let tried = if are_few { all } else { each };
        *budget = budget.saturating_sub(if is_small || are_few { tried } else { 0 });
        for (role, gives) in self.single(&roles) {
            let held =
                if gives.is_none() { BTreeSet::from([role.clone()]) } else { BTreeSet::new() };
            let change = match is_small {
                true => self.change(&axes.worlds(&held, gives)),
                // Too many combinations to try: what is written differs, so it counts.
                false => {
                    (self.parts(&role, false) != self.parts(&role, true)).then_some(Change::Changed)
                }
            };
            found.extend(change.map(|change| (vec![role], change)));
        }
        self.together((&axes, are_few), (&roles, &subjects), &mut found);
        for (roles, change) in found {
            let (before, after) = self.told(&roles);
            lines.push(DiffLine {
                purpose: Some(self.key.purpose.clone()),
                data: Some(self.key.data.clone()),
                action: Some(self.key.action),
                field: self.key.field.as_ref().map_or("*", |field| field.as_str()).to_owned(),
                change,
                before,
                after,
                roles,
            });
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.old.into_iter().chain(self.new)
    }

    /// Every role that grants anything here, alone.
    fn single(&self, roles: &[RoleId]) -> Vec<(RoleId, Capacities)> {
        let claimed = roles.iter().map(|role| (role.clone(), Capacities::NONE));
        let subjects = self.subjects.iter().map(|(role, gives)| (role.clone(), *gives));
        let open = |(role, gives): &(RoleId, Capacities)| {
            self.rows().any(|row| row.of_role(role, *gives).is_some())
        };
        claimed.chain(subjects).filter(open).collect()
    }

    /// Of the roles that standing to the subject gives those that no other one contains.
    fn widest(&self, ways: Capacities) -> Vec<(RoleId, Capacities)> {
        let mut widest: Vec<(RoleId, Capacities)> = Vec::new();
        for (role, gives) in self.subjects {
            let gives = gives.and(ways);
            if !gives.is_none() && !widest.iter().any(|(_, other)| gives.is_within(*other)) {
                widest.retain(|(_, other)| !other.is_within(gives));
                widest.push((role.clone(), gives));
            }
        }
        widest
    }

    /// What changes only for callers who hold several roles at once.
    fn together(
        &self,
        (axes, are_few): (&Axes, bool),
        (roles, subjects): (&[RoleId], &[(RoleId, Capacities)]),
        found: &mut Vec<(Vec<RoleId>, Change)>,
    ) {
        let several = roles.len() + subjects.len();
        if several < 2 {
            return;
        }
        if !are_few {
            if found.is_empty() {
                found.push((roles.to_vec(), Change::Changed));
            }
            return;
        }
        let sets = 1_usize.checked_shl(u32::try_from(several).unwrap_or(64)).unwrap_or(0);
        let mut masks: Vec<usize> = (0..sets).filter(|mask| mask.count_ones() > 1).collect();
        masks.sort_by_key(|mask| mask.count_ones());
        for mask in masks {
            let is_held = |at: usize| mask & (1 << at) != 0;
            let claimed = roles.iter().enumerate().filter(|(at, _)| is_held(*at));
            let claimed: BTreeSet<RoleId> = claimed.map(|(_, role)| role.clone()).collect();
            let mut held: Vec<RoleId> = claimed.iter().cloned().collect();
            let mut ways = Capacities::NONE;
            for (at, (role, gives)) in subjects.iter().enumerate() {
                if is_held(roles.len() + at) {
                    held.push(role.clone());
                    ways = ways.or(*gives);
                }
            }
            let Some(change) = self.change(&axes.worlds(&claimed, ways)) else { continue };
            // What a part of the roles tells already needs no line of its own.
            let told = found.iter().filter(|(part, _)| part.iter().all(|it| held.contains(it)));
            let told = told.map(|(_, change)| *change).reduce(Change::and);
            if told.is_none_or(|told| told != change && told != Change::Changed) {
                held.sort();
                found.push((held, change));
            }
        }
    }

    fn change(&self, worlds: &[World]) -> Option<Change> {
        let changes = worlds.iter().filter_map(|world| self.in_world(world));
        changes.reduce(Change::and)
    }

    fn in_world(&self, world: &World) -> Option<Change> {
        let closed = match self.rows().next().map(|row| row.judge(world)) {
            Some(Form::View(_)) => Form::View(View::Drop),
            _ => Form::May(false),
        };
        let judge = |row: Option<&Row>| row.map_or(closed, |row| row.judge(world));
        let counts = |row: Option<&Row>| row.map_or_else(Vec::new, |row| row.counts(world));
        let (old, new) = (judge(self.old), judge(self.new));
        let forms = match (old, new) {
            (Form::View(old), Form::View(new)) => views(old, new),
            (Form::May(old), Form::May(new)) if old != new => {
                Some(if new { Change::Wider } else { Change::Narrower })
            }
            _ => None,
        };
        forms.or_else(|| of_counts(&counts(self.old), &counts(self.new)))
    }

    /// What these roles got and get, in words: of the limits only those that differ.
    fn told(&self, roles: &[RoleId]) -> (String, String) {
        let [before, after] = [false, true].map(|new| {
            let texts = roles.iter().map(|role| {
                let mut other = self.parts(role, !new);
                // What is given stays, so that a line can be read by itself.
                other.drain(..other.len().min(1));
                let own = self.parts(role, new).into_iter().enumerate();
                let own = own.filter(|(at, part)| *at == 0 || !other.contains(part));
                let own: Vec<String> = own.map(|(_, part)| part).collect();
                match roles.len() {
                    1 => own.join("; "),
                    _ => format!("{role}: {}", own.join("; ")),
                }
            });
            texts.collect::<Vec<_>>().join(" + ")
        });
        (before, after)
    }

    /// What one role gets, and then each condition on it.
    fn parts(&self, role: &RoleId, new: bool) -> Vec<String> {
        let row = if new { self.new } else { self.old };
        let cell = row.and_then(|row| {
            Cell::of(row, role, self.subjects.get(role).copied().unwrap_or_default())
        });
        cell.map_or_else(|| vec!["nothing".to_owned()], |cell| told(&cell))
    }
}

/// A cell: what it gives, the consent it needs, the limits.
fn told(cell: &Cell) -> Vec<String> {
    let words = Language::English;
    if cell.offers.is_empty() {
        return vec![words.view(View::Drop)];
    }
    let offers = cell.offers.iter().map(|offer| {
        let form = words.form(cell.row.key.kind, offer.form);
        match offer.facts.is_empty() {
            true => form,
            false => format!("{form} if {}", words.all(&offer.facts)),
        }
    });
    let mut parts = vec![offers.collect::<Vec<_>>().join(", ")];
    parts.extend(cell.row.consent.as_ref().map(|rule| words.consent(rule)));
    let cuts = cell.cuts.iter().map(|cut| format!("{} ({})", words.cut(cut), cut.limit));
    parts.extend(cuts);
    parts
}

/// Which way a view changed.
fn views(old: View, new: View) -> Option<Change> {
    if old == new {
        return None;
    }
    if old.rank() == new.rank() {
        return Some(match old.narrower(new) {
            both if both == new => Change::Narrower,
            both if both == old => Change::Wider,
            _ => Change::Changed,
        });
    }
    if !old.is_comparable(new) {
        return Some(Change::Changed);
    }
    Some(if new.rank() < old.rank() { Change::Wider } else { Change::Narrower })
}

/// Which way the counts of people changed: one that is gone, or allows more, is wider.
fn of_counts(old: &[(u32, u32, bool)], new: &[(u32, u32, bool)]) -> Option<Change> {
    let strict = |(over, within, deny): (u32, u32, bool), than: (u32, u32, bool)| {
        over <= than.0 && within >= than.1 && (deny || !than.2)
    };
    let kept = |list: &[(u32, u32, bool)], by: &[(u32, u32, bool)]| {
        list.iter().all(|one| by.iter().any(|other| strict(*other, *one)))
    };
    match (kept(old, new), kept(new, old)) {
        (true, true) => None,
        (true, false) => Some(Change::Narrower),
        (false, true) => Some(Change::Wider),
        (false, false) => Some(Change::Changed),
    }
}

/// Words on which all cells rest: who holds a role, whom a data set is about, which country's law.
fn words(before: &PolicySet, after: &PolicySet) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    let mut push = |field: String, before: String, after: String| {
        if before != after {
            let change = Change::Changed;
            let (purpose, data, action, roles) = (None, None, None, Vec::new());
            lines.push(DiffLine { roles, purpose, data, action, field, change, before, after });
        }
    };
    let holds = |holds: &Holds| match holds {
        Holds::Claim { claim, has } => format!("claim {claim} has {has}"),
        Holds::Subject { or } if or.is_none() => "is_subject".to_owned(),
        Holds::Subject { or } => {
            let kinds: Vec<&str> = or.kinds().map(RepresentativeKind::as_str).collect();
            format!("is_subject or representative: {}", kinds.join(", "))
        }
    };
    for old in &before.model().roles {
        if let Some(new) = after.model().roles.iter().find(|new| new.id == old.id) {
            push(format!("role {}", old.id), holds(&old.holds), holds(&new.holds));
        }
    }
    for old in before.sets() {
        if let Some(new) = after.sets().iter().find(|new| new.id == old.id) {
            push(format!("subject of {}", old.id), people(old), people(new));
            let region =
                |set: &DataSet| set.region.map_or_else(|| "none".into(), |at| path(set, at));
            push(format!("region of {}", old.id), region(old), region(new));
            // While a policy is only observed, nothing it says is in force.
            let mode = |set: &DataSet| match &set.observe {
                Some(observe) => format!("observed until {}", observe.until),
                None => "in force".to_owned(),
            };
            push(format!("mode of {}", old.id), mode(old), mode(new));
        }
    }
    lines
}

fn people(set: &DataSet) -> String {
    let people = set.subjects.iter().map(|subject| {
        let owns = subject.owns.iter().flatten().map(|ix| path(set, *ix));
        let owns: Vec<String> = owns.collect();
        format!("{} {} {}", subject.domain, path(set, subject.field), owns.join(" "))
    });
    let people: Vec<String> = people.map(|text| text.trim_end().to_owned()).collect();
    if people.is_empty() { "none".into() } else { people.join(", ") }
}

fn path(set: &DataSet, ix: crate::catalog::FieldIx) -> String {
    set.get(ix).map_or_else(String::new, |field| field.path.to_string())
}

/// More combinations than this of one row are not tried one by one: what is written differently
/// then counts as changed.
const MOST_WORLDS: usize = 50_000;

/// And no more than this of all rows together, so that a reload takes seconds at most.
const MOST_TRIES: usize = 2_000_000;

//! From the compiled tables to rows.

use std::collections::BTreeSet;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::policy::BulkAction;
use crate::policy::PolicySet;
use crate::policy::View;
use crate::policy::compile;
use crate::policy::compile::Cell;
use crate::policy::compile::CellGrant;
use crate::policy::compile::ConsentRule;
use crate::policy::compile::ObjectionRule;
use crate::types::Action;
use crate::types::Region;
use crate::types::RuleId;
use crate::types::SubjectStatus;

use super::Cut;
use super::Effect;
use super::Fact;
use super::Kind;
use super::Roles;
use super::Row;
use super::RowKey;
use super::Way;
use super::fact;
use super::fact::Known;

/// Every row of a policy in which a grant has a say, in the order of the policy.
pub(in crate::policy) fn rows(policy: &PolicySet) -> Vec<Row> {
    let (model, tables) = (policy.model(), policy.tables());
    let mut rows = Vec::new();
    let passages = fact::passages(policy);
    let known = Known { policy, passages: &passages };
    for purpose_at in 0..model.purposes.len() {
        for set_at in 0..model.sets.len() {
            for action in Action::ALL {
                let cell = tables.find(set_at, purpose_at, action).and_then(|at| tables.cell(at));
                let (Some(cell), Some(set)) = (cell, model.sets.get(set_at)) else { continue };
                let Some(purpose) = model.purposes.get(purpose_at) else { continue };
                let consent = tables.consent.get(purpose_at);
                let objection = tables.objection.get(purpose_at);
                let limits = cell.limits.iter().map(|limit| {
                    let unless = limit.unless.as_ref();
                    (fact::of_limit(limit, known), unless.map(|it| fact::of_unless(it, known)))
                });
                let limits = limits.collect();
                let purpose_ix = purpose_at;
                let maker =
                    Maker { policy, set, cell, consent, objection, limits, purpose_ix, action };
                let key = |kind, field: Option<FieldIx>| RowKey {
                    purpose: purpose.id.clone(),
                    data: set.id.clone(),
                    action,
                    kind,
                    field: field.and_then(|ix| set.get(ix)).map(|field| field.path.clone()),
                };
                maker.rows(&key, &mut rows);
            }
        }
    }
    rows
}

struct Maker<'a> {
    policy: &'a PolicySet,
    set: &'a DataSet,
    cell: &'a Cell,
    consent: Option<&'a ConsentRule>,
    objection: Option<&'a ObjectionRule>,
    /// Of each limit of the cell what makes it fall, and what lifts it.
    limits: Vec<(Vec<Fact>, Option<Vec<Fact>>)>,
    purpose_ix: usize,
    action: Action,
}

impl Maker<'_> {
    fn rows(&self, key: &dyn Fn(Kind, Option<FieldIx>) -> RowKey, rows: &mut Vec<Row>) {
        if !self.action.shows() {
            let ways = self.ways(|_| (View::Drop, true));
            rows.push(self.row(key(Kind::Done, None), None, ways));
        }
        for (ix, _) in self.set.indexed() {
            let view =
                |grant: &CellGrant| grant.views.get(ix.index()).copied().unwrap_or(View::Drop);
            let ways = match self.action {
                Action::Create | Action::Update => self.ways(|grant| {
                    (View::Drop, grant.writes.get(ix.index()).copied().unwrap_or(false))
                }),
                Action::Delete => continue,
                Action::Export | Action::Read => self.ways(|grant| (view(grant), false)),
            };
            let kind = if self.action.shows() { Kind::Shown } else { Kind::Set };
            rows.push(self.row(key(kind, Some(ix)), Some(ix), ways));
        }
        for ix in self.selectors() {
            let ways = self.ways(|grant| {
                let view = grant.views.get(ix.index()).copied().unwrap_or(View::Drop);
                (view, grant.find_by.contains(&ix))
            });
            rows.push(self.row(key(Kind::Selects, Some(ix)), Some(ix), ways));
        }
    }

    /// The fields that routes select by.
    fn selectors(&self) -> BTreeSet<FieldIx> {
        let routes = self.set.routes.iter().filter(|it| it.method.action() == self.action);
        routes
            .flat_map(|route| route.variables().chain(route.find_by.iter().map(|(_, ix)| *ix)))
            .collect()
    }

    fn ways(&self, gives: impl Fn(&CellGrant) -> (View, bool)) -> Vec<Way> {
        let ways = self.cell.grants.iter().map(|grant| {
            let (view, lets) = gives(grant);
            let roles = Some(Roles::new(grant.roles, self.policy.model()));
            let facts = fact::of_grant(grant, self.set);
            Way { grant: grant.id.clone(), roles, facts, view, lets }
        });
        ways.collect()
    }

    fn row(&self, key: RowKey, field: Option<FieldIx>, ways: Vec<Way>) -> Row {
        let has_person = !self.set.subjects.is_empty();
        let consent = self.consent.filter(|rule| has_person && rule.may_be_needed());
        let alters = matches!(self.action, Action::Delete | Action::Update);
        let of = field.and_then(|ix| self.set.get(ix));
        Row {
            ways,
            cuts: self.cuts(field),
            consent: consent.cloned(),
            stops_when_held: has_person && alters && key.kind != Kind::Selects,
            has_region: self.set.region.is_some(),
            is_own_id: field.is_some_and(|ix| self.set.is_subject(ix)),
            is_personal: of.is_some_and(|it| it.flags.meets(crate::types::Flags::PERSONAL)),
            key,
        }
    }

    fn cuts(&self, field: Option<FieldIx>) -> Vec<Cut> {
        let limits = self.cell.limits.iter().zip(&self.limits);
        let cuts = limits.filter_map(|(limit, (when, unless))| {
            let effect = match &limit.effect {
                compile::Effect::Bulk(count) => Effect::Count {
                    over: count.over,
                    within_s: count.within_s,
                    deny: count.then == BulkAction::Deny,
                },
                compile::Effect::Cut(floors) => {
                    let floor = floors.get(field?.index()).copied()?;
                    if floor == View::Show {
                        return None;
                    }
                    Effect::Floor(floor)
                }
                compile::Effect::Deny => Effect::Deny,
                compile::Effect::LeaveOut => Effect::LeaveOut,
            };
            Some(Cut {
                limit: limit.id.clone(),
                effect,
                when: when.clone(),
                unless: unless.clone(),
            })
        });
        cuts.chain(self.gpc()).chain(self.objected()).collect()
    }

    /// That records of people who objected are closed where the purpose's ground is one that this
    /// takes away, as a limit: of an unknown country, where any of the grounds is.
    fn objected(&self) -> Option<Cut> {
        let has_person = !self.set.subjects.is_empty();
        let rule = self.objection.filter(|rule| has_person && rule.may_close())?;
        let other = rule.regions.iter().filter(|(_, closes)| *closes != rule.default);
        let mut other: Vec<Region> = other.map(|(region, _)| *region).collect();
        other.sort();
        let other = (!other.is_empty()).then_some(Fact::RecordRegion(other));
        let (of, but) = if rule.default { (None, other) } else { (other, None) };
        let limit = RuleId::parse("objected").ok()?;
        let when = [Fact::Status(vec![SubjectStatus::Objected])].into_iter().chain(of).collect();
        Some(Cut { limit, effect: Effect::LeaveOut, when, unless: but.map(|fact| vec![fact]) })
    }

    /// That a purpose which sells or shares data ends for those who say so, as a limit.
    fn gpc(&self) -> Option<Cut> {
        let limit = RuleId::parse("gpc").ok()?;
        let cut = Cut { limit, effect: Effect::Deny, when: vec![Fact::Gpc], unless: None };
        self.policy.ends_by_gpc(self.purpose_ix).then_some(cut)
    }
}

//! The whole policy, role by role and field by field.

use serde_json::Value;
use serde_json::json;

use crate::policy::PolicySet;
use crate::policy::View;
use crate::types::Capacities;
use crate::types::RoleId;
use crate::types::RuleId;

use super::Cut;
use super::Effect;
use super::Fact;
use super::Form;
use super::Kind;
use super::Language;
use super::Row;
use super::rows;
use super::words::hex;

/// Which part of a policy is shown; an empty list names everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// These roles.
    pub roles: Vec<String>,
    /// These purposes.
    pub purposes: Vec<String>,
    /// These data sets.
    pub data: Vec<String>,
}

/// Every cell of a policy: what each role gets of each field for each purpose, and on which
/// conditions. What is not listed is refused.
#[derive(Debug)]
pub struct Matrix<'a> {
    pub(super) policy: &'a PolicySet,
    pub(super) language: Language,
    pub(super) cells: Vec<Cell>,
}

/// What one role gets of one field for one purpose and action.
#[derive(Debug)]
pub(in crate::policy) struct Cell {
    pub(in crate::policy) role: RoleId,
    pub(in crate::policy) row: Row,
    /// The most revealing first; empty: nothing.
    pub(in crate::policy) offers: Vec<Offer>,
    /// The limits that may change it.
    pub(in crate::policy) cuts: Vec<Cut>,
}

/// What is given on some conditions.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) struct Offer {
    pub(in crate::policy) grant: RuleId,
    pub(in crate::policy) form: Form,
    pub(in crate::policy) facts: Vec<Fact>,
}

impl<'a> Matrix<'a> {
    /// Works the cells out.
    pub fn of(policy: &'a PolicySet, filter: &Filter, language: Language) -> Self {
        let wanted =
            |list: &[String], id: &str| list.is_empty() || list.iter().any(|known| known == id);
        let rows = rows(policy);
        let mut cells = Vec::new();
        for role in &policy.model().roles {
            if !wanted(&filter.roles, role.id.as_str()) {
                continue;
            }
            let gives = role.holds.gives();
            for row in &rows {
                if wanted(&filter.purposes, row.key.purpose.as_str())
                    && wanted(&filter.data, row.key.data.as_str())
                {
                    cells.extend(Cell::of(row, &role.id, gives));
                }
            }
        }
        Self { policy, language, cells }
    }

    /// The column names of [`rows`](Self::rows).
    pub const COLUMNS: [&'static str; 8] =
        ["role", "purpose", "data", "action", "field", "view", "conditions", "limits"];

    /// One row for each thing that is given, for tables of other programs.
    pub fn rows(&self) -> Vec<[String; 8]> {
        let mut rows = Vec::new();
        for cell in &self.cells {
            let key = &cell.row.key;
            let limits: Vec<String> =
                self.limits(cell).into_iter().map(|(id, text)| format!("{id}: {text}")).collect();
            for (view, conditions) in self.offers(cell) {
                rows.push([
                    cell.role.to_string(),
                    key.purpose.to_string(),
                    key.data.to_string(),
                    key.action.to_string(),
                    cell.field().to_owned(),
                    view,
                    conditions.join("; "),
                    limits.join("; "),
                ]);
            }
        }
        rows
    }

    /// The cells as JSON, with what is signed: names and hashes.
    pub fn json(&self) -> Value {
        let cells = self.cells.iter().flat_map(|cell| {
            let key = &cell.row.key;
            let limits: serde_json::Map<String, Value> = self
                .limits(cell)
                .into_iter()
                .map(|(id, text)| (id.to_string(), text.into()))
                .collect();
            self.offers(cell).into_iter().map(move |(view, conditions)| {
                json!({
                    "role": cell.role.as_str(),
                    "purpose": key.purpose.as_str(),
                    "data": key.data.as_str(),
                    "action": key.action.as_str(),
                    "field": cell.field(),
                    "view": view,
                    "conditions": conditions,
                    "limits": limits,
                })
            })
        });
        let cells: Vec<Value> = cells.collect();
        let files: Vec<Value> = self
            .policy
            .files()
            .iter()
            .map(|file| json!({ "name": file.name, "sha256": file.sha256() }))
            .collect();
        json!({ "policy": hex(&self.policy.hash()), "files": files, "cells": cells })
    }

    /// What is given, in words: the form, and the conditions on it.
    pub(super) fn offers(&self, cell: &Cell) -> Vec<(String, Vec<String>)> {
        let language = self.language;
        if cell.offers.is_empty() {
            return vec![(language.view(View::Drop), Vec::new())];
        }
        let consent = cell.row.consent.as_ref().map(|rule| language.consent(rule));
        let offers = cell.offers.iter().map(|offer| {
            let facts = offer.facts.iter().map(|fact| language.fact(fact));
            let consent = consent.clone().filter(|_| cell.row.key.kind != Kind::Selects);
            (language.form(cell.row.key.kind, offer.form), facts.chain(consent).collect())
        });
        offers.collect()
    }

    /// The limits that may change a cell, in words.
    pub(super) fn limits(&self, cell: &Cell) -> Vec<(RuleId, String)> {
        cell.cuts.iter().map(|cut| (cut.limit.clone(), self.language.cut(cut))).collect()
    }
}

impl Cell {
    /// What a role gets of a row; `None`: no grant of the role has a say in it.
    pub(in crate::policy) fn of(row: &Row, role: &RoleId, gives: Capacities) -> Option<Self> {
        let row = row.of_role(role, gives)?;
        let offers = offers(&row);
        if offers.is_empty() && row.key.kind != Kind::Shown {
            return None;
        }
        let cuts = if offers.is_empty() { Vec::new() } else { cuts(&row, &offers) };
        Some(Self { role: role.clone(), row, offers, cuts })
    }

    /// The field, or `*` for the record as a whole.
    pub(super) fn field(&self) -> &str {
        self.row.key.field.as_ref().map_or("*", |field| field.as_str())
    }
}

/// What the ways of a row give, without those that another way makes useless.
fn offers(row: &Row) -> Vec<Offer> {
    let is_certain = |cut: &&Cut| cut.when.is_empty() && cut.unless.is_none();
    let certain: Vec<&Cut> = row.cuts.iter().filter(is_certain).collect();
    if certain.iter().any(|cut| matches!(cut.effect, Effect::Deny | Effect::LeaveOut)) {
        return Vec::new();
    }
    let mut offers: Vec<Offer> = Vec::new();
    // Of views that cannot be compared the later one counts, so it comes first.
    for way in row.ways.iter().rev() {
        let mut view = way.view;
        let mut lets = way.lets || row.key.kind == Kind::Selects && view.is_raw();
        for cut in &certain {
            if let Effect::Floor(floor) = cut.effect {
                view = view.narrower(floor);
                lets &= way.lets && row.key.kind == Kind::Selects || floor != View::Drop;
            }
        }
        let form = match row.key.kind {
            Kind::Shown if view.reveals() => Form::View(view),
            Kind::Done | Kind::Selects | Kind::Set if lets => Form::May(true),
            _ => continue,
        };
        offers.push(Offer { grant: way.grant.clone(), form, facts: way.facts.clone() });
    }
    offers.sort_by_key(|offer| class(offer.form));
    let mut kept: Vec<Offer> = Vec::new();
    for offer in offers {
        let covers = |better: &Offer| better.facts.iter().all(|fact| offer.facts.contains(fact));
        if !kept.iter().any(covers) {
            kept.retain(|worse| {
                let covered = offer.facts.iter().all(|fact| worse.facts.contains(fact));
                !(covered && worse.form == offer.form)
            });
            kept.push(offer);
        }
    }
    kept
}

fn class(form: Form) -> u8 {
    match form {
        Form::View(view) => view.class(),
        Form::May(_) => 0,
    }
}

/// The limits that may change what is given.
fn cuts(row: &Row, offers: &[Offer]) -> Vec<Cut> {
    let shows = |test: &dyn Fn(View) -> bool| {
        offers.iter().any(|offer| matches!(offer.form, Form::View(view) if test(view)))
    };
    let matters = |cut: &&Cut| match (row.key.kind, cut.effect) {
        (Kind::Shown, Effect::Floor(floor)) => {
            shows(&|view| view.narrower(floor) != view)
                || cut.when.is_empty() && cut.unless.is_none()
        }
        (Kind::Shown, Effect::Count { .. }) => row.is_personal && shows(&|view| view == View::Show),
        (Kind::Selects, effect) => matches!(effect, Effect::Floor(_) | Effect::Deny),
        (_, Effect::Count { .. }) => false,
        (_, Effect::Floor(floor)) => floor == View::Drop,
        (_, Effect::Deny | Effect::LeaveOut) => true,
    };
    row.cuts.iter().filter(matters).cloned().chain(row.held_stop()).collect()
}

impl Row {
    /// That nothing is changed or removed while a person's data is held, as a limit.
    fn held_stop(&self) -> Option<Cut> {
        self.stops_when_held.then(|| RuleId::parse("held").ok()).flatten().map(|limit| Cut {
            limit,
            effect: Effect::LeaveOut,
            when: vec![Fact::Status(vec![crate::types::SubjectStatus::Held])],
            unless: None,
        })
    }
}

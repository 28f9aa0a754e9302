//! From the model to tables.
//!
//! A *cell* holds what can be said of one (data set, purpose, action): its grants in the order in
//! which later ones win where views cannot be compared, the views of every combination of few
//! grants, and its limits. On the data path only bits are tested.

mod cell;
mod checks;
mod expand;
mod limit;
mod observing;
mod order;
mod plan;
mod recipients;
mod separate;
mod transfer;

use crate::policy::source::Model;
use crate::types::Action;
use crate::types::Faults;
use crate::types::RecipientId;
use crate::types::Timestamp;

pub(super) use self::cell::{
    Cell, CellGrant, ConsentRule, Held, HeldRoles, ObjectionRule, role_bit,
};
pub(super) use self::limit::{Caller, CellLimit, CellUnless, Effect, Known, Left, OfRecord};
pub(super) use self::plan::{Plan, SetFacts};
pub(super) use self::transfer::{Transfers, chain};

/// The tables of a policy.
#[derive(Debug)]
pub(super) struct Tables {
    /// By data set, purpose and action: see [`Tables::cell`]. `None`: no grant.
    cells: Vec<Option<Box<Cell>>>,
    purposes: usize,
    /// What plans need to know of each data set.
    pub(super) sets: Vec<SetFacts>,
    /// When each purpose needs consent.
    pub(super) consent: Vec<ConsentRule>,
    /// Whom data is passed to.
    pub(super) recipients: Vec<Transfers>,
    /// When an objection takes each purpose's ground away.
    pub(super) objection: Vec<ObjectionRule>,
}

impl Tables {
    /// Compiles a model that was read without errors. Reports what only shows across rules.
    pub(super) fn compile(model: &Model, today: Timestamp, faults: &mut Faults) -> Option<Self> {
        let order = order::order(model, faults)?;
        let expanded = expand::expand(model, faults);
        checks::check(model, &expanded, today, faults);
        observing::check(model, today, faults);
        let sets: Vec<SetFacts> = model.sets.iter().map(|set| SetFacts::new(set, faults)).collect();
        let mut cells = Vec::new();
        for (set, facts) in sets.iter().enumerate() {
            for purpose in 0..model.purposes.len() {
                for action in Action::ALL {
                    let key = cell::Key { set, purpose, action };
                    let cell = cell::build(model, &order, &expanded, key, faults);
                    cells.push(cell.map(|cell| Box::new(cell.with_plans(facts))));
                }
            }
        }
        order::comparable(model, &expanded, faults);
        let consent = model.purposes.iter().map(ConsentRule::new).collect();
        let recipients = Transfers::all(model);
        let objection = model.purposes.iter().map(ObjectionRule::new).collect();
        let purposes = model.purposes.len();
        Some(Self { cells, purposes, sets, consent, recipients, objection })
    }

    /// The position of a cell, when any grant is in it.
    pub(super) fn find(&self, set: usize, purpose: usize, action: Action) -> Option<usize> {
        let at = (set * self.purposes + purpose) * Action::ALL.len() + action as usize;
        self.cells.get(at)?.as_ref().map(|_| at)
    }

    /// The position of a recipient.
    pub(super) fn recipient(&self, id: &RecipientId) -> Option<usize> {
        self.recipients.iter().position(|known| known.id == *id)
    }

    /// The cell at a position that [`find`](Self::find) gave.
    pub(super) fn cell(&self, at: usize) -> Option<&Cell> {
        self.cells.get(at)?.as_deref()
    }
}

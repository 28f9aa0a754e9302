//! What enforcing the policy would have changed of one call, summed up batch by batch.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::audit::MAX_OBSERVED_FIELDS;
use crate::audit::Observed;
use crate::audit::ObservedField;
use crate::audit::Shown;
use crate::audit::Verdict;
use crate::catalog::DataSet;
use crate::policy::Decision;
use crate::policy::View;

use super::error::CallError;

/// The sum of one call. The call's trail and the batches under way share it; it is taken once a
/// batch.
#[derive(Clone)]
pub(crate) struct Sums(Arc<Mutex<Sum>>);

struct Sum {
    set: Arc<DataSet>,
    observed: Observed,
    changed: Changed,
}

/// In how many records each field would have been shown otherwise, by field and rank of the view.
#[derive(Debug, Default)]
pub(crate) struct Changed(Vec<[u32; View::RANKS]>);

impl Changed {
    /// Room for the fields of a data set.
    pub(crate) fn of(set: &DataSet) -> Self {
        Self(vec![[0; View::RANKS]; set.fields.len()])
    }

    /// Counts a field of a record.
    pub(crate) fn add(&mut self, field: usize, view: View) {
        let ranks = self.0.get_mut(field);
        if let Some(count) = ranks.and_then(|ranks| ranks.get_mut(usize::from(view.rank()))) {
            *count = count.saturating_add(1);
        }
    }
}

impl fmt::Debug for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sums(..)")
    }
}

impl Sums {
    /// What was decided about the caller.
    pub(crate) fn new(set: &Arc<DataSet>, decision: &Decision) -> Self {
        let mut observed = Observed::permit();
        if let Decision::Refuse(refusal) = decision {
            observed.would = Verdict::Refuse;
            observed.reason = Some(refusal.reason.as_str().into());
            observed.missing = refusal.missing.iter().map(|word| (*word).into()).collect();
        }
        let changed = Changed::of(set);
        Self(Arc::new(Mutex::new(Sum { set: Arc::clone(set), observed, changed })))
    }

    /// The call would have been refused for this.
    pub(crate) fn refuse(&self, error: &CallError) {
        let mut sum = self.sum();
        if sum.observed.would == Verdict::Permit {
            sum.observed.would = Verdict::Refuse;
            sum.observed.reason = Some(error.reason().into());
            sum.observed.missing = error.missing().iter().map(|word| (*word).into()).collect();
        }
    }

    /// A record would have been left out.
    pub(crate) fn leave_out(&self, because: &str) {
        let left_out = &mut self.sum().observed.left_out;
        match left_out.get_mut(because) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(left_out.insert(because.into(), 1)),
        }
    }

    /// So many records that nobody is named for.
    pub(crate) fn unattributed(&self, records: u32) {
        let count = &mut self.sum().observed.unattributed;
        *count = count.saturating_add(records);
    }

    /// So many records with members that are not listed.
    pub(crate) fn unlisted(&self, records: u32) {
        let count = &mut self.sum().observed.unlisted;
        *count = count.saturating_add(records);
    }

    /// Adds what would have been shown otherwise, and begins to count anew.
    pub(crate) fn change(&self, changed: &mut Changed) {
        let sum = &mut self.sum().changed.0;
        for (sums, counts) in sum.iter_mut().zip(&mut changed.0) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(std::mem::take(count));
            }
        }
    }

    /// What enforcing the policy would have done, in a word.
    pub(crate) fn would(&self) -> &'static str {
        match self.told() {
            told if told.would == Verdict::Refuse => "refuse",
            told if told.changes() => "change",
            _ => "same",
        }
    }

    /// The sum, for an entry.
    pub(crate) fn told(&self) -> Observed {
        let sum = self.sum();
        let mut observed = sum.observed.clone();
        for (field, counts) in sum.set.fields.iter().zip(&sum.changed.0) {
            for (view, records) in Shown::ALL.into_iter().zip(*counts).skip(1) {
                if records > 0 && observed.fields.len() < MAX_OBSERVED_FIELDS {
                    let field = field.path.as_str().into();
                    observed.fields.push(ObservedField { field, records, view });
                }
            }
        }
        observed
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

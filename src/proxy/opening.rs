//! What of an answer did not open: counted and told to whoever watches, never to the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::Kind;
use crate::audit::Shown;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::SealMode;
use crate::keys::KeyRing;
use crate::policy::Permit;
use crate::policy::View;
use crate::subjects::Card;
use crate::transform::Miss;
use crate::transform::Misses;
use crate::transform::Unopened;
use crate::types::SubjectToken;

use super::error::CallError;
use super::metrics::ProxyMetrics;

/// The values of one batch that did not open, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Unopenings {
    /// How many, by reason and field.
    each: BTreeMap<(Unopened, FieldIx), u32>,
    subjects: Vec<SubjectToken>,
    /// Records with such a value.
    records: u32,
}

impl Unopenings {
    /// Counts what did not open of a record of `set` about the people on `cards`; true when a value
    /// was left out for it.
    ///
    /// # Errors
    /// When the keys cannot be used: nothing of the batch may leave.
    pub(crate) fn add(
        &mut self,
        misses: &Misses,
        (set, cards): (&DataSet, &[Option<Arc<Card>>]),
        metrics: &ProxyMetrics,
    ) -> Result<bool, CallError> {
        if misses.is_unavailable() {
            return Err(CallError::Locked);
        }
        let (mut is_left_out, mut is_fault) = (false, false);
        for miss in misses.iter() {
            if is_migrating(set, miss) {
                metrics.plaintext.inc_by(u64::from(miss.count));
                continue;
            }
            is_left_out = true;
            metrics.unopened(miss.why).inc_by(u64::from(miss.count));
            // Whose key is destroyed is no news.
            if miss.why == Unopened::Destroyed {
                continue;
            }
            is_fault = true;
            let count = self.each.entry((miss.why, miss.field)).or_default();
            *count = count.saturating_add(miss.count);
            let owner = set.owner(miss.field).and_then(|place| cards.get(place)?.as_ref());
            self.subjects.extend(owner.map(|card| card.token));
        }
        self.records += u32::from(is_fault);
        Ok(is_left_out)
    }

    /// The entry that says so, to be written before the batch leaves. `facts`: how entries begin.
    pub(crate) fn alert(&self, facts: &Entry, set: &DataSet) -> Option<Entry> {
        if self.each.is_empty() {
            return None;
        }
        let mut entry = Entry::clone(facts);
        entry.kind = Kind::Alert;
        entry.reason = Some(REASON.into());
        entry.records = Some(self.records);
        let mut subjects = self.subjects.clone();
        subjects.sort_unstable();
        subjects.dedup();
        entry.subjects = subjects;
        let mut counts: BTreeMap<Unopened, u32> = BTreeMap::new();
        let mut fields: Vec<FieldView> = Vec::new();
        for ((why, field), count) in &self.each {
            let sum = counts.entry(*why).or_default();
            *sum = sum.saturating_add(*count);
            let Some(field) = set.get(*field) else { continue };
            let view = FieldView {
                category: field.category.clone(),
                level: field.level,
                view: Shown::Drop,
            };
            if !fields.contains(&view) {
                fields.push(view);
            }
        }
        entry.fields = fields.into();
        for (why, count) in counts {
            entry.facts.insert(why.as_str().into(), count.to_string().into());
            tracing::warn!(
                data_set = %set.id,
                reason = why.as_str(),
                count,
                "sealed values do not open and were left out"
            );
        }
        Some(entry)
    }
}

/// Whether a value is one from before its field was sealed, which is no fault while it is being
/// sealed.
fn is_migrating(set: &DataSet, miss: Miss) -> bool {
    let sealing = set.sealing(miss.field);
    miss.why == Unopened::Plaintext
        && sealing.is_some_and(|sealing| sealing.mode == SealMode::Migrating)
}

/// Refuses what cannot be shown at the moment: before a store is asked for it, and again before it
/// leaves.
///
/// # Errors
/// When a sealed field would have to be opened, or a pseudonym made, and the keys cannot be used.
pub(crate) fn may_open(ring: &KeyRing, permit: &Permit) -> Result<(), CallError> {
    let needs_keys = || {
        let mut fields = permit.set().fields.iter().zip(permit.widest());
        fields.any(|(field, view)| match view {
            View::Pseudonymize(_) => true,
            view => field.at_rest.is_some() && view.needs_open(),
        })
    };
    if ring.is_usable() || !needs_keys() { Ok(()) } else { Err(CallError::Locked) }
}

/// Refuses a write at the moment, before its body is read and a store is asked for the record. No
/// record of the data set is written, whichever fields are set: what is written is merged into
/// what is there, and what came of it is shown.
///
/// # Errors
/// When the data set has a sealed field and the keys cannot be used.
pub(crate) fn may_write(ring: &KeyRing, permit: &Permit) -> Result<(), CallError> {
    let is_sealed = || permit.set().fields.iter().any(|field| field.at_rest.is_some());
    if ring.is_usable() || !is_sealed() { Ok(()) } else { Err(CallError::Locked) }
}

/// What entries about values that do not open give as their reason.
const REASON: &str = "unopened";

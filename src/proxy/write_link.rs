//! Keys of new records whose people the store names: made before the record is sealed, and given
//! to its person once the answer says who that is.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::audit::Kind;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::crypto::Kid;
use crate::keys::SubjectKeys;
use crate::subjects::SubjectsError;
use crate::transform::Batch;
use crate::types::DomainId;

use super::answer;
use super::call::Inbound;
use super::error::CallError;
use super::people::scalar;
use super::shared::Shared;
use super::told::Told;
use super::trail::Trail;
use super::write::Case;
use super::write_body;
use super::write_error::WriteFault;

/// The keys of the new records of one call.
pub(crate) struct Promised {
    /// The field in which the store names their people.
    field: FieldIx,
    /// The place of that person among the data set's subjects.
    place: usize,
    /// By record; nothing for one that is sealed with the key of somebody who is known.
    kids: Vec<Option<Kid>>,
}

impl Promised {
    /// Makes a key for each record that `wants` one, durable before anything is sealed with it.
    ///
    /// # Errors
    /// When no keys can be made: then nothing may be sent.
    pub(crate) async fn make(
        shared: &Shared,
        set: &DataSet,
        field: FieldIx,
        wants: &[bool],
    ) -> Result<(Self, Vec<Option<Arc<SubjectKeys>>>), CallError> {
        let place = set.subjects.iter().position(|subject| subject.field == field);
        let place = place.ok_or(CallError::Route)?;
        let count = wants.iter().filter(|wants| **wants).count();
        if !shared.keys.is_usable() {
            return Err(CallError::Locked);
        }
        let made = shared.keys.pending_create(set.id.as_str(), count).await;
        let made = made.map_err(|error| CallError::Subjects(SubjectsError::Keys(error)))?;
        let (mut made, mut kids) = (made.into_iter(), Vec::with_capacity(wants.len()));
        let mut keys = Vec::with_capacity(wants.len());
        for wants in wants {
            let pending = if *wants { made.next() } else { None };
            kids.push(pending.as_ref().map(|pending| pending.kid));
            keys.push(pending.map(|pending| pending.keys));
        }
        Ok((Self { field, place, kids }, keys))
    }

    /// The place of their person among the data set's subjects.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Which key belongs to whom, as the records of the answer say; nothing when they do not say
    /// it of each key in one way.
    fn pairs(&self, set: &DataSet, batch: &Batch) -> Option<Vec<(Kid, String)>> {
        if batch.len() != self.kids.len() {
            return None;
        }
        let ids: Vec<Option<_>> =
            (0..batch.len()).map(|record| scalar(batch, record, self.field)).collect();
        let mut seen = BTreeSet::new();
        if !ids.iter().flatten().all(|id| seen.insert(id.as_ref())) {
            return None;
        }
        let told: Vec<Vec<Kid>> =
            (0..batch.len()).map(|record| self.told(set, (batch, record))).collect();
        if told.iter().any(|kids| kids.len() > 1) {
            return None;
        }
        let mut pairs = Vec::new();
        for (at, kid) in self.kids.iter().enumerate() {
            let Some(kid) = kid else { continue };
            // What a record says of its key goes before its place in the answer.
            let mut by_kid = (0..).zip(&told).filter(|(_, told)| told.contains(kid));
            let record = match (by_kid.next(), by_kid.next()) {
                (Some((record, _)), None) => record,
                (None, _) if told.get(at).is_some_and(Vec::is_empty) => at,
                _ => return None,
            };
            let id = ids.get(record)?.as_ref()?;
            pairs.push((*kid, id.clone().into_owned()));
        }
        let people: BTreeSet<_> = pairs.iter().map(|(_, id)| id).collect();
        (people.len() == pairs.len()).then_some(pairs)
    }

    /// Which of these keys a record of the answer is sealed with, as it says itself.
    fn told(&self, set: &DataSet, (batch, record): (&Batch, usize)) -> Vec<Kid> {
        let mut found = Vec::new();
        for (field, kid) in batch.envelopes(record) {
            let is_one = set.owner(field) == Some(self.place) && self.kids.contains(&Some(kid));
            if is_one && !found.contains(&kid) {
                found.push(kid);
            }
        }
        found
    }
}

/// Gives the keys of new records to the people that the answer names, before anything else is made
/// of it.
///
/// # Errors
/// When one of them could not be given. Its record is there, and its key waits for a day: who reads
/// the record until then links it.
pub(crate) async fn link(
    inbound: &Inbound,
    case: &Case,
    (promised, told): (&Promised, &mut Told),
    trail: &Trail,
) -> Result<(), CallError> {
    let set = case.permit.set();
    let shared = inbound.worker.shared();
    let subject = set.subjects.get(promised.place).ok_or(CallError::Route)?;
    let pairs = match read(inbound, case, told).await {
        Some(batch) => promised.pairs(set, &batch),
        None => None,
    };
    let is_linked = match pairs {
        Some(pairs) => give(shared, &subject.domain, &pairs).await,
        None => false,
    };
    if is_linked {
        return Ok(());
    }
    let mut entry = trail.facts.clone();
    entry.kind = Kind::Alert;
    entry.reason = Some("unlinked".into());
    shared.metrics.alerts.inc();
    shared.log.note(entry);
    Err(CallError::Write(WriteFault::Unlinked))
}

/// The records of the answer, when it has any.
async fn read(inbound: &Inbound, case: &Case, told: &mut Told) -> Option<Batch> {
    let route = &case.question.routed.route;
    let selector = route.records.as_ref()?;
    let record_bytes = inbound.worker.shared().limits().record_bytes;
    let is_single = selector.records == Records::One;
    let (format, _) = answer::format(told.media, is_single).ok()?;
    // What stands around the records is read too.
    let most = write_body::most(route, record_bytes).saturating_mul(2);
    let text: Bytes = told.body.look_ahead(most).await.ok()??;
    let place = (selector, &case.shape);
    write_body::records(format, text, place, (record_bytes, true)).ok()
}

/// Gives each key to its person; false when one of them is not that person's afterwards.
async fn give(shared: &Shared, domain: &DomainId, pairs: &[(Kid, String)]) -> bool {
    let mut is_linked = true;
    for (kid, id) in pairs {
        match shared.cards.link_key(*kid, domain, id).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("the key of a new record is somebody else's, or its person erased");
                is_linked = false;
            }
            Err(error) => {
                let error = crate::types::told(&error);
                tracing::warn!(error, "the key of a new record could not be given to its person");
                is_linked = false;
            }
        }
    }
    is_linked
}

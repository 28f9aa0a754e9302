//! Keys of records whose creation was never answered: the first read of such a record gives them
//! to its person.

use crate::audit::Entry;
use crate::audit::Kind;
use crate::policy::Permit;
use crate::subjects::SubjectsError;
use crate::transform::Batch;

use super::error::CallError;
use super::people::People;
use super::people::scalar;
use super::shared::Shared;

/// Gives keys that wait for their person to the people of these records, when the records were made
/// with them. `facts`: how entries begin.
///
/// # Errors
/// When it cannot be told whether a key waits.
pub(crate) async fn link(
    shared: &Shared,
    (permit, batch, people): (&Permit, &Batch, &People<'_>),
    facts: &Entry,
) -> Result<(), CallError> {
    let set = permit.set();
    if !set.fields.iter().any(|field| field.at_rest.is_some()) {
        return Ok(());
    }
    let failed = |error| CallError::Subjects(SubjectsError::Keys(error));
    for record in 0..batch.len() {
        let cards = people.cards(record, set.subjects.len());
        let mut last = None;
        for (field, kid) in batch.envelopes(record) {
            let Some(place) = set.owner(field) else { continue };
            let (Some(Some(card)), Some(subject)) = (cards.get(place), set.subjects.get(place))
            else {
                continue;
            };
            let is_known = card.keys.as_ref().is_none_or(|keys| keys.knows(kid));
            if is_known || last.replace((place, kid)) == Some((place, kid)) {
                continue;
            }
            let waiting = shared.keys.find_pending(kid).await.map_err(failed)?;
            let is_here = waiting.is_some_and(|waiting| waiting.set == set.id.as_str());
            let Some(id) = scalar(batch, record, subject.field).filter(|_| is_here) else {
                continue;
            };
            let linked = shared.cards.link_key(kid, &subject.domain, &id).await;
            if linked.map_err(CallError::Subjects)? {
                let mut entry = Entry::clone(facts);
                entry.kind = Kind::Alert;
                entry.reason = Some("linked_late".into());
                entry.subjects = vec![card.token];
                tracing::warn!(data_set = %set.id, "the key of a new record was linked by a read");
                shared.log.note(entry);
            }
        }
    }
    Ok(())
}

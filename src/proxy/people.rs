//! The people a batch of records is about.

use std::borrow::Cow;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::policy::Permit;
use crate::policy::RecordSubject;
use crate::subjects::Card;
use crate::subjects::Cards;
use crate::transform::Batch;
use crate::transform::Raw;
use crate::types::DomainId;
use crate::types::Timestamp;

use super::error::CallError;

/// Ids and cards, record by record: one each for every subject of the data set.
pub(crate) struct People<'a> {
    changes: u64,
    ids: Vec<Option<Cow<'a, str>>>,
    cards: Vec<Option<Arc<Card>>>,
}

/// The cards of a batch, and which changes they knew of.
pub(crate) struct Known {
    changes: u64,
    cards: Vec<Option<Arc<Card>>>,
}

impl<'a> People<'a> {
    /// Looks up everybody in `batch`: those in memory at once, all others with one call.
    ///
    /// # Errors
    /// When cards cannot be read or made; none of the batch may then be judged.
    pub(crate) async fn find(
        cards: &Cards,
        permit: &Permit,
        batch: &'a Batch,
    ) -> Result<Self, CallError> {
        Self::find_again(cards, permit, batch, None).await
    }

    /// Looks up everybody in a batch that leaves whatever policy says.
    ///
    /// # Errors
    /// When cards cannot be read or made; none of the batch may then leave.
    pub(crate) async fn find_all(
        cards: &Cards,
        set: &DataSet,
        batch: &'a Batch,
        known: Option<Known>,
    ) -> Result<Self, CallError> {
        Self::look_up(cards, (set, batch), known, |_| true).await
    }

    /// As [`find`](Self::find); `known` is what was found for the same batch under the same permit
    /// before, and counts unless a card has changed since.
    ///
    /// # Errors
    /// When cards cannot be read or made; none of the batch may then be judged.
    pub(crate) async fn find_again(
        cards: &Cards,
        permit: &Permit,
        batch: &'a Batch,
        known: Option<Known>,
    ) -> Result<Self, CallError> {
        let is_certain = permit.covers_every_record();
        let set = permit.set();
        let mut values = Vec::new();
        Self::look_up(cards, (set, batch), known, |record| {
            // Who asks for what no grant can open makes nobody known here, and waits for nothing.
            is_certain || {
                fact_values(batch, record, permit.fact_fields(), &mut values);
                let id = |place: usize| {
                    let subject = set.subjects.get(place)?;
                    scalar(batch, record, subject.field)
                };
                permit.may_cover(id, &values)
            }
        })
        .await
    }

    /// Looks up the people of the records that `is_asked` says.
    async fn look_up(
        cards: &Cards,
        (set, batch): (&DataSet, &'a Batch),
        known: Option<Known>,
        mut is_asked: impl FnMut(usize) -> bool,
    ) -> Result<Self, CallError> {
        // Asked first: what changes from here on makes what is found here old.
        let changes = cards.changes();
        let known = known.filter(|known| known.changes == changes).map(|known| known.cards);
        let mut known = known.map(Vec::into_iter);
        let count = batch.len() * set.subjects.len();
        let (ids, found) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut people = Self { changes, ids, cards: found };
        let mut missing = Vec::new();
        for record in 0..batch.len() {
            let is_asked = is_asked(record);
            for subject in &set.subjects {
                let id = scalar(batch, record, subject.field).filter(|_| is_asked);
                let card = match &mut known {
                    Some(known) => known.next().flatten(),
                    None => id.as_deref().and_then(|id| cards.cached(&subject.domain, id)),
                };
                if id.is_some() && card.is_none() {
                    missing.push((people.ids.len(), &subject.domain));
                }
                people.ids.push(id);
                people.cards.push(card);
            }
        }
        if !missing.is_empty() {
            people.fetch(cards, &missing).await?;
        }
        Ok(people)
    }

    /// What was found, for the next time.
    pub(crate) fn into_known(self) -> Known {
        Known { changes: self.changes, cards: self.cards }
    }

    async fn fetch(
        &mut self,
        cards: &Cards,
        missing: &[(usize, &DomainId)],
    ) -> Result<(), CallError> {
        let id = |place: usize| self.ids.get(place).and_then(Option::as_deref).unwrap_or_default();
        let wanted: Vec<_> = missing.iter().map(|(place, domain)| (*domain, id(*place))).collect();
        let mut found = Vec::new();
        cards.cards(&wanted, &mut found).await.map_err(CallError::Subjects)?;
        for ((place, _), card) in missing.iter().zip(found) {
            if let Some(slot) = self.cards.get_mut(*place) {
                *slot = card;
            }
        }
        Ok(())
    }

    /// What a verdict at `now` needs to know of everybody, `per_record` entries a record.
    pub(crate) fn facts<'s>(&'s self, now: Timestamp) -> Vec<RecordSubject<'s>> {
        let subject = |(id, card): (&'s Option<Cow<'a, str>>, &'s Option<Arc<Card>>)| {
            let card = card.as_deref().map(|card| card.facts(now));
            RecordSubject { id: id.as_deref(), card }
        };
        self.ids.iter().zip(&self.cards).map(subject).collect()
    }

    /// The cards of one record.
    pub(crate) fn cards(&self, record: usize, per_record: usize) -> &[Option<Arc<Card>>] {
        self.cards.get(record * per_record..(record + 1) * per_record).unwrap_or_default()
    }
}

/// The values of the fields a verdict needs, in their order.
pub(crate) fn fact_values<'a>(
    batch: &'a Batch,
    record: usize,
    fields: &[FieldIx],
    values: &mut Vec<Option<Cow<'a, str>>>,
) {
    values.clear();
    values.extend(fields.iter().map(|field| scalar(batch, record, *field)));
}

/// A field's value as text, when it is one value that has one spelling. A number does when it is
/// an integer: `1e3` and `1000` are the same person to a store and two to whoever compares text.
pub(crate) fn scalar(batch: &Batch, record: usize, field: FieldIx) -> Option<Cow<'_, str>> {
    match batch.raw(record, field) {
        Raw::Text(text) if !text.is_empty() => Some(text),
        Raw::Number(digits) if is_integer(digits) => Some(Cow::Borrowed(digits)),
        _ => None,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text != "-0" && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

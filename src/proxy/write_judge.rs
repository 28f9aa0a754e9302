//! Judges records that are to be written: those that are there, and those that would be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::keys::KeyRing;
use crate::keys::RecordSeals;
use crate::keys::SubjectKeys;
use crate::policy::CardFacts;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::WriteVerdict;
use crate::policy::verdict;
use crate::policy::write_verdict;
use crate::transform::Batch;
use crate::transform::Raw;
use crate::types::Capacities;
use crate::types::Consent;
use crate::types::Region;
use crate::types::Statuses;
use crate::types::SubjectToken;

use super::error::CallError;
use super::people::People;
use super::people::fact_values;
use super::people::scalar;
use super::shared::Shared;

/// What policy says of one record that is to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ruling {
    /// By field, whether it may be set; nothing when the record may not be written.
    pub(crate) writable: Option<Vec<bool>>,
    /// Whether it may not be written because its person's data is held.
    pub(crate) is_held: bool,
    /// In which capacities the caller acts for the people it is about.
    pub(crate) acted: Capacities,
    /// How the caller is shown the record; nothing when it is not.
    pub(crate) views: Option<Vec<View>>,
    /// Whom it is about, with the version of their card.
    pub(crate) people: Vec<(SubjectToken, u64)>,
    /// Their keys.
    pub(crate) keys: Holders,
}

/// The keys of the people of one record, by the place of the subject in the data set.
///
/// Two are equal when they would seal with the same keys.
#[derive(Clone)]
pub(crate) struct Holders(Vec<Option<Arc<SubjectKeys>>>);

impl Holders {
    /// What opens and seals the values of the record.
    pub(crate) fn seals<'a>(&'a self, ring: &'a KeyRing, set: &'a DataSet) -> RecordSeals<'a> {
        RecordSeals::new(ring, set, &self.0)
    }

    /// Puts a key in the place of a person who is not known yet.
    pub(crate) fn put(&mut self, place: usize, keys: Arc<SubjectKeys>) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = Some(keys);
        }
    }
}

impl PartialEq for Holders {
    fn eq(&self, other: &Self) -> bool {
        let sealing = |keys: &Option<Arc<SubjectKeys>>| keys.as_ref().and_then(|it| it.sealing());
        self.0.iter().map(sealing).eq(other.0.iter().map(sealing))
    }
}

impl Eq for Holders {}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holders(..)")
    }
}

/// The permits of a write.
#[derive(Clone, Copy)]
pub(crate) struct Permits<'a> {
    /// To write.
    pub(crate) write: &'a Permit,
    /// To be shown what is there, when policy gives one.
    pub(crate) read: Option<&'a Permit>,
}

/// Judges every record of a batch. `newcomer`: the field in which the store names a person that is
/// not known yet; a record without it is about somebody who said nothing so far.
///
/// # Errors
/// When what is known of people cannot be read.
pub(crate) async fn judge(
    shared: &Shared,
    permits: Permits<'_>,
    batch: &Batch,
    newcomer: Option<FieldIx>,
) -> Result<Vec<Ruling>, CallError> {
    let mut rulings = write(shared, permits.write, batch, newcomer).await?;
    if let Some(read) = permits.read {
        let people = People::find(&shared.cards, read, batch).await?;
        let bench = Bench { shared, permit: read, batch, people: &people, newcomer: None };
        let mut scratch = Scratch::new();
        let mut rulings = rulings.iter_mut();
        bench.each(|_, facts| {
            if let (Some(ruling), Verdict::Release { views, .. }) =
                (rulings.next(), verdict(read, facts, &mut scratch))
            {
                ruling.views = Some(views.to_vec());
            }
        });
    }
    Ok(rulings)
}

async fn write(
    shared: &Shared,
    permit: &Permit,
    batch: &Batch,
    newcomer: Option<FieldIx>,
) -> Result<Vec<Ruling>, CallError> {
    let people = People::find(&shared.cards, permit, batch).await?;
    let per_record = permit.set().subjects.len();
    let bench = Bench { shared, permit, batch, people: &people, newcomer };
    let mut scratch = Scratch::new();
    let mut rulings = Vec::with_capacity(batch.len());
    bench.each(|record, facts| {
        let (writable, is_held) = match write_verdict(permit, facts, &mut scratch) {
            WriteVerdict::Allow { writable } => (Some(writable.to_vec()), false),
            WriteVerdict::LeaveOut { because } => (None, because == crate::policy::Because::Held),
        };
        let acted = if writable.is_some() { scratch.acted_as() } else { Capacities::NONE };
        let cards = people.cards(record, per_record);
        let keys = Holders(cards.iter().map(|card| card.as_ref()?.keys.clone()).collect());
        let people = cards.iter().flatten().map(|card| (card.token, card.logged_version)).collect();
        rulings.push(Ruling { writable, is_held, acted, views: None, people, keys });
    });
    Ok(rulings)
}

/// What records are judged with.
struct Bench<'a> {
    shared: &'a Shared,
    permit: &'a Permit,
    batch: &'a Batch,
    people: &'a People<'a>,
    newcomer: Option<FieldIx>,
}

impl Bench<'_> {
    /// Hands the facts of every record to `then`.
    fn each(&self, mut then: impl FnMut(usize, &RecordFacts<'_>)) {
        let set = self.permit.set();
        let per_record = set.subjects.len();
        let now = self.shared.clock.now();
        let mut subjects = self.people.facts(now);
        for (at, subject) in subjects.iter_mut().enumerate() {
            let field = set.subjects.get(at % per_record).map(|subject| subject.field);
            if field.is_some() && field == self.newcomer && self.is_new(at / per_record) {
                *subject = RecordSubject { id: Some(NOBODY), card: Some(blank()) };
            }
        }
        let mut values: Vec<Option<Cow<'_, str>>> = Vec::new();
        for record in 0..self.batch.len() {
            fact_values(self.batch, record, self.permit.fact_fields(), &mut values);
            let people = subjects.get(record * per_record..(record + 1) * per_record);
            let region = set.region.and_then(|field| scalar(self.batch, record, field));
            let facts = RecordFacts {
                subjects: people.unwrap_or_default(),
                region: region.and_then(|text| Region::parse(&text)),
                values: &values,
                now,
            };
            then(record, &facts);
        }
    }

    /// Whether a record leaves it to the store whom it is about.
    fn is_new(&self, record: usize) -> bool {
        self.newcomer.is_some_and(|field| is_unnamed(self.batch, record, field))
    }
}

/// Whether a record does not say who it is that `field` names.
pub(super) fn is_unnamed(batch: &Batch, record: usize, field: FieldIx) -> bool {
    matches!(batch.raw(record, field), Raw::Missing | Raw::Null)
}

/// The id of somebody who has none yet: no id has this character.
const NOBODY: &str = "\0";

static SAID_NOTHING: BTreeMap<Box<str>, Consent> = BTreeMap::new();
static LEFT_NOTHING: BTreeSet<Box<str>> = BTreeSet::new();

/// What is known of somebody who is not known yet.
fn blank() -> CardFacts<'static> {
    CardFacts {
        status: Statuses::ACTIVE,
        consents: &SAID_NOTHING,
        opt_outs: &LEFT_NOTHING,
        representatives: &[],
    }
}

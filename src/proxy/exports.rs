//! People whose data a batch would take out of their country: counted before it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::policy::ExportClasses;
use crate::policy::Exported;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::counted_home;
use crate::policy::verdict;
use crate::subjects::Card;
use crate::subjects::Exports;
use crate::subjects::Notice;
use crate::transform::Batch;
use crate::types::Region;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::error::CallError;
use super::people::People;
use super::people::fact_values;
use super::people::scalar;
use super::shared::Shared;

/// What was asked about people of one batch, and the answers.
#[derive(Debug, Default)]
pub(super) struct Passes {
    year: i16,
    /// Whom something may leave of, and what.
    admitted: BTreeMap<SubjectToken, ExportClasses>,
    /// Whom nothing more may leave of.
    refused: BTreeMap<SubjectToken, ExportClasses>,
}

/// Records that would take data out of the country where people are counted.
pub(super) struct Border<'a> {
    shared: &'a Shared,
    permit: &'a Permit,
    home: Region,
    year: i16,
}

impl<'a> Border<'a> {
    /// `None` where nothing of this call can leave the country.
    pub(super) fn of(shared: &'a Shared, permit: &'a Permit, now: Timestamp) -> Option<Self> {
        let home = counted_home().filter(|home| permit.may_export(*home))?;
        Some(Self { shared, permit, home, year: Exports::year(now) })
    }

    /// What a record that is shown in these views takes out, person by person.
    fn takes<'s>(
        &'s self,
        facts: &'s RecordFacts<'s>,
        views: &'s [View],
        cards: &'s [Option<Arc<Card>>],
    ) -> impl Iterator<Item = Exported> + 's {
        cards.iter().enumerate().filter_map(move |(person, card)| {
            let classes = self.permit.exported(self.home, person, facts, views);
            let token = card.as_ref()?.token;
            (!classes.is_empty()).then_some(Exported { token, classes })
        })
    }

    /// Whether a record may leave: everybody it takes something out of was counted.
    pub(super) fn lets(
        &self,
        passes: &Passes,
        (facts, views): (&RecordFacts<'_>, &[View]),
        cards: &[Option<Arc<Card>>],
    ) -> bool {
        self.takes(facts, views, cards).all(|who| {
            !passes.refuses(self.year, &who)
                && (passes.admits(self.year, &who)
                    || self.shared.cards.exports().knows(self.year, &who))
        })
    }

    /// The people one record takes something out of, of whom nobody knows yet whether it may leave.
    pub(super) fn unknown(
        &self,
        passes: &Passes,
        (facts, views): (&RecordFacts<'_>, &[View]),
        cards: &[Option<Arc<Card>>],
        wishes: &mut Vec<Exported>,
    ) {
        let is_known = |who: &Exported| {
            passes.refuses(self.year, who)
                || passes.admits(self.year, who)
                || self.shared.cards.exports().knows(self.year, who)
        };
        wishes.extend(self.takes(facts, views, cards).filter(|who| !is_known(who)));
    }

    /// The same of every record of a batch that a verdict lets leave.
    pub(super) fn wishes(
        &self,
        passes: &Passes,
        (batch, people): (&Batch, &People<'_>),
        scratch: &mut Scratch,
        now: Timestamp,
    ) -> Vec<Exported> {
        let set = self.permit.set();
        let per_record = set.subjects.len();
        let subjects = people.facts(now);
        let (mut values, mut wishes) = (Vec::new(), Vec::new());
        for record in 0..batch.len() {
            let region = set.region.and_then(|field| scalar(batch, record, field));
            let region = region.and_then(|text| Region::parse(&text));
            if region != Some(self.home) {
                continue;
            }
            fact_values(batch, record, self.permit.fact_fields(), &mut values);
            let subjects = subjects.get(record * per_record..(record + 1) * per_record);
            let subjects = subjects.unwrap_or_default();
            let facts = RecordFacts { subjects, region, values: &values, now };
            if let Verdict::Release { views, .. } = verdict(self.permit, &facts, scratch) {
                self.unknown(
                    passes,
                    (&facts, views),
                    people.cards(record, per_record),
                    &mut wishes,
                );
            }
        }
        wishes
    }
}

impl Passes {
    fn admits(&self, year: i16, who: &Exported) -> bool {
        let known = self.admitted.get(&who.token).copied().unwrap_or_default();
        self.year == year && who.classes.without(known).is_empty()
    }

    fn refuses(&self, year: i16, who: &Exported) -> bool {
        // What was asked for together was refused together; more would be as well.
        let known = self.refused.get(&who.token).copied().unwrap_or_default();
        self.year == year && !known.is_empty() && known.without(who.classes).is_empty()
    }

    /// Counts everybody whose data a batch would take out of their country; whether anybody had to
    /// be waited for, so that what the batch rests on must be looked at again.
    ///
    /// # Errors
    /// When nobody can be counted: nothing of the batch may leave.
    pub(super) async fn settle(
        &mut self,
        shared: &Shared,
        (permit, facts): (&Permit, &Entry),
        (batch, people, scratch): (&Batch, &People<'_>, &mut Scratch),
        now: Timestamp,
    ) -> Result<bool, CallError> {
        let Some(border) = Border::of(shared, permit, now) else { return Ok(false) };
        let wishes = border.wishes(self, (batch, people), scratch, now);
        if wishes.is_empty() {
            return Ok(false);
        }
        Box::pin(self.ask(shared, permit, facts, (wishes, now))).await?;
        Ok(true)
    }

    /// Counts people, on disk, or learns that a threshold keeps theirs here. What there is to tell
    /// is told.
    ///
    /// # Errors
    /// When nobody can be counted: nothing of the batch may leave.
    pub(super) async fn ask(
        &mut self,
        shared: &Shared,
        permit: &Permit,
        facts: &Entry,
        (wishes, now): (Vec<Exported>, Timestamp),
    ) -> Result<(), CallError> {
        let year = Exports::year(now);
        if self.year != year {
            *self = Self { year, ..Self::default() };
        }
        let may_pass = |threshold: &_| permit.may_pass(threshold, now);
        let asked = shared.cards.exports().admit(&wishes, now, &may_pass);
        let answer = asked.await.map_err(CallError::Subjects)?;
        for notice in &answer.notices {
            tell(shared, facts, notice);
        }
        if !answer.refused.is_empty() {
            let mut entry = Entry::clone(facts);
            entry.kind = Kind::Alert;
            entry.reason = Some("transfer_threshold".into());
            entry.left_out = u32::try_from(answer.refused.len()).ok();
            shared.metrics.alerts.inc();
            shared.log.note(entry);
        }
        for wish in wishes {
            let is_refused = answer.refused.contains(&wish.token);
            let into = if is_refused { &mut self.refused } else { &mut self.admitted };
            let classes = into.entry(wish.token).or_default();
            *classes = classes.with(wish.classes);
        }
        Ok(())
    }
}

/// Tells whoever watches the log that a threshold is near or reached.
fn tell(shared: &Shared, facts: &Entry, notice: &Notice) {
    let mut entry = Entry::clone(facts);
    entry.kind = Kind::Alert;
    entry.reason =
        Some(if notice.percent < 100 { "transfer_near" } else { "transfer_reached" }.into());
    let told = [
        ("transfer_class", notice.class.as_str().to_owned()),
        ("transfer_counted", notice.counted.to_string()),
        ("transfer_threshold", notice.people.to_string()),
        ("transfer_year", notice.year.to_string()),
    ];
    entry.facts.extend(told.into_iter().map(|(name, value)| (name.into(), value.into())));
    shared.metrics.alerts.inc();
    shared.log.note(entry);
}

//! Answers with records of several data sets: each with its own decision, people and entries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use crate::audit::Entry;
use crate::catalog::Records as Arrangement;
use crate::catalog::Selector;
use crate::policy::BulkLimit;
use crate::policy::Permit;
use crate::policy::Scratch;
use crate::policy::View;
use crate::transform::Batch;
use crate::transform::Format;
use crate::transform::Limits;
use crate::transform::Progress;
use crate::transform::SetReader;
use crate::transform::Shape;
use crate::transform::Text;
use crate::transform::TransformError;
use crate::transform::Writer;
use crate::types::Timestamp;
use crate::upstream::StoreBody;

use super::budget::BATCH_BYTES;
use super::budget::BATCH_RECORDS;
use super::budget::Share;
use super::budget::new_batch;
use super::call::Decided;
use super::error::CallError;
use super::exports::Passes;
use super::feed;
use super::links::Links;
use super::opening;
use super::people::People;
use super::plan;
use super::plan::PlanFacts;
use super::plan::Question;
use super::pseudonyms::CallPseudonyms;
use super::records;
use super::records::Desk;
use super::records::Records;
use super::records::Sealed;
use super::shared::Shared;
use super::shared::Snapshot;
use super::watched::Watched;

/// The batches of an answer, of one data set or of several.
pub(crate) enum Batches {
    One(Box<Records>),
    Several(Box<Sets>),
    /// Of a data set in which the policy is only observed.
    Watched(Box<Watched>),
}

/// The records of several data sets, read, judged and rewritten group by group: as many batches
/// as together make one.
pub(crate) struct Sets {
    shared: Arc<Shared>,
    waited: Duration,
    body: StoreBody,
    links: Links,
    reader: SetReader,
    /// One a place, the route's own first; `None`: policy shows this caller none of it.
    sides: Vec<Option<Side>>,
    turns: Vec<Turn>,
    /// How many of them were read.
    used: usize,
    share: Share,
    read: usize,
    begun: bool,
}

/// What records of one place are judged under.
struct Side {
    question: Question,
    permit: Permit,
    generation: u64,
    plan: Arc<PlanFacts>,
    facts: Arc<Entry>,
    bulk: Arc<[BulkLimit]>,
    records: Arrangement,
    writer: Writer,
    scratch: Scratch,
    pseudonyms: CallPseudonyms,
}

/// Records of one place, with what stands around them.
struct Turn {
    place: usize,
    batch: Batch,
    text: Text,
}

impl Sets {
    /// The records of the answer `body` to a call that was decided for its route's own data set.
    ///
    /// # Errors
    /// When the route has no records.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        decided: Decided,
        (body, limits): (StoreBody, Limits),
        facts: &Entry,
    ) -> Result<Self, CallError> {
        let links = Links::new(&decided);
        let Decided { question, permit, shape, generation, share, facts: plan, .. } = decided;
        let route = Arc::clone(&question.routed.route);
        let own = route.records.as_ref().ok_or(CallError::Route)?;
        let snapshot = shared.snapshot();
        let mut shapes = vec![(own, Arc::clone(&shape))];
        let mut others = Vec::new();
        for beside in &route.beside {
            let known = snapshot.shape(&beside.set).unwrap_or(&shape);
            shapes.push((&beside.selector, Arc::clone(known)));
            let asked = beside_question(&question, &permit, &snapshot, &beside.set);
            let now = shared.clock.now();
            let permitted = asked.and_then(|asked| {
                let permit = asked.ask(&snapshot, now).ok()?;
                Some((asked, permit))
            });
            if let Some((_, permit)) = &permitted {
                opening::may_open(&shared.keys, permit)?;
            }
            others.push(permitted.map(|(question, permit)| {
                let plan = snapshot.plan_facts(&permit);
                let mut facts = facts.clone();
                facts.data_set = Some(permit.set_id().clone());
                facts.fields = plan.fields.clone();
                plan::describe(&permit, &mut facts);
                let decided = (question, permit, (snapshot.generation, plan));
                Side::new(shared, decided, (&beside.selector, Arc::clone(known)), facts)
            }));
        }
        let decided = (question, permit, (generation, plan));
        let first = Side::new(shared, decided, (own, shape), facts.clone());
        let sides: Vec<_> = std::iter::once(Some(first)).chain(others).collect();
        let places = shapes.into_iter().zip(&sides);
        let places = places.map(|((selector, shape), side)| (selector, shape, side.is_some()));
        Ok(Self {
            reader: SetReader::new(places, limits),
            shared: Arc::clone(shared),
            waited: Duration::ZERO,
            body,
            links,
            sides,
            turns: Vec::new(),
            used: 0,
            share,
            read: 0,
            begun: false,
        })
    }

    /// The `Privet-Fields` of all of them together.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut counts = [0_u16; View::RANKS];
        for side in self.sides.iter().flatten() {
            for (sum, count) in counts.iter_mut().zip(side.plan.counts) {
                *sum = sum.saturating_add(count);
            }
        }
        let header = HeaderValue::try_from(plan::privet_fields(&counts));
        header.unwrap_or(HeaderValue::from_static(""))
    }

    /// The permits of all data sets that this caller is shown something of.
    pub(crate) fn permits(&self) -> impl Iterator<Item = &Permit> {
        self.sides.iter().flatten().map(|side| &side.permit)
    }

    async fn read(&mut self) -> Result<bool, CallError> {
        self.used = 0;
        let (mut records, mut bytes) = (0, 0);
        loop {
            let last = self.turn().await?;
            let Some(turn) = self.turns.get(self.used) else { return Err(CallError::Route) };
            if let Some(Some(side)) = self.sides.get(turn.place) {
                People::find(&self.shared.cards, &side.permit, &turn.batch).await?;
            }
            records += turn.batch.len();
            bytes += turn.batch.bytes();
            self.used += 1;
            if last || records >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                return Ok(last);
            }
        }
    }

    /// Reads records of one place; true when the answer ends with them.
    async fn turn(&mut self) -> Result<bool, CallError> {
        if self.turns.len() <= self.used {
            let batch = new_batch();
            self.turns.push(Turn { place: 0, batch, text: Text::default() });
        }
        let Some(turn) = self.turns.get_mut(self.used) else { return Err(CallError::Route) };
        turn.batch.clear();
        let last = loop {
            let (shared, links) = (&self.shared, &self.links);
            let route = |link: &str| links.beside(shared, link);
            let progress = self.reader.read(&mut turn.batch, &route);
            match progress.map_err(CallError::Transform)? {
                Progress::BatchFull => break false,
                Progress::End => break true,
                Progress::NeedMore => {}
            }
            let asked = Instant::now();
            let piece = self.body.chunk().await.map_err(CallError::Upstream)?;
            self.waited += asked.elapsed();
            match piece {
                Some(piece) => {
                    self.read = self.read.saturating_add(piece.len());
                    self.share.cover(self.read).await.map_err(CallError::NoRoom)?;
                    self.reader.push(&piece);
                }
                None => self.reader.end_of_input(),
            }
        };
        turn.place = self.reader.place();
        turn.text = self.reader.take_text();
        Ok(last)
    }

    async fn judge(&mut self, last: bool) -> Result<Sealed, CallError> {
        let turns = self.turns.get(..self.used).unwrap_or_default();
        let mut passes = Passes::default();
        let (people, now) = loop {
            let mut people = Vec::with_capacity(turns.len());
            for turn in turns {
                let side = self.sides.get(turn.place).and_then(Option::as_ref);
                people.push(match side {
                    Some(side) => {
                        Some(People::find(&self.shared.cards, &side.permit, &turn.batch).await?)
                    }
                    None => None,
                });
            }
            // After the last wait, so that what changed meanwhile counts for all of them.
            let now = self.shared.clock.now();
            for side in self.sides.iter_mut().flatten() {
                side.check(&self.shared, now)?;
            }
            let mut waited = false;
            for (turn, people) in turns.iter().zip(&people) {
                let side = self.sides.get_mut(turn.place).and_then(Option::as_mut);
                if let (Some(side), Some(people)) = (side, people) {
                    let about = (&side.permit, &*side.facts);
                    let batch = (&turn.batch, people, &mut side.scratch);
                    waited |= passes.settle(&self.shared, about, batch, now).await?;
                }
            }
            if !waited {
                break (people, now);
            }
        };
        let mut parts: Vec<Sealed> = Vec::with_capacity(turns.len());
        for (turn, people) in turns.iter().zip(&people) {
            let side = self.sides.get_mut(turn.place).and_then(Option::as_mut);
            match (side, people, parts.last_mut()) {
                // Nothing but structure: it leaves with what stands before it.
                (_, _, Some(part)) if turn.batch.is_empty() => {
                    part.write(&turn.text.before);
                    part.write(&turn.text.after);
                }
                (Some(side), Some(people), _) => {
                    parts.push(side.judge(turn, people, (&self.shared, &passes, now))?);
                }
                (_, _, _) => {
                    let Some(Some(own)) = self.sides.first_mut() else {
                        return Err(CallError::Route);
                    };
                    let mut part = own.sealed();
                    part.write(&turn.text.before);
                    part.write(&turn.text.after);
                    parts.push(part);
                }
            }
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.own_record(&parts, last)?;
        }
        for (part, side) in parts
            .iter()
            .zip(turns)
            .filter_map(|(part, turn)| Some((part, self.sides.get(turn.place)?.as_ref()?)))
        {
            feed::count_views(&self.shared, side.plan.counts, part.records);
        }
        Sealed::together(parts, last).ok_or(CallError::Route)
    }

    /// Where the route leads to one record, that one decides whether there is anything at all: it
    /// must be among the first, and its caller must be shown it.
    fn own_record(&self, parts: &[Sealed], last: bool) -> Result<(), CallError> {
        let own = self.sides.first().and_then(Option::as_ref);
        if !own.is_some_and(|side| side.records == Arrangement::One) {
            return Ok(());
        }
        let turns = self.turns.get(..self.used).unwrap_or_default();
        let mut own = turns.iter().zip(parts).filter(|(turn, _)| turn.place == 0);
        match own.next() {
            Some((_, part)) if part.records > 0 => Ok(()),
            Some(_) => Err(CallError::NotFound),
            None if last => Err(CallError::NotFound),
            None => Err(CallError::Transform(TransformError::NoRecords)),
        }
    }
}

impl Side {
    fn new(
        shared: &Shared,
        (question, permit, (generation, plan)): (Question, Permit, (u64, Arc<PlanFacts>)),
        (selector, shape): (&Selector, Arc<Shape>),
        facts: Entry,
    ) -> Self {
        let records = selector.records;
        let alone = Selector { steps: Vec::new(), records, around: Vec::new() };
        Self {
            pseudonyms: CallPseudonyms::new(&shared.keys, permit.purpose()),
            bulk: permit.bulk().into(),
            facts: Arc::new(facts),
            question,
            permit,
            generation,
            plan,
            records,
            writer: Writer::new(Format::Json, &alone, shape),
            scratch: Scratch::new(),
        }
    }

    fn check(&mut self, shared: &Shared, now: Timestamp) -> Result<(), CallError> {
        self.question.caller.still_valid(shared)?;
        let before = self.generation;
        records::recheck(
            shared,
            (&mut self.question, &mut self.permit),
            (&mut self.generation, &mut self.facts, &mut self.bulk),
            now,
        )?;
        if before != self.generation {
            self.pseudonyms = CallPseudonyms::new(&shared.keys, self.permit.purpose());
        }
        Ok(())
    }

    fn sealed(&self) -> Sealed {
        Sealed::new(Vec::new(), (Arc::clone(&self.facts), Arc::clone(&self.bulk)))
    }

    fn judge(
        &mut self,
        turn: &Turn,
        people: &People<'_>,
        (shared, passes, now): (&Shared, &Passes, Timestamp),
    ) -> Result<Sealed, CallError> {
        let mut sealed = self.sealed();
        sealed.write(&turn.text.before);
        let mut desk = Desk {
            permit: &self.permit,
            batch: &turn.batch,
            writer: &mut self.writer,
            scratch: &mut self.scratch,
            pseudonyms: &self.pseudonyms,
            shared,
            sought: &self.question.routed.sought,
            passes,
            now,
        };
        desk.judge_all(people, &mut sealed)?;
        // Without a record to judge, the text says what the store has there.
        let is_hidden = sealed.records == 0 && !turn.batch.is_empty();
        if self.records == Arrangement::One && is_hidden {
            sealed.write(b"null");
        }
        sealed.write(&turn.text.after);
        Ok(sealed)
    }
}

/// Refuses what other data sets of the answer cannot be shown without keys, before a store is asked.
///
/// # Errors
/// When keys cannot be used just now and one of them needs some.
pub(super) fn may_open(
    shared: &Shared,
    (question, permit): (&Question, &Permit),
    snapshot: &Snapshot,
) -> Result<(), CallError> {
    if shared.keys.is_usable() {
        return Ok(());
    }
    for beside in &question.routed.route.beside {
        let asked = beside_question(question, permit, snapshot, &beside.set);
        let permit = asked.and_then(|asked| asked.ask(snapshot, shared.clock.now()).ok());
        permit.map_or(Ok(()), |permit| opening::may_open(&shared.keys, &permit))?;
    }
    Ok(())
}

/// The question about records that stand beside the route's own: of the same caller, for the same
/// purpose.
fn beside_question(
    own: &Question,
    permit: &Permit,
    snapshot: &Snapshot,
    set: &crate::types::DataSetId,
) -> Option<Question> {
    let routed = own.routed.beside(snapshot.set(set)?);
    let purpose = Some(permit.purpose().as_str().into());
    Some(Question { caller: own.caller.clone(), routed, purpose, gpc: own.gpc, is_read: true })
}

impl Batches {
    /// What every worker shares.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        match self {
            Self::One(records) => &records.shared,
            Self::Several(sets) => &sets.shared,
            Self::Watched(watched) => &watched.shared,
        }
    }

    /// The owners of the credentials.
    pub(crate) fn owners(&self) -> Vec<Arc<str>> {
        let question = match self {
            Self::One(records) => Some(&records.question),
            Self::Several(sets) => sets.sides.iter().flatten().map(|side| &side.question).next(),
            Self::Watched(watched) => Some(&watched.question),
        };
        question.map(|it| it.caller.owners().cloned().collect()).unwrap_or_default()
    }

    /// How long the store was waited for since this was last asked.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(match self {
            Self::One(records) => &mut records.waited,
            Self::Several(sets) => &mut sets.waited,
            Self::Watched(watched) => &mut watched.waited,
        })
    }

    /// The room taken in the buffers.
    pub(crate) fn into_share(self) -> Share {
        match self {
            Self::One(records) => records.into_share(),
            Self::Several(sets) => sets.share,
            Self::Watched(watched) => watched.into_share(),
        }
    }

    /// How many fields have a view in one data set's plan; several count theirs themselves.
    pub(crate) fn views(&self) -> [u16; View::RANKS] {
        match self {
            Self::One(records) => records.plan.counts,
            Self::Several(_) | Self::Watched(_) => [0; View::RANKS],
        }
    }

    /// Reads the next batch; true when none follows. As [`Records::read`].
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn read(&mut self) -> Result<bool, CallError> {
        match self {
            Self::One(records) => records.read().await,
            Self::Several(sets) => Box::pin(sets.read()).await,
            Self::Watched(watched) => Box::pin(watched.read()).await,
        }
    }

    /// Judges the batch that was read. As [`Records::judge`].
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn judge(&mut self, last: bool) -> Result<Sealed, CallError> {
        match self {
            Self::One(records) => records.judge(last).await,
            Self::Several(sets) => Box::pin(sets.judge(last)).await,
            Self::Watched(watched) => Box::pin(watched.judge(last)).await,
        }
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One(..)",
            Self::Several(_) => "Several(..)",
            Self::Watched(_) => "Watched(..)",
        })
    }
}

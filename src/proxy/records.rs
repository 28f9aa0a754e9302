//! From the bytes of a store to batches that wait for their release.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::ReleaseReceipt;
use crate::keys::RecordSeals;
use crate::policy::BulkLimit;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::verdict;
use crate::subjects::NewToken;
use crate::transform::Batch;
use crate::transform::Misses;
use crate::transform::Progress;
use crate::transform::Reader;
use crate::transform::Showing;
use crate::transform::Writer;
use crate::types::Capacities;
use crate::types::Region;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::budget::Share;
use super::budget::new_batch;
use super::error::CallError;
use super::exports::Border;
use super::exports::Passes;
use super::inbox::Table;
use super::late;
use super::links::Links;
use super::opening;
use super::opening::Unopenings;
use super::people::Known;
use super::people::People;
use super::people::fact_values;
use super::people::scalar;
use super::plan;
use super::plan::PlanFacts;
use super::plan::Question;
use super::pseudonyms::CallPseudonyms;
use super::pseudonyms::RecordPseudonyms;
use super::seek::Sought;
use super::seek::is_sought;
use super::shared::Shared;
use super::told::ToldBody;

/// The records of one answer, read, judged and rewritten batch by batch.
pub(crate) struct Records {
    pub(crate) shared: Arc<Shared>,
    pub(crate) question: Question,
    pub(crate) permit: Permit,
    /// Time spent waiting for the store.
    pub(crate) waited: Duration,
    generation: u64,
    body: ToldBody,
    links: Links,
    table: Option<Arc<Table>>,
    reader: Reader,
    batch: Batch,
    /// The cards of the batch that was read.
    known: Option<Known>,
    writer: Writer,
    scratch: Scratch,
    pseudonyms: CallPseudonyms,
    facts: Arc<Entry>,
    pub(crate) plan: Arc<PlanFacts>,
    bulk: Arc<[BulkLimit]>,
    share: Share,
    read: usize,
    begun: bool,
}

/// What a batch of records is made from.
pub(crate) struct Source {
    pub(crate) body: ToldBody,
    pub(crate) links: Links,
    pub(crate) reader: Reader,
    /// What is known of members that are not listed.
    pub(crate) table: Option<Arc<Table>>,
    pub(crate) writer: Writer,
    pub(crate) share: Share,
    /// The snapshot that decided.
    pub(crate) generation: u64,
    /// What its plan comes to.
    pub(crate) plan: Arc<PlanFacts>,
}

/// A batch as it may leave, but for its entry in the log.
///
/// INVARIANT: the bytes cannot be had but for a [`ReleaseReceipt`].
pub(crate) struct Sealed {
    bytes: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) left_out: u32,
    /// Everybody the records are about, with the version of their card; sorted, once each.
    subjects: Vec<(SubjectToken, u64)>,
    /// Everybody of whom something personal is shown in clear.
    pub(crate) shown: Vec<SubjectToken>,
    /// How entries about this call begin.
    pub(crate) facts: Arc<Entry>,
    pub(crate) bulk: Arc<[BulkLimit]>,
    /// In which capacities the caller acted for the people shown.
    acted: Capacities,
    /// Whether no batch follows.
    pub(crate) last: bool,
    /// Whether every record is there and shows every field as it is.
    pub(crate) as_stored: bool,
    /// What did not open of it.
    unopened: Unopenings,
    /// What leaves behind it, of other data sets, each with an entry of its own.
    pub(crate) others: Vec<Self>,
    /// What must be on disk before it leaves.
    pub(crate) tokens: Vec<NewToken>,
}

impl Sealed {
    /// Nothing yet, to be written behind `bytes`. `facts`: how entries begin.
    pub(super) fn new(bytes: Vec<u8>, (facts, bulk): (Arc<Entry>, Arc<[BulkLimit]>)) -> Self {
        Self {
            bytes,
            records: 0,
            left_out: 0,
            subjects: Vec::new(),
            shown: Vec::new(),
            facts,
            bulk,
            acted: Capacities::NONE,
            last: false,
            as_stored: false,
            unopened: Unopenings::default(),
            others: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Appends structure, which tells of no record.
    pub(super) fn write(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    /// Names people whom it is about beside those of its records.
    pub(super) fn name(&mut self, people: &[(SubjectToken, u64)]) {
        self.subjects.extend_from_slice(people);
    }

    /// Several batches that leave at once; `None` of none. `last`: no other follows.
    pub(super) fn together(parts: Vec<Self>, last: bool) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut first = parts.next()?;
        first.last = last;
        first.others = parts.collect();
        Some(first)
    }

    /// How many records leave and are left out, of all data sets.
    pub(super) fn counts(&self) -> (u32, u32) {
        let own = (self.records, self.left_out);
        self.others.iter().fold(own, |(records, left_out), other| {
            (records.saturating_add(other.records), left_out.saturating_add(other.left_out))
        })
    }

    /// The entry that must be on disk before the bytes leave.
    pub(crate) fn entry(&self) -> Entry {
        let mut entry = Entry::clone(&self.facts);
        entry.kind = Kind::Release;
        entry.records = Some(self.records);
        entry.left_out = Some(self.left_out);
        entry.bytes = u64::try_from(self.bytes.len()).ok();
        plan::represented(self.acted, &mut entry);
        entry.subjects = self.subjects.iter().map(|(token, _)| *token).collect();
        entry.consent_versions = self.subjects.iter().map(|(_, version)| *version).collect();
        entry
    }

    /// The same batch when only its being there is told: its records count, its bytes stay.
    pub(crate) fn untold(mut self) -> Self {
        self.bytes.clear();
        self.others.iter_mut().for_each(|other| other.bytes.clear());
        self
    }

    /// The bytes, in exchange for the proof that their entry is on disk.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a receipt is spent, so that it opens one batch"
    )]
    pub(crate) fn open(self, receipt: ReleaseReceipt) -> Bytes {
        let _ = receipt.index();
        self.bytes.into()
    }
}

impl Records {
    /// The records of `source`, to be judged under `permit`. `facts` is how entries begin.
    pub(crate) fn new(
        shared: Arc<Shared>,
        question: Question,
        permit: Permit,
        facts: &Entry,
        source: Source,
    ) -> Self {
        let Source { body, links, reader, table, writer, share, generation, plan } = source;
        Self {
            pseudonyms: CallPseudonyms::new(&shared.keys, permit.purpose()),
            bulk: permit.bulk().into(),
            facts: Arc::new(facts.clone()),
            plan,
            shared,
            question,
            permit,
            waited: Duration::ZERO,
            generation,
            body,
            links,
            table,
            reader,
            batch: new_batch(),
            known: None,
            writer,
            scratch: Scratch::new(),
            share,
            read: 0,
            begun: false,
        }
    }

    /// The room taken in the buffers.
    pub(crate) fn into_share(self) -> Share {
        self.share
    }

    /// Reads and checks the next batch, and brings the cards of its people into memory; true when
    /// no batch follows. Nothing is judged yet: it may wait long before it leaves.
    ///
    /// # Errors
    /// When the store's answer breaks off or is not what its route says, or when nobody knows
    /// whom it is about.
    pub(crate) async fn read(&mut self) -> Result<bool, CallError> {
        self.batch.clear();
        let last = self.fill().await?;
        if let (Some(seen), Some(table)) = (self.reader.unlisted(), &self.table) {
            let now = self.shared.clock.now();
            self.shared.inbox.note(self.permit.set_id(), table, seen, now);
        }
        let people = People::find(&self.shared.cards, &self.permit, &self.batch).await?;
        let about = (&self.permit, &self.batch, &people);
        // A card that changes by it is looked up again when the batch is judged.
        Box::pin(late::link(&self.shared, about, &self.facts)).await?;
        self.known = Some(people.into_known());
        Ok(last)
    }

    /// Judges the batch that was read, at the moment it is to leave. `last`: none follows.
    ///
    /// # Errors
    /// When nobody knows whom it is about, or when the call may not go on. Nothing of the batch
    /// then leaves.
    pub(crate) async fn judge(&mut self, last: bool) -> Result<Sealed, CallError> {
        let mut passes = Passes::default();
        let (people, now) = loop {
            let known = self.known.take();
            let people =
                People::find_again(&self.shared.cards, &self.permit, &self.batch, known).await?;
            let now = self.shared.clock.now();
            // After the last wait, so that what changed meanwhile counts for this batch.
            self.question.caller.still_valid(&self.shared)?;
            recheck(
                &self.shared,
                (&mut self.question, &mut self.permit),
                (&mut self.generation, &mut self.facts, &mut self.bulk),
                now,
            )?;
            let about = (&self.permit, &*self.facts);
            let batch = (&self.batch, &people, &mut self.scratch);
            if !passes.settle(&self.shared, about, batch, now).await? {
                break (people, now);
            }
        };
        let mut desk = Desk {
            permit: &self.permit,
            batch: &self.batch,
            writer: &mut self.writer,
            scratch: &mut self.scratch,
            pseudonyms: &self.pseudonyms,
            shared: &self.shared,
            sought: &self.question.routed.sought,
            passes: &passes,
            now,
        };
        let mut out = Vec::with_capacity(self.batch.bytes() + self.batch.bytes() / 4 + 64);
        if !std::mem::replace(&mut self.begun, true) {
            if let Some(columns) = self.reader.columns() {
                desk.writer.columns(columns, self.permit.widest());
            }
            desk.writer.begin(&mut out);
        }
        let mut sealed = Sealed::new(out, (Arc::clone(&self.facts), Arc::clone(&self.bulk)));
        sealed.last = last;
        sealed.as_stored = self.permit.shows_every_field()
            && !self.batch.has_skipped()
            && !self.reader.has_skipped();
        desk.judge_all(&people, &mut sealed)?;
        if last {
            self.reader.reroute(|link| self.links.beside(&self.shared, link));
            self.writer.end(self.reader.around(), &mut sealed.bytes);
        }
        Ok(sealed)
    }

    /// Reads until the batch is full or the answer ends; true at its end.
    async fn fill(&mut self) -> Result<bool, CallError> {
        loop {
            match self.reader.read(&mut self.batch).map_err(CallError::Transform)? {
                Progress::BatchFull => return Ok(false),
                Progress::End => return Ok(true),
                Progress::NeedMore => {}
            }
            let asked = Instant::now();
            let piece = self.body.chunk().await.map_err(CallError::Upstream)?;
            self.waited += asked.elapsed();
            match piece {
                Some(piece) => {
                    self.read = self.read.saturating_add(piece.len());
                    self.share.cover(self.read).await.map_err(CallError::NoRoom)?;
                    self.reader.push(piece);
                }
                None => self.reader.end_of_input(),
            }
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("permit", &self.permit).finish_non_exhaustive()
    }
}

/// Asks the policy in force again when it is not the one that decided, or when a grant or an
/// approval that it decided on has run out or was taken back.
pub(super) fn recheck(
    shared: &Shared,
    (question, permit): (&mut Question, &mut Permit),
    (generation, facts, bulk): (&mut u64, &mut Arc<Entry>, &mut Arc<[BulkLimit]>),
    now: Timestamp,
) -> Result<(), CallError> {
    let snapshot = shared.snapshot();
    if snapshot.generation == *generation && question.caller.still_has(permit, now) {
        return Ok(());
    }
    *permit = question.ask_again(&snapshot, permit, now)?;
    *generation = snapshot.generation;
    let mut entry = Entry::clone(facts);
    // The kinds of data and their forms are those of before, or it would have been refused.
    plan::describe(permit, &mut entry);
    *facts = Arc::new(entry);
    *bulk = permit.bulk().into();
    Ok(())
}

/// Where one batch is judged.
pub(super) struct Desk<'a> {
    pub(super) permit: &'a Permit,
    pub(super) batch: &'a Batch,
    pub(super) writer: &'a mut Writer,
    pub(super) scratch: &'a mut Scratch,
    pub(super) pseudonyms: &'a CallPseudonyms,
    pub(super) shared: &'a Shared,
    /// What of the records is sought by sealed fields.
    pub(super) sought: &'a [Sought],
    /// Whose data may leave their country by this batch.
    pub(super) passes: &'a Passes,
    pub(super) now: Timestamp,
}

impl Desk<'_> {
    /// Judges every record of the batch and writes those that may leave. What did not open is told
    /// to whoever watches, whether or not anything of the batch leaves: the log takes entries in
    /// their order, so that the alert is on disk before a release of the batch.
    ///
    /// # Errors
    /// When the keys cannot be used. Nothing of the batch may then leave.
    pub(super) fn judge_all(
        &mut self,
        people: &People<'_>,
        sealed: &mut Sealed,
    ) -> Result<(), CallError> {
        let judged = self.judge_each(people, sealed);
        let alert = sealed.unopened.alert(&sealed.facts, self.permit.set());
        alert.into_iter().for_each(|alert| self.shared.log.note(alert));
        judged
    }

    fn judge_each(&mut self, people: &People<'_>, sealed: &mut Sealed) -> Result<(), CallError> {
        let set = self.permit.set();
        let is_sealed = set.fields.iter().any(|field| field.at_rest.is_some());
        let (mut keys, mut misses) = (Vec::new(), Misses::default());
        let per_record = set.subjects.len();
        let subjects = people.facts(self.now);
        let fact_fields = self.permit.fact_fields();
        let mut values: Vec<Option<Cow<'_, str>>> = Vec::with_capacity(fact_fields.len());
        let border = Border::of(self.shared, self.permit, self.now);
        for record in 0..self.batch.len() {
            fact_values(self.batch, record, fact_fields, &mut values);
            let facts = RecordFacts {
                subjects: subjects
                    .get(record * per_record..(record + 1) * per_record)
                    .unwrap_or_default(),
                region: set.region.and_then(|field| self.region(record, field)),
                values: &values,
                now: self.now,
            };
            match verdict(self.permit, &facts, self.scratch) {
                Verdict::LeaveOut { .. } => sealed.leave_out(),
                Verdict::Release { views, in_clear } => {
                    let cards = people.cards(record, per_record);
                    let lets = |it: &Border<'_>| it.lets(self.passes, (&facts, views), cards);
                    if !border.as_ref().is_none_or(lets) {
                        sealed.leave_out();
                        continue;
                    }
                    if is_sealed {
                        keys.clear();
                        keys.extend(cards.iter().map(|card| card.as_ref()?.keys.clone()));
                    }
                    let seals = RecordSeals::new(&self.shared.keys, set, &keys);
                    let about = (set.as_ref(), cards);
                    let metrics = &self.shared.metrics;
                    let here = (self.batch, record);
                    misses.clear();
                    if !is_sought(self.sought, here, &seals, &mut misses) {
                        sealed.unopened.add(&misses, about, metrics)?;
                        sealed.leave_out();
                        continue;
                    }
                    let pseudonyms = RecordPseudonyms {
                        call: self.pseudonyms,
                        set,
                        people: facts.subjects,
                        vault: Some((&self.shared.cards, cards)),
                    };
                    let showing = Showing { views, pseudonyms: &pseudonyms, seals: &seals };
                    self.writer.record(self.batch, record, showing, &mut sealed.bytes);
                    sealed.as_stored &= views.iter().all(|view| *view == View::Show);
                    sealed.release(cards, in_clear);
                    sealed.acted = sealed.acted.or(self.scratch.acted_as());
                    let is_left_out = sealed.unopened.add(self.writer.misses(), about, metrics)?;
                    sealed.as_stored &= !is_left_out;
                }
            }
        }
        // After the last value: keys that locked meanwhile opened nothing of this batch, or nothing
        // of it leaves.
        opening::may_open(&self.shared.keys, self.permit)?;
        sealed.tokens = self.pseudonyms.take_new();
        sealed.settle();
        Ok(())
    }

    fn region(&self, record: usize, field: crate::catalog::FieldIx) -> Option<Region> {
        Region::parse(&scalar(self.batch, record, field)?)
    }
}

impl Sealed {
    /// Names everybody once.
    pub(super) fn settle(&mut self) {
        self.subjects.sort_unstable();
        self.subjects.dedup_by_key(|(token, _)| *token);
        self.shown.sort_unstable();
        self.shown.dedup();
    }

    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
        self.as_stored = false;
    }

    pub(super) fn release(&mut self, cards: &[Option<Arc<crate::subjects::Card>>], in_clear: bool) {
        self.records += 1;
        for card in cards.iter().flatten() {
            self.subjects.push((card.token, card.logged_version));
            if in_clear {
                self.shown.push(card.token);
            }
        }
    }
}

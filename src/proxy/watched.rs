//! The records of a data set in which the policy is only observed: judged, recorded, and passed on
//! byte for byte.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use bytes::BytesMut;
use tokio::time::Instant;

use crate::audit::Entry;
use crate::policy::Observation;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::verdict;
use crate::subjects::Card;
use crate::transform::Batch;
use crate::transform::Progress;
use crate::transform::Reader;
use crate::types::Action;
use crate::types::Region;
use crate::types::SubjectStatus;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::budget::BATCH_BYTES;
use super::budget::Share;
use super::budget::new_batch;
use super::error::CallError;
use super::feed;
use super::inbox::Table;
use super::people::Known;
use super::people::People;
use super::people::fact_values;
use super::people::scalar;
use super::plan::Question;
use super::records::Sealed;
use super::shared::Shared;
use super::sums::Changed;
use super::sums::Sums;
use super::told::ToldBody;

/// The people of a write, whom its answer is about as well.
pub(crate) type About = Vec<(SubjectToken, u64)>;

/// The records of one answer, batch by batch.
///
/// INVARIANT: a byte that was not yet read as part of a record whose people are known, or of what
/// stands around them, stays in `pending`.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is there or is not")]
pub(crate) struct Watched {
    pub(crate) shared: Arc<Shared>,
    pub(crate) question: Question,
    /// Time spent waiting for the store.
    pub(crate) waited: Duration,
    observation: Observation,
    would: Option<Permit>,
    generation: u64,
    body: ToldBody,
    reader: Reader,
    table: Option<Arc<Table>>,
    batch: Batch,
    known: Option<Known>,
    /// What came and did not leave yet.
    pending: BytesMut,
    /// Where that stands in the answer.
    begin: u64,
    has_begun: bool,
    /// Whether a record was passed on.
    has_kept: bool,
    /// Whether nobody can tell what else comes, and nobody's data is in it.
    is_blind: bool,
    about: About,
    facts: Arc<Entry>,
    share: Share,
    read: usize,
    scratch: Scratch,
    changed: Changed,
    seen: Vec<u32>,
    sums: Sums,
}

/// What the records are read from.
pub(crate) struct Watching {
    pub(crate) question: Question,
    pub(crate) observation: Observation,
    /// What enforcing the policy would permit.
    pub(crate) would: Option<Permit>,
    pub(crate) generation: u64,
    pub(crate) body: ToldBody,
    pub(crate) reader: Reader,
    /// What is known of members that are not listed.
    pub(crate) table: Option<Arc<Table>>,
    pub(crate) share: Share,
    pub(crate) about: About,
    pub(crate) sums: Sums,
}

impl Watched {
    /// Begins to read. `facts`: how entries begin.
    pub(crate) fn new(shared: &Arc<Shared>, facts: &Entry, watching: Watching) -> Self {
        let Watching { question, observation, would, generation, body, reader, .. } = watching;
        Self {
            shared: Arc::clone(shared),
            question,
            waited: Duration::ZERO,
            changed: Changed::of(observation.set()),
            seen: vec![u32::MAX; observation.set().fields.len()],
            observation,
            would,
            generation,
            body,
            reader,
            table: watching.table,
            batch: new_batch(),
            known: None,
            pending: BytesMut::new(),
            begin: 0,
            has_begun: false,
            has_kept: false,
            is_blind: false,
            about: watching.about,
            // What is told of a write is a read.
            facts: Arc::new(Entry { action: Some(Action::Read), ..facts.clone() }),
            share: watching.share,
            read: 0,
            scratch: Scratch::new(),
            sums: watching.sums,
        }
    }

    /// The room taken in the buffers.
    pub(crate) fn into_share(self) -> Share {
        self.share
    }

    /// Reads the next batch; true when none follows.
    ///
    /// # Errors
    /// When the answer breaks off, or nobody knows whom it is about.
    pub(crate) async fn read(&mut self) -> Result<bool, CallError> {
        self.batch.clear();
        let last = self.fill().await?;
        if let (Some(seen), Some(table)) = (self.reader.unlisted(), &self.table) {
            let now = self.shared.clock.now();
            self.shared.inbox.note(&self.observation.set().id, table, seen, now);
        }
        let set = self.observation.set();
        let people = People::find_all(&self.shared.cards, set, &self.batch, None).await?;
        self.known = Some(people.into_known());
        Ok(last)
    }

    async fn fill(&mut self) -> Result<bool, CallError> {
        loop {
            if self.is_blind {
                if self.pending.len() >= BATCH_BYTES {
                    return Ok(false);
                }
            } else {
                match self.reader.read(&mut self.batch) {
                    Ok(Progress::BatchFull) => return Ok(false),
                    Ok(Progress::End) => return Ok(true),
                    Ok(Progress::NeedMore) => {}
                    // Whose data it is was recorded, or it is nobody's: it need not be understood.
                    Err(_) if self.is_told() => self.is_blind = true,
                    Err(error) => return Err(CallError::Transform(error)),
                }
            }
            let asked = Instant::now();
            let piece = self.body.chunk().await.map_err(CallError::Upstream)?;
            self.waited += asked.elapsed();
            match piece {
                Some(piece) => {
                    self.read = self.read.saturating_add(piece.len());
                    self.share.cover(self.read).await.map_err(CallError::NoRoom)?;
                    self.pending.extend_from_slice(&piece);
                    if !self.is_blind {
                        self.reader.push(piece);
                    }
                }
                None if self.is_blind => return Ok(true),
                None => self.reader.end_of_input(),
            }
        }
    }

    /// Whether the people of the answer are known without reading it.
    fn is_told(&self) -> bool {
        self.observation.set().subjects.is_empty() || !self.about.is_empty()
    }

    /// Judges the batch that was read, at the moment it is to leave. `last`: none follows.
    ///
    /// # Errors
    /// When nobody knows whom it is about, or the policy came into force. Nothing of the batch
    /// then leaves.
    pub(crate) async fn judge(&mut self, last: bool) -> Result<Sealed, CallError> {
        let known = self.known.take();
        let set = Arc::clone(self.observation.set());
        let batch = std::mem::replace(&mut self.batch, new_batch());
        let people = People::find_all(&self.shared.cards, &set, &batch, known).await?;
        let now = self.shared.clock.now();
        self.question.caller.still_valid(&self.shared)?;
        self.recheck(now)?;
        let mut sealed = Sealed::new(Vec::new(), (Arc::clone(&self.facts), Arc::default()));
        sealed.last = last;
        sealed.as_stored = true;
        self.note(&batch, &people, now);
        self.pass(&batch, &people, &mut sealed);
        let is_all = last || self.is_blind;
        let held = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        let end = if is_all { self.begin.saturating_add(held) } else { self.reader.consumed() };
        self.write(end, &mut sealed);
        if self.is_blind {
            sealed.records = sealed.records.saturating_add(1);
            self.sums.unattributed(u32::from(self.about.is_empty()));
        }
        if !self.about.is_empty() {
            sealed.name(&self.about);
        }
        sealed.settle();
        drop(people);
        self.batch = batch;
        Ok(sealed)
    }

    /// Whether the policy is still only observed.
    fn recheck(&mut self, now: Timestamp) -> Result<(), CallError> {
        let snapshot = self.shared.snapshot();
        let set = self.observation.set();
        if snapshot.generation != self.generation {
            let other = snapshot.set(&set.id).ok_or(CallError::PolicyChanged)?;
            if other.observed_until(now).is_none() || other.fields.len() != set.fields.len() {
                return Err(CallError::PolicyChanged);
            }
            self.generation = snapshot.generation;
            return Ok(());
        }
        set.observed_until(now).map(|_| ()).ok_or(CallError::PolicyChanged)
    }

    /// Passes every record on, but for those about people who were erased: their data does not
    /// come back, whatever the policy is.
    fn pass(&mut self, batch: &Batch, people: &People<'_>, sealed: &mut Sealed) {
        let per_record = self.observation.set().subjects.len();
        for record in 0..batch.len() {
            let Some((start, end)) = batch.span(record) else { continue };
            let cards = people.cards(record, per_record);
            let is_kept = !is_erased(cards);
            // Between two records stands what separates them: of those that leave, one fewer.
            if !self.has_begun || is_kept && self.has_kept {
                self.write(start, sealed);
            } else {
                self.skip(start);
            }
            self.has_begun = true;
            if is_kept {
                self.write(end, sealed);
                self.has_kept = true;
                sealed.release(cards, true);
            } else {
                self.skip(end);
                sealed.leave_out();
            }
        }
    }

    /// Moves what stands before `end` in the answer to what leaves.
    fn write(&mut self, end: u64, sealed: &mut Sealed) {
        let bytes = self.until(end);
        sealed.write(self.pending.get(..bytes).unwrap_or_default());
        self.skip(end);
    }

    fn skip(&mut self, end: u64) {
        let bytes = self.until(end);
        self.pending.advance(bytes);
        self.begin = self.begin.max(end);
    }

    fn until(&self, end: u64) -> usize {
        let bytes = usize::try_from(end.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        bytes.min(self.pending.len())
    }

    /// Sums up what enforcing the policy would have changed of a batch.
    fn note(&mut self, batch: &Batch, people: &People<'_>, now: Timestamp) {
        let set = Arc::clone(self.observation.set());
        let per_record = set.subjects.len();
        let (mut unlisted, mut nobody) = (0_u32, 0_u32);
        let subjects = people.facts(now);
        let mut shown = Vec::new();
        for record in 0..batch.len() {
            let cards = people.cards(record, per_record);
            unlisted += u32::from(batch.has_unlisted(record));
            nobody += u32::from(per_record > 0 && cards.iter().all(Option::is_none));
            let subjects = subjects.get(record * per_record..(record + 1) * per_record);
            if self.verdict((batch, record), subjects.unwrap_or_default(), now) {
                shown.extend(cards.iter().flatten().map(|card| card.token));
            }
        }
        self.sums.change(&mut self.changed);
        self.sums.unlisted(unlisted);
        self.sums.unattributed(nobody);
        self.count(&shown);
    }

    /// What the policy says of one record; true when something personal is shown in clear.
    fn verdict(
        &mut self,
        (batch, record): (&Batch, usize),
        subjects: &[RecordSubject<'_>],
        now: Timestamp,
    ) -> bool {
        let Some(permit) = &self.would else { return false };
        let set = permit.set();
        let mut values: Vec<Option<Cow<'_, str>>> = Vec::new();
        fact_values(batch, record, permit.fact_fields(), &mut values);
        let region = set.region.and_then(|field| Region::parse(&scalar(batch, record, field)?));
        let facts = RecordFacts { subjects, region, values: &values, now };
        match verdict(permit, &facts, &mut self.scratch) {
            Verdict::LeaveOut { because } => {
                self.sums.leave_out(because.as_str());
                false
            }
            Verdict::Release { views, in_clear } => {
                let number = u32::try_from(record).unwrap_or(u32::MAX);
                for field in batch.listed(record).map(crate::catalog::FieldIx::index) {
                    // Once a record, however often it stands in an array.
                    let is_new = self
                        .seen
                        .get_mut(field)
                        .is_some_and(|seen| std::mem::replace(seen, number) != number);
                    let view = views.get(field).copied().unwrap_or(View::Drop);
                    if is_new && view != View::Show {
                        self.changed.add(field, view);
                    }
                }
                self.seen.iter_mut().for_each(|seen| *seen = u32::MAX);
                in_clear
            }
        }
    }

    /// Counts people against the limits on how many are shown. They are told of and do not hold.
    fn count(&self, shown: &[SubjectToken]) {
        let Some(permit) = &self.would else { return };
        let owners: Vec<_> = self.question.caller.owners().cloned().collect();
        let limits = (permit.bulk(), shown);
        if let Err(error) = feed::count(&self.shared, &owners, limits, &self.facts) {
            self.sums.refuse(&error);
        }
    }
}

/// Whether a record is about somebody whose data is gone for good.
pub(crate) fn is_erased(cards: &[Option<Arc<Card>>]) -> bool {
    cards.iter().flatten().any(|card| card.status.contains(SubjectStatus::Erased))
}
